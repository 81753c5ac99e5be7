//! How often an app and a stranger may ask (invariants Q20).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use control::Actor;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::pace::{Pace, Pacing};
use model::time::Timestamp;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Requests a second that the tokens of one app may make together, or one token that is bound to none; and how many at once.
const REQUESTS_PER_SECOND: u32 = 200;
/// Replays have a budget of their own: one call a second, so many at once (invariants I9).
const REPLAY_BURST: u32 = 10;
/// Looks into the store for tokens that are not remembered, a second, from one network; so many at once.
const STRANGERS_PER_SECOND: u32 = 20;
/// Callers whose pace is remembered; one at rest needs no remembering.
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
    fn name(self) -> &'static str {
        match self {
            Budget::Requests => "requests",
            Budget::Replays => "replays",
        }
    }

    fn pacing(self) -> Pacing {
        match self {
            Budget::Requests => Pacing::per_second(REQUESTS_PER_SECOND),
            Budget::Replays => Pacing::new(Duration::from_secs(1), REPLAY_BURST),
        }
    }
}

/// What is left of a budget, as draft-ietf-httpapi-ratelimit-headers-09 tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Left {
    budget: Budget,
    turns: u32,
    rest: Duration,
}

impl Left {
    /// Writes what the policy is, and what of it is left until when.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let (name, pacing) = (self.budget.name(), self.budget.pacing());
        let (quota, window) = (pacing.burst(), seconds(pacing.window()));
        let policy = format!("\"{name}\";q={quota};w={window}");
        let left = format!("\"{name}\";r={};t={}", self.turns, seconds(self.rest));
        for (header, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
            headers.extend(HeaderValue::try_from(text).ok().map(|value| (header, value)));
        }
    }
}

/// Whole seconds that are surely over by then.
fn seconds(span: Duration) -> u128 {
    span.as_millis().div_ceil(1000)
}

/// Whose pace it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Payer {
    /// An app, or a token that is bound to none: no two things have the same id.
    Known(i64, Budget),
    /// Whoever shows a token that is not remembered, by the network.
    Stranger(Option<IpAddr>),
}

/// The paces of everybody who asks.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<Payer, Pace>>);

impl Rates {
    /// Takes a turn, or says when the next one is; and what is left.
    pub(crate) fn take(
        &self,
        actor: &Actor,
        budget: Budget,
        now: Timestamp,
    ) -> (Result<(), Timestamp>, Left) {
        let payer = actor.app.map(|app| app.raw()).or(actor.token.map(|token| token.raw())).unwrap_or(0);
        let pacing = budget.pacing();
        self.with(Payer::Known(payer, budget), now, |pace| {
            let taken = pace.take(pacing, now);
            (taken, Left { budget, turns: pace.turns(pacing, now), rest: pace.rest(pacing, now) })
        })
    }

    /// Takes a turn for a look into the store, or says when the next one is.
    pub(crate) fn look(&self, network: Option<IpAddr>, now: Timestamp) -> Result<(), Timestamp> {
        self.with(Payer::Stranger(network), now, |pace| {
            pace.take(Pacing::per_second(STRANGERS_PER_SECOND), now)
        })
    }

    fn with<T>(&self, payer: Payer, now: Timestamp, pay: impl FnOnce(&mut Pace) -> T) -> T {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= PACES_MAX {
            paces.retain(|_, pace| !pace.is_rested(now));
        }
        pay(paces.entry(payer).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_with_the_policy_it_is_left_of() {
        let (rates, actor, now) = (Rates::default(), Actor::console(), Timestamp::from_secs(1));
        let told = |budget| {
            let mut headers = HeaderMap::new();
            rates.take(&actor, budget, now).1.tell(&mut headers);
            ["ratelimit-policy", "ratelimit"].map(|name| headers[name].to_str().expect("text").to_owned())
        };
        assert_eq!(told(Budget::Requests), ["\"requests\";q=200;w=1", "\"requests\";r=199;t=1"]);
        assert_eq!(told(Budget::Replays), ["\"replays\";q=10;w=10", "\"replays\";r=9;t=1"]);
        assert_eq!(told(Budget::Replays)[1], "\"replays\";r=8;t=2");
    }

    #[test]
    fn replays_are_paid_from_their_own_budget() {
        let (rates, actor, now) = (Rates::default(), Actor::console(), Timestamp::from_secs(1));
        for _ in 0..REPLAY_BURST {
            assert!(rates.take(&actor, Budget::Replays, now).0.is_ok());
        }
        assert!(rates.take(&actor, Budget::Replays, now).0.is_err());
        assert!(rates.take(&actor, Budget::Requests, now).0.is_ok());
    }
}
