//! Old runs: what is left of two that stand side by side becomes one. So a run goes with its events, and takes along
//! nothing of those that are owed and stay.

use crate::db::Tx;
use crate::error::Error;
use crate::runs::{Entry, GENERATION_RUNS, RUN_EVENTS, Runs, entry, numbers};
use crate::value::Value;

/// How many events a run is of at most after a merger: what one step moves. Runs side by side that hold more stay as they
/// are, so that there are few of them for what is owed.
const MERGED_MAX: usize = RUN_EVENTS / 4;

pub(crate) const RUN_AFTER: &str = "SELECT run, last_event FROM runs WHERE run > ?1 ORDER BY run LIMIT 1";
pub(crate) const RUNS_BEFORE: &str =
    "SELECT run, last_event FROM runs WHERE run < ?1 ORDER BY run DESC LIMIT 2";
pub(crate) const LEFT: &str =
    "SELECT id, key1, key2, conversation FROM events WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
pub(crate) const RUN_WITHIN: &str = "SELECT 1 FROM runs WHERE run >= ?1 AND run < ?2 LIMIT 1";
pub(crate) const DELETE_KEYS: &str = "DELETE FROM dedupe WHERE run = ?1";
pub(crate) const DELETE_CONVERSATIONS: &str = "DELETE FROM conversation_events WHERE run = ?1";
pub(crate) const DELETE_RUN: &str = "DELETE FROM runs WHERE run = ?1";
pub(crate) const DELETE_FILTER: &str = "DELETE FROM dedupe_filters WHERE generation = ?1";
pub(crate) const CHANGE_FILTER: &str = "UPDATE dedupe_filters SET bits = ?2 WHERE generation = ?1";

impl Runs {
    /// Looks at the next run that has nothing made at `end` or later, one a call and round and round: merges it with the
    /// one before it when what is left of both is little. The very first goes when nothing is left of it.
    pub(super) async fn merge_next(&mut self, tx: &mut Tx, end: i64) -> Result<(), Error> {
        let next = tx.fetch_one(RUN_AFTER, &[Value::Int(self.looked_at)]).await?;
        let next = next.map(|row| numbers(&row)).transpose()?.filter(|(_, last_event)| *last_event < end);
        let Some((run, last_event)) = next else {
            self.looked_at = i64::MIN;
            return Ok(());
        };
        self.looked_at = run;
        let before = tx.fetch_all(RUNS_BEFORE, &[Value::Int(run)]).await?;
        let before: Vec<(i64, i64)> = before.iter().map(numbers).collect::<Result<_, Error>>()?;
        let after = before.get(1).map_or(i64::MIN, |(_, last_event)| *last_event);
        let args = [Value::Int(after), Value::Int(last_event), Value::Int(MERGED_MAX as i64 + 1)];
        let left = tx.fetch_all(LEFT, &args).await?;
        let left: Vec<Entry> = left.iter().map(entry).collect::<Result<_, Error>>()?;
        match before.first() {
            None if left.is_empty() => remove(tx, run).await,
            Some((other, _)) if left.len() <= MERGED_MAX => {
                remove(tx, run).await?;
                self.write(tx, (run, last_event), &left).await?;
                remove(tx, *other).await?;
                self.rewrite_filter(tx, *other, run).await
            }
            None | Some(_) => Ok(()),
        }
    }

    /// A filter that was written has to know what has come into its generation from the one before.
    async fn rewrite_filter(&self, tx: &mut Tx, from: i64, to: i64) -> Result<(), Error> {
        let generation = to / GENERATION_RUNS;
        match self.filters.get(&generation) {
            Some(filter) if from / GENERATION_RUNS != generation => {
                let args = [Value::Int(generation), filter.to_bytes().into()];
                tx.execute(CHANGE_FILTER, &args).await.map(|_| ())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Removes a run, and the filter of its generation with the last one of it.
async fn remove(tx: &mut Tx, run: i64) -> Result<(), Error> {
    for sql in [DELETE_KEYS, DELETE_CONVERSATIONS, DELETE_RUN] {
        tx.execute(sql, &[Value::Int(run)]).await?;
    }
    let generation = run / GENERATION_RUNS;
    let within = [generation, generation + 1].map(|generation| Value::Int(generation * GENERATION_RUNS));
    if tx.fetch_one(RUN_WITHIN, &within).await?.is_none() {
        tx.execute(DELETE_FILTER, &[Value::Int(generation)]).await?;
    }
    Ok(())
}
