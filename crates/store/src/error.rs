//! What can go wrong with the store, by what the caller can do about it.

use tokio_postgres::error::SqlState;

/// Why an operation did not happen. Whatever the variant, nothing of it was stored unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too much is waiting already; try again later.
    #[error("the store is busy: try again later")]
    Busy,
    /// The disk is full, or only its reserve is left; reads go on, and writes will when there is room.
    #[error("the disk is full, but for a reserve: make room, writes resume by themselves")]
    DiskFull,
    /// The engine cannot be reached, or gave up on this operation; it may be tried again. After a lost
    /// connection it may have happened all the same: every operation of ours can be repeated safely.
    #[error("the store cannot be reached, try again: {0}")]
    Unavailable(#[source] EngineError),
    /// A sync failed, so nobody knows what is on the disk: the process must stop and read it anew.
    #[error("a write did not reach the disk: see to the disk, then start again")]
    Fatal,
    /// The lease has passed to someone else; what was done under it is not recorded.
    #[error("the lease has passed to someone else")]
    LeaseLost,
    /// Somebody else has changed it since it was read.
    #[error("it was changed meanwhile")]
    Stale,
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It contradicts something that is there.
    #[error("{0}")]
    Conflict(&'static str),
    /// A row holds what it never should.
    #[error("corrupt row: {0}")]
    Corrupt(String),
    /// The database belongs to a newer version of this program, or is not ours.
    #[error("{0}")]
    Migration(String),
    /// The settings cannot work.
    #[error("{0}")]
    Config(String),
    /// A test asked for this failure.
    #[error("injected failure")]
    Injected,
}

/// What the engine said.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL.
    #[error("{}", postgres_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// The pool of PostgreSQL connections.
    #[error(transparent)]
    Pool(#[from] deadpool_postgres::PoolError),
    /// PostgreSQL took a question and did not answer; it may be that it was done.
    #[error("PostgreSQL did not answer in time")]
    NoAnswer,
    /// The thread that owns the file has ended.
    #[error("the writer thread has ended")]
    WriterGone,
}

/// Whether the server says that it could not, not that this is wrong: a lock that somebody holds, a statement that took
/// too long or was cancelled, a shortage, a shutdown, a fault below it. Each try would wait as long as this one did.
fn is_of_no_item(code: &SqlState) -> bool {
    *code == SqlState::LOCK_NOT_AVAILABLE
        || ["53", "57", "58"].iter().any(|class| code.code().starts_with(class))
}

/// The server's own words; the library's say only that there are some. They never hold a row's values.
fn postgres_words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => error.to_string(),
    }
}

impl Error {
    /// Whether the same operation may be tried again in a moment.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Busy | Error::DiskFull | Error::Unavailable(_) | Error::Injected)
    }
}

impl Error {
    /// Whether any other operation would have failed just now too.
    pub(crate) fn is_everybodys(&self) -> bool {
        match self {
            Error::DiskFull | Error::Fatal | Error::Busy | Error::Injected => true,
            Error::Unavailable(EngineError::Postgres(error)) => {
                error.is_closed() || error.code().is_some_and(is_of_no_item)
            }
            // Another process that holds the file makes each try wait as long as this one did.
            Error::Unavailable(EngineError::Sqlite(error)) => {
                use rusqlite::ErrorCode::{DatabaseBusy, SystemIoFailure};
                error.sqlite_error_code().is_some_and(|code| [DatabaseBusy, SystemIoFailure].contains(&code))
            }
            Error::Unavailable(EngineError::Pool(_) | EngineError::NoAnswer | EngineError::WriterGone) => {
                true
            }
            _ => false,
        }
    }

    /// Makes errors of the same kind, without what the engine said.
    pub(crate) fn kind(&self) -> fn() -> Error {
        match self {
            Error::DiskFull => || Error::DiskFull,
            Error::Fatal => || Error::Fatal,
            Error::Injected => || Error::Injected,
            _ => || Error::Busy,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            _ if crate::sync::is_failure(&error) => Error::Fatal,
            Some(ErrorCode::DiskFull) => Error::DiskFull,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt(error.to_string()),
            Some(ErrorCode::ConstraintViolation) => Error::Conflict("it is there already"),
            _ => Error::Unavailable(EngineError::Sqlite(error)),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Error {
        match error.code() {
            Some(code) if *code == SqlState::DISK_FULL => Error::DiskFull,
            Some(code) if *code == SqlState::UNIQUE_VIOLATION => Error::Conflict("it is there already"),
            _ => Error::Unavailable(EngineError::Postgres(error)),
        }
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Error {
        Error::Unavailable(EngineError::Pool(error))
    }
}
