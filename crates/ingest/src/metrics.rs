//! What came of requests, counted.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// Counters of one process; they only grow.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: [AtomicU64; Result::ALL.len()],
    events: AtomicU64,
}

impl Metrics {
    /// Counts a request.
    pub fn request(&self, result: Result) {
        self.requests[result as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts new events.
    pub fn events(&self, new: u32) {
        self.events.fetch_add(u64::from(new), Ordering::Relaxed);
    }

    /// Requests so far, by result.
    pub fn requests_total(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Result::ALL
            .into_iter()
            .map(|result| (result.as_str(), self.requests[result as usize].load(Ordering::Relaxed)))
    }

    /// New events so far.
    pub fn events_total(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }
}
