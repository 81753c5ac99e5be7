//! Pages and filters.

use std::time::Duration;

use serde_json::Value;

use crate::scene::{Scene, ids, text};

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repeat() {
    let scene = Scene::new().await;
    let source = scene.open_source(&scene.app("a").await).await;
    for number in 0..5 {
        scene.event(&source, "paid", number).await;
    }
    let all = ids(&scene.get("/v1/events").await.ok());
    assert_eq!(all.len(), 5);
    assert!(all.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {all:?}");
    let (mut walked, mut path) = (Vec::new(), "/v1/events?limit=2".to_owned());
    loop {
        let page = scene.get(&path).await.ok();
        walked.extend(ids(&page));
        let Value::String(cursor) = &page["next_cursor"] else { break };
        path = format!("/v1/events?limit=2&cursor={cursor}");
    }
    assert_eq!(walked, all);
}

#[tokio::test]
async fn small_listings_are_paged_alike() {
    let scene = Scene::new().await;
    for name in ["a", "b", "c"] {
        scene.app(name).await;
    }
    let first = scene.get("/v1/apps?limit=2").await.ok();
    let cursor = text(&first, "next_cursor");
    let second = scene.get(&format!("/v1/apps?limit=2&cursor={cursor}")).await.ok();
    assert_eq!((ids(&first).len(), ids(&second).len()), (2, 1));
    assert_eq!(second["next_cursor"], Value::Null);
    assert!(ids(&first)[1] > ids(&second)[0]);
}

#[tokio::test]
async fn events_are_narrowed_by_type_source_and_time() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let (one, two) = (scene.open_source(&app).await, scene.open_source(&app).await);
    scene.event(&one, "paid", 1).await;
    scene.clock.advance(Duration::from_secs(60));
    let middle = scene.clock.now().to_string();
    scene.event(&two, "paid", 2).await;
    scene.event(&two, "refunded", 3).await;
    let count = async |query: &str| ids(&scene.get(&format!("/v1/events?{query}")).await.ok()).len();
    assert_eq!(count("type=generic.paid").await, 2);
    assert_eq!(count(&format!("source={one}")).await, 1);
    assert_eq!(count(&format!("source={two}&type=generic.paid")).await, 1);
    assert_eq!(count(&format!("since={middle}")).await, 2);
    assert_eq!(count(&format!("until={middle}")).await, 1);
    assert_eq!(count(&format!("app={app}&since={middle}&limit=1")).await, 1);
}

#[tokio::test]
async fn deliveries_and_receipts_are_narrowed_by_endpoint_and_status() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let (source, one, two) =
        (scene.open_source(&app).await, scene.endpoint(&app).await, scene.endpoint(&app).await);
    scene.event(&source, "paid", 1).await;
    scene.post(&format!("/v1/endpoints/{two}/pause"), Value::Null).await.ok();
    let listed = async |path: &str| ids(&scene.get(path).await.ok()).len();
    assert_eq!(listed("/v1/deliveries").await, 2);
    assert_eq!(listed(&format!("/v1/deliveries?endpoint={one}")).await, 1);
    assert_eq!(listed("/v1/deliveries?status=pending").await, 1);
    assert_eq!(listed("/v1/deliveries?status=held").await, 1);
    assert_eq!(listed("/v1/deliveries?status=dead").await, 0);
    assert_eq!(listed("/v1/receipts?status=accepted").await, 1);
    assert_eq!(listed(&format!("/v1/receipts?source={source}&status=rejected")).await, 0);
    let held = scene.get(&format!("/v1/deliveries?endpoint={two}")).await.ok();
    assert_eq!(held["data"][0]["state"], "held");
}

#[tokio::test]
async fn a_page_or_filter_that_cannot_be_is_named() {
    let scene = Scene::new().await;
    for (noun, member) in [("events", "type"), ("audit", "actor"), ("audit", "action")] {
        let refused = scene.get(&format!("/v1/{noun}?{member}=a%00b")).await;
        refused.problem(422, "invalid");
        assert_eq!(refused.body["errors"][0]["pointer"], format!("/{member}"));
    }
    for (query, pointer) in [
        ("limit=0", "/limit"),
        ("limit=251", "/limit"),
        ("cursor=evt_00000000000", "/cursor"),
        ("since=yesterday", "/since"),
        ("source=app_00000000000", "/source"),
    ] {
        let answer = scene.get(&format!("/v1/events?{query}")).await;
        answer.problem(422, "invalid");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
    }
    scene.get("/v1/events?surprise=1").await.problem(422, "invalid");
    scene.get("/v1/deliveries?status=lost").await.problem(422, "invalid");
}
