//! Retention: what goes, in which order, in bounded steps, and what stays because it is owed.

use std::sync::Arc;
use std::time::Duration;

use model::endpoint::OnDead;
use model::event::{Content, EventType};
use model::page::PageRequest;
use model::receipt::{Reason, ReceiptState};
use model::retry::Next;
use model::source::{Source, UnknownAccounts};
use model::time::Timestamp;
use store::arrivals::{Arrival, Request, Verdict};
use store::events::EventFilter;
use store::retention::{Doubt, Keep};

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

        scene.days_pass(31).await;
        settle(&scene).await;
        assert!(scene.receipts().came(appended.receipt.expect("a receipt")).await.expect("a read").is_none());
        assert_eq!(scene.events().get(event).await.expect("the event").content, None);
        assert_eq!(
            scene.receive(&source, vec![message("m1", "ana")]).await.items_new,
            0,
            "it is still known"
        );

        scene.days_pass(60).await;
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
        scene.days_pass(100).await;
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
        plain.event_type = EventType::new("github.push").expect("an event type");
        scene.receive(&source, vec![plain]).await;
        scene.days_pass(100).await;
        for _ in 0..5 {
            scene.retention().step(Keep::default()).await.expect("a step");
        }
        assert_eq!(count(&scene, "events").await, "1200");
    })
    .await;
}

#[tokio::test]
async fn refused_requests_are_kept_within_their_bound_the_oldest_of_who_sends_most_go() {
    on_every_engine(async |scene| {
        let (source, quiet) = (scene.source().await, scene.source().await);
        let genuine = scene.receive(&source, vec![message("m1", "ana")]).await;
        let refuse = async |source: Option<&Arc<Source>>| {
            let rejected = match source {
                Some(source) => arrival(source, Verdict::Rejected(Reason::SignatureWrong)),
                None => Arrival { source: None, ..arrival(&quiet, Verdict::Unrouted(Reason::SourceUnknown)) },
            };
            scene.arrivals().append(rejected).await.expect("kept").receipt.expect("an id")
        };
        let first = refuse(Some(&quiet)).await;
        let (mut flood, mut nowhere) = (Vec::new(), Vec::new());
        for _ in 0..6 {
            flood.push(refuse(Some(&source)).await);
            nowhere.push(refuse(None).await);
        }
        let keep = Keep { refused_max: 7, ..Keep::default() };
        assert_eq!(scene.retention().step(keep).await.expect("a step"), 6);
        assert_eq!(scene.retention().step(keep).await.expect("a step"), 0);
        let kept = async |id| scene.receipts().get(id).await.is_ok();
        assert!(kept(first).await && kept(genuine.receipt.expect("an id")).await);
        for (n, (flooding, unrouted)) in flood.into_iter().zip(nowhere).enumerate() {
            assert_eq!((kept(flooding).await, kept(unrouted).await), (n >= 3, n >= 3), "{n}");
        }
        assert_eq!(count(&scene, "bodies").await, "8");
    })
    .await;
}

#[tokio::test]
async fn what_was_acknowledged_into_quarantine_is_not_pushed_out_by_what_anybody_can_send() {
    on_every_engine(async |scene| {
        let source = scene.source_that(|source| source.unknown_accounts = UnknownAccounts::Quarantine).await;
        let quarantined = scene.receive(&source, vec![message("m1", "ana")]).await;
        assert_eq!(quarantined.state, ReceiptState::Unrouted);
        for _ in 0..4 {
            let rejected = arrival(&source, Verdict::Rejected(Reason::SignatureWrong));
            let nowhere =
                Arrival { source: None, ..arrival(&source, Verdict::Unrouted(Reason::SourceUnknown)) };
            for refused in [rejected, nowhere] {
                scene.arrivals().append(refused).await.expect("kept");
            }
        }
        let keep = Keep { refused_max: 2, ..Keep::default() };
        while scene.retention().step(keep).await.expect("a step") > 0 {}
        assert!(scene.receipts().get(quarantined.receipt.expect("an id")).await.is_ok());
        assert_eq!(count(&scene, "receipts").await, "3");
    })
    .await;
}

#[tokio::test]
async fn bodies_of_refused_requests_are_kept_within_their_bytes_the_oldest_go_and_receipts_stay() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let refuse = async |bytes: usize, is_whole: bool| {
            let rejected = arrival(&source, Verdict::Rejected(Reason::SignatureWrong));
            let body = vec![b'x'; bytes].into();
            let request = rejected.request.map(|request| Request { body, is_whole, ..request });
            let appended = scene.arrivals().append(Arrival { request, ..rejected }).await;
            appended.expect("kept").receipt.expect("a receipt")
        };
        let genuine = scene.receive(&source, vec![message("m1", "ana")]).await.receipt.expect("a receipt");
        let mut refused = Vec::new();
        for bytes in [400, 300, 200] {
            refused.push(refuse(bytes, true).await);
        }
        let noted = refuse(5_000, false).await;
        let keep = Keep { refused_bytes_max: 500, ..Keep::default() };
        assert_eq!(scene.retention().step(keep).await.expect("a step"), 1);
        let kept = async |id| scene.receipts().came(id).await.expect("an answer").is_some();
        assert!(!kept(refused[0]).await && kept(refused[1]).await && kept(refused[2]).await);
        assert!(kept(genuine).await && !kept(noted).await);
        for (id, bytes) in [(refused[0], 400), (noted, 5_000)] {
            assert_eq!(scene.receipts().get(id).await.expect("a receipt").body_bytes, bytes);
        }
        // It is looked at once a minute.
        refused.push(refuse(300, true).await);
        assert_eq!(scene.retention().step(keep).await.expect("a step"), 0);
        scene.clock.advance(Duration::from_secs(60));
        assert_eq!(scene.retention().step(keep).await.expect("a step"), 1);
        assert!(!kept(refused[1]).await && kept(refused[2]).await && kept(refused[3]).await);
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
        scene.days_pass(100).await;
        settle(&scene).await;
        assert_eq!(
            (count(&scene, "sends").await, count(&scene, "attempts").await),
            ("1".to_owned(), "0".to_owned())
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_owed_is_found_and_known_however_many_around_it_have_gone() {
    on_every_engine(async |scene| {
        let (source, _) = (scene.source().await, scene.endpoint().await);
        scene.receive(&source, vec![message("owed", "ana")]).await;
        let talk = scene.all_conversations().await[0].id;
        for round in 0..2 {
            for request in 0..9 {
                // Nobody wants these. They are more than SQLite keeps in memory, or in one place.
                let plain = |n| {
                    let mut plain = message(&format!("m{round}.{request}.{n}"), "leo");
                    plain.event_type = EventType::new("github.push").expect("an event type");
                    plain
                };
                scene.receive(&source, (0..1_000).map(plain).collect()).await;
            }
            scene.days_pass(100).await;
            settle(&scene).await;
            assert_eq!(count(&scene, "events").await, "1");
            assert_eq!(scene.receive(&source, vec![message("owed", "ana")]).await.items_new, 0);
            let filter = EventFilter { conversation: Some(talk), ..EventFilter::default() };
            let found = scene.events().list(filter, PageRequest::newest(10)).await.expect("a page");
            assert_eq!(found.items.len(), 1);
        }
        assert_eq!(scene.deliver_all().await.len(), 1);
        settle(&scene).await;
        // What is in old places is looked at one after the other.
        for _ in 0..4 {
            scene.retention().step(Keep::default()).await.expect("a step");
        }
        for table in ["events", "dedupe"] {
            assert_eq!(count(&scene, table).await, "0", "{table}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_replay_of_an_old_event_goes_with_the_event() {
    on_every_engine(async |scene| {
        let (source, endpoint) = (scene.source().await, scene.endpoint().await);
        scene.receive(&source, vec![message("m1", "ana")]).await;
        let event = scene.deliver_all().await[0].event.id;
        scene.days_pass(89).await;
        scene.replays().event(event, endpoint.id).await.expect("a replay");
        scene.days_pass(2).await;
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

/// A store with one event that has arrived, at which retention was looked at now.
async fn with_an_event(scene: &Scene) {
    let (source, _) = (scene.source().await, scene.endpoint().await);
    scene.receive(&source, vec![message("m1", "ana")]).await;
    scene.deliver_all().await;
    assert_eq!(settle(scene).await, 0);
}

#[tokio::test]
async fn a_clock_that_is_years_ahead_removes_nothing_until_it_is_put_right() {
    on_every_engine(async |scene| {
        with_an_event(&scene).await;
        let (right, day_31) = (scene.now(), scene.now().plus(DAY * 31));
        for wrong in [right.plus(DAY * 365 * 12), right.plus(DAY * 365 * 10), Timestamp::default()] {
            scene.clock.set(wrong);
            // A machine that starts with it.
            let scene = scene.node(1).await;
            assert_eq!(settle(&scene).await, 0);
            let doubt = scene.retention().doubt().await.expect("a look");
            let expected = Doubt { believed: right, until: wrong.plus(DAY * 7) };
            assert_eq!(doubt, (wrong > right).then_some(expected));
            scene.clock.advance(DAY * 6);
            assert_eq!(settle(&scene).await, 0);
        }
        scene.clock.set(right.plus(DAY));
        settle(&scene).await;
        assert_eq!(scene.retention().doubt().await.expect("a look"), None);
        assert_eq!(count(&scene, "bodies").await, "1");
        scene.days_pass(29).await;
        settle(&scene).await;
        assert_eq!(count(&scene, "bodies").await, "1");
        scene.days_pass(1).await;
        assert_eq!(scene.now(), day_31);
        settle(&scene).await;
        assert_eq!(count(&scene, "bodies").await, "0");
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_was_off_for_long_waits_as_long_as_that_and_at_most_a_week() {
    on_every_engine(async |scene| {
        with_an_event(&scene).await;
        scene.clock.advance(DAY * 32);
        assert_eq!(settle(&scene).await, 0);
        // It is off again meanwhile.
        scene.clock.advance(DAY * 40);
        settle(&scene).await;
        assert_eq!(
            (count(&scene, "bodies").await, count(&scene, "events").await),
            ("0".to_owned(), "2".to_owned())
        );
        assert_eq!(scene.retention().doubt().await.expect("a look"), None);
        scene.clock.advance(DAY * 4);
        settle(&scene).await;
        let until = scene.now().plus(DAY * 4);
        assert_eq!(scene.retention().doubt().await.expect("a look").map(|doubt| doubt.until), Some(until));
        scene.clock.advance(DAY * 4);
        settle(&scene).await;
        assert_eq!(scene.retention().doubt().await.expect("a look"), None);
    })
    .await;
}

#[tokio::test]
async fn where_little_is_kept_a_small_leap_is_a_reason_to_doubt() {
    on_every_engine(async |scene| {
        with_an_event(&scene).await;
        let keep = Keep { bodies: DAY, metadata: DAY, ..Keep::default() };
        scene.clock.advance(DAY * 2);
        assert_eq!(scene.retention().step(keep).await.expect("a step"), 0);
        scene.clock.advance(DAY * 2);
        assert!(scene.retention().step(keep).await.expect("a step") > 0);
    })
    .await;
}
