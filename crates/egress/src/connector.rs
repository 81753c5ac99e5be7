//! Opens connections: finds the addresses, asks the guard, connects to none but those it let through.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::rt::TokioIo;
use model::id::AppId;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::config::Config;
use crate::error::{Error, Failure, FailureKind, Phase};
use crate::guard::{Denied, Guard};
use crate::resolve::{Lifetimes, Resolver, system_lookup};
use crate::stream::{Opening, Stream, Transport};
use crate::tls;

const ADDRESSES_TRIED_MAX: usize = 4;
const FOUND_FOR: Duration = Duration::from_secs(30);
const MISSING_FOR: Duration = Duration::from_secs(5);

tokio::task_local! {
    /// Whose exchange this task is in the middle of: the client asks for a connection by its address alone, from
    /// within the exchange that needs it.
    pub(crate) static ON_BEHALF_OF: AppId;
}

/// Opens connections for the client's pool.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Opener>);

/// A connection that could not be opened: how far it came, and why.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub(crate) struct NotOpened {
    pub(crate) opening: Opening,
    pub(crate) failure: Failure,
}

impl Connector {
    pub(crate) fn new(config: &Config) -> Result<Connector, Error> {
        Connector::with_lookup(config, system_lookup)
    }

    /// The same with another way to find the addresses of a name.
    pub(crate) fn with_lookup<F>(config: &Config, lookup: F) -> Result<Connector, Error>
    where
        F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    {
        let lifetimes = Lifetimes { timeout: config.resolve_timeout, found: FOUND_FOR, missing: MISSING_FOR };
        Ok(Connector(Arc::new(Opener {
            places: Arc::new(Semaphore::new(config.open_max)),
            guard: Guard::new(config),
            resolver: Resolver::start(lookup, lifetimes).map_err(Error::Threads)?,
            tls: TlsConnector::from(Arc::new(tls::client_config(config)?)),
            connect_timeout: config.connect_timeout,
            tls_timeout: config.tls_timeout,
        })))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = NotOpened;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, NotOpened>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotOpened>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opener = Arc::clone(&self.0);
        let app = ON_BEHALF_OF.with(|app| *app);
        Box::pin(async move {
            let mut opening = Opening::default();
            match opener.open(&uri, app, &mut opening).await {
                Ok(opened) => Ok(TokioIo::new(Stream::new(opened, opening))),
                Err(failure) => Err(NotOpened { opening, failure }),
            }
        })
    }
}

struct Opener {
    places: Arc<Semaphore>,
    guard: Guard,
    resolver: Resolver,
    tls: TlsConnector,
    connect_timeout: Duration,
    tls_timeout: Duration,
}

impl Opener {
    async fn open(
        &self,
        uri: &Uri,
        app: AppId,
        opening: &mut Opening,
    ) -> Result<(Transport, OwnedSemaphorePermit), Failure> {
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        self.guard.check_port(port).map_err(not_allowed)?;
        let addresses = timed(&mut opening.resolve, self.vetted(host, app)).await?;
        let place = timed(&mut opening.connect, self.place()).await?;
        let (tcp, peer) = timed(&mut opening.connect, self.connect(&addresses, port)).await?;
        opening.peer = Some(peer);
        if !secure {
            return Ok((Transport::Plain(tcp), place));
        }
        let secured = timed(&mut opening.tls, self.secure(host, tcp)).await?;
        Ok((secured, place))
    }

    /// A place among the connections that may be open; unused ones are given up after a while.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let place = timeout(self.connect_timeout, Arc::clone(&self.places).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            Failure::before_sending(
                FailureKind::Exhausted,
                "this gateway has as many connections open as it may",
            )
        })
    }

    /// The addresses of `host` that the guard lets through: a literal is judged like one that was looked up.
    async fn vetted(&self, host: &str, app: AppId) -> Result<Vec<IpAddr>, Failure> {
        let found = match host.parse::<IpAddr>() {
            Ok(literal) => Arc::from([literal]),
            Err(_) => self.resolver.resolve(host, app).await?,
        };
        let (mut vetted, mut denied) = (Vec::new(), None);
        for address in found.iter() {
            match self.guard.check_address(*address) {
                Ok(()) => vetted.push(*address),
                Err(reason) => denied = Some(reason),
            }
        }
        match denied {
            Some(reason) if vetted.is_empty() => Err(not_allowed(reason)),
            _ => Ok(vetted),
        }
    }

    /// Connects to the first of the addresses that accepts.
    async fn connect(&self, addresses: &[IpAddr], port: u16) -> Result<(TcpStream, SocketAddr), Failure> {
        let mut last = Failure::before_sending(FailureKind::Connect, "there is no address to connect to");
        for address in addresses.iter().take(ADDRESSES_TRIED_MAX) {
            let peer = SocketAddr::new(*address, port);
            last = match timeout(self.connect_timeout, TcpStream::connect(peer)).await {
                Ok(Ok(tcp)) => {
                    // Only a delay is lost where the system refuses this.
                    let _ = tcp.set_nodelay(true);
                    return Ok((tcp, peer));
                }
                Ok(Err(error)) if is_ours(&error) => {
                    let words = format!("this gateway has no open files left: {error}");
                    return Err(Failure::before_sending(FailureKind::Exhausted, words));
                }
                Ok(Err(error)) => {
                    Failure::before_sending(FailureKind::Connect, words_of_refusal(&error, peer))
                }
                Err(_) => Failure {
                    words: format!("{peer} did not accept a connection in time"),
                    ..Failure::timeout(Phase::Connect)
                },
            };
        }
        Err(last)
    }

    async fn secure(&self, host: &str, tcp: TcpStream) -> Result<Transport, Failure> {
        let failed = |words: String| Failure::before_sending(FailureKind::Tls, words);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failed(format!("no certificate can name {host}, so TLS is not possible")))?;
        match timeout(self.tls_timeout, self.tls.connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(Transport::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(failed(match tls::tls_error(&error) {
                Some(error) => tls::words_of(error, host),
                None => format!("{host} closed the connection during the TLS handshake: {error}"),
            })),
            Err(_) => Err(Failure::timeout(Phase::Tls)),
        }
    }
}

fn not_allowed(denied: Denied) -> Failure {
    Failure::before_sending(FailureKind::NotAllowed, denied.to_string())
}

/// Whether the system has no more open files for us, or for anybody: ENFILE and EMFILE, which have these numbers on every
/// Unix.
fn is_ours(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

fn words_of_refusal(error: &io::Error, peer: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{peer} refused the connection"),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            format!("{peer} cannot be reached")
        }
        _ => format!("{peer} could not be connected: {error}"),
    }
}

async fn timed<T>(spent: &mut Duration, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let done = work.await;
    *spent += started.elapsed();
    done
}
