//! Retention: what goes, in which order, in bounded steps, and what stays because it is owed.

use std::time::Duration;

use model::endpoint::OnDead;
use model::event::Content;
use model::receipt::Reason;
use model::retry::Next;
use store::arrivals::Verdict;
use store::retention::Keep;

use crate::engine::on_every_engine;
use crate::scene::{Scene, arrival, dead, message};
use crate::sending;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Takes steps until nothing goes any more; says how many rows went, and that no step took too many.
async fn settle(scene: &Scene) -> u64 {
    let mut gone = 0;
    loop {
        match scene.retention().step(Keep::default()).await.expect("a step") {
            0 => return gone,
            step => {
                assert!(step <= 12_000, "a step is bounded: {step}");
                gone += step;
            }
        }
    }
}

async fn count(scene: &Scene, table: &str) -> String {
    let rows = scene.raw(&format!("SELECT count(*) FROM {table}")).await;
    rows[0][0].chars().filter(char::is_ascii_digit).collect()
}

#[tokio::test]
async fn bodies_go_before_everything_else() {
    on_every_engine(async |scene| {
        let (source, _) = (scene.source().await, scene.endpoint().await);
        let appended = scene.receive(&source, vec![message("m1", "ana")]).await;
        let event = scene.deliver_all().await[0].event.id;
        assert_eq!(settle(&scene).await, 0);

        scene.clock.advance(DAY * 31);
        settle(&scene).await;
        assert!(scene.receipts().came(appended.receipt.expect("a receipt")).await.expect("a read").is_none());
        assert_eq!(scene.events().get(event).await.expect("the event").content, None);
        assert_eq!(
            scene.receive(&source, vec![message("m1", "ana")]).await.items_new,
            0,
            "it is still known"
        );

        scene.clock.advance(DAY * 60);
        settle(&scene).await;
        for table in ["events", "deliveries", "attempts", "dedupe"] {
            assert_eq!(count(&scene, table).await, "0", "{table}");
        }
        assert_eq!(count(&scene, "receipts").await, "1", "the copy is younger");
        assert_eq!(
            scene.receive(&source, vec![message("m1", "ana")]).await.items_new,
            1,
            "its key went with it"
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_owed_stays_however_old_until_it_has_arrived() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        scene.endpoint_that(|endpoint| endpoint.on_dead = OnDead::Hold).await;
        let mut whole = message("m1", "ana");
        whole.content = Content::Body;
        for event in [whole, message("m2", "ana"), message("m3", "leo"), message("m4", "eva")] {
            scene.receive(&source, vec![event]).await;
        }
        let claimed = scene.claim(10).await;
        let [ana, leo, eva] = &claimed[..] else { panic!("the heads of three lines") };
        scene.record(leo, dead()).await.expect("held");
        scene.record(eva, Next::Delivered).await.expect("delivered");
        scene.clock.advance(DAY * 100);
        settle(&scene).await;
        assert_eq!(
            (count(&scene, "events").await, count(&scene, "bodies").await),
            ("3".to_owned(), "3".to_owned())
        );

        let again = scene.deliver_all().await;
        assert_eq!(again.iter().map(|one| one.event.id).next(), Some(ana.event.id));
        assert!(again[0].original.is_some() && again[1].event.content.is_some());
        assert!(again.iter().all(|one| !one.damaged));
        scene.deliveries().cancel(leo.id).await.expect("called off");
        settle(&scene).await;
        for table in ["events", "bodies", "receipts", "deliveries", "attempts"] {
            assert_eq!(count(&scene, table).await, "0", "{table}");
        }
    })
    .await;
}

#[tokio::test]
async fn much_that_is_owed_does_not_keep_the_rest_from_going() {
    on_every_engine(async |scene| {
        let (source, _) = (scene.source().await, scene.endpoint().await);
        let owed = (0..1200).map(|n| message(&format!("owed{n}"), "ana")).collect();
        scene.receive(&source, owed).await;
        scene.raw("UPDATE deliveries SET due_at = 9000000000000 WHERE due_at IS NOT NULL").await;
        let mut plain = message("m", "leo");
        plain.event_type = model::event::EventType::new("github.push").expect("an event type");
        scene.receive(&source, vec![plain]).await;
        scene.clock.advance(DAY * 100);
        for _ in 0..5 {
            scene.retention().step(Keep::default()).await.expect("a step");
        }
        assert_eq!(count(&scene, "events").await, "1200");
    })
    .await;
}

#[tokio::test]
async fn refused_requests_are_kept_within_their_bound_the_oldest_go() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let kept = scene.receive(&source, vec![message("m1", "ana")]).await;
        let mut refused = Vec::new();
        for n in 0..8 {
            let reason = if n % 2 == 0 { Reason::SignatureWrong } else { Reason::CredentialWrong };
            let verdict =
                if n < 4 { Verdict::Rejected(reason) } else { Verdict::Unrouted(Reason::AccountUnknown) };
            refused.push(scene.arrivals().append(arrival(&source, verdict)).await.expect("kept").receipt);
        }
        let keep = Keep { refused_max: 5, ..Keep::default() };
        assert_eq!(scene.retention().step(keep).await.expect("a step"), 3);
        assert_eq!(scene.retention().step(keep).await.expect("a step"), 0);
        for (n, id) in refused.into_iter().enumerate() {
            assert_eq!(scene.receipts().get(id.expect("an id")).await.is_ok(), n >= 3, "{n}");
        }
        assert!(scene.receipts().get(kept.receipt.expect("an id")).await.is_ok());
        assert_eq!(count(&scene, "bodies").await, "6");
    })
    .await;
}

#[tokio::test]
async fn answers_and_early_statuses_go_after_a_day_and_old_sends_after_the_rest() {
    on_every_engine(async |scene| {
        let desk = sending::desk(&scene).await;
        scene.access().claim_key(1, "route", "k", 1).await.expect("a claim");
        let early = crate::scene::status("wamid.never", model::message::MessageState::Sent, None);
        scene.receive(&desk.source, vec![early]).await;
        sending::queue(&scene, sending::words(&desk, "taken")).await;
        sending::queue(&scene, sending::words(&desk, "owed")).await;
        sending::record(&scene, &sending::claim(&scene).await[0], Next::Delivered).await;
        scene.clock.advance(DAY + Duration::from_secs(1));
        settle(&scene).await;
        assert_eq!(
            (count(&scene, "idempotency").await, count(&scene, "parked").await),
            ("0".to_owned(), "0".to_owned())
        );
        scene.clock.advance(DAY * 100);
        settle(&scene).await;
        assert_eq!(
            (count(&scene, "sends").await, count(&scene, "attempts").await),
            ("1".to_owned(), "0".to_owned())
        );
    })
    .await;
}

#[tokio::test]
async fn a_replay_of_an_old_event_goes_with_the_event() {
    on_every_engine(async |scene| {
        let (source, endpoint) = (scene.source().await, scene.endpoint().await);
        scene.receive(&source, vec![message("m1", "ana")]).await;
        let event = scene.deliver_all().await[0].event.id;
        scene.clock.advance(DAY * 89);
        scene.replays().event(event, endpoint.id).await.expect("a replay");
        scene.clock.advance(DAY * 2);
        settle(&scene).await;
        assert!(scene.events().get(event).await.is_ok(), "it is owed");
        scene.deliver_all().await;
        settle(&scene).await;
        assert_eq!(
            (count(&scene, "events").await, count(&scene, "deliveries").await),
            ("0".to_owned(), "0".to_owned())
        );
    })
    .await;
}
