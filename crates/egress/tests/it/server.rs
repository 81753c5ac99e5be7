//! Servers on loopback that speak in bytes, so that they can say anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// A server; it ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Each request as it came.
    pub(crate) requests: UnboundedReceiver<String>,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Handles each connection, whose number from 1 is given, as told.
    pub(crate) async fn start<H, F>(handle: H) -> Server
    where
        H: Fn(Connection) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(handle(Connection { tcp, number, requests: sender.clone() }));
            }
        });
        Server { address, requests, connections, accepting }
    }

    /// Answers every request with these bytes and keeps the connection.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Server {
        let answer = Arc::<[u8]>::from(answer.into());
        Server::start(move |mut connection| {
            let answer = Arc::clone(&answer);
            async move {
                while connection.request().await.is_some() {
                    connection.send(&answer).await;
                }
            }
        })
        .await
    }

    /// Reads one request, sends these bytes and then neither sends more nor closes.
    pub(crate) async fn hanging_after(answer: &'static [u8]) -> Server {
        Server::start(move |mut connection| async move {
            connection.request().await;
            connection.send(answer).await;
            std::future::pending::<()>().await;
        })
        .await
    }

    /// Reads one request, sends these bytes and closes.
    pub(crate) async fn closing_after(answer: &'static [u8]) -> Server {
        Server::start(move |mut connection| async move {
            connection.request().await;
            connection.send(answer).await;
        })
        .await
    }

    /// Reads one request, sends the first bytes once and the second for as long as someone reads.
    pub(crate) async fn endless(first: &'static [u8], then: &'static [u8]) -> Server {
        Server::start(move |mut connection| async move {
            connection.request().await;
            connection.send(first).await;
            while connection.send(then).await {}
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

pub(crate) struct Connection {
    pub(crate) tcp: TcpStream,
    pub(crate) number: usize,
    requests: UnboundedSender<String>,
}

impl Connection {
    /// Reads one request and notes it.
    pub(crate) async fn request(&mut self) -> Option<String> {
        let request = read_request(&mut self.tcp).await?;
        self.requests.send(request.clone()).ok();
        Some(request)
    }

    /// Sends bytes; says whether someone still reads.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.tcp.write_all(bytes).await.is_ok()
    }
}

/// Reads one request with its body, or nothing when the connection ends.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= content_length(head)
        {
            return Some(text.into_owned());
        }
    }
}

fn content_length(head: &str) -> usize {
    let value = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    value.map_or(0, |value| value.parse().unwrap())
}
