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
            Health::Gone => {
                failing.remove(&endpoint.id);
                Act::Disable
            }
            Health::Works => {
                failing.remove(&endpoint.id);
                if endpoint.failing_since.is_some() { Act::Recovered } else { Act::Nothing }
            }
            Health::Fails => {
                let first = *failing.entry(endpoint.id).or_insert(now);
                let since = endpoint.failing_since.map_or(first, |written| written.min(first));
                if now.since(since) >= FAILURE_WINDOW {
                    // Once enabled again it begins anew.
                    failing.remove(&endpoint.id);
                    return Act::Disable;
                }
                let is_due = endpoint.failing_since.is_none() && now.since(since) >= WRITE_AFTER;
                if is_due { Act::Remember(since) } else { Act::Nothing }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::id::AppId;

    fn endpoint(failing_since: Option<Timestamp>) -> Endpoint {
        let endpoint = Endpoint::new(EndpointId::from_raw(1), AppId::from_raw(1), "https://example.com");
        Endpoint { failing_since, ..endpoint }
    }

    #[test]
    fn an_endpoint_is_disabled_only_after_failing_through_the_whole_window() {
        let (failing, start) = (Failing::default(), Timestamp::from_secs(1_000_000));
        assert_eq!(failing.observe(&endpoint(None), Health::Fails, start), Act::Nothing);
        let minute = start.plus(Duration::from_secs(60));
        assert_eq!(failing.observe(&endpoint(None), Health::Fails, minute), Act::Remember(start));
        let written = endpoint(Some(start));
        let almost = start.plus(FAILURE_WINDOW - Duration::from_secs(1));
        assert_eq!(failing.observe(&written, Health::Fails, almost), Act::Nothing);
        assert_eq!(failing.observe(&written, Health::Fails, start.plus(FAILURE_WINDOW)), Act::Disable);
    }

    #[test]
    fn an_endpoint_that_was_enabled_again_has_a_whole_window_anew() {
        let (failing, start) = (Failing::default(), Timestamp::from_secs(1_000_000));
        let end = start.plus(FAILURE_WINDOW);
        failing.observe(&endpoint(None), Health::Fails, start);
        assert_eq!(failing.observe(&endpoint(Some(start)), Health::Fails, end), Act::Disable);
        assert_eq!(failing.observe(&endpoint(None), Health::Fails, end), Act::Nothing);
    }

    #[test]
    fn one_success_begins_the_window_anew_and_our_own_trouble_does_not_count() {
        let (failing, start) = (Failing::default(), Timestamp::from_secs(1_000_000));
        let late = start.plus(FAILURE_WINDOW);
        failing.observe(&endpoint(None), Health::Fails, start);
        assert_eq!(failing.observe(&endpoint(Some(start)), Health::Works, late), Act::Recovered);
        assert_eq!(failing.observe(&endpoint(None), Health::Fails, late), Act::Nothing);
        assert_eq!(
            failing.observe(&endpoint(None), Health::Unclear, late.plus(FAILURE_WINDOW)),
            Act::Nothing
        );
        assert_eq!(failing.observe(&endpoint(None), Health::Gone, late), Act::Disable);
    }
}
