//! When an account may send, and to whom: the platform's own limits, kept by us so that they are not hit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::id::AccountId;
use model::pace::{Pace, Pacing};
use model::time::Timestamp;
use platforms::platform::Pace as PlatformPace;

/// Pairs whose pace is remembered; a pair at rest needs no remembering.
const PAIRS_MAX: usize = 100_000;

/// The turns taken by accounts and by pairs of account and contact.
#[derive(Debug, Default)]
pub struct Paces {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    accounts: HashMap<AccountId, Pace>,
    pairs: HashMap<(AccountId, i64), Pace>,
    /// Until when an account is left alone after the platform refused it.
    resting: HashMap<AccountId, Timestamp>,
}

impl Paces {
    /// Takes a turn of the account and of the pair, or says when both may be had. `line` stands for the contact.
    pub fn take(
        &self,
        account: AccountId,
        line: i64,
        pace: PlatformPace,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = inner.resting.get(&account).copied() {
            if now < until {
                return Err(until);
            }
            inner.resting.remove(&account);
        }
        if inner.pairs.len() >= PAIRS_MAX {
            inner.pairs.retain(|_, pace| !pace.is_rested(now));
        }
        let pair_before = inner.pairs.get(&(account, line)).copied().unwrap_or_default();
        let mut pair = pair_before;
        pair.take(Pacing::new(pace.pair_interval, pace.pair_burst), now)?;
        let of_account = Pacing::new(pace.account_interval, pace.account_burst);
        inner.accounts.entry(account).or_default().take(of_account, now)?;
        // The pair's turn counts only once the account's was had too.
        inner.pairs.insert((account, line), pair);
        Ok(())
    }

    /// Leaves an account alone for a while.
    pub fn rest(&self, account: AccountId, until: Timestamp) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let end = inner.resting.entry(account).or_insert(until);
        *end = (*end).max(until);
    }

    /// Until when an account is left alone, if it is.
    pub fn resting(&self, account: AccountId, now: Timestamp) -> Option<Timestamp> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.resting.get(&account).copied().filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_pair_waits_for_its_own_turn_and_does_not_use_up_the_accounts() {
        let paces = Paces::default();
        let pace = PlatformPace {
            account_interval: Duration::from_millis(100),
            account_burst: 2,
            pair_interval: Duration::from_secs(6),
            pair_burst: 1,
        };
        let (account, now) = (AccountId::from_raw(1), Timestamp::from_secs(100));
        assert!(paces.take(account, 1, pace, now).is_ok());
        assert!(
            paces.take(account, 1, pace, now).expect_err("the pair waits") > now.plus(Duration::from_secs(5))
        );
        assert!(paces.take(account, 2, pace, now).is_ok());
        assert!(
            paces.take(account, 3, pace, now).expect_err("the account waits")
                < now.plus(Duration::from_secs(1))
        );
    }

    #[test]
    fn an_account_that_was_refused_is_left_alone() {
        let paces = Paces::default();
        let (account, now) = (AccountId::from_raw(1), Timestamp::from_secs(100));
        paces.rest(account, now.plus(Duration::from_secs(60)));
        assert!(paces.resting(account, now).is_some());
        assert!(paces.resting(account, now.plus(Duration::from_secs(60))).is_none());
    }
}
