//! A small HTTP server on loopback that can also do what a good one never would: close without an answer, reset a
//! connection, and refuse connections on a port that stays its own.

use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// The largest request that is read, in bytes: more than the largest webhook.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many connections may be open at once; the next ones wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// How many connections the system may hold for us until they are accepted.
const BACKLOG: u32 = 1024;
/// How long to wait when the system has no more file descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests.
pub(crate) trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request, or says how its connection ends without an answer.
    fn handle(&self, heard: Heard) -> impl Future<Output = Result<Answer, Cut>> + Send;
}

/// One request, read in full.
pub(crate) struct Heard {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// What followed the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Heard {
    /// The value of a header, when it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An answer to give.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Dropped once the answer has been handed to the connection, or the connection is gone.
    pub(crate) until_given: Option<oneshot::Sender<Infallible>>,
}

impl Answer {
    /// An answer of a status alone.
    pub(crate) fn empty(status: StatusCode) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: Bytes::new(), until_given: None }
    }

    /// An answer in JSON.
    pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
        let kind = HeaderValue::from_static("application/json; charset=UTF-8");
        let answer = Answer { body: Bytes::from(value.to_string()), ..Answer::empty(status) };
        answer.with(http::header::CONTENT_TYPE, kind)
    }

    /// The answer with one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Answer {
        self.headers.insert(name, value);
        self
    }

    fn into_http(self) -> Response<Given> {
        let body = Given { body: Full::new(self.body), _until_given: self.until_given };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// How a connection ends without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Cut {
    /// In good order.
    #[error("the connection is closed without an answer")]
    Close,
    /// With a reset.
    #[error("the connection is reset without an answer")]
    Reset,
}

/// The body of an answer, which the connection drops as soon as it has taken it.
struct Given {
    body: Full<Bytes>,
    _until_given: Option<oneshot::Sender<Infallible>>,
}

impl Body for Given {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A server; it ends, with its connections, when it is dropped.
pub(crate) struct Server<H> {
    address: SocketAddr,
    handler: H,
    serving: Option<Serving>,
    /// Holds the port while connections are refused.
    reserved: Option<TcpSocket>,
}

struct Serving {
    /// Dropping it ends the task.
    closing: oneshot::Sender<Infallible>,
    task: JoinHandle<()>,
}

impl<H: Handler> Server<H> {
    /// Serves on a free port.
    pub(crate) async fn start(handler: H) -> io::Result<Server<H>> {
        let reserved = reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let mut server =
            Server { address: reserved.local_addr()?, handler, serving: None, reserved: Some(reserved) };
        server.open()?;
        Ok(server)
    }

    /// Where it is, refusing or not.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections again after [`Server::refuse`].
    pub(crate) fn open(&mut self) -> io::Result<()> {
        let Some(socket) = self.reserved.take() else {
            return Ok(());
        };
        let listener = socket.listen(BACKLOG)?;
        let (closing, closed) = oneshot::channel();
        let task = tokio::spawn(serve(listener, self.handler.clone(), closed));
        self.serving = Some(Serving { closing, task });
        Ok(())
    }

    /// Breaks off every connection and refuses new ones.
    pub(crate) async fn refuse(&mut self) -> io::Result<()> {
        let Some(Serving { closing, task }) = self.serving.take() else {
            return Ok(());
        };
        drop(closing);
        task.await.map_err(io::Error::other)?;
        self.reserved = Some(reserve(self.address)?);
        Ok(())
    }
}

/// A socket that has a port but does not listen: connections to it are refused.
fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn serve<H: Handler>(listener: TcpListener, handler: H, mut closed: oneshot::Receiver<Infallible>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut closed => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => { connections.spawn(connect(stream, handler.clone())); }
                Err(_) => tokio::time::sleep(EXHAUSTED_PAUSE).await,
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connect<H: Handler>(stream: TcpStream, handler: H) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let heard = hear(request).await?;
            handler.handle(heard).await.map(Answer::into_http)
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let Err(error) = (&mut connection).await else {
        return;
    };
    let cut = error.source().and_then(|source| source.downcast_ref::<Cut>());
    if cut == Some(&Cut::Reset) {
        // If the system does not let us, the connection is closed in good order, which is no answer either.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

async fn hear(request: Request<Incoming>) -> Result<Heard, Cut> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    Ok(Heard {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.map_err(|_| Cut::Close)?.to_bytes(),
    })
}
