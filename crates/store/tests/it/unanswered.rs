//! A PostgreSQL that does not answer, and locks that somebody else holds: nobody waits for long, or one after another.

use std::time::Duration;

use futures_util::future::join_all;
use store::{Error, Store};
use tokio::time::{pause, resume, timeout};
use tokio_postgres::{Client, NoTls};

use crate::engine::on_postgres;
use crate::proxy::Proxy;
use crate::scene::{Scene, message, open};

/// Longer than a server may take to begin a transaction, by a clock that stands still while anything is done.
const AT_ONCE: Duration = Duration::from_secs(3);
/// Longer than any transaction may take, by the same clock.
const AT_LAST: Duration = Duration::from_secs(40);

/// A node that reaches the scene's database by way of a proxy.
async fn open_by(proxy: &Proxy, scene: &Scene) -> Result<Store, Error> {
    open(&proxy.location(&scene.location), 1, &scene.faults, &scene.clock).await
}

/// Runs an operation whose transaction gets no answer from this statement on.
async fn unanswered<T>(proxy: &Proxy, from: &'static str, operation: impl Future<Output = Result<T, Error>>) {
    proxy.silence_at(from);
    let within = if from == "BEGIN" { AT_ONCE } else { AT_LAST };
    let passing = async {
        proxy.silent().await;
        // From here on nothing happens but time.
        pause();
    };
    let (outcome, ()) = tokio::join!(timeout(within, operation), passing);
    let failure = outcome.expect("nobody waits that long").err();
    assert!(matches!(failure, Some(Error::Unavailable(_))), "{from}: {failure:?}");
    timeout(AT_LAST, proxy.deserted()).await.expect("what was given up is closed");
    resume();
    proxy.speak();
}

#[tokio::test]
async fn a_server_that_never_answers_keeps_nobody_for_long() {
    on_postgres(async |scene| {
        let proxy = Proxy::before(&scene.location).await;
        let store = open_by(&proxy, &scene).await.expect("a store");
        let node = Scene { store, ..scene.clone() };
        let source = node.source().await;
        for from in ["BEGIN", "INSERT INTO receipts", "COMMIT"] {
            unanswered(&proxy, from, node.try_receive(&source, vec![message("m1", "ana")])).await;
        }
        for from in ["BEGIN", "SELECT count(*)", "COMMIT"] {
            unanswered(&proxy, from, node.stats().backlog()).await;
        }
        unanswered(&proxy, "current_setting", open_by(&proxy, &scene)).await;
        assert!(node.event_types().await.is_empty());
        assert_eq!(node.receive(&source, vec![message("m1", "ana")]).await.items_new, 1);
    })
    .await;
}

/// Somebody who keeps requests from being stored.
async fn locker(scene: &Scene) -> Client {
    let store::Location::Postgres(url) = &scene.location else { panic!("a folder has no server") };
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a server");
    tokio::spawn(connection);
    client.batch_execute("BEGIN; LOCK TABLE receipts IN EXCLUSIVE MODE").await.expect("a lock");
    client
}

/// Eight requests that share a transaction; says how many were stored. The first that hears of it lets the lock go.
async fn stored_until_one_hears(scene: &Scene, locker: &Client) -> usize {
    let source = scene.source().await;
    let arrivals = (0..8).map(async |n| {
        let outcome = scene.try_receive(&source, vec![message(&format!("m{n}"), "ana")]).await;
        locker.batch_execute("ROLLBACK").await.expect("a lock let go");
        outcome
    });
    let outcomes = join_all(arrivals).await;
    assert!(outcomes.iter().flat_map(|outcome| outcome.as_ref().err()).all(Error::is_transient));
    outcomes.iter().filter(|outcome| outcome.is_ok()).count()
}

#[tokio::test]
async fn a_batch_that_waits_for_a_lock_in_vain_is_refused_as_a_whole() {
    on_postgres(async |scene| {
        let locker = locker(&scene).await;
        assert_eq!(stored_until_one_hears(&scene, &locker).await, 0, "none was tried alone");
        assert_eq!(stored_until_one_hears(&scene, &locker).await, 8, "all are taken without the lock");
    })
    .await;
}

#[tokio::test]
async fn a_batch_whose_statement_was_cancelled_is_refused_as_a_whole() {
    on_postgres(async |scene| {
        let locker = locker(&scene).await;
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let cancelling = async { while locker.query(cancel, &[]).await.expect("an answer").is_empty() {} };
        let (stored, ()) = tokio::join!(stored_until_one_hears(&scene, &locker), cancelling);
        assert_eq!(stored, 0, "none was tried alone");
    })
    .await;
}
