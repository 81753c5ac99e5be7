//! When to try again: a schedule, its jitter, and what a receiver's `Retry-After` does to it.

use std::time::Duration;

use crate::time::Timestamp;

/// The longest wait a receiver may ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);
/// The most retries a schedule may hold.
pub const RETRIES_MAX: usize = 300;

/// The waits between attempts, in order; when they are used up the work is dead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// The wait before the second attempt, the third, and so on.
    pub waits: Vec<Duration>,
}

/// A number in `0.0..1.0` that spreads retries; passed in, so that tests know it.
#[derive(Clone, Copy, Debug)]
pub struct Jitter(pub f64);

/// What an attempt came to, whoever made it. Deciding what follows is [`RetryPolicy::next`]'s.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was taken.
    Done,
    /// It was not taken, and trying again may help; the other side may have said when.
    Retry {
        /// The wait the other side asked for.
        after: Option<Duration>,
        /// Why, in words.
        cause: String,
    },
    /// It will never be taken.
    Refused(String),
    /// It may have been taken, and trying again might double it.
    Unknown(String),
}

impl Outcome {
    /// Why it was not simply taken, in words.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Outcome::Done => None,
            Outcome::Retry { cause, .. } | Outcome::Refused(cause) | Outcome::Unknown(cause) => Some(cause),
        }
    }
}

/// What follows an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing: it arrived.
    Delivered,
    /// Another attempt.
    RetryAt(Timestamp),
    /// No attempts left, or no use in one.
    Dead(String),
    /// Nothing by itself: a person or a status settles it.
    Unknown(String),
}

impl RetryPolicy {
    /// Waits that grow by a step each time up to the longest, for so long in all: as WhatsApp's on-premises client does
    /// (platforms.md 2.4).
    pub fn linear(step: Duration, longest: Duration, in_all: Duration) -> RetryPolicy {
        let (mut waits, mut waited) = (Vec::new(), Duration::ZERO);
        while waited < in_all && waits.len() < RETRIES_MAX {
            let wait = (step * (waits.len() as u32 + 1)).min(longest);
            waits.push(wait);
            waited += wait;
        }
        RetryPolicy { waits }
    }

    /// The example schedule of Standard Webhooks: nine retries over about 75 hours.
    pub fn standard() -> RetryPolicy {
        let minutes = [0, 5, 30, 120, 300, 600, 840, 1200, 1440];
        let waits = minutes
            .iter()
            .map(|m| if *m == 0 { Duration::from_secs(5) } else { Duration::from_secs(m * 60) });
        RetryPolicy { waits: waits.collect() }
    }

    /// Reads a schedule such as `1m,5m,30m`. Units: `ms`, `s`, `m`, `h`, `d`.
    pub fn parse(text: &str) -> Option<RetryPolicy> {
        let waits: Option<Vec<Duration>> = text.split(',').map(|part| parse_wait(part.trim())).collect();
        waits.filter(|waits| waits.len() <= RETRIES_MAX).map(|waits| RetryPolicy { waits })
    }

    /// What follows attempt number `attempts` (the first is 1). A wait is spread by ±20 %; `Retry-After` can
    /// lengthen it up to [`RETRY_AFTER_MAX`], never shorten it.
    pub fn next(&self, attempts: u32, outcome: &Outcome, now: Timestamp, jitter: Jitter) -> Next {
        let (after, cause) = match outcome {
            Outcome::Done => return Next::Delivered,
            Outcome::Refused(cause) => return Next::Dead(cause.clone()),
            Outcome::Unknown(cause) => return Next::Unknown(cause.clone()),
            Outcome::Retry { after, cause } => (after, cause),
        };
        let Some(wait) = self.waits.get(attempts.saturating_sub(1) as usize) else {
            return Next::Dead(format!("no attempts left: {cause}"));
        };
        let own = wait.mul_f64(0.8 + 0.4 * jitter.0.clamp(0.0, 1.0));
        let asked = after.unwrap_or_default().min(RETRY_AFTER_MAX);
        Next::RetryAt(now.plus(own.max(asked)))
    }
}

/// A schedule as it is typed: `5s,5m,30m`.
impl std::fmt::Display for RetryPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, wait) in self.waits.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let ms = wait.as_millis();
            match ms {
                _ if ms % 3_600_000 == 0 => write!(f, "{comma}{}h", ms / 3_600_000)?,
                _ if ms % 60_000 == 0 => write!(f, "{comma}{}m", ms / 60_000)?,
                _ if ms % 1_000 == 0 => write!(f, "{comma}{}s", ms / 1_000)?,
                _ => write!(f, "{comma}{ms}ms")?,
            }
        }
        Ok(())
    }
}

/// Reads one duration such as `250ms`, `5s`, `5m`, `2h` or `30d`; at most a year.
pub fn parse_wait(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let wait = Duration::from_millis(digits.parse::<u64>().ok()?.checked_mul(unit_ms)?);
    (wait <= Duration::from_secs(366 * 86_400)).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn retry(after: Option<u64>) -> Outcome {
        Outcome::Retry { after: after.map(Duration::from_secs), cause: "503".to_owned() }
    }

    #[test]
    fn the_standard_schedule_lasts_three_days() {
        let total: Duration = RetryPolicy::standard().waits.iter().sum();
        assert!(total > Duration::from_secs(72 * 3600), "{total:?}");
        assert_eq!(RetryPolicy::standard().to_string(), "5s,5m,30m,2h,5h,10h,14h,20h,24h");
    }

    #[test]
    fn a_schedule_as_people_write_it_is_read_back() {
        let policy = RetryPolicy::parse("1m, 5m,30m").expect("a schedule");
        assert_eq!(policy.to_string(), "1m,5m,30m");
        for wrong in ["", "5", "m", "5 m", "-1s", "99999999999999999999s", "400d"] {
            assert_eq!(RetryPolicy::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_schedule_ends_and_says_why() {
        let policy = RetryPolicy::parse("1s").expect("a schedule");
        let now = Timestamp::from_secs(0);
        assert_eq!(
            policy.next(2, &retry(None), now, Jitter(0.5)),
            Next::Dead("no attempts left: 503".to_owned())
        );
    }

    proptest! {
        #[test]
        fn retry_after_lengthens_and_never_shortens(after in 0u64..200_000, jitter in 0.0f64..1.0) {
            let policy = RetryPolicy::parse("1h").expect("a schedule");
            let now = Timestamp::from_secs(1_000_000);
            let Next::RetryAt(at) = policy.next(1, &retry(Some(after)), now, Jitter(jitter)) else {
                return Err(TestCaseError::fail("it must retry"));
            };
            let wait = at.since(now).as_secs();
            prop_assert!(wait >= 2880 && wait >= after.min(86_400));
            prop_assert!(wait <= 4320.max(after.min(86_400)));
        }
    }
}
