//! Replays, retries, cancellations and attempts.

use std::time::Duration;

use model::delivery::{Attempt, AttemptOf, Phases};
use model::endpoint::OnDead;
use model::retry::Next;
use serde_json::{Value, json};
use store::claims::{Claimed, Wish};
use store::records::Recorded;

use crate::scene::{Scene, ids, text};

/// Attempts everything that is due once, and lets it die.
pub(crate) async fn let_die(scene: &Scene) -> usize {
    let claimed =
        scene.store.deliveries().claim(Wish::new(100, Duration::from_secs(60))).await.expect("a claim");
    let count = claimed.len();
    for one in claimed {
        record(scene, one, OnDead::Skip, Next::Dead("no attempts left: 500".to_owned())).await;
    }
    count
}

async fn record(scene: &Scene, claimed: Claimed, on_dead: OnDead, next: Next) {
    let attempt = Attempt {
        id: scene.store.fresh_id(),
        of: AttemptOf::Delivery(claimed.id),
        number: claimed.attempts + 1,
        status: Some(500),
        error: Some("500".to_owned()),
        peer: Some("192.0.2.9:443".to_owned()),
        phases: Phases::default(),
        answer_headers: "server: x".to_owned(),
        answer_excerpt: b"oops".to_vec(),
    };
    let recorded = Recorded {
        lease: claimed.lease,
        id: claimed.id,
        endpoint: claimed.endpoint.id,
        line: claimed.line,
        on_dead,
        attempt: Some(attempt),
        next,
    };
    scene.store.deliveries().record(recorded).await.expect("a record");
}

pub(crate) async fn with_dead(events: u32) -> (Scene, String) {
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
async fn a_delivery_is_replayed_once_unless_it_is_asked_for_again() {
    let (scene, _) = with_dead(1).await;
    let dead = listed(&scene, "status=dead").await.remove(0);
    let attempts = scene.get(&format!("/v1/deliveries/{dead}/attempts")).await.ok();
    assert_eq!(
        (&attempts["data"][0]["status"], &attempts["data"][0]["answer_excerpt"]),
        (&json!(500), &json!("oops"))
    );
    let path = format!("/v1/deliveries/{dead}/replay");
    let made = text(&scene.post(&path, Value::Null).await.ok(), "delivery");
    // Long after any idempotency key is forgotten.
    scene.clock.advance(Duration::from_secs(3 * 24 * 3600));
    let refused = scene.post(&path, json!({})).await;
    refused.problem(409, "already_replayed");
    assert!(text(&refused.body, "detail").contains(&made), "{}", refused.body);
    assert_eq!(listed(&scene, "").await.len(), 2);
    let new = scene.get(&format!("/v1/deliveries/{made}")).await.ok();
    let old = scene.get(&format!("/v1/deliveries/{dead}")).await.ok();
    assert_eq!((&new["event"], &new["state"]), (&old["event"], &json!("pending")));
    assert_eq!((&new["replayed_by"], &old["replayed_by"]), (&Value::Null, &json!(made)));
    scene.post(&format!("/v1/deliveries/{made}/replay"), Value::Null).await.problem(409, "conflict");
    let again = text(&scene.post(&path, json!({ "again": true })).await.ok(), "delivery");
    let old = scene.get(&format!("/v1/deliveries/{dead}")).await.ok();
    assert_eq!(old["replayed_by"], again.as_str());
}

#[tokio::test]
async fn replaying_many_makes_one_new_delivery_for_each_dead_one() {
    let (scene, endpoint) = with_dead(12).await;
    let one = listed(&scene, "status=dead").await.remove(0);
    scene.post(&format!("/v1/deliveries/{one}/replay"), Value::Null).await.ok();
    let other = scene.post("/v1/replays", json!({ "until": "2020-01-01T00:00:00Z" })).await.ok();
    assert_eq!(other, json!({ "count": 0, "lost": 0, "next_cursor": null }));
    let some = scene.post("/v1/replays", json!({ "limit": 4 })).await.ok();
    assert_eq!(some["count"], 4);
    let rest = json!({ "endpoint": endpoint, "cursor": some["next_cursor"] });
    let replayed = scene.post("/v1/replays", rest).await.ok();
    assert_eq!(replayed, json!({ "count": 7, "lost": 0, "next_cursor": null }));
    scene.clock.advance(Duration::from_secs(3 * 24 * 3600));
    assert_eq!(scene.post("/v1/replays", json!({})).await.ok()["count"], 0);
    assert_eq!(listed(&scene, "status=pending").await.len(), 12);
    assert_eq!(let_die(&scene).await.min(12), 10, "an endpoint's concurrency holds for replays too");
    for limit in [0, 10_001] {
        let refused = scene.post("/v1/replays", json!({ "limit": limit })).await;
        refused.problem(422, "invalid");
        assert_eq!(refused.body["errors"][0]["pointer"], "/limit");
    }
}

#[tokio::test]
async fn what_retention_has_removed_cannot_be_replayed_and_says_so() {
    let (scene, endpoint) = with_dead(1).await;
    let dead = listed(&scene, "status=dead").await.remove(0);
    let event = ids(&scene.get("/v1/events?type=generic.paid").await.ok()).remove(0);
    for _ in 0..32 {
        scene.clock.advance(Duration::from_secs(24 * 3600));
        scene.store.retention().step(store::retention::Keep::default()).await.expect("a step");
    }
    scene.post(&format!("/v1/deliveries/{dead}/replay"), Value::Null).await.problem(409, "content_removed");
    let to = json!({ "endpoint": endpoint });
    scene.post(&format!("/v1/events/{event}/replay"), to).await.problem(409, "content_removed");
    let many = scene.post("/v1/replays", json!({})).await.ok();
    assert_eq!(many, json!({ "count": 0, "lost": 1, "next_cursor": null }));
}

#[tokio::test]
async fn what_stands_at_the_head_of_its_line_is_attempted_now() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let source = scene.whatsapp_source(&app, "s").await;
    let hold =
        json!({ "url": "https://example.com/hook", "app": app, "on_dead": "hold", "types": ["message.*"] });
    let endpoint = text(&scene.post("/v1/endpoints", hold).await.ok(), "id");
    for number in 0..2 {
        scene.whatsapp_message(&source, "s", "200", &format!("wamid.{number}")).await;
    }
    let claimed = scene.store.deliveries().claim(Wish::new(10, Duration::from_secs(60))).await;
    let [head] = claimed.expect("a claim").try_into().expect("only the head is due");
    record(&scene, head, OnDead::Hold, Next::Dead("no attempts left".to_owned())).await;
    let held = listed(&scene, "status=held").await.remove(0);
    let waiting = listed(&scene, "status=pending").await.remove(0);
    let retry = async |id: &str| scene.post(&format!("/v1/deliveries/{id}/retry"), Value::Null).await;
    retry(&waiting).await.problem(409, "conflict");
    let due = retry(&held).await.ok();
    assert_eq!((&due["state"], &due["due_at"]), (&json!("pending"), &json!(scene.clock.now().to_string())));
    scene.post(&format!("/v1/endpoints/{endpoint}/pause"), Value::Null).await.ok();
    retry(&held).await.problem(409, "conflict");
    scene.post(&format!("/v1/endpoints/{endpoint}/resume"), Value::Null).await.ok();
    let claimed = scene.store.deliveries().claim(Wish::new(10, Duration::from_secs(60))).await;
    let [head] = claimed.expect("a claim").try_into().expect("the head is due");
    record(&scene, head, OnDead::Hold, Next::Delivered).await;
    retry(&held).await.problem(409, "conflict");
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
