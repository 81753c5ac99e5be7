//! The sink: an endpoint that answers 200 at once and notes when each message came.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use model::time::Clock;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::load::Taken;
use super::scene;
use crate::listener::{self, Bounds, Handler};

/// A running sink.
pub(crate) struct Sink {
    address: SocketAddr,
    noted: Arc<Noted>,
    shutdown: CancellationToken,
}

#[derive(Default)]
struct Noted {
    messages: AtomicU64,
    latencies: Mutex<Vec<Duration>>,
}

#[derive(Clone)]
struct Answerer(Arc<Noted>);

impl Handler for Answerer {
    async fn handle(&self, request: Request<Incoming>, _peer: SocketAddr) -> Response<Body> {
        if let Ok(body) = request.into_body().collect().await {
            let body = body.to_bytes();
            if let Some(sent_at) = scene::sent_at(&body) {
                let latency = Clock::System.now().since(sent_at);
                self.0.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(latency);
                self.0.messages.fetch_add(1, Ordering::Release);
            }
        }
        Response::new(Body::empty())
    }
}

impl Sink {
    pub(crate) async fn start() -> anyhow::Result<Sink> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (noted, shutdown) = (Arc::<Noted>::default(), CancellationToken::new());
        let bounds = Bounds::of_a_bench();
        tokio::spawn(listener::serve(listener, Answerer(Arc::clone(&noted)), bounds, shutdown.clone()));
        Ok(Sink { address, noted, shutdown })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Forgets what came so far.
    pub(crate) fn expect_new(&self) {
        self.noted.messages.store(0, Ordering::Release);
        self.noted.latencies.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits until so many messages have come; returns how many have.
    pub(crate) async fn wait_for_messages(&self, count: u64, most: Duration) -> u64 {
        let deadline = Instant::now() + most;
        loop {
            let arrived = self.noted.messages.load(Ordering::Acquire);
            if arrived >= count || Instant::now() >= deadline {
                return arrived;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How long each message took from being made to being here.
    pub(crate) fn latencies(&self) -> Taken {
        let latencies = self.noted.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Taken { count: latencies.len() as u64, took: latencies.iter().sum(), latencies }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
