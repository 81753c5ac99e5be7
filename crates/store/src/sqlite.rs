//! SQLite: one writer thread that shares its commits, and a few readers.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, ffi};
use tokio::sync::{mpsc, oneshot};

use crate::db::{Engine, Faults, Into, Tx};
use crate::error::{EngineError, Error};
use crate::log::{Copier, Soundness, empty};
use crate::sync;
use crate::threads::{Thread, Threads, spawn};
use crate::value::{Row, Value};

/// The oldest SQLite we run on: 3.51.3 ended a bug that could corrupt a write-ahead log.
const VERSION_MIN: i32 = 3_051_003;
/// The most jobs that wait for the writer; beyond it callers wait, and ingest answers 503.
const QUEUE_MAX: usize = 4_096;
/// The most jobs that share one commit.
const JOBS_PER_COMMIT_MAX: usize = 512;
/// How many readers there are.
const READERS: usize = 3;
/// Statements kept prepared on each connection.
const STATEMENTS_KEPT: usize = 256;

/// A job in the queue: runs inside a transaction, where there is one, and afterwards tells its caller how it ended.
type Job = Box<dyn FnOnce(Option<&mut Tx>, Place) -> Ran + Send>;
/// Tells the caller, once it is known whether the commit reached the disk.
type Told = Box<dyn FnOnce(Option<Error>) + Send>;
/// Whom to tell, and how the job failed if it did: it may have taken the whole transaction with it.
type Ran = (Told, Option<Error>);

/// Where in its transaction a job stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing came before it: if it fails, the whole transaction is undone.
    First,
    /// If it fails, what came before it stays: it runs in a savepoint.
    After,
}

/// The embedded engine.
pub(crate) struct Sqlite {
    writer: mpsc::Sender<Job>,
    readers: Vec<mpsc::Sender<Job>>,
    next_reader: std::sync::atomic::AtomicUsize,
    failed: Arc<AtomicBool>,
    threads: Threads,
}

impl Sqlite {
    /// Opens (and makes) the database in `folder`.
    pub(crate) fn open(folder: &Path, faults: &Faults) -> Result<Sqlite, Error> {
        let version = rusqlite::version_number();
        if version < VERSION_MIN {
            return Err(Error::Config(format!(
                "SQLite {version} is too old: at least {VERSION_MIN} is needed"
            )));
        }
        make_folder(folder)?;
        sync::mend(folder)?;
        let file = folder.join("gancho.db");
        let connection = Tx::new(Engine::Sqlite(open_writer(&file)?), faults.clone());
        let threads = Threads::default();
        let readers: Result<Vec<_>, Error> =
            (0..READERS).map(|_| start_reader(&file, faults.clone(), threads.one())).collect();
        let readers = readers?;
        // By now the log is there too.
        sync::names(folder)?;
        let failed = Arc::new(AtomicBool::new(false));
        let soundness = Soundness { folder: folder.to_owned(), has_failed: Arc::clone(&failed) };
        let copier = Copier::start(&file, soundness.clone())?;
        let writer = start_writer(connection, copier, soundness, threads.one())?;
        Ok(Sqlite { writer, readers, next_reader: Default::default(), failed, threads })
    }

    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::Fatal);
        }
        let (job, answer) = boxed(|tx, place| match place {
            Place::First => contained(|| finish(job(tx))),
            Place::After => in_savepoint(tx, job),
        });
        self.writer.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    pub(crate) async fn read<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        let (job, answer) = boxed(|tx, _| contained(|| finish(job(tx))));
        let reader = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        self.readers[reader].send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Takes nothing more, does what waits, copies the whole log and closes the database, which is complete by itself
    /// then. After a failed sync it is left as it is.
    pub(crate) async fn close(&self) {
        self.threads.ask_to_end();
        for queue in self.readers.iter().chain([&self.writer]) {
            // A thread that waits for a job looks up at this one. One that has ended needs none.
            let _ = queue.send(boxed(|_, _| Ok(())).0).await;
        }
        self.threads.ended().await;
    }

    /// Whether a sync has failed; nothing is accepted any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

fn gone() -> Error {
    Error::Unavailable(EngineError::WriterGone)
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    let cannot = |error| Error::Config(format!("cannot make the data folder {}: {error}", folder.display()));
    let folder = std::path::absolute(folder).map_err(cannot)?;
    let fresh: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(cannot)?;
    fresh.into_iter().filter_map(Path::parent).try_for_each(sync::names)
}

pub(crate) fn open_writer(file: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(file)?;
    // The timeout comes first: two processes that open at once must wait for each other, not fail.
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "locking_mode", "NORMAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // By itself SQLite would tell nobody of a sync that fails while the log is copied: we have it copied.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", 67_108_864)?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    // A savepoint keeps the pages it may have to give back: in memory, not in a file beside the log.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    harden(&connection)?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let sync: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") || sync != 2 {
        return Err(Error::Config(format!(
            "the data folder does not allow durable writes (journal_mode={mode}, synchronous={sync}): use a local disk"
        )));
    }
    Ok(connection)
}

fn harden(connection: &Connection) -> Result<(), Error> {
    use rusqlite::config::DbConfig;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Without it a statement is compiled anew whenever a value that its plan looked at is bound again.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

fn boxed<T: Send + 'static>(
    run: impl FnOnce(&mut Tx, Place) -> Result<T, Error> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, Error>>) {
    let (tell, answer) = oneshot::channel();
    let job: Job = Box::new(move |tx, place| {
        let outcome = tx.map_or_else(|| Err(gone()), |tx| run(tx, place));
        let failure = outcome.as_ref().err().map(same);
        let told: Told = Box::new(move |commit_error| {
            // Nobody may be waiting any more; what happened has happened.
            let _ = tell.send(match commit_error {
                Some(error) => Err(error),
                None => outcome,
            });
        });
        (told, failure)
    });
    (job, answer)
}

/// Runs a job so that its failure, or its panic, is its own and not its neighbours'.
fn in_savepoint<T, F>(tx: &mut Tx, job: F) -> Result<T, Error>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>>,
{
    run_text(tx, "SAVEPOINT job")?;
    let outcome = contained(|| finish(job(tx)));
    if outcome.is_err() {
        tx.undo_job();
    }
    let undone = if outcome.is_err() { run_text(tx, "ROLLBACK TO job") } else { Ok(()) };
    let closed = undone.and_then(|()| run_text(tx, "RELEASE job"));
    if closed.is_err() {
        // What cannot be taken back alone is taken back with everything. After an error of the disk SQLite has done so.
        let _ = run_text(tx, "ROLLBACK");
    }
    outcome.and_then(|done| closed.map(|()| done))
}

/// A panic is the failure of the operation it happened in; the thread goes on.
fn contained<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    outcome.unwrap_or_else(|_| Err(Error::Corrupt("a store operation panicked".to_owned())))
}

/// Polls a body whose awaits are all ready.
fn finish<T>(body: BoxFuture<'_, Result<T, Error>>) -> Result<T, Error> {
    let mut body = pin!(body);
    match body.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(Error::Corrupt("a store operation waited for something else".to_owned())),
    }
}

fn run_text(tx: &mut Tx, sql: &str) -> Result<(), Error> {
    match tx.engine() {
        Engine::Sqlite(connection) => Ok(connection.prepare_cached(sql)?.execute([]).map(|_| ())?),
        Engine::Postgres(_) => Err(Error::Corrupt("a SQLite statement on PostgreSQL".to_owned())),
    }
}

fn start_writer(
    mut tx: Tx,
    copier: Copier,
    soundness: Soundness,
    thread: Thread,
) -> Result<mpsc::Sender<Job>, Error> {
    let (send, mut jobs) = mpsc::channel::<Job>(QUEUE_MAX);
    spawn("store-writer", move || {
        while let Some(first) = jobs.blocking_recv().filter(|_| soundness.is_given()) {
            let (told, outcome) = run_group(&mut tx, first, &mut jobs);
            let outcome = soundness.note(outcome);
            told.into_iter().for_each(|tell| tell(outcome.as_ref().err().map(same)));
            if let (Ok(()), Engine::Sqlite(connection)) = (outcome, tx.engine()) {
                // Whoever writes next is told.
                let _ = soundness.note(copier.after_commit(connection));
            }
            if thread.is_to_end() {
                jobs.close();
            }
        }
        copier.end();
        if let (true, true, Engine::Sqlite(connection)) =
            (thread.is_to_end(), soundness.is_given(), tx.engine())
        {
            // Whoever closes asks whether it is sound.
            let _ = soundness.note(empty(connection));
        }
        soundness.leave(tx);
        drop(thread);
    })?;
    Ok(send)
}

/// Runs what is waiting in one transaction; returns whom to tell, and what became of it. What comes meanwhile is left
/// for the next one: its senders would otherwise all wait for each other, and half of the machine with them.
fn run_group(tx: &mut Tx, first: Job, jobs: &mut mpsc::Receiver<Job>) -> (Vec<Told>, Result<(), Error>) {
    let begun = begin(tx);
    if begun.is_err() {
        return (vec![first(None, Place::First).0], begun);
    }
    let mut left = jobs.len().min(JOBS_PER_COMMIT_MAX - 1);
    let (mut told, mut broken, mut next) = (Vec::new(), Ok(()), Some(first));
    while let Some(job) = next.take() {
        let place = if told.is_empty() { Place::First } else { Place::After };
        tx.begin_job();
        let (tell, failure) = job(Some(&mut *tx), place);
        match failure {
            Some(error) if place == Place::First && !matches!(error, Error::Fatal) => {
                tell(None);
                broken = begin_anew(tx);
            }
            failure => {
                told.push(tell);
                if is_over(tx) || matches!(failure, Some(Error::Fatal)) {
                    broken = Err(failure.unwrap_or_else(gone));
                }
            }
        }
        if broken.is_ok() && left > 0 {
            next = jobs.try_recv().ok();
            left -= 1;
        }
    }
    let outcome = broken.and_then(|()| tx.step()).and_then(|()| run_text(tx, "COMMIT"));
    if outcome.is_err() {
        // After a full disk SQLite may have rolled back already; a second time does no harm.
        let _ = run_text(tx, "ROLLBACK");
        // It may have let go of what is stored after all.
        tx.runs = None;
    }
    (told, outcome)
}

fn begin(tx: &mut Tx) -> Result<(), Error> {
    tx.step()?;
    run_text(tx, "BEGIN IMMEDIATE")
}

/// Undoes a transaction in which only one job has run, and failed.
fn begin_anew(tx: &mut Tx) -> Result<(), Error> {
    tx.undo_job();
    // After an error of the disk SQLite has done so already.
    let _ = run_text(tx, "ROLLBACK");
    run_text(tx, "BEGIN IMMEDIATE")
}

/// Whether SQLite has ended the transaction by itself, as it does when the disk fails in the middle of a job. Another
/// job would then be a transaction of its own.
fn is_over(tx: &mut Tx) -> bool {
    matches!(tx.engine(), Engine::Sqlite(connection) if connection.is_autocommit())
}

/// The same error for everybody who shared a commit.
fn same(error: &Error) -> Error {
    match error {
        Error::Unavailable(EngineError::Sqlite(inner)) => {
            let code = inner.sqlite_error().map_or(ffi::SQLITE_ERROR, |inner| inner.extended_code);
            let said = rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(inner.to_string()));
            Error::Unavailable(EngineError::Sqlite(said))
        }
        Error::Corrupt(what) => Error::Corrupt(what.clone()),
        other => other.kind()(),
    }
}

fn start_reader(file: &Path, faults: Faults, thread: Thread) -> Result<mpsc::Sender<Job>, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    harden(&connection)?;
    let mut tx = Tx::new(Engine::Sqlite(connection), faults);
    let (send, mut jobs) = mpsc::channel::<Job>(QUEUE_MAX);
    spawn("store-reader", move || {
        while let Some(job) = jobs.blocking_recv() {
            match tx.step().and_then(|()| run_text(&mut tx, "BEGIN")) {
                Ok(()) => job(Some(&mut tx), Place::First).0(None),
                Err(error) => job(None, Place::First).0(Some(error)),
            }
            if run_text(&mut tx, "COMMIT").is_err() {
                let _ = run_text(&mut tx, "ROLLBACK");
            }
            if thread.is_to_end() {
                jobs.close();
            }
        }
        drop(tx);
        drop(thread);
    })?;
    Ok(send)
}

pub(crate) fn execute(connection: &Connection, sql: &str, args: &[Value]) -> Result<u64, Error> {
    let touched = connection.prepare_cached(sql)?.execute(rusqlite::params_from_iter(args))?;
    Ok(touched as u64)
}

pub(crate) fn fetch(connection: &Connection, sql: &str, args: &[Value]) -> Result<Vec<Row>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    rows_of(&mut statement, args)
}

pub(crate) fn execute_many(
    connection: &Connection,
    sql: &str,
    lists: &[Vec<Value>],
) -> Result<Vec<u64>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    lists.iter().map(|args| Ok(statement.execute(rusqlite::params_from_iter(args))? as u64)).collect()
}

pub(crate) fn fetch_many(
    connection: &Connection,
    sql: &str,
    lists: &[Vec<Value>],
) -> Result<Vec<Vec<Row>>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    lists.iter().map(|args| rows_of(&mut statement, args)).collect()
}

fn rows_of(statement: &mut rusqlite::Statement<'_>, args: &[Value]) -> Result<Vec<Row>, Error> {
    let width = statement.column_count();
    let mut found = statement.query(rusqlite::params_from_iter(args))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let columns: Result<Vec<Value>, Error> = (0..width).map(|at| column(row.get_ref(at)?)).collect();
        rows.push(Row(columns?));
    }
    Ok(rows)
}

fn column(value: ValueRef<'_>) -> Result<Value, Error> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(value) => Ok(Value::Int(value)),
        ValueRef::Text(text) => Ok(Value::of_text(text)),
        ValueRef::Blob(bytes) => Ok(Value::Bytes(Bytes::copy_from_slice(bytes))),
        ValueRef::Real(_) => Err(Error::Corrupt("a fraction where none is stored".to_owned())),
    }
}

pub(crate) fn insert_many(connection: &Connection, into: Into, rows: &[Vec<Value>]) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(&insert_text("INSERT", into))?;
    for row in rows {
        statement.execute(rusqlite::params_from_iter(row))?;
    }
    Ok(())
}

pub(crate) fn insert_new(
    connection: &Connection,
    into: Into,
    rows: &[Vec<Value>],
) -> Result<Vec<bool>, Error> {
    let mut statement = connection.prepare_cached(&insert_text("INSERT OR IGNORE", into))?;
    rows.iter().map(|row| Ok(statement.execute(rusqlite::params_from_iter(row))? == 1)).collect()
}

fn insert_text(verb: &str, into: Into) -> String {
    let marks: Vec<String> = (1..=into.columns.len()).map(|n| format!("?{n}")).collect();
    format!("{verb} INTO {} ({}) VALUES ({})", into.table, into.column_list(), marks.join(", "))
}
