//! Counts that must add up, and the checks behind `gancho check`.

use model::delivery::DeliveryState;
use model::id::DeliveryId;
use model::time::Timestamp;

use crate::Store;
use crate::db::{Engine, Tx};
use crate::error::Error;
use crate::value::Value;

/// How many rows one step of a count looks at.
const STEP_ROWS: i64 = 10_000;
const RECEIPTS_STEP: &str = "SELECT 0, count(*), max(id) FROM
    (SELECT id FROM receipts WHERE id > ?1 ORDER BY id LIMIT ?2) step HAVING count(*) > 0";
const EVENTS_STEP: &str = "SELECT 0, count(*), max(id) FROM
    (SELECT id FROM events WHERE id > ?1 ORDER BY id LIMIT ?2) step HAVING count(*) > 0";
const DELIVERIES_STEP: &str = "SELECT state, count(*), max(id) FROM
    (SELECT id, state FROM deliveries WHERE id > ?1 ORDER BY id LIMIT ?2) step GROUP BY state";

/// Stats and checks.
pub struct Stats<'s>(&'s Store);

impl Store {
    /// Stats and checks.
    pub fn stats(&self) -> Stats<'_> {
        Stats(self)
    }
}

/// How much there is of everything. The states of deliveries add up to their number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Requests kept.
    pub receipts: u64,
    /// Events kept.
    pub events: u64,
    /// Deliveries kept.
    pub deliveries: u64,
    /// Deliveries by state, in the order of [`DeliveryState::ALL`].
    pub by_state: [u64; 6],
    /// Deliveries and sends in a line that nobody at its head will ever promote: always zero.
    pub stuck: u64,
    /// Deliveries whose event is not there: always zero.
    pub orphans: u64,
    /// What the engine's own integrity check found; empty when all is well.
    pub damage: Vec<String>,
}

impl Counts {
    /// Whether everything adds up.
    pub fn is_sound(&self) -> bool {
        let sum: u64 = self.by_state.iter().sum();
        sum == self.deliveries && self.stuck == 0 && self.orphans == 0 && self.damage.is_empty()
    }
}

/// How much is kept, counted while work goes on: what came or went meanwhile may be in it or not. The states of
/// deliveries add up to their number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// Requests.
    pub receipts: u64,
    /// Events.
    pub events: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Deliveries by stored state, in the order of [`DeliveryState::ALL`].
    pub by_state: [u64; 6],
}

/// What is waiting now: cheap at any size of the past.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// Deliveries that have a due time.
    pub due: u64,
    /// Deliveries that wait in a line behind another.
    pub in_line: u64,
    /// Sends not yet taken.
    pub sends: u64,
    /// When the oldest delivery that is neither made nor given up was made.
    pub oldest_at: Option<Timestamp>,
}

impl Stats<'_> {
    /// Counts everything and checks the engine's own integrity. Reads every row: not for a hot path.
    pub async fn counts(&self) -> Result<Counts, Error> {
        self.0.inner.db.read_patiently(|tx| Box::pin(counts(tx))).await
    }

    /// Counts what is kept, in steps that each keep a reader for a few milliseconds, however much there is.
    pub async fn kept(&self) -> Result<Kept, Error> {
        let [receipts] = self.count_in_steps(RECEIPTS_STEP).await?;
        let [events] = self.count_in_steps(EVENTS_STEP).await?;
        let by_state = self.count_in_steps(DELIVERIES_STEP).await?;
        Ok(Kept { receipts, events, deliveries: by_state.iter().sum(), by_state })
    }

    /// Counts by the number that `sql` gives first of each row it counts.
    async fn count_in_steps<const N: usize>(&self, sql: &'static str) -> Result<[u64; N], Error> {
        let (mut counts, mut after) = ([0; N], i64::MIN);
        loop {
            let args = [Value::Int(after), Value::Int(STEP_ROWS)];
            let rows =
                self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_all(sql, &args).await }));
            let (rows, mut looked_at) = (rows.await?, 0);
            for row in &rows {
                let (at, count) = (row.int(0)?, row.int(1)?);
                if let Some(held) = usize::try_from(at).ok().and_then(|at| counts.get_mut(at)) {
                    *held += u64::try_from(count).unwrap_or(0);
                }
                looked_at += count;
                after = after.max(row.int(2)?);
            }
            if looked_at < STEP_ROWS {
                return Ok(counts);
            }
        }
    }

    /// What is waiting now.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        self.0.inner.db.read(|tx| Box::pin(backlog(tx))).await
    }

    /// Whether a write reaches the disk now. Changes nothing that anybody sees.
    pub async fn ping(&self) -> Result<(), Error> {
        let sql =
            "INSERT INTO meta (name, value) VALUES ('ping', 1) ON CONFLICT (name) DO UPDATE SET value = 1";
        self.0.inner.db.write(move |tx| Box::pin(async move { tx.execute(sql, &[]).await })).await.map(|_| ())
    }
}

async fn count(tx: &mut Tx, sql: &str, args: &[Value]) -> Result<u64, Error> {
    let row = tx.fetch_one(sql, args).await?;
    row.map_or(Ok(0), |row| row.int(0)).map(|count| u64::try_from(count).unwrap_or(0))
}

async fn counts(tx: &mut Tx) -> Result<Counts, Error> {
    let mut by_state = [0; 6];
    for state in DeliveryState::ALL {
        let code = state.code();
        let sql = "SELECT count(*) FROM deliveries WHERE state = ?1";
        by_state[usize::try_from(code).unwrap_or(0)] = count(tx, sql, &[Value::Int(code)]).await?;
    }
    let stuck = "SELECT count(*) FROM deliveries d WHERE d.state = 0 AND d.due_at IS NULL AND d.id =
        (SELECT min(id) FROM deliveries h WHERE h.endpoint = d.endpoint AND h.line = d.line AND h.state <= 2
            AND h.line IS NOT NULL)";
    let stuck_sends = "SELECT count(*) FROM sends s WHERE s.state = 0 AND s.due_at IS NULL AND s.id =
        (SELECT min(id) FROM sends h WHERE h.line = s.line AND h.state <= 1)";
    let orphans =
        "SELECT count(*) FROM deliveries d WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id = d.event)";
    Ok(Counts {
        receipts: count(tx, "SELECT count(*) FROM receipts", &[]).await?,
        events: count(tx, "SELECT count(*) FROM events", &[]).await?,
        deliveries: count(tx, "SELECT count(*) FROM deliveries", &[]).await?,
        by_state,
        stuck: count(tx, stuck, &[]).await? + count(tx, stuck_sends, &[]).await?,
        orphans: count(tx, orphans, &[]).await?,
        damage: damage(tx).await?,
    })
}

async fn damage(tx: &mut Tx) -> Result<Vec<String>, Error> {
    if matches!(tx.engine(), Engine::Postgres(_)) {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all("PRAGMA integrity_check", &[]).await?;
    let lines: Result<Vec<String>, Error> = rows.iter().map(|row| row.text(0).map(str::to_owned)).collect();
    Ok(lines?.into_iter().filter(|line| line != "ok").collect())
}

async fn backlog(tx: &mut Tx) -> Result<Backlog, Error> {
    let in_line = "SELECT count(*) FROM deliveries WHERE line IS NOT NULL AND state <= 2 AND due_at IS NULL";
    // The states have one index, and not the sum of them.
    let oldest = "SELECT min(id) FROM (SELECT min(id) AS id FROM deliveries WHERE state = 0 AND state <> 3
        UNION ALL SELECT min(id) FROM deliveries WHERE state = 1 AND state <> 3
        UNION ALL SELECT min(id) FROM deliveries WHERE state = 2 AND state <> 3) oldest";
    let oldest = tx.fetch_one(oldest, &[]).await?.map(|row| row.opt_int(0)).transpose()?.flatten();
    Ok(Backlog {
        oldest_at: oldest.map(|id| DeliveryId::from_raw(id).made_at()),
        due: count(tx, "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL", &[]).await?,
        in_line: count(tx, in_line, &[]).await?,
        sends: count(tx, "SELECT count(*) FROM sends WHERE state <= 1", &[]).await?,
    })
}
