//! Replays, cancellations and attempts.

use std::collections::HashMap;
use std::time::Duration;

use model::delivery::{Attempt, AttemptOf, Phases};
use model::endpoint::OnDead;
use model::retry::Next;
use serde_json::{Value, json};
use store::records::Recorded;

use crate::scene::{Scene, ids, text};

/// Attempts everything that is due once, and lets it die.
async fn let_die(scene: &Scene) -> usize {
    let claimed =
        scene.store.deliveries().claim(100, HashMap::new(), Duration::from_secs(60)).await.expect("a claim");
    let count = claimed.len();
    for one in claimed {
        let attempt = Attempt {
            id: scene.store.fresh_id(),
            of: AttemptOf::Delivery(one.id),
            number: 1,
            status: Some(500),
            error: Some("500".to_owned()),
            peer: Some("192.0.2.9:443".to_owned()),
            phases: Phases::default(),
            answer_headers: "server: x".to_owned(),
            answer_excerpt: b"oops".to_vec(),
        };
        let recorded = Recorded {
            lease: one.lease,
            id: one.id,
            endpoint: one.endpoint.id,
            line: one.line,
            on_dead: OnDead::Skip,
            attempt: Some(attempt),
            next: Next::Dead("no attempts left: 500".to_owned()),
        };
        scene.store.deliveries().record(recorded).await.expect("a record");
    }
    count
}

async fn with_dead(events: u32) -> (Scene, String) {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let (source, endpoint) = (scene.open_source(&app).await, scene.endpoint(&app).await);
    for number in 0..events {
        scene.event(&source, "paid", number).await;
    }
    let mut died = 0;
    while died < events as usize {
        died += let_die(&scene).await;
    }
    (scene, endpoint)
}

async fn listed(scene: &Scene, query: &str) -> Vec<String> {
    ids(&scene.get(&format!("/v1/deliveries?limit=250&{query}")).await.ok())
}

#[tokio::test]
async fn a_dead_delivery_is_replayed_once_however_often_it_is_asked_for() {
    let (scene, _) = with_dead(1).await;
    let dead = listed(&scene, "status=dead").await.remove(0);
    let attempts = scene.get(&format!("/v1/deliveries/{dead}/attempts")).await.ok();
    assert_eq!(
        (&attempts["data"][0]["status"], &attempts["data"][0]["answer_excerpt"]),
        (&json!(500), &json!("oops"))
    );
    let path = format!("/v1/deliveries/{dead}/replay");
    let first = scene.post(&path, Value::Null).await.ok();
    let again = scene.post(&path, Value::Null).await.ok();
    assert_eq!(first, again);
    assert_eq!(listed(&scene, "").await.len(), 2);
    let made = scene.get(&format!("/v1/deliveries/{}", text(&first, "delivery"))).await.ok();
    let old = scene.get(&format!("/v1/deliveries/{dead}")).await.ok();
    assert_eq!((&made["event"], &made["state"]), (&old["event"], &json!("pending")));
    scene
        .post(&format!("/v1/deliveries/{}/replay", text(&first, "delivery")), Value::Null)
        .await
        .problem(409, "conflict");
}

#[tokio::test]
async fn replaying_many_makes_one_new_delivery_for_each_dead_one() {
    let (scene, endpoint) = with_dead(12).await;
    let one = listed(&scene, "status=dead").await.remove(0);
    scene.post(&format!("/v1/deliveries/{one}/replay"), Value::Null).await.ok();
    let other = scene.post("/v1/replays", json!({ "until": "2020-01-01T00:00:00Z" })).await.ok();
    assert_eq!(other, json!({ "count": 0, "next_cursor": null }));
    let replayed = scene.post("/v1/replays", json!({ "endpoint": endpoint })).await.ok();
    assert_eq!(replayed, json!({ "count": 11, "next_cursor": null }));
    assert_eq!(scene.post("/v1/replays", json!({})).await.ok()["count"], 0);
    assert_eq!(listed(&scene, "status=pending").await.len(), 12);
    assert_eq!(let_die(&scene).await.min(12), 10, "an endpoint's concurrency holds for replays too");
}

#[tokio::test]
async fn a_cancelled_delivery_is_out_of_the_way_and_can_be_replayed() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let (source, endpoint) = (scene.open_source(&app).await, scene.endpoint(&app).await);
    scene.event(&source, "paid", 1).await;
    let id = listed(&scene, "").await.remove(0);
    assert_eq!(
        scene.post(&format!("/v1/deliveries/{id}/cancel"), Value::Null).await.ok()["state"],
        "cancelled"
    );
    scene.post(&format!("/v1/deliveries/{id}/cancel"), Value::Null).await.problem(409, "conflict");
    scene.post(&format!("/v1/deliveries/{id}/replay"), Value::Null).await.ok();
    let event = ids(&scene.get("/v1/events").await.ok()).remove(0);
    let second = scene.endpoint(&app).await;
    scene.post(&format!("/v1/events/{event}/replay"), json!({ "endpoint": second })).await.ok();
    assert_eq!(listed(&scene, &format!("endpoint={second}")).await.len(), 1);
    assert_eq!(listed(&scene, &format!("endpoint={endpoint}")).await.len(), 2);
}
