//! A rate limit that knows when the next turn is: the generic cell rate algorithm over our own time.

use std::time::Duration;

use crate::time::Timestamp;

const NANOS_A_MILLI: i128 = 1_000_000;

/// How often something may happen: one turn every `interval` on average, `burst` of them at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pacing {
    interval: Duration,
    burst: u32,
}

impl Pacing {
    /// One turn every `interval`, up to `burst` (at least one) at once.
    pub fn new(interval: Duration, burst: u32) -> Pacing {
        Pacing { interval, burst: burst.max(1) }
    }

    /// So many turns a second, up to one second's worth at once.
    pub fn per_second(rate: u32) -> Pacing {
        Pacing::new(Duration::from_secs(1) / rate.max(1), rate)
    }

    /// How many turns may be taken at once.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// How long it takes at the even rate until that many are there again.
    pub fn window(self) -> Duration {
        self.interval * self.burst
    }

    fn interval_ns(self) -> i128 {
        i128::try_from(self.interval.as_nanos()).unwrap_or(i128::MAX / NANOS_A_MILLI)
    }

    /// How far ahead of the present turns may still be taken.
    fn ahead_max_ns(self) -> i128 {
        self.interval_ns() * i128::from(self.burst - 1)
    }
}

/// The turns taken so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pace {
    /// When all turns taken so far would have been due at the even rate, in nanoseconds since the epoch.
    even_ns: i128,
}

impl Pace {
    /// The turns taken so far, as they were stored.
    pub fn from_nanos(even_ns: i64) -> Pace {
        Pace { even_ns: i128::from(even_ns) }
    }

    /// The turns taken so far, to be stored: nanoseconds since the epoch.
    pub fn as_nanos(self) -> i64 {
        i64::try_from(self.even_ns).unwrap_or(i64::MAX)
    }

    /// Takes a turn, or says when the next one is.
    pub fn take(&mut self, pacing: Pacing, now: Timestamp) -> Result<(), Timestamp> {
        if self.take_many(1, pacing, now) {
            return Ok(());
        }
        let free_ns = self.even_at(pacing, now) - pacing.ahead_max_ns();
        let next_ms = (free_ns + NANOS_A_MILLI - 1).div_euclid(NANOS_A_MILLI);
        Err(Timestamp::from_millis(i64::try_from(next_ms).unwrap_or(i64::MAX)))
    }

    /// Takes so many turns at once, or none; says whether they were there. More than the burst never are.
    pub fn take_many(&mut self, turns: u32, pacing: Pacing, now: Timestamp) -> bool {
        let are_there = self.turns(pacing, now) >= turns;
        if are_there {
            self.even_ns = self.even_at(pacing, now) + pacing.interval_ns() * i128::from(turns);
        }
        are_there
    }

    /// How many turns may be taken now.
    pub fn turns(self, pacing: Pacing, now: Timestamp) -> u32 {
        let left_ns = pacing.ahead_max_ns() - (self.even_at(pacing, now) - nanos(now));
        if left_ns < 0 {
            return 0;
        }
        let turns = left_ns.checked_div(pacing.interval_ns()).map_or(u32::MAX.into(), |more| more + 1);
        u32::try_from(turns).unwrap_or(u32::MAX)
    }

    /// How long until every turn that may be taken at once is there again.
    pub fn rest(self, pacing: Pacing, now: Timestamp) -> Duration {
        let ahead_ns = self.even_at(pacing, now) - nanos(now);
        Duration::from_nanos(u64::try_from(ahead_ns).unwrap_or(0))
    }

    /// Whether it has rested so long that forgetting it changes nothing.
    pub fn is_rested(self, now: Timestamp) -> bool {
        self.even_ns <= nanos(now)
    }

    /// When the turns taken so far are due at the even rate, not before now. Further ahead than turns can bring it, the
    /// clock went back, and nobody waits for it to catch up.
    fn even_at(self, pacing: Pacing, now: Timestamp) -> i128 {
        let is_adrift = self.even_ns - nanos(now) > pacing.ahead_max_ns() + pacing.interval_ns();
        if is_adrift { nanos(now) } else { self.even_ns.max(nanos(now)) }
    }
}

fn nanos(at: Timestamp) -> i128 {
    i128::from(at.as_millis()) * NANOS_A_MILLI
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_at_once_and_then_one_turn_an_interval() {
        let pacing = Pacing::new(Duration::from_secs(6), 3);
        let mut pace = Pace::default();
        let start = Timestamp::from_secs(1_000);
        assert_eq!([0; 3].map(|_| pace.take(pacing, start)), [Ok(()); 3]);
        let next = pace.take(pacing, start).expect_err("the burst is used up");
        assert!(
            next > start.plus(Duration::from_secs(5)) && next <= start.plus(Duration::from_millis(6_001))
        );
        assert_eq!(pace.take(pacing, next), Ok(()));
        assert!(pace.take(pacing, next).is_err());
    }

    #[test]
    fn what_was_taken_is_there_again_after_as_many_intervals() {
        let (pacing, start) = (Pacing::new(Duration::from_secs(6), 3), Timestamp::from_secs(1_000));
        let mut pace = Pace::default();
        let seen = |pace: Pace, at| (pace.turns(pacing, at), pace.rest(pacing, at));
        assert_eq!(seen(pace, start), (3, Duration::ZERO));
        pace.take(pacing, start).expect("a turn");
        pace.take(pacing, start).expect("a turn");
        assert_eq!(seen(pace, start), (1, Duration::from_secs(12)));
        assert_eq!(seen(pace, start.plus(Duration::from_secs(12))), (3, Duration::ZERO));
    }

    #[test]
    fn a_clock_that_goes_back_keeps_nobody_waiting_for_it() {
        let (pacing, mut pace) = (Pacing::per_second(10), Pace::default());
        let late = Timestamp::from_secs(1_000_000);
        assert_eq!(pace.take(pacing, late), Ok(()));
        assert_eq!(pace.take(pacing, late.minus(Duration::from_secs(3600))), Ok(()));
    }

    #[test]
    fn the_turns_that_are_left_are_those_that_can_be_taken() {
        let (pacing, now) = (Pacing::new(Duration::from_secs(6), 3), Timestamp::from_secs(1_000));
        let mut pace = Pace::default();
        for left in [3, 2, 1, 0] {
            assert_eq!(pace.turns(pacing, now), left);
            assert_eq!(pace.take(pacing, now).is_ok(), left > 0);
        }
        assert_eq!(pace.turns(pacing, now.plus(Duration::from_secs(12))), 2);
        assert_eq!(Pace::default().turns(Pacing::new(Duration::ZERO, 1), now), u32::MAX);
    }

    #[test]
    fn many_turns_are_taken_together_or_not_at_all() {
        let (pacing, now) = (Pacing::new(Duration::from_secs(6), 5), Timestamp::from_secs(1_000));
        let (mut together, mut alone) = (Pace::default(), Pace::default());
        assert!(!together.take_many(6, pacing, now) && together == Pace::default());
        assert!(together.take_many(3, pacing, now));
        assert_eq!([0; 3].map(|_| alone.take(pacing, now)), [Ok(()); 3]);
        assert_eq!(together, alone);
        assert!(!together.take_many(3, pacing, now) && together.take_many(2, pacing, now));
        assert!(!together.take_many(1, pacing, now));
    }

    #[test]
    fn a_pace_that_was_stored_goes_on_as_it_was() {
        let (pacing, now) = (Pacing::per_second(3), Timestamp::from_secs(1_000));
        let mut pace = Pace::default();
        assert_eq!(pace.take(pacing, now), Ok(()));
        assert_eq!(Pace::from_nanos(pace.as_nanos()), pace);
    }

    proptest! {
        #[test]
        fn no_second_ever_sees_more_than_burst_and_rate(steps in prop::collection::vec(0u64..400, 1..200), rate in 1u32..20) {
            let pacing = Pacing::per_second(rate);
            let (mut pace, mut now, mut taken) = (Pace::default(), Timestamp::from_secs(1), Vec::new());
            for step in steps {
                now = now.plus(Duration::from_millis(step));
                if pace.take(pacing, now).is_ok() {
                    taken.push(now);
                }
            }
            for at in &taken {
                let within = taken.iter().filter(|other| **other >= *at && other.since(*at) < Duration::from_secs(1)).count();
                prop_assert!(within <= 2 * rate as usize + 1);
            }
        }
    }
}
