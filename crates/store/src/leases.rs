//! Leases. A lease is a due time in the future and a token; whoever dies with one leaves the row due again.
//!
//! On PostgreSQL a lease is in the row. On SQLite this process is the only one there is, so leases live in memory: a
//! claim writes nothing, and after a crash everything is due at once (ADR 6; the measurement is in ADR 3).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::time::Timestamp;

use crate::error::Error;

/// The right to attempt one delivery or send and to record what came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Tells this lease from every other one of the same row.
    pub(crate) token: i64,
}

/// The leases this process holds on an embedded store.
#[derive(Default)]
pub(crate) struct Leases(Mutex<Held>);

#[derive(Default)]
struct Held {
    /// By row: the token and when it runs out.
    leases: HashMap<i64, (i64, Timestamp)>,
    /// How many leases were given back so far.
    given_back: u64,
    /// Rows given back while a claim was under way, and when in that count. Such a claim may still see the row as it
    /// was before its record: it must not take it.
    recent: HashMap<i64, u64>,
    claims_under_way: usize,
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a claim. Comes before the claim's first look at the table.
    pub(crate) fn begin(&self) -> ClaimUnderWay<'_> {
        let mut held = self.held();
        held.claims_under_way += 1;
        ClaimUnderWay { leases: self, began_at: held.given_back }
    }

    /// Fails unless this very lease is still the row's.
    pub(crate) fn check(&self, row: i64, token: i64) -> Result<(), Error> {
        let held = self.held();
        if held.leases.get(&row).is_some_and(|(current, _)| *current == token) { Ok(()) } else { Err(Error::LeaseLost) }
    }

    /// Gives a lease back, once what was done under it is on disk.
    pub(crate) fn release(&self, row: i64, token: i64) {
        let mut held = self.held();
        if held.leases.get(&row).is_some_and(|(current, _)| *current == token) {
            held.leases.remove(&row);
            held.given_back += 1;
            if held.claims_under_way > 0 {
                let at = held.given_back;
                held.recent.insert(row, at);
            }
        }
    }
}

/// A claim that looks at the table and takes leases.
pub(crate) struct ClaimUnderWay<'l> {
    leases: &'l Leases,
    began_at: u64,
}

impl ClaimUnderWay<'_> {
    /// Takes a lease on a row unless somebody holds one that has not run out, or gave one back since the claim began.
    pub(crate) fn take(&self, row: i64, token: i64, until: Timestamp, now: Timestamp) -> bool {
        let mut held = self.leases.held();
        let is_held = held.leases.get(&row).is_some_and(|(_, end)| *end > now);
        let was_recorded = held.recent.get(&row).is_some_and(|at| *at > self.began_at);
        if is_held || was_recorded {
            return false;
        }
        held.leases.insert(row, (token, until));
        true
    }
}

impl Drop for ClaimUnderWay<'_> {
    fn drop(&mut self) {
        let mut held = self.leases.held();
        held.claims_under_way -= 1;
        if held.claims_under_way == 0 {
            held.recent.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_lease_passes_on_and_its_old_holder_is_fenced_off() {
        let leases = Leases::default();
        let at = Timestamp::from_secs;
        assert!(leases.begin().take(1, 10, at(30), at(0)));
        assert!(!leases.begin().take(1, 11, at(60), at(29)));
        assert!(leases.begin().take(1, 11, at(60), at(30)));
        assert!(leases.check(1, 10).is_err());
        leases.release(1, 10);
        assert!(leases.check(1, 11).is_ok());
    }

    #[test]
    fn a_claim_does_not_take_what_was_recorded_after_it_began() {
        let leases = Leases::default();
        let at = Timestamp::from_secs;
        assert!(leases.begin().take(1, 10, at(30), at(0)));
        let slow = leases.begin();
        leases.release(1, 10);
        assert!(!slow.take(1, 11, at(30), at(1)), "it may have seen the row before the record");
        drop(slow);
        assert!(leases.begin().take(1, 11, at(30), at(1)));
    }
}
