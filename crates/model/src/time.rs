//! Time as a value: milliseconds since the epoch, and the clock it is read from.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Milliseconds since the Unix epoch. A column, a cursor and a subtraction alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest time there is: later than any due time.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Makes a timestamp from milliseconds since the epoch.
    pub const fn from_millis(ms: i64) -> Timestamp {
        Timestamp(ms)
    }

    /// Makes a timestamp from whole seconds since the epoch, saturating at the ends.
    pub const fn from_secs(secs: i64) -> Timestamp {
        Timestamp(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time `span` later.
    pub fn plus(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(span)))
    }

    /// The time `span` earlier.
    pub fn minus(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(span)))
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads an RFC 3339 time, with any offset.
    pub fn parse(text: &str) -> Option<Timestamp> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_millisecond()))
    }
}

/// RFC 3339 in UTC with milliseconds, as in every JSON of ours.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Where "now" comes from. Tests hold the manual one.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's wall clock.
    System,
    /// A clock that moves only when told to.
    Manual(ManualClock),
    /// A clock that is set by readings of another machine's.
    Set(SetClock),
}

impl Clock {
    /// The present.
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => system_now(),
            Clock::Manual(clock) => clock.now(),
            Clock::Set(clock) => clock.now(),
        }
    }

    /// How long it is since some moment of this process: for spans that a step of the wall clock must not change.
    pub fn steady(&self) -> Duration {
        match self {
            Clock::System | Clock::Set(_) => system_steady(),
            Clock::Manual(clock) => Duration::from_millis(clock.now().0.max(0).cast_unsigned()),
        }
    }
}

/// A clock for tests: shared by all its clones.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Starts the clock at `start`.
    pub fn starting_at(start: Timestamp) -> ManualClock {
        ManualClock(Arc::new(AtomicI64::new(start.0)))
    }

    /// The time it was last set to.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    /// Moves it forward.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(millis(span), Ordering::SeqCst);
    }

    /// Moves it anywhere, backwards too.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

/// A clock that is set from outside and goes on by the machine's steady clock: a step of the wall clock does not move
/// it. Shared by all its clones.
#[derive(Clone, Debug)]
pub struct SetClock(Arc<AtomicI64>);

impl SetClock {
    /// Starts the clock at `start`.
    pub fn starting_at(start: Timestamp) -> SetClock {
        SetClock(Arc::new(AtomicI64::new(
            start.0.saturating_mul(1000).saturating_sub(micros(system_steady())),
        )))
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        let us = self.0.load(Ordering::SeqCst).saturating_add(micros(system_steady()));
        Timestamp(us.div_euclid(1000))
    }

    /// Sets it: `ahead_us` is what its time since the epoch is to be more than [`Clock::steady`], in microseconds.
    pub fn set(&self, ahead_us: i64) {
        self.0.store(ahead_us, Ordering::SeqCst);
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn system_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since_epoch.map_or(0, millis))
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the steady clock")]
fn system_steady() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_utc_with_milliseconds_and_read_back() {
        let at = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(at.to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::parse("2023-11-14T23:13:20.123+01:00"), Some(at));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_span_never_runs_backwards() {
        let early = Timestamp::from_secs(1);
        assert_eq!(early.since(Timestamp::from_secs(5)), Duration::ZERO);
        assert_eq!(Timestamp::MAX.plus(Duration::from_secs(1)), Timestamp::MAX);
    }
}
