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
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::proxies::Proxies;

/// How long a request's head may take to come, and how long an idle connection may stay.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How large a request's head may be, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How many headers a request may have.
const HEADERS_MAX: usize = 100;
/// How long the other side may take none of an answer before the connection is closed: hyper would wait for ever.
pub const WRITE_STALL_MAX: Duration = Duration::from_secs(10);
/// How long to wait when the system has no more file descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// The bounds of a listener.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// How many connections may be open at once; the next ones wait to be accepted.
    pub connections_max: usize,
    /// How many of them may come from one address, or from one customer's network of IPv6; the next ones are closed.
    pub per_address_max: usize,
    /// Who may have as many as there are: proxies, behind which everybody has one address.
    pub proxies: Proxies,
    /// How long the other side may take none of an answer.
    pub write_stall: Duration,
    /// How long requests under way may take once shutdown began.
    pub drain: Duration,
}

impl Bounds {
    /// What a server of a bench has: room for every connection of the load.
    pub(crate) fn of_a_bench() -> Bounds {
        Bounds {
            connections_max: 4096,
            per_address_max: 4096,
            proxies: Proxies::default(),
            write_stall: WRITE_STALL_MAX,
            drain: Duration::from_secs(1),
        }
    }
}

/// Serves until shutdown; then finishes the requests under way, at most for the drain time.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: H,
    bounds: Bounds,
    shutdown: CancellationToken,
) {
    let (handler, room) = (Arc::new(handler), Arc::new(Semaphore::new(bounds.connections_max.max(1))));
    let addresses = Arc::new(Addresses { held: Mutex::default(), max: bounds.per_address_max });
    let graceful = GracefulShutdown::new();
    while let Some((stream, peer, permit)) = next(&listener, &room, &shutdown).await {
        let place = match bounds.proxies.are_trusted(peer.ip()) {
            true => None,
            false => match addresses.take(peer.ip()) {
                None => continue,
                held => held,
            },
        };
        let connection = connect(stream, peer, bounds.write_stall, Arc::clone(&handler));
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
    write_stall: Duration,
    handler: Arc<H>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_stall));
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(handler.handle(request, peer).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .half_close(false)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
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

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Answers with more than the system holds for a connection.
    #[derive(Clone)]
    struct Large;

    impl Handler for Large {
        async fn handle(&self, request: Request<Incoming>, _peer: SocketAddr) -> Response<Body> {
            let is_small = request.uri().path() == "/small";
            let _ = request.into_body().collect().await;
            Response::new(Body::from(vec![b'x'; if is_small { 1 } else { 64 << 20 }]))
        }
    }

    #[tokio::test]
    async fn who_takes_none_of_an_answer_does_not_keep_its_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let bounds = Bounds {
            connections_max: 1,
            per_address_max: 1,
            proxies: Proxies::default(),
            write_stall: Duration::from_millis(100),
            drain: Duration::ZERO,
        };
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, Large, bounds, shutdown.clone()));
        let mut silent = TcpStream::connect(address).await.expect("it accepts");
        silent.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it is taken");
        // There is one connection in all: the next is answered only when the silent one was closed.
        let mut next = TcpStream::connect(address).await.expect("it waits to be accepted");
        next.write_all(b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .expect("it is taken");
        let mut answer = String::new();
        next.read_to_string(&mut answer).await.expect("it is answered");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        shutdown.cancel();
        serving.await.expect("it ends");
        drop(silent);
    }
}
