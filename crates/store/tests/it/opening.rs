//! Opening a store, twice, by an older program, and after the clock was set back.

use std::time::Duration;

use store::Error;

use crate::engine::{on_every_engine, on_postgres};
use crate::scene::{message, open};

#[tokio::test]
async fn a_store_opened_again_has_what_was_stored() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        scene.receive(&source, vec![message("m1", "ana")]).await;
        let again = scene.node(1).await;
        assert_eq!(again.event_types().await, ["conversation.created", "message.received"]);
        assert_eq!(
            again.routing().source(source.id).map(|found| found.name.clone()),
            Some("numbers".to_owned())
        );
    })
    .await;
}

#[tokio::test]
async fn a_database_changed_by_a_newer_program_is_refused() {
    on_every_engine(async |scene| {
        scene
            .raw("INSERT INTO schema_history (version, name, checksum) VALUES (9000, '9000_later', 'x')")
            .await;
        let refused = open(&scene.location, 0, &scene.faults, &scene.clock).await.map(|_| ());
        assert!(matches!(refused, Err(Error::Migration(words)) if words.contains("9000_later")));
    })
    .await;
}

#[tokio::test]
async fn a_database_with_another_past_is_refused() {
    on_every_engine(async |scene| {
        scene.raw("UPDATE schema_history SET checksum = 'other' WHERE version = 1").await;
        let refused = open(&scene.location, 0, &scene.faults, &scene.clock).await.map(|_| ());
        assert!(matches!(refused, Err(Error::Migration(words)) if words.contains("0001_initial")));
    })
    .await;
}

#[tokio::test]
async fn ids_go_on_rising_when_the_clock_was_set_back_between_two_starts() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let before = scene.receive(&source, vec![message("m1", "ana")]).await;
        scene.clock.set(scene.now().minus(Duration::from_secs(3600)));
        let again = scene.node(0).await;
        let after = again.receive(&source, vec![message("m2", "ana")]).await;
        assert!(after.receipt > before.receipt);
    })
    .await;
}

#[tokio::test]
async fn a_ping_reaches_the_disk() {
    on_every_engine(async |scene| {
        scene.stats().ping().await.expect("a ping");
        assert!(scene.is_sound());
    })
    .await;
}

#[tokio::test]
async fn a_store_goes_on_after_the_server_has_closed_its_connections() {
    on_postgres(async |scene| {
        let source = scene.source().await;
        scene.receive(&source, vec![message("m1", "ana")]).await;
        let close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        for n in 0..5 {
            scene.raw(close).await;
            match scene.try_receive(&source, vec![message(&format!("during {n}"), "ana")]).await {
                Ok(_) | Err(Error::Unavailable(_)) => {}
                Err(other) => panic!("a lost connection must be told as such: {other:?}"),
            }
            scene.receive(&source, vec![message(&format!("after {n}"), "ana")]).await;
        }
    })
    .await;
}
