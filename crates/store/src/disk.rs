//! The disk beneath an embedded store: how much is left of it, and whether that is enough to take what is new. What
//! becomes of work already taken is recorded, and old things removed, from what is kept in reserve.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::db::Tx;
use crate::error::Error;
use crate::{Location, Store};

/// How much is kept in reserve, in bytes: a million attempts recorded, or several seconds of the busiest load between two
/// looks.
const RESERVE_MAX: u64 = 256 * 1024 * 1024;
/// Of a small disk, one part in so many.
const RESERVE_SHARE: u64 = 20;
/// One part in so many of the reserve has to be on the disk itself: the log does not grow into the room within the
/// database.
const LOG_SHARE: u64 = 4;

/// What was seen of a disk, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disk {
    /// Free on the disk.
    pub free_bytes: u64,
    /// Free within the database: what was removed leaves room that is used again.
    pub spare_bytes: u64,
    /// Kept in reserve.
    pub reserve_bytes: u64,
    /// The length of the write-ahead log.
    pub log_bytes: u64,
}

impl Disk {
    /// Whether no more than the reserve is left: what is new is refused.
    pub fn is_short(&self) -> bool {
        self.free_bytes < self.reserve_bytes / LOG_SHARE
            || self.free_bytes.saturating_add(self.spare_bytes) < self.reserve_bytes
    }
}

/// Whether no more than the reserve is left, as of the last look.
#[derive(Clone)]
pub(crate) struct Reserve {
    folder: Option<PathBuf>,
    is_short: Arc<AtomicBool>,
}

impl Reserve {
    pub(crate) fn at(location: &Location) -> Reserve {
        let folder = match location {
            Location::Folder(folder) => Some(folder.clone()),
            Location::Postgres(_) => None,
        };
        Reserve { folder, is_short: Arc::default() }
    }

    /// Refuses what is new when no more is left.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_short.load(Ordering::Relaxed) { Err(Error::DiskFull) } else { Ok(()) }
    }
}

impl Store {
    /// Looks at the disk beneath an embedded store: until the next look requests and messages are taken, or refused with
    /// [`Error::DiskFull`], by what was seen. `None` on PostgreSQL, whose server has the disk, and where the system does
    /// not tell.
    pub async fn look_at_disk(&self) -> Result<Option<Disk>, Error> {
        let reserve = &self.inner.reserve;
        let Some(folder) = reserve.folder.clone() else { return Ok(None) };
        let seen = self.inner.db.read(move |tx| Box::pin(async move { look(tx, &folder).await })).await?;
        reserve.is_short.store(seen.is_some_and(|disk| disk.is_short()), Ordering::Relaxed);
        Ok(seen)
    }

    /// Whether no more than the reserve was left of the disk when it was last looked at.
    pub fn is_disk_short(&self) -> bool {
        self.inner.reserve.check().is_err()
    }
}

async fn look(tx: &mut Tx, folder: &Path) -> Result<Option<Disk>, Error> {
    let Ok(about) = rustix::fs::statvfs(folder) else { return Ok(None) };
    let free_pages = number(tx, "PRAGMA freelist_count").await?;
    let page_bytes = number(tx, "PRAGMA page_size").await?;
    let log = std::fs::metadata(folder.join(crate::sync::LOG));
    Ok(Some(Disk {
        free_bytes: about.f_bavail.saturating_mul(about.f_frsize),
        spare_bytes: free_pages.saturating_mul(page_bytes),
        reserve_bytes: RESERVE_MAX.min(about.f_blocks.saturating_mul(about.f_frsize) / RESERVE_SHARE),
        log_bytes: log.map_or(0, |log| log.len()),
    }))
}

async fn number(tx: &mut Tx, sql: &str) -> Result<u64, Error> {
    let row = tx.fetch_one(sql, &[]).await?;
    Ok(row.map_or(Ok(0), |row| row.int(0))?.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_on_the_disk_or_within_the_database_and_some_of_it_on_the_disk() {
        for (free_bytes, spare_bytes, is_short) in
            [(100, 0, false), (99, 0, true), (50, 50, false), (25, 75, false), (24, 1_000, true)]
        {
            let disk = Disk { free_bytes, spare_bytes, reserve_bytes: 100, log_bytes: 0 };
            assert_eq!(disk.is_short(), is_short, "{disk:?}");
        }
    }
}
