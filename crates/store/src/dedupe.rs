//! Dedupe: which keys were seen before. One of two places where each engine has a form of its own (ADR 3): PostgreSQL
//! keeps a unique index and lets it decide, SQLite has its runs.

use model::id::EventId;

use crate::db::{Column, Engine, Into, Tx};
use crate::digest::Fingerprint;
use crate::error::Error;
use crate::runs::{Entry, Runs};
use crate::value::Value;

const KEYS: Into =
    Into { table: "dedupe", columns: &[Column::Int("key1"), Column::Int("key2"), Column::Int("event")] };

/// Remembers keys for their events, and says of each whether it was new. On PostgreSQL this waits for whoever is
/// remembering the same key.
pub(crate) async fn remember(tx: &mut Tx, keys: Vec<(Fingerprint, EventId)>) -> Result<Vec<bool>, Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    match tx.engine() {
        Engine::Postgres(_) => {
            let row =
                |(key, event): (Fingerprint, EventId)| vec![key.key1.into(), key.key2.into(), event.into()];
            tx.insert_new(KEYS, keys.into_iter().map(row).collect()).await
        }
        Engine::Sqlite(_) => {
            let keys: Vec<Fingerprint> = keys.into_iter().map(|(key, _)| key).collect();
            let mut runs = runs(tx).await?;
            let is_new = runs.remember(tx, &keys).await;
            tx.runs = Some(runs);
            is_new
        }
    }
}

/// Keeps what new events are found by, where their rows alone do not see to it. They come after all others.
pub(crate) async fn keep(tx: &mut Tx, entries: Vec<Entry>) -> Result<(), Error> {
    if matches!(tx.engine(), Engine::Sqlite(_)) && !entries.is_empty() {
        let mut runs = runs(tx).await?;
        let kept = runs.keep(tx, entries).await;
        tx.runs = Some(runs);
        kept?;
    }
    Ok(())
}

/// Forgets events that were removed, and their keys; all made before `end` have been looked at.
pub(crate) async fn forget(
    tx: &mut Tx,
    events: &[EventId],
    keys: &[Fingerprint],
    end: i64,
) -> Result<(), Error> {
    match tx.engine() {
        Engine::Postgres(_) => {
            let lists: Vec<Vec<Value>> =
                keys.iter().map(|key| vec![key.key1.into(), key.key2.into()]).collect();
            tx.execute_many("DELETE FROM dedupe WHERE key1 = ?1 AND key2 = ?2", &lists).await.map(|_| ())
        }
        Engine::Sqlite(_) => {
            let mut runs = runs(tx).await?;
            let forgotten = runs.forget(tx, events, end).await;
            tx.runs = Some(runs);
            forgotten
        }
    }
}

/// Reads what must be in memory; on PostgreSQL that is nothing.
pub(crate) async fn load(tx: &mut Tx) -> Result<(), Error> {
    if matches!(tx.engine(), Engine::Sqlite(_)) {
        tx.runs = Some(runs(tx).await?);
    }
    Ok(())
}

async fn runs(tx: &mut Tx) -> Result<Runs, Error> {
    match tx.runs.take() {
        Some(runs) => Ok(runs),
        None => Runs::load(tx).await,
    }
}
