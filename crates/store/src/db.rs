//! The one file that knows there are two engines: a handful of verbs over both.
//!
//! A write is a job: an `async` body over a [`Tx`]. On PostgreSQL it runs on a pooled connection; on SQLite the
//! writer thread polls it to the end, where its awaits are always ready, together with whatever else is waiting,
//! and commits once for all (ADR 5).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::future::BoxFuture;
use model::time::Clock;

use crate::error::Error;
use crate::postgres::{Patience, Postgres, verbs};
use crate::runs::Runs;
use crate::sqlite::Sqlite;
use crate::value::{Row, Value};

/// The database behind the store.
pub(crate) enum Db {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Db {
    /// Runs one transaction that may write. It has happened, durably, when this returns `Ok`.
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        match self {
            Db::Sqlite(engine) => engine.write(job).await,
            Db::Postgres(engine) => engine.write(job, Patience::Usual).await,
        }
    }

    /// The same for what changes so many rows that nobody should wait for it but who asked.
    pub(crate) async fn write_patiently<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        match self {
            Db::Sqlite(engine) => engine.write(job).await,
            Db::Postgres(engine) => engine.write(job, Patience::Long).await,
        }
    }

    /// Runs one transaction that only reads.
    pub(crate) async fn read<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        match self {
            Db::Sqlite(engine) => engine.read(job).await,
            Db::Postgres(engine) => engine.read(job, Patience::Usual).await,
        }
    }

    /// The same for what reads whole tables.
    pub(crate) async fn read_patiently<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        match self {
            Db::Sqlite(engine) => engine.read(job).await,
            Db::Postgres(engine) => engine.read(job, Patience::Long).await,
        }
    }

    /// The time that decides when something is due and when a lease ends: on PostgreSQL the database's, which its nodes
    /// share; on SQLite our own.
    pub(crate) fn clock(&self, own: Clock) -> Clock {
        match self {
            Db::Sqlite(_) => own,
            Db::Postgres(engine) => engine.clock().clone(),
        }
    }

    /// Whether this process owns the whole database, so that what is under way can be known from memory.
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self, Db::Sqlite(_))
    }
}

/// A table and the columns that rows are inserted into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Into {
    pub(crate) table: &'static str,
    pub(crate) columns: &'static [Column],
}

/// A column by its type, which PostgreSQL wants to know of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    Int(&'static str),
    Text(&'static str),
    Bytes(&'static str),
}

impl Column {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Column::Int(name) | Column::Text(name) | Column::Bytes(name) => name,
        }
    }
}

impl Into {
    pub(crate) fn column_list(self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name()).collect();
        names.join(", ")
    }
}

/// A transaction under way. SQL is written with `?1`, `?2`; PostgreSQL is given `$1`, `$2`.
pub(crate) struct Tx {
    engine: Engine,
    faults: Faults,
    /// What the one writer of an embedded store knows of its events, once it was read.
    pub(crate) runs: Option<Runs>,
}

pub(crate) enum Engine {
    Sqlite(rusqlite::Connection),
    Postgres(deadpool_postgres::Client),
}

impl Tx {
    pub(crate) fn new(engine: Engine, faults: Faults) -> Tx {
        Tx { engine, faults, runs: None }
    }

    pub(crate) fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    pub(crate) fn into_engine(self) -> Engine {
        self.engine
    }

    /// Comes before the transaction's own statements, BEGIN and COMMIT; the others do it by themselves.
    pub(crate) fn step(&self) -> Result<(), Error> {
        self.faults.step()
    }

    /// A job begins: what it changes in memory may have to be undone.
    pub(crate) fn begin_job(&mut self) {
        self.runs.iter_mut().for_each(Runs::begin_job);
    }

    /// What the job under way has changed is not so after all.
    pub(crate) fn undo_job(&mut self) {
        self.runs.iter_mut().for_each(Runs::undo_job);
    }

    /// Runs a statement and says how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: &str, args: &[Value]) -> Result<u64, Error> {
        self.faults.step()?;
        match &mut self.engine {
            Engine::Sqlite(connection) => crate::sqlite::execute(connection, sql, args),
            Engine::Postgres(client) => verbs::execute(client, sql, args).await,
        }
    }

    /// Runs one statement with each list of arguments, in order, and says how many rows each touched.
    pub(crate) async fn execute_many(&mut self, sql: &str, lists: &[Vec<Value>]) -> Result<Vec<u64>, Error> {
        self.faults.step()?;
        match &mut self.engine {
            Engine::Sqlite(connection) => crate::sqlite::execute_many(connection, sql, lists),
            Engine::Postgres(client) => verbs::execute_many(client, sql, lists).await,
        }
    }

    /// All rows of a query.
    pub(crate) async fn fetch_all(&mut self, sql: &str, args: &[Value]) -> Result<Vec<Row>, Error> {
        self.faults.step()?;
        match &mut self.engine {
            Engine::Sqlite(connection) => crate::sqlite::fetch(connection, sql, args),
            Engine::Postgres(client) => verbs::fetch(client, sql, args).await,
        }
    }

    /// The first row of a query, if there is one.
    pub(crate) async fn fetch_one(&mut self, sql: &str, args: &[Value]) -> Result<Option<Row>, Error> {
        Ok(self.fetch_all(sql, args).await?.into_iter().next())
    }

    /// The rows of one query for each list of arguments.
    pub(crate) async fn fetch_many(
        &mut self,
        sql: &str,
        lists: &[Vec<Value>],
    ) -> Result<Vec<Vec<Row>>, Error> {
        self.faults.step()?;
        match &mut self.engine {
            Engine::Sqlite(connection) => crate::sqlite::fetch_many(connection, sql, lists),
            Engine::Postgres(client) => verbs::fetch_many(client, sql, lists).await,
        }
    }

    /// The rows of one query for each list of arguments, for queries that are asked of many at a time: on PostgreSQL they
    /// become one. Arguments stand where a column may, so not in LIMIT; those at one place are of one type.
    pub(crate) async fn fetch_each(
        &mut self,
        sql: &str,
        lists: &[Vec<Value>],
    ) -> Result<Vec<Vec<Row>>, Error> {
        self.faults.step()?;
        match &mut self.engine {
            Engine::Sqlite(connection) => crate::sqlite::fetch_many(connection, sql, lists),
            Engine::Postgres(client) => verbs::fetch_each(client, sql, lists).await,
        }
    }

    /// Inserts rows; any that is there already is an error.
    pub(crate) async fn insert_many(&mut self, into: Into, rows: Vec<Vec<Value>>) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        self.faults.step()?;
        match &mut self.engine {
            Engine::Sqlite(connection) => crate::sqlite::insert_many(connection, into, &rows),
            Engine::Postgres(client) => verbs::insert_many(client, into, &rows).await,
        }
    }

    /// Inserts the rows that are not there yet, by the table's unique key, and says of each whether it was new.
    /// The last column must differ in every row. On PostgreSQL this waits for whoever is inserting the same key.
    pub(crate) async fn insert_new(&mut self, into: Into, rows: Vec<Vec<Value>>) -> Result<Vec<bool>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.faults.step()?;
        match &mut self.engine {
            Engine::Sqlite(connection) => crate::sqlite::insert_new(connection, into, &rows),
            Engine::Postgres(client) => verbs::insert_new(client, into, &rows).await,
        }
    }

    /// Keeps other transactions that name the same number waiting until this one ends. SQLite has one writer, so
    /// there is nobody to wait for.
    pub(crate) async fn lock(&mut self, keys: Vec<i64>) -> Result<(), Error> {
        self.wait_for("SELECT pg_advisory_xact_lock(?1)", keys).await
    }

    /// Waits for whoever has locked this number, and keeps it from being locked; any number may share it.
    pub(crate) async fn share(&mut self, key: i64) -> Result<(), Error> {
        self.wait_for("SELECT pg_advisory_xact_lock_shared(?1)", vec![key]).await
    }

    async fn wait_for(&mut self, sql: &str, mut keys: Vec<i64>) -> Result<(), Error> {
        keys.sort_unstable();
        keys.dedup();
        match &mut self.engine {
            Engine::Postgres(client) if !keys.is_empty() => {
                self.faults.step()?;
                let lists: Vec<Vec<Value>> = keys.into_iter().map(|key| vec![Value::Int(key)]).collect();
                verbs::fetch_each(client, sql, &lists).await.map(|_| ())
            }
            Engine::Sqlite(_) | Engine::Postgres(_) => Ok(()),
        }
    }
}

/// A failure to inject: tests count statements down to it. Without a plan it costs one load per statement.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<AtomicI64>);

impl Faults {
    /// Fails the statement that comes after `statements` more; zero fails the next one.
    pub fn fail_after(&self, statements: u32) {
        self.0.store(i64::from(statements) + 1, Ordering::SeqCst);
    }

    /// Takes the plan back; says whether it had struck.
    pub fn clear(&self) -> bool {
        self.0.swap(0, Ordering::SeqCst) < 0
    }

    pub(crate) fn step(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) <= 0 {
            return Ok(());
        }
        if self.0.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.store(-1, Ordering::SeqCst);
            return Err(Error::Injected);
        }
        Ok(())
    }
}
