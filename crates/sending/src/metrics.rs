//! What came of calls to platforms, counted and timed.

use std::time::Duration;

use model::retry::Next;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of how long a call may take, in seconds; none takes longer than the last.
const SECONDS: [f64; 9] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 20.0];

type Label = [(&'static str, &'static str); 1];

/// Metrics of one process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    attempts: Family<Label, Counter>,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let attempts = Family::<Label, Counter>::default();
        for outcome in ["taken", "retry", "unknown", "dead"] {
            drop(attempts.get_or_create(&[("outcome", outcome)]));
        }
        Metrics { attempts, seconds: Histogram::new(SECONDS) }
    }
}

impl Metrics {
    /// Shows them to whoever asks.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "send_attempts",
            "Calls to platforms by what follows for the send",
            self.attempts.clone(),
        );
        registry.register(
            "send_attempt_duration_seconds",
            "How long a platform took to answer",
            self.seconds.clone(),
        );
    }

    /// Notes a call that took so long.
    pub(crate) fn called(&self, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts what follows for a send.
    pub(crate) fn recorded(&self, next: &Next) {
        let outcome = match next {
            Next::Delivered => "taken",
            Next::RetryAt(_) => "retry",
            Next::Unknown(_) => "unknown",
            Next::Dead(_) => "dead",
        };
        self.attempts.get_or_create(&[("outcome", outcome)]).inc();
    }
}
