//! Order of ids: what comes later has the higher one, whatever the clocks of those before us said.

use std::time::Duration;

use model::id::{Id, Ids};
use model::time::Timestamp;

use crate::db::{Engine, Tx};
use crate::error::Error;

/// The tables whose rows are told apart by ids that every node makes for itself.
const TABLES: [&str; 9] = [
    "receipts",
    "events",
    "deliveries",
    "sends",
    "contacts",
    "conversations",
    "accounts",
    "endpoints",
    "audit",
];

/// Makes the ids to come higher than `last`, which may be from another clock, or from this one before it was set back.
pub(crate) fn pass(ids: &Ids, last: Option<i64>, now: Timestamp) {
    let Some(last) = last else { return };
    if ids.next::<()>(now).raw() <= last {
        let after = Id::<()>::from_raw(last).made_at().plus(Duration::from_millis(1));
        ids.next::<()>(after);
    }
}

/// The highest id that is stored.
pub(crate) async fn last(tx: &mut Tx) -> Result<Option<i64>, Error> {
    let mut highest: Vec<String> =
        TABLES.iter().map(|table| format!("SELECT max(id) FROM {table}")).collect();
    if matches!(tx.engine(), Engine::Sqlite(_)) {
        // The last event of a run may be gone: those to come must be after it all the same, or a start misses them.
        highest.push("SELECT max(last_event) FROM runs".to_owned());
    }
    let mut last = None;
    for sql in &highest {
        let row = tx.fetch_one(sql, &[]).await?;
        last = last.max(row.map_or(Ok(None), |row| row.opt_int(0))?);
    }
    Ok(last)
}
