//! Leases. A lease is a due time in the future and a token; whoever dies with one leaves the row due again.
//!
//! On PostgreSQL a lease is in the row. On SQLite this process is the only one there is, so leases live in memory: a
//! claim writes nothing, and after a crash everything is due at once (ADR 6; the measurement is in ADR 3).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    leases: HashMap<i64, HeldLease>,
    /// How many leases were given back so far.
    given_back: u64,
    /// Rows given back while a claim was under way, and when in that count. Such a claim may still see the row as it
    /// was before its record: it must not take it.
    recent: HashMap<i64, u64>,
    claims_under_way: usize,
}

struct HeldLease {
    token: i64,
    /// By the steady clock: a wall clock that is set forward must not end it.
    end: Duration,
    /// What was done under it is being written: it does not run out meanwhile.
    is_pinned: bool,
}

impl Held {
    fn of(&mut self, row: i64, token: i64) -> Option<&mut HeldLease> {
        self.leases.get_mut(&row).filter(|lease| lease.token == token)
    }
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a claim. Comes before the claim's first look at the table.
    pub(crate) fn begin(&self) -> ClaimUnderWay<'_> {
        let mut held = self.held();
        held.claims_under_way += 1;
        ClaimUnderWay { leases: self, began_at: held.given_back, taken: Vec::new() }
    }

    /// Keeps a lease from passing on while what was done under it is written; says whether it still was the row's.
    pub(crate) fn pin(&self, row: i64, token: i64) -> bool {
        self.held().of(row, token).map(|lease| lease.is_pinned = true).is_some()
    }

    /// Lets a lease end sooner: its holder has it from now on. False if it has run out, or would before that.
    pub(crate) fn shorten(&self, row: i64, token: i64, end: Duration) -> bool {
        let mut held = self.held();
        let lease = held.of(row, token).filter(|lease| lease.end >= end);
        lease.map(|lease| lease.end = end).is_some()
    }

    /// Lets a lease run out again, when the write has failed.
    pub(crate) fn unpin(&self, row: i64, token: i64) {
        if let Some(lease) = self.held().of(row, token) {
            lease.is_pinned = false;
        }
    }

    /// How many rows a claim may meet at most that it must not take.
    pub(crate) fn count(&self) -> usize {
        let held = self.held();
        held.leases.len() + held.recent.len()
    }

    /// When the row's lease runs out by the steady clock, if somebody holds one.
    pub(crate) fn end(&self, row: i64) -> Option<Duration> {
        self.held().leases.get(&row).map(|lease| lease.end)
    }

    /// Gives a lease back, once what was done under it is on disk.
    pub(crate) fn release(&self, row: i64, token: i64) {
        let mut held = self.held();
        if held.of(row, token).is_some() {
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
    /// Rows and tokens to be given back unless the claim succeeds.
    taken: Vec<(i64, i64)>,
}

impl ClaimUnderWay<'_> {
    /// Takes a lease on a row unless somebody holds one that has not run out, or gave one back since the claim began.
    pub(crate) fn take(&mut self, row: i64, token: i64, until: Duration, now: Duration) -> bool {
        let mut held = self.leases.held();
        let is_held = held.leases.get(&row).is_some_and(|lease| lease.is_pinned || lease.end > now);
        let was_recorded = held.recent.get(&row).is_some_and(|at| *at > self.began_at);
        if is_held || was_recorded {
            return false;
        }
        held.leases.insert(row, HeldLease { token, end: until, is_pinned: false });
        self.taken.push((row, token));
        true
    }

    /// Gives back one that it took.
    pub(crate) fn give_back(&mut self, row: i64, token: i64) {
        self.taken.retain(|taken| *taken != (row, token));
        self.leases.release(row, token);
    }

    /// Lets the claim have what it took.
    pub(crate) fn keep(mut self) {
        self.taken.clear();
    }
}

impl Drop for ClaimUnderWay<'_> {
    fn drop(&mut self) {
        for (row, token) in std::mem::take(&mut self.taken) {
            self.leases.release(row, token);
        }
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

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn take(leases: &Leases, token: i64, until: u64, now: u64) -> bool {
        let mut claim = leases.begin();
        let is_taken = claim.take(1, token, at(until), at(now));
        claim.keep();
        is_taken
    }

    #[test]
    fn an_expired_lease_passes_on_and_its_old_holder_is_fenced_off() {
        let leases = Leases::default();
        assert!(take(&leases, 10, 30, 0));
        assert!(!take(&leases, 11, 60, 29));
        assert!(take(&leases, 11, 60, 30));
        assert!(!leases.pin(1, 10));
        leases.release(1, 10);
        assert!(leases.pin(1, 11));
    }

    #[test]
    fn a_lease_does_not_run_out_while_its_record_is_written() {
        let leases = Leases::default();
        assert!(take(&leases, 10, 30, 0));
        assert!(leases.pin(1, 10));
        assert!(!take(&leases, 11, 90, 60));
        leases.unpin(1, 10);
        assert!(take(&leases, 11, 90, 60));
    }

    #[test]
    fn a_claim_does_not_take_what_was_recorded_after_it_began() {
        let leases = Leases::default();
        assert!(take(&leases, 10, 30, 0));
        let mut slow = leases.begin();
        leases.release(1, 10);
        assert!(!slow.take(1, 11, at(30), at(1)), "it may have seen the row before the record");
        drop(slow);
        assert!(take(&leases, 11, 30, 1));
    }

    #[test]
    fn a_claim_that_fails_gives_back_what_it_took() {
        let leases = Leases::default();
        assert!(leases.begin().take(1, 10, at(30), at(0)));
        assert!(take(&leases, 11, 30, 0));
    }
}
