//! What came of requests, counted and timed.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of how long an answer may take, in seconds: from far below a sync to where platforms have given up.
const SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 15.0];

/// What a request came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Result {
    /// Stored, at least one new event.
    Accepted,
    /// Stored before.
    Duplicate,
    /// The platform's check of the URL, answered.
    Answered,
    /// Not proven genuine.
    Rejected,
    /// Nobody's, or nobody's account.
    Unrouted,
    /// Too large, too slow, too many, or not HTTP as it should be.
    Refused,
    /// Could not be stored; the sender was asked to come back.
    Unavailable,
    /// Too much was in hand; the sender was asked to come back.
    NoRoom,
}

impl Result {
    /// Every result, in the order of the counters.
    pub const ALL: [Result; 8] = [
        Result::Accepted,
        Result::Duplicate,
        Result::Answered,
        Result::Rejected,
        Result::Unrouted,
        Result::Refused,
        Result::Unavailable,
        Result::NoRoom,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Result::Accepted => "accepted",
            Result::Duplicate => "duplicate",
            Result::Answered => "answered",
            Result::Rejected => "rejected",
            Result::Unrouted => "unrouted",
            Result::Refused => "refused",
            Result::Unavailable => "unavailable",
            Result::NoRoom => "no_room",
        }
    }
}

type Label = [(&'static str, &'static str); 1];

/// Metrics of one process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    by_result: Family<Label, Counter>,
    /// The counters of the family, so that nobody looks them up.
    requests: [Counter; Result::ALL.len()],
    events: Counter,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let by_result = Family::<Label, Counter>::default();
        let requests =
            Result::ALL.map(|result| by_result.get_or_create(&[("result", result.as_str())]).clone());
        Metrics { by_result, requests, events: Counter::default(), seconds: Histogram::new(SECONDS) }
    }
}

impl Metrics {
    /// Shows them to whoever asks.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("ingest_requests", "Requests by what came of them", self.by_result.clone());
        registry.register("events", "New events", self.events.clone());
        registry.register(
            "ingest_duration_seconds",
            "How long senders waited for the answer, from the head of the request on",
            self.seconds.clone(),
        );
    }

    /// Counts a request.
    pub fn request(&self, result: Result) {
        self.requests[result as usize].inc();
    }

    /// Counts new events.
    pub fn events(&self, new: u32) {
        self.events.inc_by(u64::from(new));
    }

    /// Notes how long a sender waited.
    pub fn answered_after(&self, waited: Duration) {
        self.seconds.observe(waited.as_secs_f64());
    }
}
