//! Retention: old bytes go in bounded steps, oldest first, by ranges of the primary key.

use std::time::Duration;

use model::id::Id;
use model::time::Timestamp;

use crate::Store;
use crate::db::Tx;
use crate::error::Error;
use crate::value::Value;

/// How many ids' worth of rows one step looks at; a step is one short transaction.
const STEP_ROWS: i64 = 1_000;

/// How long things are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Bodies of requests, and the contents of events.
    pub bodies: Duration,
    /// Everything else: receipts, events, deliveries, attempts, sends.
    pub metadata: Duration,
    /// The most rejected and unrouted receipts that are kept.
    pub refused_max: u32,
}

impl Default for Keep {
    fn default() -> Keep {
        let day = 24 * 3600;
        Keep { bodies: Duration::from_secs(30 * day), metadata: Duration::from_secs(90 * day), refused_max: 10_000 }
    }
}

/// Retention.
pub struct Retention<'s>(&'s Store);

impl Store {
    /// Retention.
    pub fn retention(&self) -> Retention<'_> {
        Retention(self)
    }
}

impl Retention<'_> {
    /// Takes one bounded step; says how many rows went. Zero means that nothing is due to go. What is still owed
    /// is never removed, however old.
    pub async fn step(&self, keep: Keep) -> Result<u64, Error> {
        let inner = &self.0.inner;
        let now = inner.clock.now();
        inner.db.write(move |tx| Box::pin(async move { step(tx, keep, now).await })).await
    }
}

async fn step(tx: &mut Tx, keep: Keep, now: Timestamp) -> Result<u64, Error> {
    let bodies_end = Id::<()>::first_at(now.minus(keep.bodies)).raw();
    let metadata_end = Id::<()>::first_at(now.minus(keep.metadata)).raw();
    let mut gone = 0;
    gone += bodies(tx, bodies_end).await?;
    gone += refused(tx, keep.refused_max).await?;
    gone += dedupe_and_events(tx, metadata_end).await?;
    for sql in [
        "DELETE FROM attempts WHERE (owner, number) IN
            (SELECT owner, number FROM attempts WHERE owner < ?1 AND owner NOT IN
                (SELECT id FROM deliveries WHERE id < ?1 AND state <= 2) ORDER BY owner LIMIT ?2)",
        "DELETE FROM deliveries WHERE id IN
            (SELECT id FROM deliveries WHERE id < ?1 AND state > 2 ORDER BY id LIMIT ?2)",
        "DELETE FROM receipts WHERE id IN (SELECT id FROM receipts WHERE id < ?1 ORDER BY id LIMIT ?2)",
        "DELETE FROM sends WHERE id IN (SELECT id FROM sends WHERE id < ?1 AND state > 1 ORDER BY id LIMIT ?2)",
    ] {
        gone += tx.execute(sql, &[Value::Int(metadata_end), Value::Int(STEP_ROWS)]).await?;
    }
    let day_ago = now.minus(Duration::from_secs(24 * 3600));
    gone += tx.execute("DELETE FROM idempotency WHERE made_at < ?1", &[day_ago.into()]).await?;
    gone += tx.execute("DELETE FROM parked WHERE parked_at < ?1", &[day_ago.into()]).await?;
    Ok(gone)
}

/// Bodies and contents go first. An event that is still owed keeps both until it has arrived.
async fn bodies(tx: &mut Tx, end: i64) -> Result<u64, Error> {
    let sql = "DELETE FROM bodies WHERE id IN (SELECT id FROM bodies b WHERE id < ?1 AND NOT EXISTS
            (SELECT 1 FROM deliveries d JOIN events e ON e.id = d.event
                WHERE d.due_at IS NOT NULL AND e.receipt = b.id)
        ORDER BY id LIMIT ?2)";
    tx.execute(sql, &[Value::Int(end), Value::Int(STEP_ROWS)]).await
}

/// Requests that were refused can be sent by anybody: only so many of them are kept.
async fn refused(tx: &mut Tx, max: u32) -> Result<u64, Error> {
    let bound = "SELECT id FROM receipts WHERE state > 0 AND state IN (3, 4) ORDER BY state, id DESC LIMIT 1 OFFSET ?1";
    let Some(row) = tx.fetch_one(bound, &[Value::from(max)]).await? else { return Ok(0) };
    let end = Value::Int(row.int(0)?);
    let bodies = "DELETE FROM bodies WHERE id IN
        (SELECT id FROM receipts WHERE state > 0 AND state IN (3, 4) AND id <= ?1 ORDER BY id LIMIT ?2)";
    tx.execute(bodies, &[end.clone(), Value::Int(STEP_ROWS)]).await?;
    let receipts = "DELETE FROM receipts WHERE id IN
        (SELECT id FROM receipts WHERE state > 0 AND state IN (3, 4) AND id <= ?1 ORDER BY id LIMIT ?2)";
    tx.execute(receipts, &[end, Value::Int(STEP_ROWS)]).await
}

async fn dedupe_and_events(tx: &mut Tx, end: i64) -> Result<u64, Error> {
    let sql = "SELECT id, key1, key2 FROM events e WHERE id < ?1 AND NOT EXISTS
        (SELECT 1 FROM deliveries d WHERE d.event = e.id AND d.state <= 2) ORDER BY id LIMIT ?2";
    let rows = tx.fetch_all(sql, &[Value::Int(end), Value::Int(STEP_ROWS)]).await?;
    let (mut events, mut keys) = (Vec::new(), Vec::new());
    for row in &rows {
        events.push(vec![Value::Int(row.int(0)?)]);
        if let (Some(key1), Some(key2)) = (row.opt_int(1)?, row.opt_int(2)?) {
            keys.push(vec![Value::Int(key1), Value::Int(key2)]);
        }
    }
    tx.execute_many("DELETE FROM dedupe WHERE key1 = ?1 AND key2 = ?2", &keys).await?;
    tx.execute_many("DELETE FROM events WHERE id = ?1", &events).await?;
    Ok(rows.len() as u64)
}
