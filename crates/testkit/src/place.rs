//! Where a story's data lives: a folder, or a database of its own; gone afterwards.

pub mod server;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;

use crate::variable;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Which engine a story runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// The embedded one.
    Sqlite,
    /// A private server, named by `GANCHO_TEST_POSTGRES`.
    Postgres,
}

/// A place for one story's data.
#[derive(Debug)]
pub struct Place {
    /// The `store` setting.
    pub store: String,
    folder: Option<PathBuf>,
}

impl Place {
    /// A fresh place; `None` when there is no PostgreSQL and nobody insists on one.
    pub async fn fresh(engine: Engine) -> anyhow::Result<Option<Place>> {
        let name = format!("story_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        match engine {
            Engine::Sqlite => {
                let folder = std::env::temp_dir().join(name);
                Ok(Some(Place { store: format!("sqlite:{}", folder.display()), folder: Some(folder) }))
            }
            Engine::Postgres => Place::database(&name).await,
        }
    }

    async fn database(name: &str) -> anyhow::Result<Option<Place>> {
        let Some(server) = variable("GANCHO_TEST_POSTGRES") else {
            anyhow::ensure!(
                variable("CI").is_none(),
                "GANCHO_TEST_POSTGRES is not set: `scripts/test` sets it"
            );
            return Ok(None);
        };
        let status = std::process::Command::new("psql")
            .args([&server, "-q", "-c", &format!("CREATE DATABASE {name}")])
            .status()
            .context("psql is needed to make a database")?;
        anyhow::ensure!(status.success(), "the database could not be made");
        Ok(Some(Place { store: server.replacen("/postgres?", &format!("/{name}?"), 1), folder: None }))
    }

    /// An embedded store in a folder that somebody else looks after.
    pub fn at(folder: &std::path::Path) -> Place {
        Place { store: format!("sqlite:{}", folder.display()), folder: None }
    }

    /// The database at a URL that somebody else looks after.
    pub fn on(url: &str) -> Place {
        Place { store: url.to_owned(), folder: None }
    }

    /// Where files are beside a database, which has no folder for them: one for each database.
    pub fn files(&self) -> Option<PathBuf> {
        let database = self.store.strip_prefix("postgres://")?.rsplit('/').next()?.split('?').next()?;
        Some(std::env::temp_dir().join(format!("{database}_files")))
    }

    /// The folder of an embedded store.
    pub fn folder(&self) -> Option<&PathBuf> {
        self.folder.as_ref()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for folder in self.folder.clone().into_iter().chain(self.files()) {
            // Left behind at worst: it is a temporary folder.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The path in a variable that `scripts/test` sets; `None` when it is not set and nobody insists.
pub fn tool(name: &str) -> anyhow::Result<Option<PathBuf>> {
    let path = variable(name).map(PathBuf::from);
    anyhow::ensure!(path.is_some() || variable("CI").is_none(), "{name} is not set: `scripts/test` sets it");
    Ok(path)
}
