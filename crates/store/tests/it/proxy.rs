//! Stands between a store and its PostgreSQL, and takes what is said without ever answering when it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use store::Location;

/// A proxy; it ends with the test's runtime.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    /// The word after which nothing passes any more, in either direction.
    silenced_by: Mutex<Option<&'static str>>,
    is_silent: watch::Sender<bool>,
    /// How many connections there are.
    open: watch::Sender<usize>,
}

impl Proxy {
    /// Listens before the server of `location`.
    pub(crate) async fn before(location: &Location) -> Proxy {
        let Location::Postgres(url) = location else { panic!("a folder has no server") };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (server, is_silent, open) =
            (authority(url).to_owned(), watch::Sender::new(false), watch::Sender::new(0));
        let shared = Arc::new(Shared { server, silenced_by: Mutex::default(), is_silent, open });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&accepting)));
            }
        });
        Proxy { address, shared }
    }

    /// The same database, by way of the proxy.
    pub(crate) fn location(&self, direct: &Location) -> Location {
        let Location::Postgres(url) = direct else { panic!("a folder has no server") };
        Location::Postgres(url.replacen(authority(url), &self.address.to_string(), 1))
    }

    /// Falls silent at the first word of this kind from a client.
    pub(crate) fn silence_at(&self, word: &'static str) {
        *self.shared.silenced_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(word);
    }

    /// Passes on again what is said from now on.
    pub(crate) fn speak(&self) {
        self.shared.is_silent.send_replace(false);
    }

    /// Returns once it has fallen silent.
    pub(crate) async fn silent(&self) {
        self.shared.is_silent.subscribe().wait_for(|is_silent| *is_silent).await.expect("a proxy");
    }

    /// Returns once no connection is open.
    pub(crate) async fn deserted(&self) {
        self.shared.open.subscribe().wait_for(|open| *open == 0).await.expect("a proxy");
    }
}

fn authority(url: &str) -> &str {
    let after = url.split_once('@').or_else(|| url.split_once("://")).expect("a URL").1;
    after.split_once('/').expect("a URL with a database").0
}

async fn pass(client: TcpStream, shared: Arc<Shared>) {
    shared.open.send_modify(|open| *open += 1);
    let server = TcpStream::connect(&shared.server).await.expect("a server");
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = copy(from_client, to_server, &shared) => {}
        () = copy(from_server, to_client, &shared) => {}
    }
    shared.open.send_modify(|open| *open -= 1);
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, shared: &Shared) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let said = &chunk[..read];
        if shared.hears(said) {
            continue;
        }
        if to.write_all(said).await.is_err() {
            return;
        }
    }
}

impl Shared {
    /// Whether it keeps to itself what is said.
    fn hears(&self, said: &[u8]) -> bool {
        let mut silenced_by = self.silenced_by.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |word: &&str| said.windows(word.len()).any(|part| part == word.as_bytes());
        if silenced_by.take_if(|word| is_it(&*word)).is_some() {
            self.is_silent.send_replace(true);
        }
        *self.is_silent.borrow()
    }
}
