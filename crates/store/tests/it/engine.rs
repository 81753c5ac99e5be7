//! Where a test's store is: a folder or a database of its own, gone when the test ends.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use rusqlite::types::ValueRef;
use store::Location;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::scene::Scene;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Runs a test on each engine, each time on an empty store, and checks that everything adds up afterwards.
pub(crate) async fn on_every_engine(test: impl AsyncFn(Scene)) {
    on_sqlite(&test).await;
    on_postgres(&test).await;
}

/// Runs a test on SQLite only: for what the other engine has not.
pub(crate) async fn on_sqlite(test: impl AsyncFn(Scene)) {
    let folder = Folder::new();
    run(Location::Folder(folder.0.clone()), &test).await;
}

/// Runs a test on PostgreSQL only. Without a server it is skipped, aloud; in CI that is a failure.
pub(crate) async fn on_postgres(test: impl AsyncFn(Scene)) {
    let Some(server) = variable("GANCHO_TEST_POSTGRES") else {
        assert_ne!(variable("CI").as_deref(), Some("true"), "GANCHO_TEST_POSTGRES must name a server in CI");
        announce("skipped on PostgreSQL: GANCHO_TEST_POSTGRES is not set");
        return;
    };
    let name = format!("gancho_test_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::SeqCst));
    postgres_run(&server, &format!("CREATE DATABASE {name}")).await;
    let location = Location::Postgres(with_database(&server, &name));
    let outcome = AssertUnwindSafe(run(location, &test)).catch_unwind().await;
    postgres_run(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run must not look as if it had")]
fn announce(words: &str) {
    eprintln!("{words}");
}

async fn run(location: Location, test: &impl AsyncFn(Scene)) {
    let scene = Scene::open(location).await;
    test(scene.clone()).await;
    let counts = scene.stats().counts().await.expect("counts");
    assert!(counts.is_sound(), "{counts:?}");
}

#[expect(clippy::disallowed_methods, reason = "the test's server is named by the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn with_database(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, "sslmode=disable"));
    let (host, _) = address.rsplit_once('/').expect("a URL with a database");
    format!("{host}/{name}?{options}")
}

/// A folder that goes with its value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("gancho-store-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::SeqCst));
        Folder(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a statement past the store and returns its rows as text.
pub(crate) async fn raw(location: &Location, sql: &str) -> Vec<Vec<String>> {
    match location {
        Location::Folder(folder) => sqlite_run(folder, sql),
        Location::Postgres(url) => postgres_run(url, sql).await,
    }
}

fn sqlite_run(folder: &Path, sql: &str) -> Vec<Vec<String>> {
    let connection = rusqlite::Connection::open(folder.join("gancho.db")).expect("a database");
    connection.busy_timeout(std::time::Duration::from_secs(5)).expect("a timeout");
    let mut statement = connection.prepare(sql).expect("a statement");
    let width = statement.column_count();
    let mut found = statement.query([]).expect("rows");
    let mut rows = Vec::new();
    while let Some(row) = found.next().expect("a row") {
        let text = |at| match row.get_ref(at).expect("a column") {
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        rows.push((0..width).map(text).collect());
    }
    rows
}

async fn postgres_run(url: &str, sql: &str) -> Vec<Vec<String>> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a server");
    let driver = tokio::spawn(connection);
    let messages = client.simple_query(sql).await.expect("rows");
    drop(client);
    let _ = driver.await;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or("null").to_owned()).collect()).collect()
}
