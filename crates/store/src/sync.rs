//! Syncs that SQLite does not make, or does not tell of: those of folders, and what a failed one leaves behind.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::ffi;

use crate::error::Error;

/// Stands in the folder from a failed sync until the log was written once more.
const MARK: &str = "gancho.unsynced";
/// The write-ahead log, by the name SQLite gives it.
pub(crate) const LOG: &str = "gancho.db-wal";
/// How much of the log is copied at a time, in bytes.
const CHUNK: usize = 1024 * 1024;

/// Whether what failed was a sync: nobody knows what is on the disk then.
pub(crate) fn is_failure(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|inner| inner.extended_code);
    code.is_some_and(|code| [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC].contains(&code))
}

/// Makes the names in a folder durable. SQLite does this for the log it makes, but does not tell when it fails.
pub(crate) fn names(folder: &Path) -> Result<(), Error> {
    use io::ErrorKind::{InvalidInput, Unsupported};
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems have no such sync: there a name is as durable as it gets.
        Err(error) if ![InvalidInput, Unsupported].contains(&error.kind()) => Err(Error::Fatal),
        _ => Ok(()),
    }
}

/// Notes that a sync has failed. The note needs no sync: it matters only as long as the kernel's memory does.
pub(crate) fn mark(folder: &Path) {
    if let Err(error) = File::create(folder.join(MARK)) {
        tracing::error!(%error, "the failed sync could not be noted: restart the machine before the gateway");
    }
}

/// After a failed sync the kernel may show bytes of the log that it will never write: a later sync would succeed
/// without them, and what was built on them would be lost. So the log is written once more before it is read.
pub(crate) fn mend(folder: &Path) -> Result<(), Error> {
    let Ok(mark) = File::open(folder.join(MARK)) else { return Ok(()) };
    let written = mark.lock().and_then(|()| match folder.join(MARK).try_exists()? {
        true => write_again(&folder.join(LOG)).and_then(|()| std::fs::remove_file(folder.join(MARK))),
        // Another process held the lock before us, and has done it.
        false => Ok(()),
    });
    written.map_err(|_| Error::Fatal)
}

fn write_again(log: &Path) -> io::Result<()> {
    let log = match File::options().read(true).write(true).open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let (mut chunk, mut at) = (vec![0; CHUNK], 0);
    loop {
        let length = log.read_at(&mut chunk, at)?;
        if length == 0 {
            return log.sync_all();
        }
        log.write_all_at(&chunk[..length], at)?;
        at += length as u64;
    }
}
