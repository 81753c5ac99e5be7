//! How much may wait to be sent, so that no conversation and no account fills the disk alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::id::AccountId;
use model::time::Timestamp;

use crate::db::{Db, Tx};
use crate::error::Error;

/// The most messages of one conversation, or to one recipient, that wait.
const OF_LINE_MAX: i64 = 1_000;
/// The most conversations of one account in which something waits: more than a platform takes in an hour.
const LINES_MAX: i64 = 100_000;
/// How long what was counted is good for: counting takes as long as there is much.
const COUNTED_FOR: Duration = Duration::from_secs(1);
/// Accounts of which a count is remembered.
const ACCOUNTS_MAX: usize = 10_000;

/// Which accounts have as much waiting as they may, as far as was counted lately.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<HashMap<AccountId, (Timestamp, bool)>>);

impl Waiting {
    /// `Busy` when so much of an account waits that it must wait itself.
    pub(crate) async fn check(&self, db: &Db, account: AccountId, now: Timestamp) -> Result<(), Error> {
        let is_full = match self.counted(account, now) {
            Some(is_full) => is_full,
            None => {
                let is_full = db.read(move |tx| Box::pin(is_full(tx, account))).await?;
                self.remember(account, now, is_full);
                is_full
            }
        };
        if is_full { Err(Error::Busy) } else { Ok(()) }
    }

    fn counted(&self, account: AccountId, now: Timestamp) -> Option<bool> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&account).filter(|(at, _)| now.since(*at) < COUNTED_FOR).map(|(_, is_full)| *is_full)
    }

    fn remember(&self, account: AccountId, now: Timestamp, is_full: bool) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= ACCOUNTS_MAX {
            held.clear();
        }
        held.insert(account, (now, is_full));
    }
}

async fn is_full(tx: &mut Tx, account: AccountId) -> Result<bool, Error> {
    let sql =
        "SELECT id FROM sends WHERE account = ?1 AND state = 0 AND due_at IS NOT NULL LIMIT 1 OFFSET ?2";
    Ok(tx.fetch_one(sql, &[account.into(), (LINES_MAX - 1).into()]).await?.is_some())
}

/// `Busy` when as many wait in a line as may.
pub(crate) async fn check_line(tx: &mut Tx, line: i64) -> Result<(), Error> {
    let sql = "SELECT id FROM sends WHERE line = ?1 AND state <= 1 LIMIT 1 OFFSET ?2";
    let last = tx.fetch_one(sql, &[line.into(), (OF_LINE_MAX - 1).into()]).await?;
    last.map_or(Ok(()), |_| Err(Error::Busy))
}
