//! A PostgreSQL server of a story's own, which it may restart.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::tool;

/// A private server.
#[derive(Debug)]
pub struct Private {
    /// Its URL.
    pub url: String,
    folder: PathBuf,
}

impl Private {
    /// Starts one with the script that starts every private server here; `None` when there is no PostgreSQL and nobody
    /// insists on one.
    pub fn start() -> anyhow::Result<Option<Private>> {
        if tool("GANCHO_TEST_POSTGRES")?.is_none() {
            return Ok(None);
        }
        let folder = std::env::temp_dir().join(format!("gancho-server-{}", std::process::id()));
        let started =
            Command::new(script()).arg("start").arg(&folder).output().context("scripts/postgres")?;
        anyhow::ensure!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let url = String::from_utf8(started.stdout)?.trim().to_owned();
        Ok(Some(Private { url, folder }))
    }

    /// Restarts it as a crash would: connections are cut, what was committed is there.
    pub fn restart(&self) -> anyhow::Result<()> {
        let restarted = Command::new(script()).arg("restart").arg(&self.folder).status()?;
        anyhow::ensure!(restarted.success(), "the server did not restart");
        Ok(())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Left behind at worst: a temporary folder and a server on loopback.
        let _ = Command::new(script()).arg("stop").arg(&self.folder).status();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres")
}
