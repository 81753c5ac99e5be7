//! Claims of what an embedded store has read ahead: nothing that was decided since is missed. Other engines read nothing
//! ahead; the same holds there.

use std::collections::HashSet;

use model::delivery::DeliveryState;
use model::endpoint::EndpointState;
use model::id::{AppId, DeliveryId};
use model::retry::Next;
use store::claims::{Busy, Claimed, Wish};

use crate::engine::on_every_engine;
use crate::scene::{LEASE, Scene, message};

/// Messages of as many contacts, and a claim of the first of them: on an embedded store the others are read ahead.
async fn claim_one_of(scene: &Scene, count: usize) -> Claimed {
    let source = scene.source().await;
    let events = (0..count).map(|n| message(&format!("m{n}"), &format!("contact{n}"))).collect();
    scene.receive(&source, events).await;
    scene.claim(1).await.remove(0)
}

async fn claim_ids(scene: &Scene) -> HashSet<DeliveryId> {
    scene.claim(100).await.iter().map(|claimed| claimed.id).collect()
}

#[tokio::test]
async fn what_is_called_off_is_not_claimed_and_its_line_goes_on_at_once() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        let source = scene.source().await;
        let events = vec![message("m1", "ana"), message("m2", "ben"), message("m3", "ben")];
        scene.receive(&source, events).await;
        let ana = scene.claim(1).await.remove(0);
        let waiting: Vec<DeliveryId> = scene.all_deliveries().await.iter().map(|one| one.id).rev().collect();
        assert_eq!(ana.id, waiting[0]);
        scene.deliveries().cancel(waiting[1]).await.expect("a cancellation");
        assert_eq!(claim_ids(&scene).await, HashSet::from([waiting[2]]), "the next of the same conversation");
        let state = scene.deliveries().get(waiting[1]).await.expect("it").state;
        assert_eq!(state, DeliveryState::Cancelled);
    })
    .await;
}

#[tokio::test]
async fn a_paused_endpoint_gets_nothing_and_all_of_it_when_it_is_enabled_again() {
    on_every_engine(async |scene| {
        let endpoint = scene.endpoint().await;
        let first = claim_one_of(&scene, 5).await;
        let set =
            async |state| scene.endpoints().set_state(endpoint.id, state, None).await.expect("a change");
        set(EndpointState::Paused).await;
        assert!(scene.claim(100).await.is_empty());
        set(EndpointState::Enabled).await;
        let others = claim_ids(&scene).await;
        assert_eq!(others.len(), 4);
        assert!(!others.contains(&first.id));
    })
    .await;
}

#[tokio::test]
async fn a_changed_endpoint_is_called_at_its_new_address() {
    on_every_engine(async |scene| {
        let mut endpoint = scene.endpoint().await;
        claim_one_of(&scene, 5).await;
        endpoint.url = "https://other.example/hook".to_owned();
        scene.endpoints().save(endpoint).await.expect("a change");
        let others = scene.claim(100).await;
        assert_eq!(others.len(), 4);
        assert!(others.iter().all(|claimed| claimed.endpoint.url == "https://other.example/hook"));
    })
    .await;
}

#[tokio::test]
async fn what_nobody_took_in_time_is_claimed_all_the_same_and_recorded_once() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        let first = claim_one_of(&scene, 5).await;
        scene.clock.advance(LEASE * 3);
        let claimed = scene.claim(100).await;
        assert_eq!(claimed.len(), 5, "the first one's lease has run out too");
        for one in &claimed {
            scene.record(one, Next::Delivered).await.expect("a record");
        }
        assert!(scene.record(&first, Next::Delivered).await.is_err());
        assert!(scene.claim(100).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_removed_endpoint_gets_nothing() {
    on_every_engine(async |scene| {
        let endpoint = scene.endpoint().await;
        claim_one_of(&scene, 5).await;
        scene.endpoints().remove(endpoint.id).await.expect("a removal");
        assert!(scene.claim(100).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_line_is_in_order_though_its_next_was_not_due_when_others_were_read() {
    on_every_engine(async |scene| {
        scene.endpoint_that(|endpoint| endpoint.concurrency = 1).await;
        let source = scene.source().await;
        let talk = |n: usize, who: &str| message(&format!("{who}{n}"), who);
        let events = (0..30).flat_map(|n| [talk(n, "ana"), talk(n, "ben"), talk(n, "eva")]).collect();
        scene.receive(&source, events).await;
        let delivered = scene.deliver_all().await;
        assert_eq!(delivered.len(), 90);
        let lines: HashSet<Option<i64>> = delivered.iter().map(|claimed| claimed.line).collect();
        for line in lines {
            let of_line = delivered.iter().filter(|claimed| claimed.line == line);
            assert!(of_line.map(|claimed| claimed.event.id).is_sorted());
        }
    })
    .await;
}

#[tokio::test]
async fn one_app_leaves_places_to_the_others_and_alone_it_may_have_all() {
    on_every_engine(async |scene| {
        let mine = [scene.endpoint().await, scene.endpoint().await];
        claim_one_of(&scene, 10).await;
        let wish = |limit, busy| Wish { per_app: 8, busy, ..Wish::new(limit, LEASE) };
        let busy: Busy = mine.iter().map(|endpoint| (endpoint.id, (3, 0))).collect();
        let claim = async |wish: Wish| scene.deliveries().claim(wish).await.expect("a claim").len();
        assert_eq!(claim(wish(4, busy.clone())).await, 4, "nobody else is there");

        scene.endpoint_that(|endpoint| endpoint.app = AppId::from_raw(2)).await;
        assert_eq!(claim(wish(100, busy.clone())).await, 2, "two of eight are left");
        let full: Busy = mine.iter().map(|endpoint| (endpoint.id, (4, 0))).collect();
        assert_eq!(claim(wish(100, full)).await, 0);
    })
    .await;
}
