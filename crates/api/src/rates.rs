//! How often a token may ask (invariants Q20).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use control::Actor;
use model::pace::{Pace, Pacing};
use model::time::Timestamp;

/// Requests a second that one token may make, and how many at once.
const REQUESTS_PER_SECOND: u32 = 200;
/// Replays have a budget of their own: one call a second, so many at once (invariants I9).
const REPLAY_BURST: u32 = 10;
/// Tokens whose pace is remembered; one at rest needs no remembering.
const PACES_MAX: usize = 10_000;

/// Which budget a request is paid from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Budget {
    /// Everybody's.
    Requests,
    /// That of replays.
    Replays,
}

impl Budget {
    fn pacing(self) -> Pacing {
        match self {
            Budget::Requests => Pacing::per_second(REQUESTS_PER_SECOND),
            Budget::Replays => Pacing::new(Duration::from_secs(1), REPLAY_BURST),
        }
    }
}

/// The paces of tokens.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<(i64, Budget), Pace>>);

impl Rates {
    /// Takes a turn, or says when the next one is.
    pub(crate) fn take(&self, actor: &Actor, budget: Budget, now: Timestamp) -> Result<(), Timestamp> {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= PACES_MAX {
            paces.retain(|_, pace| !pace.is_rested(now));
        }
        let caller = actor.token.map_or(0, |token| token.raw());
        paces.entry((caller, budget)).or_default().take(budget.pacing(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replays_are_paid_from_their_own_budget() {
        let (rates, actor, now) = (Rates::default(), Actor::console(), Timestamp::from_secs(1));
        for _ in 0..REPLAY_BURST {
            assert!(rates.take(&actor, Budget::Replays, now).is_ok());
        }
        assert!(rates.take(&actor, Budget::Replays, now).is_err());
        assert!(rates.take(&actor, Budget::Requests, now).is_ok());
    }
}
