//! Leases. A lease is a due time in the future and a token; whoever dies with one leaves the row due again.
//!
//! On PostgreSQL a lease is in the row. On SQLite this process is the only one there is, so leases live in memory: a
//! claim writes nothing, and after a crash everything is due at once (ADR 6; the measurement is in ADR 3).

use std::collections::HashMap;
use std::sync::Mutex;

use model::time::Timestamp;

use crate::error::Error;

/// The right to attempt one delivery or send and to record what came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Tells this lease from every other one of the same row.
    pub(crate) token: i64,
}

/// The leases this process holds on an embedded store: by row, the token and when it runs out.
#[derive(Default)]
pub(crate) struct Leases(Mutex<HashMap<i64, (i64, Timestamp)>>);

impl Leases {
    /// Takes a lease on a row unless somebody holds one that has not run out.
    pub(crate) fn take(&self, row: i64, token: i64, until: Timestamp, now: Timestamp) -> bool {
        let mut held = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match held.get(&row) {
            Some((_, end)) if *end > now => false,
            _ => {
                held.insert(row, (token, until));
                true
            }
        }
    }

    /// Fails unless this very lease is still the row's.
    pub(crate) fn check(&self, row: i64, token: i64) -> Result<(), Error> {
        let held = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if held.get(&row).is_some_and(|(current, _)| *current == token) { Ok(()) } else { Err(Error::LeaseLost) }
    }

    /// Gives a lease back.
    pub(crate) fn release(&self, row: i64, token: i64) {
        let mut held = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if held.get(&row).is_some_and(|(current, _)| *current == token) {
            held.remove(&row);
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
        assert!(leases.take(1, 10, at(30), at(0)));
        assert!(!leases.take(1, 11, at(60), at(29)));
        assert!(leases.take(1, 11, at(60), at(30)));
        assert!(leases.check(1, 10).is_err());
        leases.release(1, 10);
        assert!(leases.check(1, 11).is_ok());
        assert!(!leases.take(1, 12, at(90), at(59)));
    }
}
