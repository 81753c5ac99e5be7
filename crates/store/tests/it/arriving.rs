//! The way in: receipts, events and deliveries of what arrives, and what is not stored twice.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::delivery::DeliveryState;
use model::event::Content;
use model::id::AccountId;
use model::receipt::{Reason, ReceiptState};
use model::source::{Account, UnknownAccounts};
use store::arrivals::{Arrival, Request, Verdict};

use crate::engine::{on_every_engine, on_sqlite};
use crate::scene::{Scene, arrival, message, request};

#[tokio::test]
async fn an_arrival_becomes_a_receipt_its_events_and_the_deliveries_they_cause() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let endpoint = scene.endpoint().await;
        let appended = scene.receive(&source, vec![message("m1", "ana"), message("m2", "leo")]).await;
        assert_eq!((appended.state, appended.items, appended.items_new), (ReceiptState::Accepted, 2, 2));
        assert_eq!(appended.deliveries, 2, "conversations are not among what the endpoint wants");

        let receipt = scene.receipts().get(appended.receipt.expect("a receipt")).await.expect("it is stored");
        assert_eq!((receipt.items, receipt.items_new, receipt.body_bytes), (2, 2, 12));
        let came = scene.receipts().came(receipt.id).await.expect("a read").expect("its body");
        assert!(came.intact && came.body == request().body);

        let deliveries = scene.all_deliveries().await;
        assert!(
            deliveries.iter().all(|one| one.endpoint == endpoint.id && one.state == DeliveryState::Pending)
        );
        let event = scene.events().get(deliveries[0].event).await.expect("its event");
        assert_eq!(event.receipt, appended.receipt);
        assert!(event.content.expect("content").contains("hello m2"));
    })
    .await;
}

#[tokio::test]
async fn what_came_before_is_a_duplicate_within_a_request_and_across_requests() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let within = scene.receive(&source, vec![message("m1", "ana"), message("m1", "ana")]).await;
        assert_eq!((within.state, within.items, within.items_new), (ReceiptState::Accepted, 2, 1));
        let across = scene.receive(&source, vec![message("m1", "ana")]).await;
        assert_eq!((across.state, across.items_new, across.deliveries), (ReceiptState::Duplicate, 0, 0));

        let other = scene.source_that(|source| source.name = "another".to_owned()).await;
        let elsewhere = scene.receive(&other, vec![message("m1", "ana")]).await;
        assert_eq!(elsewhere.items_new, 1, "the same id on another source is another fact");
    })
    .await;
}

#[tokio::test]
async fn an_item_without_an_id_of_its_own_is_always_new() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let mut unnamed = message("m1", "ana");
        unnamed.dedupe_key = None;
        let appended = scene.receive(&source, vec![unnamed.clone(), unnamed]).await;
        assert_eq!(appended.items_new, 2);
    })
    .await;
}

#[tokio::test]
async fn a_thousand_ids_in_parallel_copies_become_a_thousand_events() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let copies = (0..4).flat_map(|_| 0..1000).map(|n| {
            let (scene, source) = (scene.clone(), Arc::clone(&source));
            async move {
                scene.receive(&source, vec![message(&format!("m{n}"), &format!("contact {}", n % 50))]).await
            }
        });
        let appended = join_all(copies).await;
        assert_eq!(appended.iter().map(|one| one.items_new).sum::<u32>(), 1000);
        let counts = scene.stats().counts().await.expect("counts");
        assert_eq!((counts.receipts, counts.events), (4000, 1050));
    })
    .await;
}

#[tokio::test]
async fn old_ids_are_known_after_many_others_and_after_a_new_start() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let plain = |n: usize| {
            let mut event = message(&format!("m{n}"), "ana");
            event.party = None;
            event
        };
        for thousand in 0..18 {
            let events = (0..1000).map(|n| plain(thousand * 1000 + n)).collect();
            assert_eq!(scene.receive(&source, events).await.items_new, 1000);
        }
        let again = scene.node(1).await;
        for node in [&scene, &again] {
            let repeated = node.receive(&source, (0..18_000).step_by(90).map(plain).collect()).await;
            assert_eq!((repeated.items, repeated.items_new), (200, 0));
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_account_is_adopted_or_waits_in_quarantine_until_it_is_named() {
    on_every_engine(async |scene| {
        let open = scene.source().await;
        scene.receive(&open, vec![message("m1", "ana")]).await;
        assert_eq!(scene.routing().account(open.id, "34600").map(|account| account.app), Some(scene.app()));

        let closed = scene.source_that(|source| source.unknown_accounts = UnknownAccounts::Quarantine).await;
        let waiting = scene.receive(&closed, vec![message("m1", "ana")]).await;
        assert_eq!((waiting.state, waiting.items, waiting.items_new), (ReceiptState::Unrouted, 1, 0));
        let receipt = scene.receipts().get(waiting.receipt.expect("a receipt")).await.expect("it is kept");
        assert_eq!(receipt.reason, Some(Reason::AccountUnknown));

        name_account(&scene, &closed, "34600").await;
        let request = Request { receipt: waiting.receipt, ..request() };
        let events: Arc<[_]> = Arc::from([message("m1", "ana")]);
        let again = Arrival { request: Some(request), ..arrival(&closed, Verdict::Genuine(events)) };
        assert_eq!(scene.arrivals().append(again.clone()).await.expect("released").items_new, 1);
        let receipt = scene.receipts().get(receipt.id).await.expect("it is kept");
        assert_eq!((receipt.state, receipt.reason, receipt.items_new), (ReceiptState::Accepted, None, 1));

        scene.arrivals().append(again).await.expect("read once more");
        let receipt = scene.receipts().get(receipt.id).await.expect("it is kept");
        assert_eq!(
            (receipt.state, receipt.items_new),
            (ReceiptState::Accepted, 1),
            "what it brought stays said"
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_for_more_accounts_than_may_be_or_a_name_that_is_too_long_is_set_aside() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let to = |address: String| model::event::NewEvent {
            account: Some(address.clone()),
            ..message(&address, "ana")
        };
        let long = scene.receive(&source, vec![to("9".repeat(201))]).await;
        assert_eq!((long.state, long.items, long.items_new), (ReceiptState::Unrouted, 1, 0));
        for batch in 0..10 {
            let many = (0..1_000).map(|n| to(format!("{}", batch * 1_000 + n))).collect();
            assert_eq!(scene.receive(&source, many).await.items_new, 1_000);
        }
        let more = scene.receive(&source, vec![to("10000".to_owned())]).await;
        assert_eq!((more.state, more.items_new), (ReceiptState::Unrouted, 0));
        assert_eq!(scene.receive(&source, vec![to("77".to_owned())]).await.state, ReceiptState::Duplicate);
    })
    .await;
}

async fn name_account(scene: &Scene, source: &model::source::Source, address: &str) {
    let id: AccountId = scene.fresh_id();
    let account =
        Account { id, source: source.id, app: scene.app(), address: address.to_owned(), name: None };
    scene.sources().save_account(account).await.expect("a named account");
}

#[tokio::test]
async fn of_a_mixed_request_the_known_account_goes_on_and_the_rest_waits() {
    on_every_engine(async |scene| {
        let source = scene.source_that(|source| source.unknown_accounts = UnknownAccounts::Quarantine).await;
        name_account(&scene, &source, "34600").await;
        let mut stranger = message("m2", "leo");
        stranger.account = Some("34999".to_owned());
        let appended = scene.receive(&source, vec![message("m1", "ana"), stranger]).await;
        assert_eq!((appended.state, appended.items, appended.items_new), (ReceiptState::Unrouted, 2, 1));
        assert_eq!(scene.event_types().await, ["conversation.created", "message.received"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_genuine_is_kept_with_its_reason_and_causes_nothing() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        for (verdict, state) in [
            (Verdict::Rejected(Reason::SignatureWrong), ReceiptState::Rejected),
            (Verdict::Unrouted(Reason::SourceUnknown), ReceiptState::Unrouted),
            (Verdict::Answered, ReceiptState::Answered),
        ] {
            let appended = scene.arrivals().append(arrival(&source, verdict)).await.expect("it is kept");
            assert_eq!((appended.state, appended.items_new), (state, 0));
        }
        assert!(scene.event_types().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_event_whose_content_is_the_body_is_delivered_with_it() {
    on_every_engine(async |scene| {
        let (source, _) = (scene.source().await, scene.endpoint().await);
        let mut whole = message("m1", "ana");
        whole.content = Content::Body;
        scene.receive(&source, vec![whole]).await;
        let claimed = scene.claim(10).await;
        let original = claimed[0].original.as_ref().expect("the request");
        assert_eq!(original.body, request().body);
        assert_eq!(original.header("content-type"), Some("application/json"));
        assert!(claimed[0].event.content.is_none() && !claimed[0].damaged);
    })
    .await;
}

#[tokio::test]
async fn a_job_that_fails_in_a_shared_commit_does_not_harm_its_neighbours() {
    on_sqlite(async |scene| {
        let source = scene.source_that(|source| source.path = Some("/taken".to_owned())).await;
        for round in 0..50 {
            let mut rival = (*source).clone();
            rival.id = scene.fresh_id();
            let (sources, stats) = (scene.sources(), scene.stats());
            let event = |n: i32| vec![message(&format!("m{round}.{n}"), "ana")];
            let (left, refused, right) =
                tokio::join!(scene.try_receive(&source, event(0)), sources.save(rival), stats.ping(),);
            assert_eq!(left.expect("a neighbour").items_new, 1);
            assert!(matches!(refused, Err(store::Error::Conflict(_))));
            right.expect("another neighbour");
        }
        assert_eq!(scene.sources().all().await.expect("sources").len(), 1);
        assert_eq!(scene.stats().counts().await.expect("counts").receipts, 50);
    })
    .await;
}

#[tokio::test]
async fn a_woken_waiter_hears_of_what_was_appended() {
    on_every_engine(async |scene| {
        let (source, _) = (scene.source().await, scene.endpoint().await);
        scene.receive(&source, vec![message("m1", "ana")]).await;
        let woken = scene.woken(store::Queue::Deliveries);
        tokio::time::timeout(Duration::from_secs(5), woken).await.expect("it was told");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accounts_that_are_new_all_at_once_are_adopted_and_nobody_is_asked_to_come_back() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let mut arriving = tokio::task::JoinSet::new();
        for n in 0..400 {
            let (scene, source) = (scene.clone(), Arc::clone(&source));
            arriving.spawn(async move {
                let mut event = message(&format!("m{n}"), &format!("1555{n:07}"));
                event.account = Some(format!("new-{n}"));
                scene.try_receive(&source, vec![event]).await
            });
        }
        let mut came = 0;
        while let Some(arrived) = arriving.join_next().await {
            let appended = arrived.expect("it ends").expect("it is stored");
            came += appended.items_new;
        }
        assert_eq!(came, 400);
        assert_eq!(scene.sources().accounts().await.expect("accounts").len(), 400);
    })
    .await;
}
