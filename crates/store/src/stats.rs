//! Counts that must add up, and the checks behind `gancho check`.

use model::delivery::DeliveryState;

use crate::Store;
use crate::db::{Engine, Tx};
use crate::error::Error;
use crate::value::Value;

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

/// What is waiting now: cheap at any size of the past.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// Deliveries that have a due time.
    pub due: u64,
    /// Deliveries that wait in a line behind another.
    pub in_line: u64,
    /// Sends not yet taken.
    pub sends: u64,
}

impl Stats<'_> {
    /// Counts everything and checks the engine's own integrity. Reads every row: not for a hot path.
    pub async fn counts(&self) -> Result<Counts, Error> {
        self.0.inner.db.read(|tx| Box::pin(counts(tx))).await
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
    Ok(Backlog {
        due: count(tx, "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL", &[]).await?,
        in_line: count(tx, in_line, &[]).await?,
        sends: count(tx, "SELECT count(*) FROM sends WHERE state <= 1", &[]).await?,
    })
}
