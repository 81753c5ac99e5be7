//! Dedupe: which keys were seen before. The one place where each engine has a form of its own (ADR 3).
//!
//! PostgreSQL keeps one unique index and lets it decide. On SQLite that index, touched at random, would come to cost
//! more than all the rest together; there keys are kept in buckets, in the order they came, so that a new one lands
//! among the few of the newest. Filters in memory say in which buckets an older one may be, and the rows decide. A filter
//! may hold keys that are not stored, after a rollback, and never lacks one that is.

use std::collections::{BTreeMap, HashSet};

use model::id::EventId;

use crate::db::{Column, Engine, Into, Tx};
use crate::digest::Fingerprint;
use crate::error::Error;
use crate::filter::{self, Filter};
use crate::value::{Row, Value};

/// How many keys one bucket takes.
const BUCKET_KEYS: u32 = 16_384;
/// How many buckets share a filter.
const GENERATION_BUCKETS: i64 = filter::KEYS as i64 / BUCKET_KEYS as i64;
/// How many rows are read at a time when a filter is made of them.
const ROWS_AT_ONCE: i64 = 16_384;

const KEYS: Into =
    Into { table: "dedupe", columns: &[Column::Int("key1"), Column::Int("key2"), Column::Int("event")] };
const BUCKET_ROWS: Into = Into {
    table: "dedupe",
    columns: &[Column::Int("bucket"), Column::Int("key1"), Column::Int("key2"), Column::Int("event")],
};
const FIND: &str = "SELECT 1 FROM dedupe WHERE bucket = ?3 AND key1 = ?1 AND key2 = ?2";
const FIND_AMONG: &str = "WITH RECURSIVE among (bucket) AS
        (SELECT ?3 UNION ALL SELECT bucket + 1 FROM among WHERE bucket < ?4)
    SELECT 1 FROM dedupe WHERE bucket IN (SELECT bucket FROM among) AND key1 = ?1 AND key2 = ?2 LIMIT 1";
pub(crate) const FIRST_BUCKET: &str = "SELECT min(bucket) FROM dedupe";
pub(crate) const YOUNG_IN_BUCKET: &str = "SELECT 1 FROM dedupe WHERE bucket = ?1 AND event >= ?2 LIMIT 1";
pub(crate) const DELETE_BUCKET: &str = "DELETE FROM dedupe WHERE bucket = ?1";
pub(crate) const DELETE_FILTER: &str = "DELETE FROM dedupe_filters WHERE generation = ?1";

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
            let mut known = known(tx).await?;
            let is_new = known.remember(tx, keys).await;
            tx.known = Some(known);
            is_new
        }
    }
}

/// Forgets keys of events that were removed, all made before `end`. In buckets keys go together, so that some stay
/// a while longer than their events.
pub(crate) async fn forget(tx: &mut Tx, keys: &[Fingerprint], end: i64) -> Result<(), Error> {
    match tx.engine() {
        Engine::Postgres(_) => {
            let lists: Vec<Vec<Value>> =
                keys.iter().map(|key| vec![key.key1.into(), key.key2.into()]).collect();
            tx.execute_many("DELETE FROM dedupe WHERE key1 = ?1 AND key2 = ?2", &lists).await.map(|_| ())
        }
        Engine::Sqlite(_) => forget_bucket(tx, end).await,
    }
}

/// Reads what must be in memory; on PostgreSQL that is nothing.
pub(crate) async fn load(tx: &mut Tx) -> Result<(), Error> {
    if matches!(tx.engine(), Engine::Sqlite(_)) {
        tx.known = Some(known(tx).await?);
    }
    Ok(())
}

async fn known(tx: &mut Tx) -> Result<Known, Error> {
    match tx.known.take() {
        Some(known) => Ok(known),
        None => Known::load(tx).await,
    }
}

/// The oldest bucket goes when all its events are old; with the last of a generation goes its filter.
async fn forget_bucket(tx: &mut Tx, end: i64) -> Result<(), Error> {
    let Some(bucket) = first_bucket(tx).await? else { return Ok(()) };
    if tx.fetch_one(YOUNG_IN_BUCKET, &[Value::Int(bucket), Value::Int(end)]).await?.is_some() {
        return Ok(());
    }
    tx.execute(DELETE_BUCKET, &[Value::Int(bucket)]).await?;
    let generation = bucket / GENERATION_BUCKETS;
    let is_gone = first_bucket(tx).await?.is_some_and(|first| first / GENERATION_BUCKETS > generation);
    if is_gone {
        tx.execute(DELETE_FILTER, &[Value::Int(generation)]).await?;
    }
    Ok(())
}

async fn first_bucket(tx: &mut Tx) -> Result<Option<i64>, Error> {
    tx.fetch_one(FIRST_BUCKET, &[]).await?.map_or(Ok(None), |row| row.opt_int(0))
}

/// Where keys are and may be, in the memory of the one writer.
pub(crate) struct Known {
    filters: BTreeMap<i64, Filter>,
    /// The bucket that new keys go to, and how many it has been given.
    bucket: i64,
    in_bucket: u32,
}

impl Known {
    /// Filters that were written are read; the newest, and any that is missing, is made of the rows.
    async fn load(tx: &mut Tx) -> Result<Known, Error> {
        let mut filters = BTreeMap::new();
        for row in tx.fetch_all("SELECT generation, bits FROM dedupe_filters", &[]).await? {
            filters.insert(row.int(0)?, Filter::of_bytes(row.bytes(1)?)?);
        }
        // A filter that was written lacks what would come into its buckets now: new keys go to the next generation.
        let after_written = filters.keys().next_back().map_or(0, |last| (last + 1) * GENERATION_BUCKETS);
        let last = tx.fetch_one("SELECT max(bucket) FROM dedupe", &[]).await?;
        let last = last.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0);
        let first = first_bucket(tx).await?.unwrap_or(last);
        for generation in first / GENERATION_BUCKETS..=last / GENERATION_BUCKETS {
            if let std::collections::btree_map::Entry::Vacant(place) = filters.entry(generation) {
                place.insert(filter_of_rows(tx, generation).await?);
            }
        }
        let bucket = last.max(after_written);
        let count = "SELECT count(*) FROM dedupe WHERE bucket = ?1";
        let count = tx.fetch_one(count, &[Value::Int(bucket)]).await?.map_or(Ok(0), |row| row.int(0))?;
        let known = Known { filters, bucket, in_bucket: u32::try_from(count).unwrap_or(BUCKET_KEYS) };
        for generation in known.filters.keys().filter(|one| **one < bucket / GENERATION_BUCKETS) {
            known.write_filter(tx, *generation).await?;
        }
        Ok(known)
    }

    async fn remember(&mut self, tx: &mut Tx, keys: Vec<(Fingerprint, EventId)>) -> Result<Vec<bool>, Error> {
        let (mut is_new, mut fresh, mut rows) = (Vec::with_capacity(keys.len()), HashSet::new(), Vec::new());
        for (key, event) in keys {
            if fresh.contains(&key) || self.is_stored(tx, key).await? {
                is_new.push(false);
                continue;
            }
            fresh.insert(key);
            is_new.push(true);
            let bucket = self.place(tx, key).await?;
            rows.push(vec![Value::Int(bucket), key.key1.into(), key.key2.into(), event.into()]);
        }
        tx.insert_many(BUCKET_ROWS, rows).await?;
        Ok(is_new)
    }

    /// Most repeats come soon after the first copy, so the newest bucket is asked before the others.
    async fn is_stored(&self, tx: &mut Tx, key: Fingerprint) -> Result<bool, Error> {
        for (generation, _) in self.filters.iter().rev().filter(|(_, filter)| filter.may_hold(key)) {
            let (first, end) = (generation * GENERATION_BUCKETS, (generation + 1) * GENERATION_BUCKETS);
            let newest = self.bucket.min(end - 1);
            let [key1, key2] = [Value::Int(key.key1), Value::Int(key.key2)];
            let at = [key1.clone(), key2.clone(), Value::Int(newest)];
            let among = [key1, key2, Value::Int(first), Value::Int(newest)];
            if tx.fetch_one(FIND, &at).await?.is_some() || tx.fetch_one(FIND_AMONG, &among).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The bucket for a new key. The filter has the key before the table does.
    async fn place(&mut self, tx: &mut Tx, key: Fingerprint) -> Result<i64, Error> {
        if self.in_bucket >= BUCKET_KEYS {
            (self.bucket, self.in_bucket) = (self.bucket + 1, 0);
            if self.bucket % GENERATION_BUCKETS == 0 {
                let full = self.bucket / GENERATION_BUCKETS - 1;
                self.write_filter(tx, full).await?;
                let first = first_bucket(tx).await?.unwrap_or(self.bucket) / GENERATION_BUCKETS;
                // Rows of the full one may be about to be written, by this very batch.
                self.filters.retain(|generation, _| *generation >= first.min(full));
            }
        }
        self.in_bucket += 1;
        self.filters.entry(self.bucket / GENERATION_BUCKETS).or_default().insert(key);
        Ok(self.bucket)
    }

    /// Writes the filter of a generation that takes no more keys, so that it need not be made again of its rows.
    async fn write_filter(&self, tx: &mut Tx, generation: i64) -> Result<(), Error> {
        if let Some(filter) = self.filters.get(&generation) {
            let sql = "INSERT INTO dedupe_filters (generation, bits) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            tx.execute(sql, &[Value::Int(generation), filter.to_bytes().into()]).await?;
        }
        Ok(())
    }
}

/// Makes the filter of a generation anew, of its rows.
async fn filter_of_rows(tx: &mut Tx, generation: i64) -> Result<Filter, Error> {
    let sql = "SELECT key1, key2 FROM dedupe WHERE bucket = ?1 AND (key1, key2) > (?2, ?3)
        ORDER BY key1, key2 LIMIT ?4";
    let mut filter = Filter::default();
    for bucket in generation * GENERATION_BUCKETS..(generation + 1) * GENERATION_BUCKETS {
        let mut last = Fingerprint { key1: i64::MIN, key2: i64::MIN };
        loop {
            let args = [Value::Int(bucket), last.key1.into(), last.key2.into(), Value::Int(ROWS_AT_ONCE)];
            let rows: Vec<Row> = tx.fetch_all(sql, &args).await?;
            for row in &rows {
                last = Fingerprint { key1: row.int(0)?, key2: row.int(1)? };
                filter.insert(last);
            }
            if (rows.len() as i64) < ROWS_AT_ONCE {
                break;
            }
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::tests::key;

    async fn on_sqlite() -> Tx {
        let connection = rusqlite::Connection::open_in_memory().expect("a database");
        connection.execute_batch(include_str!("../migrations/sqlite/0001_initial.sql")).expect("the schema");
        let mut tx = Tx::new(Engine::Sqlite(connection), crate::db::Faults::default());
        load(&mut tx).await.expect("an empty table");
        tx
    }

    async fn new_of(tx: &mut Tx, keys: std::ops::Range<u64>) -> usize {
        let keys = keys.map(|n| (key(n), EventId::from_raw(n as i64))).collect();
        remember(tx, keys).await.expect("remembered").into_iter().filter(|is_new| *is_new).count()
    }

    fn stand_before_the_next_generation(tx: &mut Tx) {
        let known = tx.known.as_mut().expect("it was loaded");
        (known.bucket, known.in_bucket) = (GENERATION_BUCKETS - 1, BUCKET_KEYS - 10);
    }

    #[tokio::test]
    async fn keys_are_known_over_buckets_generations_and_starts() {
        let mut tx = on_sqlite().await;
        assert_eq!(new_of(&mut tx, 0..20_000).await, 20_000);
        stand_before_the_next_generation(&mut tx);
        assert_eq!(new_of(&mut tx, 20_000..20_030).await, 30);
        for _ in 0..2 {
            assert_eq!(new_of(&mut tx, 0..20_030).await, 0);
            let written = tx.fetch_all("SELECT generation FROM dedupe_filters", &[]).await.expect("filters");
            assert_eq!(written.iter().map(|row| row.int(0).expect("a number")).collect::<Vec<_>>(), [0]);
            tx.known = None;
        }
        assert_eq!(new_of(&mut tx, 20_030..20_040).await, 10);
    }

    #[tokio::test]
    async fn a_generation_whose_filter_was_written_takes_no_more_keys() {
        let mut tx = on_sqlite().await;
        new_of(&mut tx, 0..5).await;
        stand_before_the_next_generation(&mut tx);
        new_of(&mut tx, 5..20).await;
        let next = [Value::Int(GENERATION_BUCKETS)];
        tx.execute("DELETE FROM dedupe WHERE bucket >= ?1", &next)
            .await
            .expect("as if its commit had been lost");
        tx.known = None;
        assert_eq!(new_of(&mut tx, 20..25).await, 5);
        let rows = tx.fetch_all("SELECT 1 FROM dedupe WHERE bucket >= ?1", &next).await.expect("rows");
        assert_eq!(rows.len(), 5);
        tx.known = None;
        assert_eq!(new_of(&mut tx, 20..25).await, 0);
    }

    #[tokio::test]
    async fn the_only_keys_there_are_may_lie_on_both_sides_of_a_generations_end() {
        let mut tx = on_sqlite().await;
        stand_before_the_next_generation(&mut tx);
        assert_eq!(new_of(&mut tx, 0..30).await, 30);
        assert_eq!(new_of(&mut tx, 0..30).await, 0);
    }

    #[tokio::test]
    async fn what_was_rolled_back_is_new_again_and_then_known() {
        let mut tx = on_sqlite().await;
        tx.execute("SAVEPOINT job", &[]).await.expect("a savepoint");
        assert_eq!(new_of(&mut tx, 0..100).await, 100);
        tx.execute("ROLLBACK TO job", &[]).await.expect("a rollback");
        assert_eq!(new_of(&mut tx, 0..100).await, 100);
        assert_eq!(new_of(&mut tx, 0..100).await, 0);
    }

    #[tokio::test]
    async fn a_bucket_goes_when_all_its_events_are_old() {
        let mut tx = on_sqlite().await;
        new_of(&mut tx, 0..20_000).await;
        forget(&mut tx, &[], 16_000).await.expect("a step");
        assert_eq!(new_of(&mut tx, 0..20_000).await, 0, "its last events are young");
        forget(&mut tx, &[], 17_000).await.expect("a step");
        let left = tx.fetch_all("SELECT DISTINCT bucket FROM dedupe", &[]).await.expect("buckets");
        assert_eq!(left.iter().map(|row| row.int(0).expect("a number")).collect::<Vec<_>>(), [1]);
        assert_eq!(new_of(&mut tx, 0..20_000).await, BUCKET_KEYS as usize);
    }
}
