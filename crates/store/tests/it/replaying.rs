//! Replays: once each, and only of what can still be delivered.

use std::time::Duration;

use model::delivery::{Delivery, DeliveryState};
use model::endpoint::{Endpoint, Format};
use model::id::{AppId, DeliveryId};
use model::retry::Next;
use store::replays::{DeadFilter, Replayed};
use store::retention::Keep;

use crate::engine::on_every_engine;
use crate::scene::{Scene, dead, message};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An endpoint to which as many deliveries have died, newest first.
async fn with_dead(scene: &Scene, count: usize) -> (Endpoint, Vec<Delivery>) {
    let (source, endpoint) = (scene.source().await, scene.endpoint().await);
    let events = (0..count).map(|n| message(&format!("m{n}"), &format!("c{n}"))).collect();
    scene.receive(&source, events).await;
    loop {
        let claimed = scene.claim(100).await;
        if claimed.is_empty() {
            break;
        }
        for one in claimed {
            scene.record(&one, dead()).await.expect("a record");
        }
    }
    (endpoint, scene.all_deliveries().await)
}

async fn replay(scene: &Scene, id: DeliveryId, again: bool) -> Replayed {
    scene.replays().delivery(id, again).await.expect("a replay")
}

#[tokio::test]
async fn a_replay_is_a_new_delivery_of_the_same_event_beside_any_line_and_the_old_one_names_it() {
    on_every_engine(async |scene| {
        let (_, all) = with_dead(&scene, 1).await;
        let old = &all[0];
        let Replayed::Made(made) = replay(&scene, old.id, false).await else { panic!("not made") };
        let claimed = scene.claim(10).await.remove(0);
        assert_eq!((claimed.id, claimed.event.id, claimed.line), (made, old.event, None));
        assert_eq!(replay(&scene, made, false).await, Replayed::OnItsWay);
        scene.record(&claimed, Next::Delivered).await.expect("a record");
        let shown = scene.deliveries().get(old.id).await.expect("it stays");
        assert_eq!((shown.state, shown.replayed_by), (DeliveryState::Dead, Some(made)));
        assert!(matches!(replay(&scene, made, false).await, Replayed::Made(_)), "what has arrived too");
        let none = scene.replays().delivery(scene.fresh_id(), false).await;
        assert!(matches!(none, Err(store::Error::NotFound("delivery"))));
    })
    .await;
}

#[tokio::test]
async fn what_was_replayed_is_replayed_again_only_when_asked_to_however_long_ago_it_was() {
    on_every_engine(async |scene| {
        let (_, all) = with_dead(&scene, 1).await;
        let Replayed::Made(first) = replay(&scene, all[0].id, false).await else { panic!("not made") };
        scene.clock.advance(DAY * 3);
        while scene.retention().step(Keep::default()).await.expect("a step") > 0 {}
        assert_eq!(replay(&scene, all[0].id, false).await, Replayed::Before(first));
        let step = scene.replays().dead(DeadFilter::default(), None, 10).await.expect("a step");
        assert_eq!((step.made, step.lost, step.next), (0, 0, None));
        let Replayed::Made(second) = replay(&scene, all[0].id, true).await else { panic!("not made") };
        assert_eq!(replay(&scene, all[0].id, false).await, Replayed::Before(second));
    })
    .await;
}

#[tokio::test]
async fn ten_who_replay_the_same_at_once_make_one_delivery() {
    on_every_engine(async |scene| {
        let (_, all) = with_dead(&scene, 3).await;
        let replays = scene.store.replays();
        let one = futures_util::future::join_all((0..5).map(|_| replays.delivery(all[0].id, false)));
        let many =
            futures_util::future::join_all((0..5).map(|_| replays.dead(DeadFilter::default(), None, 100)));
        let (one, many) = tokio::join!(one, many);
        let one = one.into_iter().filter(|one| matches!(one, Ok(Replayed::Made(_)))).count();
        let many: usize = many.into_iter().map(|step| step.expect("a step").made).sum();
        assert_eq!(one + many, 3);
        assert_eq!(scene.all_deliveries().await.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn dead_deliveries_are_replayed_in_steps_by_endpoint_app_and_limit() {
    on_every_engine(async |scene| {
        let (endpoint, all) = with_dead(&scene, 5).await;
        let step = async |filter, before, limit| {
            let step = scene.replays().dead(filter, before, limit).await.expect("a step");
            (step.made, step.next)
        };
        let other = DeadFilter { endpoint: Some(scene.endpoint().await.id), ..DeadFilter::default() };
        assert_eq!(step(other, None, 10).await, (0, None));
        let other = DeadFilter { app: Some(AppId::from_raw(2)), ..DeadFilter::default() };
        assert_eq!(step(other, None, 10).await, (0, None));
        let own = DeadFilter { app: Some(scene.app()), endpoint: Some(endpoint.id), ..DeadFilter::default() };
        let (made, next) = step(own, None, 2).await;
        assert_eq!((made, next), (2, Some(all[1].id.raw())));
        assert_eq!(step(own, next, 10).await, (3, None));
        assert_eq!(step(own, None, 10).await, (0, None));
    })
    .await;
}

#[tokio::test]
async fn what_retention_has_removed_and_who_was_removed_are_not_owed_anything() {
    on_every_engine(async |scene| {
        let (endpoint, all) = with_dead(&scene, 2).await;
        let platform = scene.endpoint_that(|endpoint| endpoint.format = Format::Platform).await;
        let owed = async |to| scene.replays().event(all[0].event, to).await.expect("a replay");
        assert!(matches!(owed(platform.id).await, Replayed::Made(_)));
        scene.deliver_all().await;
        scene.days_pass(31).await;
        while scene.retention().step(Keep::default()).await.expect("a step") > 0 {}
        assert_eq!(owed(endpoint.id).await, Replayed::ContentRemoved);
        assert_eq!(owed(platform.id).await, Replayed::ContentRemoved);
        assert_eq!(replay(&scene, all[1].id, false).await, Replayed::ContentRemoved);
        let step = scene.replays().dead(DeadFilter::default(), None, 10).await.expect("a step");
        assert_eq!((step.made, step.lost), (0, 2));
        scene.endpoints().remove(endpoint.id).await.expect("removed");
        assert_eq!(replay(&scene, all[1].id, false).await, Replayed::EndpointRemoved);
        assert_eq!(owed(scene.fresh_id()).await, Replayed::EndpointRemoved);
    })
    .await;
}
