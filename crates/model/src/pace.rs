//! A rate limit that knows when the next turn is: the generic cell rate algorithm over our own time.

use std::time::Duration;

use crate::time::Timestamp;

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
}

/// The turns taken so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pace {
    /// When all turns taken so far would have been due at the even rate, in nanoseconds since the epoch.
    even_ns: i128,
}

impl Pace {
    /// Takes a turn, or says when the next one is.
    pub fn take(&mut self, pacing: Pacing, now: Timestamp) -> Result<(), Timestamp> {
        let now_ns = i128::from(now.as_millis()) * 1_000_000;
        let interval_ns = i128::try_from(pacing.interval.as_nanos()).unwrap_or(i128::MAX / 1_000_000);
        let ahead_max = interval_ns * i128::from(pacing.burst - 1);
        // Further ahead than turns can bring it: the clock went back, and nobody waits for it to catch up.
        let is_adrift = self.even_ns - now_ns > ahead_max + interval_ns;
        let even = if is_adrift { now_ns } else { self.even_ns.max(now_ns) };
        if even - now_ns > ahead_max {
            let wait_ms = (even - ahead_max).div_euclid(1_000_000) + 1;
            return Err(Timestamp::from_millis(i64::try_from(wait_ms).unwrap_or(i64::MAX)));
        }
        self.even_ns = even + interval_ns;
        Ok(())
    }

    /// Whether it has rested so long that forgetting it changes nothing.
    pub fn is_rested(&self, now: Timestamp) -> bool {
        self.even_ns <= i128::from(now.as_millis()) * 1_000_000
    }
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
    fn a_clock_that_goes_back_keeps_nobody_waiting_for_it() {
        let (pacing, mut pace) = (Pacing::per_second(10), Pace::default());
        let late = Timestamp::from_secs(1_000_000);
        assert_eq!(pace.take(pacing, late), Ok(()));
        assert_eq!(pace.take(pacing, late.minus(Duration::from_secs(3600))), Ok(()));
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
