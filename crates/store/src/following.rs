//! The database's time, as one node knows it: what was read of its clock, and which reading counts.
//!
//! Nodes that share a database agree on when a lease ends only by a clock that they share (ADR 9). Each transaction
//! reads it as it begins, which costs no round trip.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::time::{Clock, SetClock};

/// A steady clock gains or loses less than one part in so many.
const DRIFT_PARTS: i64 = 2_000;

/// A clock that follows the database's.
pub(crate) struct Following {
    clock: Clock,
    last: Mutex<Option<Reading>>,
}

impl Following {
    /// Starts at what the node's own clock says, until the first reading. A manual clock is everybody's time, the
    /// database's too: it stays as it is.
    pub(crate) fn starting_as(own: Clock) -> Following {
        let clock = match own {
            Clock::Manual(_) => own,
            Clock::System | Clock::Set(_) => Clock::Set(SetClock::starting_at(own.now())),
        };
        Following { clock, last: Mutex::default() }
    }

    /// The database's clock, as it is known here.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Hears what the database's clock showed, in microseconds since the epoch, at some moment after the question was
    /// `asked` and before now, by the steady clock.
    pub(crate) fn hear(&self, shown_us: i64, asked: Duration) {
        let Clock::Set(clock) = &self.clock else { return };
        let reading = Reading::between(shown_us, asked, self.clock.steady());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| reading.counts_after(last)) {
            *last = Some(reading);
            clock.set(reading.ahead_us);
        }
    }
}

/// What one look at the database's clock came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reading {
    /// How far its time since the epoch is ahead of our steady clock.
    ahead_us: i64,
    /// How far off that may be: half of what the question took.
    error_us: i64,
    /// When it was heard.
    heard_us: i64,
}

impl Reading {
    fn between(shown_us: i64, asked: Duration, heard: Duration) -> Reading {
        let us = |at: Duration| i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
        let (asked_us, heard_us) = (us(asked), us(heard));
        let error_us = (heard_us - asked_us) / 2;
        Reading { ahead_us: shown_us - asked_us - error_us, error_us, heard_us }
    }

    /// Whether it is as sure as an older one is by now; or says that the older one is wrong, because one of the clocks
    /// has stepped, or this machine has slept, or the database is another one.
    fn counts_after(self, older: Reading) -> bool {
        let older_error_us = older.error_us + (self.heard_us - older.heard_us) / DRIFT_PARTS;
        let apart_us = self.ahead_us.abs_diff(older.ahead_us).cast_signed();
        self.error_us <= older_error_us || apart_us > self.error_us + older_error_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question asked at `asked_ms`, answered by a database that is `ahead_ms` ahead, after `took_ms`.
    fn reading(asked_ms: u64, ahead_ms: i64, took_ms: u64) -> Reading {
        let at = Duration::from_millis;
        let shown_ms = asked_ms.cast_signed() + ahead_ms + took_ms.cast_signed() / 2;
        Reading::between(shown_ms * 1000, at(asked_ms), at(asked_ms + took_ms))
    }

    #[test]
    fn a_reading_is_as_sure_as_its_question_was_short() {
        let read = reading(1_000, 40_000, 10);
        assert_eq!((read.ahead_us, read.error_us), (40_000_000, 5_000));
        assert!(reading(2_000, 40_002, 4).counts_after(read));
        assert!(!reading(2_000, 40_002, 400).counts_after(read), "it says nothing that is not known better");
    }

    #[test]
    fn a_reading_grows_old() {
        let read = reading(1_000, 0, 2);
        assert!(!reading(2_000, 3, 20).counts_after(read));
        assert!(reading(60_000, 3, 20).counts_after(read), "by now the clocks may have drifted as far");
    }

    #[test]
    fn a_reading_that_contradicts_the_one_before_counts_however_long_it_took() {
        let read = reading(1_000, 0, 2);
        for ahead_ms in [3_600_000, -3_600_000, 1_000] {
            assert!(reading(1_010, ahead_ms, 900).counts_after(read), "{ahead_ms}");
        }
    }

    #[test]
    fn a_node_shows_the_time_it_was_told_and_a_manual_clock_its_own() {
        let told = |clock: Clock| {
            let following = Following::starting_as(clock);
            let asked = following.clock().steady();
            following.hear(1_000_000_000_000_000, asked);
            following.clock().now().as_millis() / 60_000
        };
        let wrong = model::time::Timestamp::from_secs(5_000);
        assert_eq!(told(Clock::System), 1_000_000_000 / 60);
        assert_eq!(told(Clock::Set(SetClock::starting_at(wrong))), 1_000_000_000 / 60);
        assert_eq!(told(Clock::Manual(model::time::ManualClock::starting_at(wrong))), 5_000 / 60);
    }
}
