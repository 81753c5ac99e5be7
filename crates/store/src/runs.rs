//! What events are found by on SQLite: the newest in memory, older ones in sorted runs (ADR 3).
//!
//! An index that is touched at random costs more than all the rest of an append together. So the dedupe key and the
//! conversation of an event are not indexed when it is written: they are kept in memory until there are enough of them,
//! and then written in their order, as one run. After a start they are read from the newest events once more. Filters in
//! memory say in which runs a key may be, and the rows decide: a filter may hold keys that are not stored, after a
//! rollback, and never lacks one that is.

use std::collections::{BTreeMap, HashSet};

use model::id::{ConversationId, EventId};

use crate::db::{Column, Into, Tx};
use crate::digest::Fingerprint;
use crate::error::Error;
use crate::filter::{self, Filter};
use crate::value::{Row, Value};

/// How many events one run is of.
const RUN_EVENTS: usize = 8_192;
/// How many runs share a filter.
const GENERATION_RUNS: i64 = filter::KEYS as i64 / RUN_EVENTS as i64;
/// How many rows are read at a time.
const ROWS_AT_ONCE: i64 = 8_192;

const RUNS: Into = Into { table: "runs", columns: &[Column::Int("run"), Column::Int("last_event")] };
const KEYS: Into =
    Into { table: "dedupe", columns: &[Column::Int("run"), Column::Int("key1"), Column::Int("key2")] };
const CONVERSATIONS: Into = Into {
    table: "conversation_events",
    columns: &[Column::Int("run"), Column::Int("conversation"), Column::Int("event")],
};
const FIND_KEY: &str =
    "SELECT 1 FROM runs r CROSS JOIN dedupe d ON d.run = r.run AND d.key1 = ?1 AND d.key2 = ?2
    WHERE r.run >= ?3 AND r.run < ?4 LIMIT 1";
const FIND_EVENTS: &str = "SELECT c.event FROM runs r
    CROSS JOIN conversation_events c ON c.run = r.run AND c.conversation = ?1 AND c.event < ?2
    ORDER BY r.run DESC, c.event DESC LIMIT ?3";
const NEWEST_RUN: &str = "SELECT run, last_event FROM runs ORDER BY run DESC LIMIT 1";

/// What one event is found by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) event: EventId,
    pub(crate) key: Option<Fingerprint>,
    pub(crate) conversation: Option<ConversationId>,
}

/// What the one writer of an embedded store knows.
pub(crate) struct Runs {
    filters: BTreeMap<i64, Filter>,
    /// `None` when a job that touched it was undone: it is read again.
    newest: Option<Newest>,
    /// Whether the job under way has touched what is newest.
    is_touched: bool,
    /// The run that was last looked at for what is left of it.
    looked_at: i64,
}

/// The events that are in no run yet, oldest first.
struct Newest {
    keys: HashSet<Fingerprint>,
    entries: Vec<Entry>,
    /// The run they will become.
    run: i64,
}

impl Runs {
    /// Reads what must be in memory.
    pub(crate) async fn load(tx: &mut Tx) -> Result<Runs, Error> {
        let mut filters = BTreeMap::new();
        for row in tx.fetch_all("SELECT generation, bits FROM dedupe_filters", &[]).await? {
            filters.insert(row.int(0)?, Filter::of_bytes(row.bytes(1)?)?);
        }
        for generation in generations(tx).await? {
            if let std::collections::btree_map::Entry::Vacant(place) = filters.entry(generation) {
                place.insert(filter_of_rows(tx, generation).await?);
            }
        }
        let newest = Some(Newest::read(tx).await?);
        Ok(Runs { filters, newest, is_touched: false, looked_at: i64::MIN })
    }

    /// A job begins.
    pub(crate) fn begin_job(&mut self) {
        self.is_touched = false;
    }

    /// The job's changes were undone.
    pub(crate) fn undo_job(&mut self) {
        if self.is_touched {
            self.newest = None;
        }
    }

    /// Remembers keys, and says of each whether it was new. The events they belong to must be kept in the same job.
    pub(crate) async fn remember(&mut self, tx: &mut Tx, keys: &[Fingerprint]) -> Result<Vec<bool>, Error> {
        let mut newest = self.take(tx).await?;
        let mut is_new = Vec::with_capacity(keys.len());
        for key in keys {
            is_new.push(!newest.keys.contains(key) && !self.is_in_a_run(tx, *key).await?);
            newest.keys.insert(*key);
        }
        self.newest = Some(newest);
        Ok(is_new)
    }

    /// Keeps what new events are found by. They must be written in the same job, and come after all others.
    pub(crate) async fn keep(&mut self, tx: &mut Tx, entries: Vec<Entry>) -> Result<(), Error> {
        let mut newest = self.take(tx).await?;
        newest.keys.extend(entries.iter().filter_map(|entry| entry.key));
        newest.entries.extend(entries);
        while newest.entries.len() >= RUN_EVENTS {
            let run: Vec<Entry> = newest.entries.drain(..RUN_EVENTS).collect();
            for key in run.iter().filter_map(|entry| entry.key) {
                newest.keys.remove(&key);
            }
            if newest.run % GENERATION_RUNS == 0 && newest.run > 0 {
                self.end_generation(tx, newest.run / GENERATION_RUNS - 1).await?;
            }
            let last_event = run.last().map_or(0, |entry| entry.event.raw());
            self.write(tx, (newest.run, last_event), &run).await?;
            newest.run += 1;
        }
        self.newest = Some(newest);
        Ok(())
    }

    /// Forgets events that were removed; all made before `end` have been looked at. What is in runs goes some time after
    /// its event, when a run is looked at. A key goes with the event it is of, not with a later one that has it too.
    pub(crate) async fn forget(&mut self, tx: &mut Tx, gone: &[EventId], end: i64) -> Result<(), Error> {
        let mut newest = self.take(tx).await?;
        let gone: HashSet<EventId> = gone.iter().copied().collect();
        if newest.entries.iter().any(|entry| gone.contains(&entry.event)) {
            newest.entries.retain(|entry| !gone.contains(&entry.event));
            newest.keys = newest.entries.iter().filter_map(|entry| entry.key).collect();
        }
        self.newest = Some(newest);
        self.merge_next(tx, end).await
    }

    async fn take(&mut self, tx: &mut Tx) -> Result<Newest, Error> {
        self.is_touched = true;
        match self.newest.take() {
            Some(newest) => Ok(newest),
            None => Newest::read(tx).await,
        }
    }

    /// Most repeats come soon after the first copy, so the newest runs are asked before the others.
    async fn is_in_a_run(&self, tx: &mut Tx, key: Fingerprint) -> Result<bool, Error> {
        for (generation, _) in self.filters.iter().rev().filter(|(_, filter)| filter.may_hold(key)) {
            let (first, end) = (generation * GENERATION_RUNS, (generation + 1) * GENERATION_RUNS);
            let args = [key.key1.into(), key.key2.into(), Value::Int(first), Value::Int(end)];
            if tx.fetch_one(FIND_KEY, &args).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a run, known by its number and its last event, in order. The filter has its keys before the table does.
    async fn write(&mut self, tx: &mut Tx, run: (i64, i64), entries: &[Entry]) -> Result<(), Error> {
        let (run, last_event) = run;
        let filter = self.filters.entry(run / GENERATION_RUNS).or_default();
        let mut keys: Vec<Fingerprint> = entries.iter().filter_map(|entry| entry.key).collect();
        keys.iter().for_each(|key| filter.insert(*key));
        keys.sort_unstable_by_key(|key| (key.key1, key.key2));
        // No key is of two events. If one were, no run could be written any more for it, and nothing be stored.
        keys.dedup();
        let mut found_by: Vec<(i64, i64)> =
            entries.iter().filter_map(|entry| Some((entry.conversation?.raw(), entry.event.raw()))).collect();
        found_by.sort_unstable();
        let rows = keys.iter().map(|key| vec![Value::Int(run), key.key1.into(), key.key2.into()]);
        tx.insert_many(KEYS, rows.collect()).await?;
        let rows = found_by
            .iter()
            .map(|(conversation, event)| vec![run.into(), (*conversation).into(), (*event).into()]);
        tx.insert_many(CONVERSATIONS, rows.collect()).await?;
        tx.insert_many(RUNS, vec![vec![Value::Int(run), Value::Int(last_event)]]).await
    }

    /// Writes the filter of a generation that takes no more keys, so that it need not be made again of its rows.
    async fn end_generation(&mut self, tx: &mut Tx, full: i64) -> Result<(), Error> {
        if let Some(filter) = self.filters.get(&full) {
            let sql = "INSERT INTO dedupe_filters (generation, bits) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            tx.execute(sql, &[Value::Int(full), filter.to_bytes().into()]).await?;
        }
        let left = generations(tx).await?;
        self.filters.retain(|generation, _| left.contains(generation));
        Ok(())
    }
}

impl Newest {
    /// Reads the events after the last run.
    async fn read(tx: &mut Tx) -> Result<Newest, Error> {
        let last_run = newest_run(tx).await?;
        let (run, mut after) = last_run.map_or((0, i64::MIN), |(run, last_event)| (run + 1, last_event));
        let sql = "SELECT id, key1, key2, conversation FROM events WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut newest = Newest { keys: HashSet::new(), entries: Vec::new(), run };
        loop {
            let rows = tx.fetch_all(sql, &[Value::Int(after), Value::Int(ROWS_AT_ONCE)]).await?;
            for row in &rows {
                let entry = entry(row)?;
                after = entry.event.raw();
                newest.keys.extend(entry.key);
                newest.entries.push(entry);
            }
            if (rows.len() as i64) < ROWS_AT_ONCE {
                return Ok(newest);
            }
        }
    }
}

fn entry(row: &Row) -> Result<Entry, Error> {
    let key = match (row.opt_int(1)?, row.opt_int(2)?) {
        (Some(key1), Some(key2)) => Some(Fingerprint { key1, key2 }),
        _ => None,
    };
    Ok(Entry { event: row.id(0)?, key, conversation: row.opt_id(3)? })
}

/// The newest run and its last event.
async fn newest_run(tx: &mut Tx) -> Result<Option<(i64, i64)>, Error> {
    tx.fetch_one(NEWEST_RUN, &[]).await?.map(|row| numbers(&row)).transpose()
}

/// A run and its last event.
fn numbers(row: &Row) -> Result<(i64, i64), Error> {
    Ok((row.int(0)?, row.int(1)?))
}

/// The events of a conversation before one of them, newest first: those in no run yet, then run by run.
pub(crate) async fn events_of(
    tx: &mut Tx,
    conversation: ConversationId,
    before: i64,
    limit: i64,
) -> Result<Vec<EventId>, Error> {
    let in_runs = newest_run(tx).await?.map_or(i64::MIN, |(_, last_event)| last_event);
    let sql =
        "SELECT id FROM events WHERE id > ?1 AND id < ?2 AND +conversation = ?3 ORDER BY id DESC LIMIT ?4";
    let args = [Value::Int(in_runs), Value::Int(before), conversation.into(), Value::Int(limit)];
    let mut found = tx.fetch_all(sql, &args).await?;
    let left = limit - found.len() as i64;
    if left > 0 {
        found.extend(
            tx.fetch_all(FIND_EVENTS, &[conversation.into(), Value::Int(before), Value::Int(left)]).await?,
        );
    }
    found.iter().map(|row| row.id(0)).collect()
}

/// The generations that have runs.
async fn generations(tx: &mut Tx) -> Result<Vec<i64>, Error> {
    let rows = tx.fetch_all("SELECT DISTINCT run / ?1 FROM runs", &[Value::Int(GENERATION_RUNS)]).await?;
    rows.iter().map(|row| row.int(0)).collect()
}

/// Makes the filter of a generation anew, of its rows.
async fn filter_of_rows(tx: &mut Tx, generation: i64) -> Result<Filter, Error> {
    let sql = "SELECT key1, key2 FROM dedupe WHERE run = ?1";
    let mut filter = Filter::default();
    for run in generation * GENERATION_RUNS..(generation + 1) * GENERATION_RUNS {
        for row in tx.fetch_all(sql, &[Value::Int(run)]).await? {
            filter.insert(Fingerprint { key1: row.int(0)?, key2: row.int(1)? });
        }
    }
    Ok(filter)
}

pub(crate) mod merge;
#[cfg(test)]
mod tests;
