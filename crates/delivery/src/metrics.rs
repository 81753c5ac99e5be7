//! What came of attempts at endpoints, counted and timed.

use std::time::Duration;

use model::retry::Next;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of how long an attempt may take, in seconds; none takes longer than the last.
const ATTEMPT_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 25.0];
/// Upper bounds of how long an event may be on its way, in seconds: retries included.
const END_TO_END_SECONDS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 3600.0];

type Label = [(&'static str, &'static str); 1];

/// Metrics of one process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    attempts: Family<Label, Counter>,
    seconds: Histogram,
    end_to_end: Histogram,
    in_flight: Gauge,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let attempts = Family::<Label, Counter>::default();
        for outcome in ["delivered", "retry", "dead"] {
            drop(attempts.get_or_create(&[("outcome", outcome)]));
        }
        let (seconds, end_to_end) = (Histogram::new(ATTEMPT_SECONDS), Histogram::new(END_TO_END_SECONDS));
        Metrics { attempts, seconds, end_to_end, in_flight: Gauge::default() }
    }
}

impl Metrics {
    /// Shows them to whoever asks.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "delivery_attempts",
            "Attempts at endpoints by what follows for the delivery",
            self.attempts.clone(),
        );
        registry.register(
            "delivery_attempt_duration_seconds",
            "How long the exchange with an endpoint took",
            self.seconds.clone(),
        );
        registry.register(
            "delivery_end_to_end_seconds",
            "From storing an event to its delivery",
            self.end_to_end.clone(),
        );
        registry.register("deliveries_in_flight", "Attempts under way", self.in_flight.clone());
    }

    pub(crate) fn started(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn ended(&self) {
        self.in_flight.dec();
    }

    /// Notes an exchange that took so long.
    pub(crate) fn exchanged(&self, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts what follows for a delivery whose event was stored so long ago.
    pub(crate) fn recorded(&self, next: &Next, since_stored: Duration) {
        let outcome = match next {
            Next::Delivered => "delivered",
            Next::RetryAt(_) => "retry",
            Next::Dead(_) | Next::Unknown(_) => "dead",
        };
        self.attempts.get_or_create(&[("outcome", outcome)]).inc();
        if *next == Next::Delivered {
            self.end_to_end.observe(since_stored.as_secs_f64());
        }
    }
}
