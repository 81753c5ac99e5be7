//! Secrets go in and do not come out.

use serde_json::{Value, json};

use crate::scene::{ADMIN, APP_SECRET, Scene, text};

/// Texts that no answer may hold.
const CANARIES: [&str; 6] = [
    "canary-app-secret",
    "canary-verify-token",
    "canary-access-token",
    "canary-value",
    "canary-header",
    "canary-query",
];

#[tokio::test]
async fn no_answer_holds_a_secret_that_was_given() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let source = scene.whatsapp_source(&app, APP_SECRET).await;
    let headers = json!({ "x-api-key": "canary-value" });
    let new = json!({ "url": "https://example.com", "headers": headers });
    let endpoint = scene.post("/v1/endpoints", new).await.ok();
    let shown = text(&endpoint, "secret");
    let receipt =
        scene.whatsapp_message(&source, "wrong", "200", "wamid.1").await.receipt.expect("a receipt");
    scene.whatsapp_message(&source, APP_SECRET, "200", "wamid.2").await;
    let rotation = json!({ "role": "signing", "secret": APP_SECRET });
    let mut said = vec![scene.post(&format!("/v1/sources/{source}/rotate-secret"), rotation).await.ok()];
    let id = text(&endpoint, "id");
    said.push(
        scene
            .ask("PATCH", &format!("/v1/endpoints/{id}"), crate::scene::ADMIN, &json!({ "name": "b" }))
            .await
            .ok(),
    );
    for path in [
        "/v1/sources".to_owned(),
        format!("/v1/sources/{source}"),
        "/v1/endpoints".to_owned(),
        format!("/v1/endpoints/{id}"),
        "/v1/receipts".to_owned(),
        format!("/v1/receipts/{receipt}"),
        format!("/v1/receipts/{receipt}/request"),
        "/v1/tokens".to_owned(),
        "/v1/accounts".to_owned(),
    ] {
        said.push(scene.get(&path).await.ok());
    }
    let said = Value::from(said).to_string();
    for canary in CANARIES.into_iter().chain([shown.as_str()]) {
        assert!(!said.contains(canary), "{canary}");
    }
    assert!(said.contains("x-api-key"), "names of headers are shown");
}

#[tokio::test]
async fn a_made_secret_is_shown_once_and_changes_when_it_is_rotated() {
    let scene = Scene::new().await;
    scene.app("a").await;
    let made = scene.post("/v1/endpoints", json!({ "url": "https://example.com" })).await.ok();
    let (id, first) = (text(&made, "id"), text(&made, "secret"));
    assert!(first.starts_with("whsec_") && first.len() == 50, "{first}");
    let rotated =
        scene.post(&format!("/v1/endpoints/{id}/rotate-secret"), json!({ "overlap_s": 60 })).await.ok();
    assert_ne!(text(&rotated, "secret"), first);
    let held = scene.get(&format!("/v1/endpoints/{id}")).await.ok();
    let retire = held["keys_retire_at"].as_array().expect("a list");
    assert_eq!((retire.len(), retire[0].is_null(), retire[1].is_string()), (2, true, true));
    let long = scene.post(&format!("/v1/endpoints/{id}/rotate-secret"), json!({ "overlap_s": 86_401 })).await;
    long.problem(422, "invalid");
    assert_eq!(long.body["errors"][0]["pointer"], "/overlap_s");
    let given = json!({ "secret": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX" });
    let given = scene.post(&format!("/v1/endpoints/{id}/rotate-secret"), given).await.ok();
    assert_eq!(given["secret"], Value::Null, "what was given is not said back");
}

#[tokio::test]
async fn who_may_not_change_secrets_cannot_have_them_sent_elsewhere() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let operator = scene.token("operator", None).await;
    let source = format!("/v1/sources/{}", scene.whatsapp_source(&app, "s").await);
    let elsewhere = json!({ "settings": { "api_base": "https://elsewhere.example" } });
    scene.ask("PATCH", &source, &operator, &elsewhere).await.problem(403, "forbidden");
    // Who could weaken a proof, release what was refused, and set it back, would be as good as the platform.
    for weaker in [json!({ "settings": { "unsigned": true } }), json!({ "allowed_networks": ["0.0.0.0/0"] })]
    {
        scene.ask("PATCH", &source, &operator, &weaker).await.problem(403, "forbidden");
    }
    scene.ask("PATCH", &source, &operator, &json!({ "name": "numbers", "rate_per_second": 20 })).await.ok();
    scene.ask("PATCH", &source, ADMIN, &elsewhere).await.ok();

    let new = json!({ "url": "https://example.com/a", "app": app, "headers": { "x-api-key": "canary" } });
    let endpoint = format!("/v1/endpoints/{}", text(&scene.post("/v1/endpoints", new).await.ok(), "id"));
    let change = async |body: Value| scene.ask("PATCH", &endpoint, &operator, &body).await;
    change(json!({ "url": "https://elsewhere.example/a" })).await.problem(403, "forbidden");
    change(json!({ "url": "https://example.com/b" })).await.ok();
    change(json!({ "url": "https://elsewhere.example/a", "headers": {} })).await.ok();
    change(json!({ "url": "https://example.com/a", "headers": { "x-api-key": "another" } })).await.ok();
    change(json!({ "headers": {} })).await.ok();
    change(json!({ "format": "platform" })).await.problem(403, "forbidden");
    scene.ask("PATCH", &endpoint, ADMIN, &json!({ "format": "platform" })).await.ok();
    change(json!({ "url": "https://elsewhere.example/a" })).await.problem(403, "forbidden");
}

#[tokio::test]
async fn only_the_hash_of_a_token_is_kept() {
    let scene = Scene::new().await;
    let text = scene.token("viewer", None).await;
    let held = scene.store.access().token(control::tokens::hash(&text).to_vec()).await.expect("a store");
    let held = held.expect("a token");
    assert!(text.ends_with(&held.hint) && held.hint.len() == 4);
    assert_eq!(scene.ask("GET", "/v1/apps", &text, &Value::Null).await.status, 200);
}
