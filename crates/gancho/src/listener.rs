//! The accept loop: connections in, bounded in number and in time, and out in good order.
//!
//! Our own because hyper's timeouts work only with a timer installed, and because a cap has to be taken before a
//! connection costs anything.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How long a request's head may take to come, and how long an idle connection may stay.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How large a request's head may be, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How many headers a request may have.
const HEADERS_MAX: usize = 100;
/// How long to wait when the system has no more file descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request.
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// The bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many connections may be open at once; the next ones wait to be accepted.
    pub connections_max: usize,
    /// How many of them may come from one address, or from one customer's network of IPv6; the next ones are closed.
    pub per_address_max: usize,
    /// How long requests under way may take once shutdown began.
    pub drain: Duration,
}

/// Serves until shutdown; then finishes the requests under way, at most for the drain time.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: H,
    bounds: Bounds,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(bounds.connections_max.max(1)));
    let addresses = Arc::new(Addresses { held: Mutex::default(), max: bounds.per_address_max });
    let graceful = GracefulShutdown::new();
    while let Some((stream, peer, permit)) = next(&listener, &room, &shutdown).await {
        let Some(place) = addresses.take(peer.ip()) else { continue };
        let connection = connect(stream, peer, handler.clone());
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A broken connection is the peer's affair; whatever it sent in full has been answered.
            let _ = watched.await;
            drop((permit, place));
        });
    }
    drop(listener);
    if tokio::time::timeout(bounds.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(room).acquire_owned() => permit.ok()?,
            () = shutdown.cancelled() => return None,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return None,
        };
        match accepted {
            Ok((stream, peer)) => return Some((stream, peer, permit)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

fn connect<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    handler: H,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.handle(request, peer).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service)
}

/// Who has how many connections.
struct Addresses {
    held: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
}

impl Addresses {
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = ingest::limit::network_of(address);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place { addresses: Arc::clone(self), address })
    }
}

/// One connection's place among those of its address.
struct Place {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.addresses.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}
