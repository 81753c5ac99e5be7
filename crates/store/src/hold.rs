//! One gateway for each folder: leases and the memory of dedupe keys live in its process, so a second one would deliver
//! what the first has under way and take a repeat for news.

use std::fs::{File, TryLockError};

use crate::error::Error;
use crate::sqlite::make_folder;
use crate::{Config, Location};

/// A folder held against a second gateway, until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Hold {
    _lock: File,
}

impl Hold {
    /// Holds the folder of an embedded store. PostgreSQL needs no hold: there everything is in the rows.
    pub fn take(config: &Config) -> Result<Option<Hold>, Error> {
        let Location::Folder(folder) = &config.location else { return Ok(None) };
        make_folder(folder)?;
        let path = folder.join("gancho.lock");
        let cannot =
            |error: std::io::Error| Error::Config(format!("cannot lock {}: {error}", path.display()));
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Hold { _lock: lock })),
            Err(TryLockError::WouldBlock) => Err(Error::Config(format!(
                "another gateway runs on {}: stop it, or use a folder of its own (several nodes need PostgreSQL)",
                folder.display()
            ))),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }
}
