//! What machines ask: alive, ready, and how it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ingest::Ingest;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use store::Store;
use store::disk::Disk;
use store::stats::Backlog;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long the store may take to show that it can write.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long what was seen is good for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What is asked about.
pub struct Readiness {
    store: Store,
    ingest: Ingest,
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
    pub fn new(store: Store, ingest: Ingest) -> Readiness {
        Readiness {
            store,
            ingest,
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

/// `/livez`, `/readyz`, `/startupz`, `/healthz` and `/metrics`.
pub fn router(readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/healthz", get(ready))
        .route("/startupz", get(|| async { "started\n" }))
        .route("/metrics", get(metrics))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> (StatusCode, &'static str) {
    match readiness.check().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

type Label = [(&'static str, String); 1];

async fn metrics(
    State(readiness): State<Arc<Readiness>>,
) -> Result<impl axum::response::IntoResponse, StatusCode> {
    let Looked { backlog, disk, is_retention_waiting } =
        readiness.look().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let mut registry = Registry::with_prefix("gancho");
    let requests = Family::<Label, Counter>::default();
    for (result, count) in readiness.ingest.metrics().requests_total() {
        requests.get_or_create(&[("result", result.to_owned())]).inc_by(count);
    }
    registry.register("ingest_requests", "Requests by what came of them", requests);
    let in_hand = Gauge::<i64>::default();
    in_hand.set(i64::try_from(readiness.ingest.in_hand_bytes()).unwrap_or(i64::MAX));
    registry.register(
        "ingest_in_hand_bytes",
        "Bytes of webhooks that are being read or wait to be stored",
        in_hand,
    );
    let events: Counter = Counter::default();
    events.inc_by(readiness.ingest.metrics().events_total());
    registry.register("events", "New events", events);
    let depth = Family::<Label, Gauge>::default();
    for (state, count) in [("due", backlog.due), ("in_line", backlog.in_line), ("sends", backlog.sends)] {
        depth.get_or_create(&[("state", state.to_owned())]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    registry.register("queue_depth", "Work that is waiting, by where it waits", depth);
    for (name, help, bytes) in disk.iter().flat_map(gauges_of) {
        registry.register(name, help, gauge(bytes));
    }
    registry.register(
        "retention_waiting",
        "1 while nothing is removed for its age because the clock has leapt ahead",
        gauge(u64::from(is_retention_waiting)),
    );
    let build = Family::<Label, Gauge>::default();
    build.get_or_create(&[("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
    registry.register("build_info", "The version that runs", build);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

/// What is told of the disk beneath an embedded store.
fn gauges_of(disk: &Disk) -> [(&'static str, &'static str, u64); 4] {
    [
        ("disk_free_bytes", "Bytes that are free on the disk", disk.free_bytes),
        ("disk_reserve_bytes", "Bytes below which what is new is refused", disk.reserve_bytes),
        ("database_spare_bytes", "Bytes that are free within the database", disk.spare_bytes),
        ("sqlite_wal_bytes", "Bytes of the write-ahead log", disk.log_bytes),
    ]
}

fn gauge(value: u64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    gauge
}
