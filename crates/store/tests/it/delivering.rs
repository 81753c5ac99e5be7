//! Claims and records: shares, leases, retries, and what a person may do.

use std::time::Duration;

use model::delivery::{AttemptOf, DeliveryState};
use model::endpoint::{EndpointState, OnDead, Order};
use model::event::{Content, EventType, NewEvent};
use model::id::EndpointId;
use model::retry::Next;
use store::Error;
use store::arrivals::{Arrival, Verdict};
use store::claims::{Busy, Wish};

use crate::engine::on_every_engine;
use crate::scene::{LEASE, Scene, dead, message, recorded};

/// Events of as many contacts, so that none waits for another.
async fn receive_many(scene: &Scene, label: &str, count: usize) {
    let source = scene.source().await;
    let events = (0..count).map(|n| message(&format!("{label}{n}"), &format!("{label}{n}"))).collect();
    assert_eq!(scene.receive(&source, events).await.items_new as usize, count);
}

/// An event of our own making.
fn own(event_type: &str) -> NewEvent {
    NewEvent {
        event_type: EventType::new(event_type).expect("an event type"),
        dedupe_key: None,
        account: None,
        party: None,
        order_key: None,
        occurred_at: model::time::Timestamp::from_secs(1_800_000_000),
        content: Content::Raw(serde_json::value::RawValue::from_string("{}".to_owned()).expect("JSON")),
    }
}

#[tokio::test]
async fn a_delivery_is_claimed_recorded_and_shown_with_its_attempts() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        receive_many(&scene, "m", 1).await;
        let claimed = scene.claim(10).await.remove(0);
        assert!(scene.claim(10).await.is_empty(), "it is under way");
        let at = scene.now().plus(Duration::from_secs(5));
        scene.record(&claimed, Next::RetryAt(at)).await.expect("a record");
        let shown = scene.deliveries().get(claimed.id).await.expect("it is there");
        assert_eq!((shown.state, shown.attempts, shown.due_at), (DeliveryState::Pending, 1, Some(at)));
        assert_eq!(shown.last_error.as_deref(), Some("the answer was 503"));

        assert!(scene.claim(10).await.is_empty(), "it is not due yet");
        scene.clock.advance(Duration::from_secs(5));
        let again = scene.claim(10).await.remove(0);
        assert_eq!((again.id, again.attempts), (claimed.id, 1));
        scene.record(&again, Next::Delivered).await.expect("a record");
        let attempts = scene.deliveries().attempts(AttemptOf::Delivery(claimed.id)).await.expect("attempts");
        assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(attempts[0].answer_excerpt, b"busy");
        assert_eq!(scene.deliveries().get(claimed.id).await.expect("it").state, DeliveryState::Delivered);
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_ran_out_passes_on_and_its_late_record_is_refused() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        receive_many(&scene, "m", 1).await;
        let late = scene.claim(10).await.remove(0);
        scene.clock.advance(LEASE);
        let current = scene.claim(10).await.remove(0);
        assert!(matches!(scene.record(&late, Next::Delivered).await, Err(Error::LeaseLost)));
        let at = scene.now().plus(Duration::from_secs(1));
        scene.record(&current, Next::RetryAt(at)).await.expect("a record");
        assert!(
            matches!(scene.record(&late, Next::Delivered).await, Err(Error::LeaseLost)),
            "also when nobody holds one"
        );
        assert_eq!(scene.deliveries().get(late.id).await.expect("it").attempts, 1);
    })
    .await;
}

#[tokio::test]
async fn a_record_that_comes_late_but_first_counts() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        receive_many(&scene, "m", 1).await;
        let slow = scene.claim(10).await.remove(0);
        scene.clock.advance(LEASE * 2);
        scene.record(&slow, Next::Delivered).await.expect("nobody else has it");
        assert!(scene.claim(10).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_gets_no_more_than_its_concurrency_counting_what_is_under_way() {
    on_every_engine(async |scene| {
        let endpoint = scene.endpoint().await;
        receive_many(&scene, "m", 30).await;
        let claim = async |busy: Busy| {
            scene.deliveries().claim(Wish { busy, ..Wish::new(100, LEASE) }).await.expect("a claim").len()
        };
        assert_eq!(claim(Busy::from([(endpoint.id, (7, 0))])).await, 3);
        assert_eq!(claim(Busy::from([(endpoint.id, (10, 0))])).await, 0);
        assert_eq!(claim(Busy::new()).await, 10);
    })
    .await;
}

/// Makes that many deliveries wait for their second attempt, and be due for it.
async fn fail_once(scene: &Scene, count: usize) {
    let mut left = count;
    while left > 0 {
        let claimed = scene.claim(100).await;
        assert!(!claimed.is_empty());
        left -= claimed.len();
        for one in claimed {
            scene
                .record(&one, Next::RetryAt(scene.now().plus(Duration::from_secs(1))))
                .await
                .expect("a record");
        }
    }
    scene.clock.advance(Duration::from_secs(1));
}

#[tokio::test]
async fn retries_never_take_the_first_attempts_share() {
    on_every_engine(async |scene| {
        let endpoint = scene.endpoint().await;
        receive_many(&scene, "old", 20).await;
        fail_once(&scene, 20).await;
        let retries = scene.claim(100).await;
        assert_eq!(retries.len(), 5, "half of the places, though nobody else wants them");
        receive_many(&scene, "new", 20).await;
        let busy = Busy::from([(endpoint.id, (5, 5))]);
        let firsts = scene.deliveries().claim(Wish { busy, ..Wish::new(100, LEASE) }).await.expect("a claim");
        assert_eq!(firsts.iter().filter(|one| one.attempts == 0).count(), 5);
        assert_eq!(firsts.len(), 5);
    })
    .await;
}

#[tokio::test]
async fn first_attempts_take_every_place_when_nothing_is_retried() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        receive_many(&scene, "new", 20).await;
        assert_eq!(scene.claim(100).await.len(), 10);
    })
    .await;
}

#[tokio::test]
async fn of_an_endpoint_with_one_place_whoever_is_due_longest_has_it() {
    on_every_engine(async |scene| {
        scene.endpoint_that(|endpoint| endpoint.concurrency = 1).await;
        receive_many(&scene, "old", 1).await;
        fail_once(&scene, 1).await;
        scene.clock.advance(Duration::from_secs(1));
        receive_many(&scene, "new", 1).await;
        let first = scene.claim(100).await;
        assert_eq!(first.iter().map(|one| one.attempts).collect::<Vec<_>>(), [1]);
        scene
            .record(&first[0], Next::RetryAt(scene.now().plus(Duration::from_secs(1))))
            .await
            .expect("a record");
        assert_eq!(scene.claim(100).await.iter().map(|one| one.attempts).collect::<Vec<_>>(), [0]);
    })
    .await;
}

#[tokio::test]
async fn small_claims_go_round_all_endpoints() {
    on_every_engine(async |scene| {
        for _ in 0..5 {
            scene.endpoint().await;
        }
        receive_many(&scene, "m", 20).await;
        let mut served = std::collections::HashSet::new();
        for _ in 0..5 {
            served.extend(scene.claim(10).await.iter().map(|one| one.endpoint.id));
        }
        assert_eq!(served.len(), 5);
    })
    .await;
}

#[tokio::test]
async fn paused_endpoints_with_a_backlog_hide_nobody() {
    on_every_engine(async |scene| {
        for n in 0..300 {
            scene
                .endpoint_that(|endpoint| {
                    endpoint.id = EndpointId::from_raw(n + 1);
                    endpoint.state = EndpointState::Paused;
                })
                .await;
        }
        let last = scene.endpoint().await;
        receive_many(&scene, "m", 1).await;
        let claimed = scene.claim(10).await;
        assert_eq!(claimed.iter().map(|one| one.endpoint.id).collect::<Vec<_>>(), [last.id]);
    })
    .await;
}

#[tokio::test]
async fn a_paused_endpoint_is_not_claimed_until_it_is_enabled() {
    on_every_engine(async |scene| {
        let endpoint = scene.endpoint().await;
        receive_many(&scene, "m", 2).await;
        scene.endpoints().set_state(endpoint.id, EndpointState::Paused, None).await.expect("paused");
        assert!(scene.claim(10).await.is_empty());
        scene.endpoints().set_state(endpoint.id, EndpointState::Enabled, None).await.expect("enabled");
        assert_eq!(scene.deliver_all().await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_many_see_of_an_endpoint_at_once_is_told_once() {
    on_every_engine(async |scene| {
        let endpoint = scene.endpoint().await;
        let told = |event_type: &str| Arrival {
            source: None,
            app: Some(scene.app()),
            request: None,
            verdict: Verdict::Genuine([own(event_type)].into()),
        };
        let disable = || {
            let told = told("endpoint.disabled");
            async {
                scene.store.endpoints().set_state(endpoint.id, EndpointState::Disabled, Some(told)).await
            }
        };
        let done = futures_util::future::join_all((0..10).map(|_| disable())).await;
        assert_eq!(done.iter().filter(|one| *one.as_ref().expect("a change")).count(), 1);
        let recover = async |since| {
            let told = told("endpoint.recovered");
            scene.endpoints().set_failing_since(endpoint.id, since, Some(told)).await.expect("a change")
        };
        assert!(!recover(None).await, "it did not fail");
        scene.endpoints().set_failing_since(endpoint.id, Some(scene.now()), None).await.expect("a change");
        assert!(recover(None).await);
        assert!(!recover(None).await);
        assert_eq!(scene.event_types().await, ["endpoint.disabled", "endpoint.recovered"]);
        let none = scene.endpoints().set_state(scene.fresh_id(), EndpointState::Paused, None).await;
        assert!(matches!(none, Err(Error::NotFound("endpoint"))));
    })
    .await;
}

#[tokio::test]
async fn what_is_held_or_waits_for_its_next_attempt_can_be_attempted_now() {
    on_every_engine(async |scene| {
        scene.endpoint_that(|endpoint| endpoint.on_dead = OnDead::Hold).await;
        let source = scene.source().await;
        scene.receive(&source, vec![message("m1", "ana"), message("m2", "ana"), message("m3", "leo")]).await;
        let claimed = scene.claim(10).await;
        scene.record(&claimed[0], dead()).await.expect("a record");
        let later = scene.now().plus(Duration::from_secs(3600));
        scene.record(&claimed[1], Next::RetryAt(later)).await.expect("a record");
        let retry = async |id| scene.deliveries().retry(id).await.expect("a retry");
        let behind = scene.all_deliveries().await.into_iter().find(|one| one.attempts == 0).expect("one").id;
        assert!(!retry(behind).await, "it waits behind the one that is held");
        assert!(scene.claim(10).await.is_empty());
        assert!(retry(claimed[0].id).await && retry(claimed[1].id).await);
        let again = scene.deliver_all().await;
        assert_eq!(again.iter().map(|one| one.attempts).collect::<Vec<_>>(), [1, 1, 0]);
        assert!(!retry(claimed[0].id).await, "it has arrived");
    })
    .await;
}

#[tokio::test]
async fn removing_an_endpoint_cancels_what_is_owed_to_it_by_name() {
    on_every_engine(async |scene| {
        let endpoint = scene.endpoint().await;
        receive_many(&scene, "m", 3).await;
        let under_way = scene.claim(1).await.remove(0);
        scene.endpoints().remove(endpoint.id).await.expect("removed");
        assert!(scene.claim(10).await.is_empty());
        assert!(matches!(scene.record(&under_way, Next::Delivered).await, Err(Error::LeaseLost)));
        let all = scene.all_deliveries().await;
        assert!(all.iter().all(|one| one.state == DeliveryState::Cancelled));
        assert_eq!(all[0].last_error.as_deref(), Some("the endpoint was removed"));
    })
    .await;
}

#[tokio::test]
async fn a_removal_and_arrivals_at_the_same_time_leave_nothing_that_nobody_claims() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        for round in 0..20 {
            let endpoint = scene.endpoint().await;
            let arrivals =
                (0..10).map(|n| scene.receive(&source, vec![message(&format!("m{round}.{n}"), "ana")]));
            let endpoints = scene.endpoints();
            let arrived = futures_util::future::join_all(arrivals);
            let (_, removed) = tokio::join!(arrived, endpoints.remove(endpoint.id));
            removed.expect("removed");
        }
        let backlog = scene.stats().backlog().await.expect("a backlog");
        assert_eq!((backlog.due, backlog.in_line), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_delivery_is_not_attempted_and_cannot_be_cancelled_twice() {
    on_every_engine(async |scene| {
        scene.endpoint_that(|endpoint| endpoint.order = Order::None).await;
        receive_many(&scene, "m", 1).await;
        let id = scene.all_deliveries().await[0].id;
        scene.deliveries().cancel(id).await.expect("cancelled");
        assert!(scene.claim(10).await.is_empty());
        assert!(matches!(scene.deliveries().cancel(id).await, Err(Error::NotFound(_))));
        assert_eq!(scene.deliveries().get(id).await.expect("it stays").state, DeliveryState::Cancelled);
    })
    .await;
}

#[tokio::test]
async fn a_record_without_an_attempt_counts_none() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        receive_many(&scene, "m", 1).await;
        let claimed = scene.claim(10).await.remove(0);
        let without = store::records::Recorded { attempt: None, ..recorded(&scene, &claimed, dead()) };
        scene.deliveries().record(without).await.expect("a record");
        assert_eq!(scene.deliveries().get(claimed.id).await.expect("it").attempts, 0);
    })
    .await;
}
