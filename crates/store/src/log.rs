//! Copies the write-ahead log into the database beside the writer, who would stand still for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME};

use crate::error::Error;
use crate::sqlite::open_writer;
use crate::sync;
use crate::threads::spawn;

/// How many frames of the log cause its copying.
const FRAMES_MAX: i32 = 4_000;
/// How few may be left for the writer to copy.
const FRAMES_LEFT: i32 = 200;
/// How often the copier goes over what came meanwhile.
const PASSES_MAX: usize = 3;

/// Whoever copies the log.
pub(crate) struct Copier {
    ask: SyncSender<()>,
    /// All but the newest frames are copied: the writer does the rest, and the log begins anew.
    is_nearly_done: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Whether the store may still be written, and where it is said if not.
#[derive(Clone)]
pub(crate) struct Soundness {
    pub(crate) folder: PathBuf,
    pub(crate) has_failed: Arc<AtomicBool>,
}

impl Soundness {
    /// Whether no sync has failed so far.
    pub(crate) fn is_given(&self) -> bool {
        !self.has_failed.load(Ordering::Acquire)
    }

    /// Ends all writing if a sync has failed, and says what there is to tell: nothing is acknowledged after that,
    /// whoever saw it fail.
    pub(crate) fn note(&self, outcome: Result<(), Error>) -> Result<(), Error> {
        if let Err(Error::Fatal) = outcome {
            tracing::error!("a sync failed: the store accepts nothing more");
            sync::mark(&self.folder);
            self.has_failed.store(true, Ordering::Release);
        }
        if self.is_given() { outcome } else { Err(Error::Fatal) }
    }

    /// Ends with a connection. After a failed sync it is not closed: that might copy the log, and nobody knows what of
    /// it is on the disk.
    pub(crate) fn leave<C>(&self, connection: C) {
        if !self.is_given() {
            std::mem::forget(connection);
        }
    }
}

impl Copier {
    /// Starts the thread that copies.
    pub(crate) fn start(file: &Path, soundness: Soundness) -> Result<Copier, Error> {
        let connection = open_writer(file)?;
        let (ask, asked) = sync_channel(1);
        let is_nearly_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_nearly_done);
        let thread = spawn("store-copier", move || {
            copy_when_asked(&connection, &asked, &done, &soundness);
            soundness.leave(connection);
        })?;
        Ok(Copier { ask, is_nearly_done, thread })
    }

    /// To be called by the writer between its transactions. Whatever keeps the log from being copied, if it is no failed
    /// sync: the log holds everything, and the next commit tries again.
    pub(crate) fn after_commit(&self, writer: &Connection) -> Result<(), Error> {
        let (frames, copied) = writer.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::NOOP)?;
        if frames < FRAMES_MAX || copied == frames {
            return Ok(());
        }
        if self.is_nearly_done.swap(false, Ordering::AcqRel) {
            writer.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::PASSIVE)?;
        } else {
            // It has been asked already, or is about to end with the process.
            let _ = self.ask.try_send(());
        }
        Ok(())
    }

    /// Waits until what is being copied is, and ends.
    pub(crate) fn end(self) {
        drop(self.ask);
        // It does not panic; if it did, it has ended all the same.
        let _ = self.thread.join();
    }
}

/// Copies the whole log and leaves nothing in it: the database alone is complete then. Whatever keeps it from that, if it
/// is no failed sync: the log holds everything.
pub(crate) fn empty(last: &Connection) -> Result<(), Error> {
    last.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::TRUNCATE)?;
    Ok(())
}

fn copy_when_asked(
    connection: &Connection,
    asked: &Receiver<()>,
    is_nearly_done: &AtomicBool,
    soundness: &Soundness,
) {
    while asked.recv().is_ok() && soundness.is_given() {
        // The writer tells whoever writes next.
        let _ = soundness.note(copy(connection));
        is_nearly_done.store(true, Ordering::Release);
    }
}

fn copy(connection: &Connection) -> Result<(), Error> {
    for _ in 0..PASSES_MAX {
        let (frames, copied) = connection.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::PASSIVE)?;
        if frames - copied < FRAMES_LEFT {
            break;
        }
    }
    Ok(())
}
