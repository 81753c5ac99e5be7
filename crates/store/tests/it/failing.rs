//! The fault sweep: each operation fails at every statement in turn, at BEGIN and at COMMIT too, and the store is as
//! before or as after.

use std::time::Duration;

use model::conversation::{ConversationState, Touch};
use model::delivery::DeliveryState;
use model::endpoint::EndpointState;
use model::id::{EndpointId, TokenId};
use model::message::MessageState;
use model::receipt::Reason;
use model::retry::Next;
use store::arrivals::Verdict;
use store::audit::Act;
use store::claims::Wish;
use store::files::FileOutcome;
use store::replays::DeadFilter;
use store::retention::Keep;
use store::watches::RecordedWatch;
use store::{Error, Store};

use crate::engine::on_every_engine;
use crate::filing::{content, failure, fetching_source, picture};
use crate::pacing::paced;
use crate::scene::{LEASE, Scene, arrival, dead, message, message_touching, recorded, status};
use crate::sending::{claim, desk, outcome, queue, words};

/// Everything that an operation may change; the version of the configuration counts each try, so it is left out.
async fn dump(scene: &Scene) -> Vec<Vec<String>> {
    let mut dump = Vec::new();
    for table in [
        "sources",
        "accounts",
        "endpoints",
        "tokens",
        "audit",
        "idempotency",
        "receipts",
        "bodies",
        "events",
        "dedupe",
        "deliveries",
        "attempts",
        "contacts",
        "identifiers",
        "conversations",
        "sends",
        "turns",
        "parked",
        "watches",
        "files",
    ] {
        for mut row in scene.raw(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3")).await {
            row.insert(0, table.to_owned());
            dump.push(row);
        }
    }
    dump
}

/// The store for somebody who acts: the line they leave goes with what they do.
fn acting(scene: &Scene) -> Store {
    scene.acting(Act {
        app: None,
        actor: "tester".to_owned(),
        action: "test.act".to_owned(),
        subject: "it".to_owned(),
    })
}

/// Runs an operation that fails at every statement in turn until it no longer does.
async fn sweep<T>(scene: &Scene, name: &str, operation: impl AsyncFn() -> Result<T, Error>) -> T {
    let before = dump(scene).await;
    let mut halfway = Vec::new();
    for statements in 0..400 {
        scene.faults.fail_after(statements);
        let result = operation().await;
        let has_struck = scene.faults.clear();
        let now = dump(scene).await;
        match result {
            // It may strike after the commit too, where it does no harm.
            Ok(done) => {
                assert!(statements > 0, "{name} runs no statement");
                assert!(halfway.iter().all(|seen| *seen == now), "{name} was neither as before nor as after");
                return done;
            }
            Err(error) => assert!(has_struck && matches!(error, Error::Injected), "{name}: {error:?}"),
        }
        if now != before {
            halfway.push(now);
        }
        let counts = scene.stats().counts().await.expect("counts");
        assert!(counts.is_sound(), "{name} at {statements}: {counts:?}");
    }
    panic!("{name} never ended");
}

#[tokio::test]
async fn an_append_of_everything_at_once_happens_or_does_not() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        scene.endpoint().await;
        let known = queue(&scene, words(&desk, "hello")).await;
        scene.receive(&desk.source, vec![message_touching("b", &[("bsuid", "US.1")], Touch::Inbound)]).await;
        let mut stranger = message("m2", "leo");
        stranger.account = Some("34999".to_owned());
        let events = vec![
            message("m1", "ana"),
            message("m1", "ana"),
            stranger,
            message_touching("m3", &[("wa_id", "ana"), ("bsuid", "US.1")], Touch::HumanEcho),
            status("wamid.x", MessageState::Sent, Some(known.to_string())),
            status("wamid.y", MessageState::Sent, None),
        ];
        let appended =
            sweep(&scene, "append", async || scene.try_receive(&desk.source, events.clone()).await).await;
        assert_eq!((appended.items, appended.items_new), (6, 5));
        assert_eq!(scene.receive(&desk.source, events).await.items_new, 0);
    })
    .await;
}

#[tokio::test]
async fn a_claim_and_a_record_happen_or_do_not() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        scene.endpoint().await;
        scene.receive(&source, vec![message("m1", "ana"), message("m2", "ana"), message("m3", "leo")]).await;
        let claim = async || scene.deliveries().claim(Wish::new(10, LEASE)).await;
        let claimed = sweep(&scene, "claim", claim).await;
        assert_eq!(claimed.len(), 2, "what a failed claim took is free again");
        let record = recorded(&scene, &claimed[0], Next::Delivered);
        sweep(&scene, "record", async || scene.deliveries().record(record.clone()).await).await;
        assert_eq!(scene.claim(10).await.len(), 1, "the next of the line");
    })
    .await;
}

#[tokio::test]
async fn a_cancellation_and_a_replay_happen_or_do_not() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let endpoint = scene.endpoint().await;
        scene.receive(&source, vec![message("m1", "ana"), message("m2", "ana")]).await;
        let head = scene.all_deliveries().await.pop().expect("a delivery");
        let by = acting(&scene);
        sweep(&scene, "cancel", async || by.deliveries().cancel(head.id).await).await;
        sweep(&scene, "replay", async || by.replays().delivery(head.id, false).await).await;
        sweep(&scene, "replay of an event", async || by.replays().event(head.event, endpoint.id).await).await;
        let claimed = scene.claim(10).await;
        assert_eq!(claimed.len(), 3);
        let later = Next::RetryAt(scene.now().plus(LEASE));
        scene.record(&claimed[0], later).await.expect("a record");
        sweep(&scene, "retry", async || by.deliveries().retry(claimed[0].id).await).await;
        for one in scene.claim(10).await.iter().chain(&claimed[1..]) {
            scene.record(one, dead()).await.expect("a record");
        }
        let step = sweep(&scene, "replay of many", async || {
            by.replays().dead(DeadFilter::default(), None, 100).await
        })
        .await;
        assert_eq!((step.made, scene.deliver_all().await.len()), (3, 3));
    })
    .await;
}

#[tokio::test]
async fn queueing_claiming_and_recording_a_send_happen_or_do_not() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        scene.endpoint().await;
        let mut new = words(&desk, "hello");
        new.key = Some((7, "k".to_owned()));
        sweep(&scene, "queue", async || acting(&scene).sends().queue(new.clone()).await).await;
        queue(&scene, words(&desk, "second")).await;
        let claimed =
            sweep(&scene, "claim of sends", async || scene.sends().claim(paced()).await).await.sends;
        let early = status(&format!("wamid.{}", claimed[0].send.id), MessageState::Read, None);
        scene.receive(&desk.source, vec![early]).await;
        let mut record = outcome(&scene, &claimed[0], Next::Delivered);
        record.rest_until = Some(scene.now().plus(Duration::from_secs(5)));
        sweep(&scene, "record of a send", async || scene.sends().record(record.clone()).await).await;
        assert!(claim(&scene).await.is_empty());
        scene.clock.advance(Duration::from_secs(5));
        assert_eq!(claim(&scene).await.len(), 1);
        scene.clock.advance(LEASE);
        sweep(&scene, "giving up a send", async || scene.sends().claim(paced()).await).await;
    })
    .await;
}

#[tokio::test]
async fn a_change_of_a_conversation_and_its_event_go_together() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        scene.endpoint_that(|endpoint| endpoint.subscription = Default::default()).await;
        scene.receive(&source, vec![message("m1", "ana")]).await;
        let id = scene.all_conversations().await[0].id;
        let by = acting(&scene);
        for (state, told) in [
            (ConversationState::HandedOff, "conversation.handoff"),
            (ConversationState::Resolved, "conversation.resolved"),
            (ConversationState::Open, "conversation.reopened"),
        ] {
            // A time that is worth writing down.
            scene.clock.advance(Duration::from_secs(120));
            let has_changed =
                sweep(&scene, told, async || by.conversations().change(id, state, told).await).await;
            assert!(has_changed);
            assert_eq!(scene.event_types().await.last().map(String::as_str), Some(told));
        }
    })
    .await;
}

#[tokio::test]
async fn a_release_and_what_it_brings_go_together() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let everything =
            |endpoint: &mut model::endpoint::Endpoint| endpoint.subscription = Default::default();
        scene.endpoint_that(everything).await;
        let refused = arrival(&source, Verdict::Rejected(Reason::CredentialWrong));
        let id = scene.arrivals().append(refused).await.expect("kept").receipt.expect("a receipt");
        let mut released = arrival(&source, Verdict::Genuine([message("m1", "ana")].into()));
        released.request.as_mut().expect("a request").receipt = Some(id);
        let by = acting(&scene);
        let appended =
            sweep(&scene, "release", async || by.receipts().release(id, released.clone()).await).await;
        assert_eq!(appended.map(|appended| (appended.items_new, appended.deliveries)), Some((1, 2)));
        scene.refresh_routing().await.expect("a read");
        assert!(scene.routing().account(source.id, "34600").is_some(), "it has adopted the account");
        let again = by.receipts().release(id, released.clone()).await.expect("an answer");
        assert!(again.is_none(), "it is accepted by now");
    })
    .await;
}

#[tokio::test]
async fn calling_a_send_off_happens_or_does_not() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        scene.endpoint().await;
        let id = queue(&scene, words(&desk, "hello")).await;
        queue(&scene, words(&desk, "second")).await;
        sweep(&scene, "cancel of a send", async || acting(&scene).sends().cancel(id).await).await;
        assert_eq!(claim(&scene).await.len(), 1, "the next of the line");
    })
    .await;
}

#[tokio::test]
async fn saving_and_removing_what_is_configured_happens_or_does_not() {
    on_every_engine(async |scene| {
        let source = (*scene.source().await).clone();
        let renamed =
            model::source::Source { name: "renamed".to_owned(), path: Some("/hooks".to_owned()), ..source };
        let by = acting(&scene);
        sweep(&scene, "save of a source", async || by.sources().save(renamed.clone()).await).await;
        let seen = scene.sources().get(renamed.id).await.expect("a source");
        sweep(&scene, "change of a source", async || by.sources().replace(seen.clone()).await).await;
        scene.refresh_routing().await.expect("a read");
        assert!(scene.routing().source_at("/hooks").is_some());
        let mut endpoint = scene.endpoint().await;
        endpoint.id = EndpointId::from_raw(77);
        sweep(&scene, "save of an endpoint", async || by.endpoints().save(endpoint.clone()).await).await;
        let seen = scene.endpoints().get(endpoint.id).await.expect("an endpoint");
        sweep(&scene, "change of an endpoint", async || by.endpoints().replace(seen.clone()).await).await;
        let paused = EndpointState::Paused;
        sweep(&scene, "pause", async || by.endpoints().set_state(endpoint.id, paused, None).await).await;
        let token = model::access::Token {
            id: TokenId::from_raw(5),
            name: "laptop".to_owned(),
            role: model::access::Role::Admin,
            app: None,
            account: None,
            expires_at: None,
            hint: "x".to_owned(),
        };
        sweep(&scene, "save of a token", async || by.access().save_token(token.clone(), vec![1; 32]).await)
            .await;
        sweep(&scene, "revocation", async || by.access().revoke_token(token.id).await).await;
        sweep(&scene, "request to register", async || by.watches().ask(renamed.id).await).await;
        let watched = sweep(&scene, "claim of a watch", async || scene.watches().claim(1, LEASE).await).await;
        let looked = RecordedWatch {
            claimed: watched[0].clone(),
            watch: watched[0].watch.clone(),
            next_at: None,
            told: Vec::new(),
        };
        sweep(&scene, "record of a watch", async || scene.watches().record(looked.clone()).await).await;
        sweep(&scene, "removal of a source", async || by.sources().remove(renamed.id).await).await;
        sweep(&scene, "claim of a key", async || scene.access().claim_key(1, "route", "k", 1).await).await;
    })
    .await;
}

#[tokio::test]
async fn what_happens_to_a_file_happens_or_does_not() {
    on_every_engine(async |scene| {
        let (source, by) = (fetching_source(&scene).await, acting(&scene));
        sweep(&scene, "a picture", async || scene.try_receive(&source, vec![picture("p1", "ana")]).await)
            .await;
        let claimed = sweep(&scene, "claim of a file", async || scene.files().claim(1, LEASE).await).await;
        let failed = FileOutcome::Failed("gone".to_owned());
        let told = Some(failure(&scene, &source));
        sweep(&scene, "record of a file", async || {
            scene.files().record(claimed[0].clone(), failed.clone(), told.clone()).await
        })
        .await;
        let id = claimed[0].file.id;
        sweep(&scene, "retry of a file", async || by.files().retry(id).await).await;
        let media = model::message::Media::default;
        let upload =
            sweep(&scene, "upload", async || by.files().begin(scene.app(), None, media()).await).await;
        let stored = FileOutcome::Stored(content());
        sweep(&scene, "end of an upload", async || scene.files().finish(upload, stored.clone()).await).await;
        sweep(&scene, "removal of files", async || by.files().removed(vec![id, upload]).await).await;
        sweep(&scene, "end of files", async || scene.files().forget(vec![id, upload]).await).await;
        sweep(&scene, "links", async || {
            scene.serve_files("https://gw.example".to_owned(), vec![7; 32]).await
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_removed_endpoint_and_its_cancelled_deliveries_go_together() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let endpoint = scene.endpoint().await;
        scene.receive(&source, vec![message("m1", "ana"), message("m2", "ana")]).await;
        sweep(&scene, "removal of an endpoint", async || {
            match acting(&scene).endpoints().remove(endpoint.id).await {
                // It was removed the time before: what failed then came after the commit.
                Err(Error::NotFound(_)) => Ok(()),
                other => other,
            }
        })
        .await;
        assert!(scene.endpoints().all().await.expect("endpoints").is_empty());
        let cancelled = scene.all_deliveries().await;
        assert!(cancelled.iter().all(|delivery| delivery.state == DeliveryState::Cancelled), "{cancelled:?}");
        assert_eq!(cancelled.len(), 2);
        assert_eq!(scene.stats().backlog().await.expect("a backlog").due, 0);
    })
    .await;
}

#[tokio::test]
async fn a_step_of_retention_happens_or_does_not() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        scene.endpoint().await;
        queue(&scene, words(&desk, "hello")).await;
        let claimed = claim(&scene).await.remove(0);
        crate::sending::record(&scene, &claimed, Next::Delivered).await;
        scene
            .receive(&desk.source, vec![message("m1", "ana"), status("wamid.z", MessageState::Sent, None)])
            .await;
        scene.deliver_all().await;
        scene.days_pass(100).await;
        let gone = sweep(&scene, "retention", async || scene.retention().step(Keep::default()).await).await;
        assert!(gone > 5, "{gone}");
        assert!(scene.event_types().await.is_empty());
    })
    .await;
}
