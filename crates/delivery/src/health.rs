//! Since when an endpoint has only failed, and what follows from that.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::endpoint::{Endpoint, FAILURE_WINDOW};
use model::id::EndpointId;
use model::time::Timestamp;

use crate::classify::Health;

/// How long an endpoint fails before that is written down: one that flaps must not cost a write each time.
const WRITE_AFTER: Duration = Duration::from_secs(60);

/// What to do about an endpoint now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Write down since when it fails.
    Remember(Timestamp),
    /// Write down that it works again.
    Recovered,
    /// Disable it and say so.
    Disable,
}

/// The failing endpoints, as this process sees them.
#[derive(Debug, Default)]
pub struct Failing(Mutex<HashMap<EndpointId, Timestamp>>);

impl Failing {
    /// Takes in what one exchange said; at most one act follows.
    pub fn observe(&self, endpoint: &Endpoint, health: Health, now: Timestamp) -> Act {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match health {
            Health::Unclear => Act::Nothing,
            Health::Gone => Act::Disable,
            Health::Works => {
                failing.remove(&endpoint.id);
                if endpoint.failing_since.is_some() { Act::Recovered } else { Act::Nothing }
            }
            Health::Fails => {
                let first = *failing.entry(endpoint.id).or_insert(now);
                let since = endpoint.failing_since.map_or(first, |written| written.min(first));
                if now.since(since) >= FAILURE_WINDOW {
                    return Act::Disable;
                }
                let is_due = endpoint.failing_since.is_none() && now.since(since) >= WRITE_AFTER;
                if is_due { Act::Remember(since) } else { Act::Nothing }
            }
        }
    }
}
