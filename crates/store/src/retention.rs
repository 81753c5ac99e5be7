//! Retention: old bytes go in bounded steps, oldest first, by ranges of the primary key.
//!
//! Each table has two marks. The front has passed everything up to it; what it had to leave, because it was owed, is
//! looked at again and again by the sweep behind it. Both cost the rows they look at, however many are stored.

mod doubt;
mod refused;

use std::time::Duration;

use model::id::Id;
use model::time::Timestamp;

use crate::db::Tx;
use crate::digest::Fingerprint;
use crate::error::Error;
use crate::value::{Row, Value};
use crate::{Store, dedupe};
pub use doubt::Doubt;

/// How many rows of a table each mark looks at in one step; a step is one short transaction.
const STEP_ROWS: i64 = 500;
/// How long answers and early statuses are kept.
const ANSWERS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long turns that accounts have taken are kept: longer than any pace looks back.
const TURNS_KEPT: Duration = Duration::from_secs(3600);
/// Any number, as long as every node uses the same one.
const LOCK: i64 = 0x6b65_6570;

/// How long things are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Bodies of requests, and the contents of the events that came in them.
    pub bodies: Duration,
    /// Everything else: receipts, events, deliveries, attempts, sends.
    pub metadata: Duration,
    /// The most receipts that are kept of requests that were rejected or that no source has asked for. Looked at once a
    /// minute.
    pub refused_max: u32,
    /// The most bytes of rejected requests' bodies that are kept.
    pub refused_bytes_max: u64,
}

impl Default for Keep {
    fn default() -> Keep {
        let day = 24 * 3600;
        Keep {
            bodies: Duration::from_secs(30 * day),
            metadata: Duration::from_secs(90 * day),
            refused_max: 10_000,
            refused_bytes_max: 256 * 1024 * 1024,
        }
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
    /// Takes one bounded step; says how many rows went. Zero means that nothing it looked at was due to go. What is
    /// still owed is never removed, however old; and nothing is removed for its age by a clock that is in doubt.
    pub async fn step(&self, keep: Keep) -> Result<u64, Error> {
        let inner = &self.0.inner;
        let now = inner.clock.now();
        inner.db.write_patiently(move |tx| Box::pin(async move { step(tx, keep, now).await })).await
    }

    /// The doubt there is about the clock, as of the last step: while there is one, nothing is removed for its age.
    pub async fn doubt(&self) -> Result<Option<Doubt>, Error> {
        self.0.inner.db.read(|tx| Box::pin(doubt::get(tx))).await
    }
}

/// What of a table may go: `candidates` gives ids in order, after ?1, before ?2, at most ?3, and of each whether it
/// must stay.
struct Aging {
    name: &'static str,
    candidates: &'static str,
}

const BODIES: Aging = Aging {
    name: "bodies",
    candidates: "SELECT b.id, (SELECT max(1) FROM events e JOIN deliveries d ON d.event = e.id
            WHERE e.receipt = b.id AND d.state <= 2) FROM bodies b
        WHERE b.id > ?1 AND b.id < ?2 ORDER BY b.id LIMIT ?3",
};
const EVENTS: Aging = Aging {
    name: "events",
    candidates:
        "SELECT e.id, (SELECT max(1) FROM deliveries d WHERE d.event = e.id AND d.state <= 2), e.key1, e.key2
        FROM events e WHERE e.id > ?1 AND e.id < ?2 ORDER BY e.id LIMIT ?3",
};
const RECEIPTS: Aging = Aging {
    name: "receipts",
    candidates: "SELECT r.id, (SELECT max(1) FROM bodies b WHERE b.id = r.id)
        FROM receipts r WHERE r.id > ?1 AND r.id < ?2 ORDER BY r.id LIMIT ?3",
};
const SENDS: Aging = Aging {
    name: "sends",
    candidates: "SELECT s.id, CASE WHEN s.state <= 1 THEN s.state END
        FROM sends s WHERE s.id > ?1 AND s.id < ?2 ORDER BY s.id LIMIT ?3",
};

const DELETE_BODY: &str = "DELETE FROM bodies WHERE id = ?1";
const DELETE_RECEIPT: &str = "DELETE FROM receipts WHERE id = ?1";
const DELETE_EVENT: &str = "DELETE FROM events WHERE id = ?1";
const DELETE_SEND: &str = "DELETE FROM sends WHERE id = ?1";
const DELETE_DELIVERIES: &str = "DELETE FROM deliveries WHERE event = ?1";
const DELETE_ATTEMPTS: &str = "DELETE FROM attempts WHERE owner = ?1";
const DELETE_ATTEMPTS_OF_EVENT: &str =
    "DELETE FROM attempts WHERE owner IN (SELECT id FROM deliveries WHERE event = ?1)";
const EMPTY_EVENTS: &str =
    "UPDATE events SET content = NULL WHERE receipt = ?1 AND receipt IS NOT NULL AND content IS NOT NULL";
const DELETE_ANSWERS: &str = "DELETE FROM idempotency WHERE (key1, key2) IN
    (SELECT key1, key2 FROM idempotency WHERE made_at < ?1 ORDER BY made_at LIMIT ?2)";
const DELETE_PARKED: &str = "DELETE FROM parked WHERE (account, message_id, state_name) IN
    (SELECT account, message_id, state_name FROM parked WHERE parked_at < ?1 ORDER BY parked_at LIMIT ?2)";
const DELETE_TURNS: &str = "DELETE FROM turns WHERE (account, line) IN
    (SELECT account, line FROM turns WHERE even_ns < ?1 AND (rest_until IS NULL OR rest_until < ?2)
    ORDER BY even_ns LIMIT ?3) AND even_ns < ?1";

async fn step(tx: &mut Tx, keep: Keep, now: Timestamp) -> Result<u64, Error> {
    tx.lock(vec![LOCK]).await?;
    let refused = refused::step(tx, keep, now).await?;
    if !doubt::is_believed(tx, keep, now).await? {
        return Ok(refused);
    }
    let bodies_end = Id::<()>::first_at(now.minus(keep.bodies)).raw();
    let metadata_end = Id::<()>::first_at(now.minus(keep.metadata)).raw();
    let bodies = BODIES.take(tx, bodies_end).await?;
    remove_bodies(tx, &ids(&bodies)?).await?;
    let events = EVENTS.take(tx, metadata_end).await?;
    // What lies between the front and the end is not removed yet: it is still to be found.
    let looked_at_end = metadata_end.min(mark(tx, "retention.events").await?.saturating_add(1));
    remove_events(tx, &events, looked_at_end).await?;
    // A receipt goes after its body, so that one goes with everything that is owed of it.
    let receipts = RECEIPTS.take(tx, metadata_end).await?;
    tx.execute_many(DELETE_RECEIPT, &ids(&receipts)?).await?;
    let sends = SENDS.take(tx, metadata_end).await?;
    tx.execute_many(DELETE_ATTEMPTS, &ids(&sends)?).await?;
    tx.execute_many(DELETE_SEND, &ids(&sends)?).await?;
    let gone = bodies.len() + events.len() + receipts.len() + sends.len();
    let gone = gone as u64 + turns(tx, now.minus(TURNS_KEPT)).await?;
    Ok(gone + refused + answers(tx, now.minus(ANSWERS_KEPT)).await?)
}

impl Aging {
    /// The rows that may go now, of those that come next before each mark. Moves the marks.
    async fn take(&self, tx: &mut Tx, end: i64) -> Result<Vec<Row>, Error> {
        let (front_name, sweep_name) =
            (format!("retention.{}", self.name), format!("retention.{}.sweep", self.name));
        let (front, sweep) = (mark(tx, &front_name).await?, mark(tx, &sweep_name).await?);
        let mut rows = self.look(tx, &sweep_name, sweep, front.min(end - 1)).await?;
        rows.extend(self.look(tx, &front_name, front, end - 1).await?);
        rows.retain(|row| row.opt_int(1).is_ok_and(|must_stay| must_stay.is_none()));
        Ok(rows)
    }

    async fn look(&self, tx: &mut Tx, mark_name: &str, after: i64, up_to: i64) -> Result<Vec<Row>, Error> {
        let args = [Value::Int(after), Value::Int(up_to.saturating_add(1)), Value::Int(STEP_ROWS)];
        let rows = tx.fetch_all(self.candidates, &args).await?;
        let is_sweep = mark_name.ends_with(".sweep");
        let last = rows.last().map_or(Ok(after), |row| row.int(0))?;
        // The sweep begins anew when it has caught up with the front.
        let next = if is_sweep && (rows.len() as i64) < STEP_ROWS { 0 } else { last };
        if next != after {
            set_mark(tx, mark_name, next).await?;
        }
        Ok(rows)
    }
}

/// Keeps everything old in place until the transaction ends.
pub(crate) async fn keep(tx: &mut Tx) -> Result<(), Error> {
    tx.share(LOCK).await
}

async fn mark(tx: &mut Tx, name: &str) -> Result<i64, Error> {
    let row = tx.fetch_one("SELECT value FROM meta WHERE name = ?1", &[name.into()]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}

async fn set_mark(tx: &mut Tx, name: &str, value: i64) -> Result<(), Error> {
    let sql = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    tx.execute(sql, &[name.into(), Value::Int(value)]).await.map(|_| ())
}

fn ids(rows: &[Row]) -> Result<Vec<Vec<Value>>, Error> {
    rows.iter().map(|row| Ok(vec![Value::Int(row.int(0)?)])).collect()
}

/// The contents of a request's events go with its body.
async fn remove_bodies(tx: &mut Tx, ids: &[Vec<Value>]) -> Result<(), Error> {
    tx.execute_many(DELETE_BODY, ids).await?;
    tx.execute_many(EMPTY_EVENTS, ids).await.map(|_| ())
}

/// An event's deliveries, their attempts and its dedupe key go with it.
async fn remove_events(tx: &mut Tx, rows: &[Row], end: i64) -> Result<(), Error> {
    let ids = ids(rows)?;
    let (mut events, mut keys) = (Vec::new(), Vec::new());
    for row in rows {
        events.push(row.id(0)?);
        if let (Some(key1), Some(key2)) = (row.opt_int(2)?, row.opt_int(3)?) {
            keys.push(Fingerprint { key1, key2 });
        }
    }
    tx.execute_many(DELETE_ATTEMPTS_OF_EVENT, &ids).await?;
    tx.execute_many(DELETE_DELIVERIES, &ids).await?;
    tx.execute_many(DELETE_EVENT, &ids).await?;
    dedupe::forget(tx, &events, &keys, end).await
}

async fn answers(tx: &mut Tx, end: Timestamp) -> Result<u64, Error> {
    let args = [end.into(), Value::Int(STEP_ROWS)];
    Ok(tx.execute(DELETE_ANSWERS, &args).await? + tx.execute(DELETE_PARKED, &args).await?)
}

/// Turns that lie so far back that they keep nothing from leaving, by the clock of whichever node.
async fn turns(tx: &mut Tx, end: Timestamp) -> Result<u64, Error> {
    let end_ns = end.as_millis().saturating_mul(1_000_000);
    tx.execute(DELETE_TURNS, &[Value::Int(end_ns), end.into(), Value::Int(STEP_ROWS)]).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::merge;

    const STATEMENTS: [&str; 26] = [
        BODIES.candidates,
        EVENTS.candidates,
        RECEIPTS.candidates,
        SENDS.candidates,
        DELETE_BODY,
        DELETE_RECEIPT,
        DELETE_EVENT,
        DELETE_SEND,
        merge::RUN_AFTER,
        merge::RUNS_BEFORE,
        merge::LEFT,
        merge::RUN_WITHIN,
        merge::DELETE_KEYS,
        merge::DELETE_CONVERSATIONS,
        merge::DELETE_RUN,
        merge::DELETE_FILTER,
        merge::CHANGE_FILTER,
        DELETE_DELIVERIES,
        DELETE_ATTEMPTS,
        DELETE_ATTEMPTS_OF_EVENT,
        EMPTY_EVENTS,
        refused::REJECTED,
        refused::OF_NO_SOURCE,
        DELETE_ANSWERS,
        DELETE_PARKED,
        DELETE_TURNS,
    ];

    #[test]
    fn no_statement_walks_a_whole_table() {
        let connection = rusqlite::Connection::open_in_memory().expect("a database");
        connection.execute_batch(include_str!("../migrations/sqlite/0001_initial.sql")).expect("the schema");
        for sql in STATEMENTS {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
            let unbound = rusqlite::params_from_iter(vec![0; statement.parameter_count()]);
            let plan = statement.query_map(unbound, |row| row.get::<_, String>(3)).expect("a plan");
            for line in plan.map(|line| line.expect("a line")) {
                assert!(!line.contains("SCAN ") && !line.contains("TEMP B-TREE"), "{sql}\n{line}");
            }
        }
    }
}
