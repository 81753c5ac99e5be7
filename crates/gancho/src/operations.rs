//! What machines ask: alive, ready, and how it goes.

mod metrics;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ingest::Ingest;
use store::Store;
use store::disk::Disk;
use store::stats::Backlog;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub use metrics::Metrics;

/// How long the store may take to show that it can write.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long what was seen is good for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What is asked about.
pub struct Readiness {
    store: Store,
    ingest: Ingest,
    metrics: Metrics,
    draining: AtomicBool,
    /// What the last looks showed: anybody may ask, and asking must not cost the store anything.
    probed: Mutex<Option<(Instant, Result<(), &'static str>)>>,
    looked: Mutex<Option<(Instant, Looked)>>,
}

/// What a look shows.
#[derive(Clone, Copy)]
struct Looked {
    backlog: Backlog,
    disk: Option<Disk>,
    is_retention_waiting: bool,
}

impl Readiness {
    /// Ready as long as the store can write.
    pub fn new(store: Store, ingest: Ingest, metrics: Metrics) -> Readiness {
        Readiness {
            store,
            ingest,
            metrics,
            draining: AtomicBool::new(false),
            probed: Mutex::default(),
            looked: Mutex::default(),
        }
    }

    /// Not ready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    async fn check(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::Acquire) {
            return Err("draining\n");
        }
        if !self.store.is_sound() {
            return Err("the store must be opened anew\n");
        }
        if self.store.is_disk_short() {
            return Err("the disk is nearly full: what is new is refused\n");
        }
        let mut probed = self.probed.lock().await;
        if let Some((at, found)) = *probed
            && at.elapsed() < LOOK_INTERVAL
        {
            return found;
        }
        let found = match tokio::time::timeout(PROBE_TIMEOUT, self.store.stats().ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("the store cannot write\n"),
            Err(_) => Err("the store is slow\n"),
        };
        *probed = Some((Instant::now(), found));
        found
    }

    /// The metrics in the text of OpenMetrics.
    pub async fn show(&self) -> anyhow::Result<String> {
        let looked = self.look().await?;
        Ok(self.metrics.show(&self.store, &self.ingest, &looked)?)
    }

    async fn look(&self) -> Result<Looked, store::Error> {
        let mut looked = self.looked.lock().await;
        if let Some((at, seen)) = *looked
            && at.elapsed() < LOOK_INTERVAL
        {
            return Ok(seen);
        }
        let seen = Looked {
            backlog: self.store.stats().backlog().await?,
            disk: self.store.look_at_disk().await?,
            is_retention_waiting: self.store.retention().doubt().await?.is_some(),
        };
        *looked = Some((Instant::now(), seen));
        Ok(seen)
    }
}

/// `/livez`, `/readyz`, `/startupz` and `/healthz`: whether we are well, and nothing else.
pub fn health(readiness: &Arc<Readiness>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/healthz", get(ready))
        .route("/startupz", get(|| async { "started\n" }))
        .with_state(Arc::clone(readiness))
}

/// `/metrics`: how it goes.
pub fn metrics(readiness: &Arc<Readiness>) -> Router {
    Router::new().route("/metrics", get(metrics_text)).with_state(Arc::clone(readiness))
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> (StatusCode, &'static str) {
    match readiness.check().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn metrics_text(
    State(readiness): State<Arc<Readiness>>,
) -> Result<impl axum::response::IntoResponse, StatusCode> {
    let text = readiness.show().await.map_err(|error| {
        tracing::debug!(%error, "the metrics could not be shown");
        StatusCode::SERVICE_UNAVAILABLE
    })?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}
