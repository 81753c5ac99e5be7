//! Everything that `/metrics` shows: what the crates count, and what a look at the store shows.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use delivery::DeliveryLane;
use fetching::FetchingLane;
use ingest::Ingest;
use model::endpoint::EndpointState;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sending::SendingLane;
use store::Store;
use store::disk::Disk;

use super::Looked;

type Label = [(&'static str, &'static str); 1];

/// The registry, and the gauges that are set when somebody looks.
pub struct Metrics {
    registry: Registry,
    gauges: Mutex<Gauges>,
}

#[derive(Default)]
struct Gauges {
    in_hand: Gauge,
    queue_depth: Family<Label, Gauge>,
    oldest_age: Gauge,
    endpoints: Family<Label, Gauge>,
    retention_waiting: Gauge,
    /// Of the disk beneath an embedded store only.
    disk: Option<DiskGauges>,
}

#[derive(Clone, Default)]
struct DiskGauges {
    free: Gauge,
    reserve: Gauge,
    spare: Gauge,
    log: Gauge,
}

impl Metrics {
    /// The metrics of a gateway.
    pub fn of(
        store: &Store,
        ingest: &Ingest,
        (deliveries, sends, files): (&DeliveryLane, &SendingLane, &FetchingLane),
    ) -> Metrics {
        let mut registry = Registry::with_prefix("gancho");
        ingest.metrics().register(&mut registry);
        deliveries.metrics().register(&mut registry);
        sends.metrics().register(&mut registry);
        files.metrics().register(&mut registry);
        let gauges = Gauges { disk: store.is_embedded().then(DiskGauges::default), ..Gauges::default() };
        gauges.register(&mut registry);
        let build = Family::<Label, Gauge>::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("build_info", "The version that runs", build);
        Metrics { registry, gauges: Mutex::new(gauges) }
    }

    /// As OpenMetrics text.
    pub(super) fn show(&self, store: &Store, ingest: &Ingest, looked: &Looked) -> Result<String, fmt::Error> {
        let gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        gauges.set(store, ingest, looked);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Gauges {
    fn register(&self, registry: &mut Registry) {
        let help = "Bytes of webhooks that are being read or wait to be stored";
        registry.register("ingest_in_hand_bytes", help, self.in_hand.clone());
        let help = "Work that is waiting, by where it waits";
        registry.register("queue_depth", help, self.queue_depth.clone());
        let help = "Age of the oldest delivery that is neither made nor given up; 0 where there is none";
        registry.register("queue_oldest_age_seconds", help, self.oldest_age.clone());
        registry.register("endpoints", "Endpoints by state", self.endpoints.clone());
        let help = "1 while nothing is removed for its age because the clock has leapt ahead";
        registry.register("retention_waiting", help, self.retention_waiting.clone());
        let Some(disk) = &self.disk else { return };
        registry.register("disk_free_bytes", "Bytes that are free on the disk", disk.free.clone());
        let help = "Bytes below which what is new is refused";
        registry.register("disk_reserve_bytes", help, disk.reserve.clone());
        let help = "Bytes that are free within the database";
        registry.register("database_spare_bytes", help, disk.spare.clone());
        registry.register("sqlite_wal_bytes", "Bytes of the write-ahead log", disk.log.clone());
    }

    fn set(&self, store: &Store, ingest: &Ingest, looked: &Looked) {
        set(&self.in_hand, ingest.in_hand_bytes() as u64);
        let backlog = looked.backlog;
        for (place, count) in [("due", backlog.due), ("in_line", backlog.in_line), ("sends", backlog.sends)] {
            set(&self.queue_depth.get_or_create(&[("state", place)]), count);
        }
        let now = store.clock().now();
        set(&self.oldest_age, backlog.oldest_at.map_or(0, |at| now.since(at).as_secs()));
        let routing = store.routing();
        for state in EndpointState::ALL {
            let count = routing.endpoints().filter(|endpoint| endpoint.state == state).count();
            set(&self.endpoints.get_or_create(&[("state", state.as_str())]), count as u64);
        }
        set(&self.retention_waiting, u64::from(looked.is_retention_waiting));
        if let (Some(gauges), Some(disk)) = (&self.disk, &looked.disk) {
            gauges.set(disk);
        }
    }
}

impl DiskGauges {
    fn set(&self, disk: &Disk) {
        set(&self.free, disk.free_bytes);
        set(&self.reserve, disk.reserve_bytes);
        set(&self.spare, disk.spare_bytes);
        set(&self.log, disk.log_bytes);
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
