//! Watching over a source: whether the platform still calls our URL, and whether it has fallen silent.

use std::time::Duration;

use crate::time::Timestamp;

/// What is done when a platform no longer calls our URL, or falls silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watchdog {
    /// Nothing: nobody looks.
    Off,
    /// It is told by an event.
    Tells,
    /// The URL is registered again, and both are told.
    Registers,
}

impl Watchdog {
    /// Every way.
    pub const ALL: [Watchdog; 3] = [Watchdog::Off, Watchdog::Tells, Watchdog::Registers];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Watchdog::Off => "off",
            Watchdog::Tells => "tells",
            Watchdog::Registers => "registers",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<Watchdog> {
        Watchdog::ALL.into_iter().find(|way| way.as_str() == name)
    }
}

/// Whether a platform calls our URL, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Registered {
    /// Nobody has asked, or the platform cannot be asked.
    #[default]
    Unknown,
    /// It calls our URL.
    Yes,
    /// It calls another URL, or none, or would not take ours.
    No,
}

impl Registered {
    /// Every state.
    pub const ALL: [Registered; 3] = [Registered::Unknown, Registered::Yes, Registered::No];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Registered::Unknown => "unknown",
            Registered::Yes => "registered",
            Registered::No => "unregistered",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<Registered> {
        Registered::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// What is known of a source by watching it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Watch {
    /// Whether the platform calls our URL.
    pub registered: Registered,
    /// Why it does not, or why nobody knows.
    pub words: Option<String>,
    /// When the platform was asked last.
    pub looked_at: Option<Timestamp>,
    /// When our URL was registered last.
    pub registered_at: Option<Timestamp>,
    /// How long the source is usually silent.
    pub silences: Silences,
}

/// The shortest silence that is worth telling of.
const SILENCE_MIN: Duration = Duration::from_secs(3600);
/// How long a source is watched before its silence can be unusual.
const WATCHED_MIN: Duration = Duration::from_secs(24 * 3600);
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Over how many days the longest silence counts.
const DAYS: usize = 7;

/// The silences of a source: the present one, and the longest of each of the last seven days. A silence is unusual when it is
/// longer than an hour and than twice the longest of these.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Silences {
    /// When the source was first heard while it was watched.
    pub first_heard_at: Option<Timestamp>,
    /// When it was heard last.
    pub heard_at: Option<Timestamp>,
    /// When it was looked at last.
    pub looked_at: Option<Timestamp>,
    /// Numbers of days since the epoch, and the longest silence that ended on each, in milliseconds; newest last, at most seven.
    pub longest: Vec<(i64, i64)>,
    /// Whether the present silence is unusual, and was told of.
    pub is_silent: bool,
}

impl Silences {
    /// Takes in when the source was heard last, as it looks now. Says whether a silence has become unusual since.
    pub fn look(&mut self, heard_at: Option<Timestamp>, now: Timestamp) -> bool {
        let Some(heard_at) = heard_at else { return false };
        if self.heard_at.is_some_and(|before| before < heard_at) {
            self.end_silence(now);
        }
        self.first_heard_at.get_or_insert(heard_at);
        self.heard_at = Some(heard_at);
        self.looked_at = Some(now);
        let has_become = !self.is_silent && self.is_unusual(now.since(heard_at), now);
        self.is_silent |= has_become;
        has_become
    }

    /// How long the silence lasted is known as well as we have looked.
    fn end_silence(&mut self, now: Timestamp) {
        self.is_silent = false;
        let (Some(heard_at), Some(looked_at)) = (self.heard_at, self.looked_at) else { return };
        let silence = looked_at.as_millis() - heard_at.as_millis();
        let today = now.as_millis().div_euclid(DAY_MS);
        match self.longest.last_mut() {
            Some((day, longest)) if *day == today => *longest = silence.max(*longest),
            _ => self.longest.push((today, silence)),
        }
        let from = self.longest.len().saturating_sub(DAYS);
        self.longest.drain(..from);
    }

    fn is_unusual(&self, silence: Duration, now: Timestamp) -> bool {
        let is_known = self.first_heard_at.is_some_and(|first| now.since(first) >= WATCHED_MIN);
        let usual_ms = self.longest.iter().map(|(_, longest)| *longest).max().unwrap_or(0).max(0);
        let usual = Duration::from_millis(usual_ms.unsigned_abs());
        is_known && !self.longest.is_empty() && silence > SILENCE_MIN.max(2 * usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;

    /// Looks every five minutes from one time to another, in seconds, at a source that is heard as `heard` says; gives the times
    /// at which a silence had become unusual.
    fn watched(silences: &mut Silences, span: (i64, i64), heard: impl Fn(i64) -> Option<i64>) -> Vec<i64> {
        let mut told = Vec::new();
        for at in (span.0..span.1).step_by(5 * MINUTE as usize) {
            let heard = heard(at).map(Timestamp::from_secs);
            if silences.look(heard, Timestamp::from_secs(at)) {
                told.push(at);
            }
        }
        told
    }

    /// Heard each ten minutes by day and not at all for nine hours of each night.
    fn by_day(at: i64) -> Option<i64> {
        let (day, second) = (at / (24 * HOUR), at % (24 * HOUR));
        let last = if second >= 9 * HOUR { second } else { 24 * HOUR - 1 };
        let begun = if second >= 9 * HOUR { day } else { day - 1 };
        Some(begun * 24 * HOUR + last / (10 * MINUTE) * 10 * MINUTE)
    }

    #[test]
    fn a_silence_that_comes_every_night_is_usual() {
        let mut silences = Silences::default();
        // The first night comes before a day was watched.
        let first_days = watched(&mut silences, (9 * HOUR, 10 * 24 * HOUR), by_day);
        assert_eq!(first_days, [0_i64; 0]);
        assert!(!silences.is_silent);
    }

    #[test]
    fn one_twice_as_long_as_the_longest_is_told_once_and_ends_when_it_is_heard_again() {
        let mut silences = Silences::default();
        watched(&mut silences, (9 * HOUR, 5 * 24 * HOUR), by_day);
        let last = by_day(5 * 24 * HOUR - 1);
        let told = watched(&mut silences, (5 * 24 * HOUR, 7 * 24 * HOUR), |_| last);
        assert_eq!(told.len(), 1);
        let since_last = told[0] - last.unwrap_or_default();
        assert!((18 * HOUR..19 * HOUR).contains(&since_last), "{since_last}");
        assert!(silences.is_silent);
        assert!(watched(&mut silences, (7 * 24 * HOUR, 7 * 24 * HOUR + HOUR), by_day).is_empty());
        assert!(!silences.is_silent);
    }

    #[test]
    fn a_busy_source_is_not_told_of_within_an_hour_nor_on_its_first_day() {
        let mut silences = Silences::default();
        let each_look = |at: i64| Some(at - 1);
        watched(&mut silences, (0, 3 * 24 * HOUR), each_look);
        let end = 3 * 24 * HOUR;
        let told = watched(&mut silences, (end, end + 3 * HOUR), |_| Some(end - 1));
        assert_eq!(told, [end + HOUR]);
        let mut young = Silences::default();
        watched(&mut young, (0, 2 * HOUR), each_look);
        assert!(watched(&mut young, (2 * HOUR, 20 * HOUR), |_| Some(2 * HOUR)).is_empty());
        assert!(watched(&mut Silences::default(), (0, 9 * 24 * HOUR), |_| None).is_empty(), "never heard");
    }
}
