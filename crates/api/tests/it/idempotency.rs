//! `Idempotency-Key`: one act, however often it is asked for.

use serde_json::{Value, json};

use crate::replays::{let_die, with_dead};
use crate::scene::{ADMIN, Answer, Scene, ids, text};

async fn post(scene: &Scene, path: &str, token: &str, key: &str, body: Value) -> Answer {
    scene.ask_with(("POST", path), token, &body, &[("idempotency-key", key)]).await
}

#[tokio::test]
async fn the_same_request_under_the_same_key_is_answered_once() {
    let scene = Scene::new().await;
    scene.app("a").await;
    let body = json!({ "url": "https://example.com/a" });
    let first = post(&scene, "/v1/endpoints", ADMIN, "k1", body.clone()).await;
    let again = post(&scene, "/v1/endpoints", ADMIN, "k1", body.clone()).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(first.body["id"], again.body["id"]);
    assert_eq!(first.headers["etag"], again.headers["etag"]);
    assert!(first.body["secret"].is_string() && again.body.get("secret").is_none(), "a secret is shown once");
    assert_eq!(ids(&scene.get("/v1/endpoints").await.ok()).len(), 1);
    post(&scene, "/v1/endpoints", ADMIN, "k1", json!({ "url": "https://example.com/b" }))
        .await
        .problem(422, "key_reused");
    post(&scene, "/v1/endpoints", ADMIN, "k2", body).await.ok();
    assert_eq!(ids(&scene.get("/v1/endpoints").await.ok()).len(), 2);
}

#[tokio::test]
async fn a_key_is_bound_to_its_token_and_route() {
    let scene = Scene::new().await;
    let other = scene.token("admin", None).await;
    let body = json!({ "name": "a" });
    let first = post(&scene, "/v1/apps", ADMIN, "k", body.clone()).await.ok();
    let second = post(&scene, "/v1/apps", &other, "k", body.clone()).await.ok();
    assert_ne!(first["id"], second["id"]);
    post(&scene, "/v1/tokens", ADMIN, "k", json!({ "name": "t", "role": "viewer" })).await.ok();
}

#[tokio::test]
async fn the_same_body_for_another_version_is_another_request() {
    let scene = Scene::new().await;
    scene.app("a").await;
    let made = post(&scene, "/v1/endpoints", ADMIN, "k0", json!({ "url": "https://example.com/a" })).await;
    let path = format!("/v1/endpoints/{}/pause", text(&made.ok(), "id"));
    let pause = async |version: &str| {
        let headers = [("idempotency-key", "k"), ("if-match", version)];
        scene.ask_with(("POST", &path), ADMIN, &json!({}), &headers).await
    };
    pause("*").await.ok();
    assert_eq!(pause("*").await.headers["idempotency-replayed"], "true");
    pause("\"1\"").await.problem(422, "key_reused");
}

#[tokio::test]
async fn a_replay_under_one_key_is_made_once_however_often_it_is_asked_for() {
    let (scene, endpoint) = with_dead(2).await;
    let dead = ids(&scene.get("/v1/deliveries?status=dead").await.ok());
    let count = async || ids(&scene.get("/v1/deliveries?limit=250").await.ok()).len();
    let replay = format!("/v1/deliveries/{}/replay", dead[0]);
    let again = json!({ "again": true });
    let first = post(&scene, &replay, ADMIN, "r", again.clone()).await.ok();
    assert_eq!(post(&scene, &replay, ADMIN, "r", again).await.ok(), first);
    assert_eq!(count().await, 3);
    let first = post(&scene, "/v1/replays", ADMIN, "r", json!({})).await.ok();
    assert_eq!(first["count"], 1);
    assert_eq!(post(&scene, "/v1/replays", ADMIN, "r", json!({})).await.ok(), first);
    assert_eq!(count().await, 4);
    while let_die(&scene).await > 0 {}
    let event = text(&scene.get(&format!("/v1/deliveries/{}", dead[0])).await.ok(), "event");
    let (path, to) = (format!("/v1/events/{event}/replay"), json!({ "endpoint": endpoint }));
    let first = post(&scene, &path, ADMIN, "r", to.clone()).await.ok();
    assert_eq!(post(&scene, &path, ADMIN, "r", to.clone()).await.ok(), first);
    // Without a key, a second click finds it on its way.
    scene.post(&path, to).await.problem(409, "conflict");
    assert_eq!(count().await, 5);
}

#[tokio::test]
async fn a_request_that_came_to_nothing_gives_its_key_back() {
    let scene = Scene::new().await;
    post(&scene, "/v1/apps", ADMIN, "k", json!({ "name": "" })).await.problem(422, "invalid");
    post(&scene, "/v1/apps", ADMIN, "k", json!({ "name": "a" })).await.ok();
}

#[tokio::test]
async fn a_request_under_way_is_not_begun_twice() {
    let scene = Scene::new().await;
    let body = json!({ "name": "a" });
    let actor = scene
        .control
        .tokens()
        .authenticate(ADMIN, || Ok::<(), ()>(()))
        .await
        .expect("a store")
        .expect("may look")
        .expect("an actor");
    let bytes = body.to_string().into_bytes();
    scene.control.idempotency().claim(&actor, "POST /v1/apps", "k", &bytes).await.expect("a claim");
    post(&scene, "/v1/apps", ADMIN, "k", body).await.problem(409, "key_under_way");
    assert_eq!(ids(&scene.get("/v1/apps").await.ok()).len(), 0);
}

#[tokio::test]
async fn a_message_under_one_key_is_queued_once() {
    let scene = Scene::new().await;
    let source = scene.whatsapp_source(&scene.app("a").await, "s").await;
    scene.whatsapp_message(&source, "s", "200", "wamid.1").await;
    let body = json!({ "from": "200", "to": "15550000042", "type": "text", "text": { "body": "hi" } });
    let first = post(&scene, "/v1/messages", ADMIN, "k", body.clone()).await.ok();
    let again = post(&scene, "/v1/messages", ADMIN, "k", body).await.ok();
    assert_eq!(text(&first, "id"), text(&again, "id"));
    let other = json!({ "from": "200", "to": "15550000042", "type": "text", "text": { "body": "ho" } });
    post(&scene, "/v1/messages", ADMIN, "k", other).await.problem(422, "key_reused");
    assert_eq!(ids(&scene.get("/v1/messages").await.ok()).len(), 1);
}

#[tokio::test]
async fn a_key_that_cannot_be_is_refused() {
    let scene = Scene::new().await;
    post(&scene, "/v1/apps", ADMIN, &"k".repeat(256), json!({ "name": "a" })).await.problem(422, "invalid");
    post(&scene, "/v1/apps", ADMIN, "", json!({ "name": "a" })).await.problem(422, "invalid");
}
