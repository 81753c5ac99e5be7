//! Refused and unrouted requests: verified again, released, trusted.

use model::receipt::ReceiptState;
use serde_json::{Value, json};

use crate::scene::{APP_SECRET, Scene, ids, text};

#[tokio::test]
async fn a_refused_request_is_released_after_its_secret_was_corrected() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let (source, endpoint) = (scene.whatsapp_source(&app, "mistyped").await, scene.endpoint(&app).await);
    let refused = scene.whatsapp_message(&source, APP_SECRET, "200", "wamid.1").await;
    assert_eq!(refused.state, ReceiptState::Rejected);
    let at = format!("/v1/receipts/{}", refused.receipt.expect("a receipt"));
    let shown = scene.get(&at).await.ok();
    assert_eq!(shown["reason"]["code"], "signature_wrong");
    let again = scene.post(&format!("{at}/verify"), Value::Null).await.ok();
    assert_eq!((&again["genuine"], &again["reason"]["code"]), (&json!(false), &json!("signature_wrong")));
    scene.post(&format!("{at}/release"), json!({})).await.problem(409, "not_genuine");

    let corrected = json!({ "role": "signing", "secret": APP_SECRET, "overlap_s": 0 });
    scene.post(&format!("/v1/sources/{source}/rotate-secret"), corrected).await.ok();
    let genuine = scene.post(&format!("{at}/verify"), Value::Null).await.ok();
    assert_eq!((&genuine["genuine"], &genuine["events"]), (&json!(true), &json!(1)));
    assert!(ids(&scene.get("/v1/events").await.ok()).is_empty(), "verifying changes nothing");

    let released = scene.post(&format!("{at}/release"), json!({})).await.ok();
    assert_eq!((&released["state"], &released["items_new"]), (&json!("accepted"), &json!(1)));
    let shown = scene.get(&at).await.ok();
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("accepted"), &Value::Null));
    let events = scene.get("/v1/events?type=message.received").await.ok();
    assert_eq!(events["data"][0]["receipt"], shown["id"]);
    assert!(!ids(&scene.get(&format!("/v1/deliveries?endpoint={endpoint}")).await.ok()).is_empty());
    scene.post(&format!("{at}/release"), json!({})).await.problem(409, "conflict");
    assert_eq!(ids(&scene.get("/v1/events?type=message.received").await.ok()).len(), 1);
}

#[tokio::test]
async fn only_an_admin_trusts_what_is_not_proven() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let source = scene.whatsapp_source(&app, "mistyped").await;
    let refused = scene.whatsapp_message(&source, APP_SECRET, "200", "wamid.1").await;
    let at = format!("/v1/receipts/{}/release", refused.receipt.expect("a receipt"));
    let operator = scene.token("operator", None).await;
    scene.ask("POST", &at, &operator, &json!({ "trust": true })).await.problem(403, "forbidden");
    scene.ask("POST", &at, &operator, &json!({})).await.problem(409, "not_genuine");
    assert_eq!(scene.post(&at, json!({ "trust": true })).await.ok()["state"], "accepted");
}

#[tokio::test]
async fn a_request_in_quarantine_is_released_when_its_account_has_an_owner() {
    let scene = Scene::new().await;
    let (one, two) = (scene.app("one").await, scene.app("two").await);
    let source = scene.whatsapp_source(&one, APP_SECRET).await;
    let rule = json!({ "unknown_accounts": "quarantine" });
    scene.ask("PATCH", &format!("/v1/sources/{source}"), crate::scene::ADMIN, &rule).await.ok();
    let held = scene.whatsapp_message(&source, APP_SECRET, "300", "wamid.1").await;
    assert_eq!(held.state, ReceiptState::Unrouted);
    let at = format!("/v1/receipts/{}/release", held.receipt.expect("a receipt"));
    assert_eq!(scene.post(&at, json!({})).await.ok()["state"], "unrouted");
    scene.post("/v1/accounts", json!({ "source": source, "address": "300", "app": two })).await.ok();
    assert_eq!(scene.post(&at, json!({})).await.ok()["state"], "accepted");
    assert!(!ids(&scene.get(&format!("/v1/events?app={two}")).await.ok()).is_empty());
}

#[tokio::test]
async fn a_request_whose_token_was_wrong_is_released_after_the_token_was_corrected() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let new = json!({
        "platform": "generic", "name": "shop", "app": app,
        "settings": { "scheme": "header", "header": "x-token" },
        "secrets": [{ "role": "credential", "secret": "old" }],
    });
    let source = text(&scene.post("/v1/sources", new).await.ok(), "id");
    let refused = scene.receive(&source, &[("x-token", "new")], r#"{"event":"paid"}"#).await;
    assert_eq!(refused.state, ReceiptState::Rejected);
    let at = format!("/v1/receipts/{}", refused.receipt.expect("a receipt"));
    let corrected = json!({ "role": "credential", "secret": "new" });
    scene.post(&format!("/v1/sources/{source}/rotate-secret"), corrected).await.ok();
    assert_eq!(scene.post(&format!("{at}/release"), json!({})).await.ok()["state"], "accepted");
    let request = scene.get(&format!("{at}/request")).await.ok();
    assert_eq!((&request["body"], &request["intact"]), (&json!(r#"{"event":"paid"}"#), &json!(true)));
}

#[tokio::test]
async fn a_credential_that_a_refused_request_shows_is_masked_wherever_the_source_has_it() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let new = json!({
        "platform": "generic", "name": "g", "app": app, "allowed_networks": ["198.51.100.0/24"],
        "settings": { "scheme": "header", "header": "x-shop-token" },
        "secrets": [{ "role": "credential", "secret": "canary-right" }],
    });
    let source = text(&scene.post("/v1/sources", new).await.ok(), "id");
    let headers = [("x-shop-token", "canary-mistyped"), ("x-echo", "Token canary-right")];
    let refused = scene.receive(&source, &headers, "{}").await;
    let receipt = refused.receipt.expect("a receipt");
    for path in [
        format!("/v1/receipts/{receipt}"),
        format!("/v1/receipts/{receipt}/request"),
        "/v1/receipts".to_owned(),
    ] {
        let shown = scene.get(&path).await.ok().to_string();
        assert!(!shown.contains("canary"), "{path} {shown}");
    }
}

#[tokio::test]
async fn an_address_that_is_still_not_allowed_is_still_refused() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let source = scene.whatsapp_source(&app, "mistyped").await;
    let refused = scene.whatsapp_message(&source, APP_SECRET, "200", "wamid.1").await;
    let corrected = json!({ "role": "signing", "secret": APP_SECRET });
    scene.post(&format!("/v1/sources/{source}/rotate-secret"), corrected).await.ok();
    let networks = json!({ "allowed_networks": ["198.51.100.0/24"] });
    scene.ask("PATCH", &format!("/v1/sources/{source}"), crate::scene::ADMIN, &networks).await.ok();
    let at = format!("/v1/receipts/{}", refused.receipt.expect("a receipt"));
    let again = scene.post(&format!("{at}/verify"), Value::Null).await.ok();
    assert_eq!(again["reason"]["code"], "address_not_allowed");
}

#[tokio::test]
async fn a_key_that_a_gateway_puts_into_its_bodies_is_never_shown_and_a_refused_body_still_proves_itself() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let new = json!({
        "platform": "whatzme", "name": "evo", "app": app,
        "secrets": [{ "role": "signing", "secret": "mistyped" }],
    });
    let source = text(&scene.post("/v1/sources", new).await.ok(), "id");
    let body = r#"{"event":"messages.upsert","data":{"key":{"id":"K","remoteJid":"1@s.whatsapp.net"},"message":{"conversation":"x"}},"apikey":"canary-instance-key"}"#;
    let mac = platforms::proof::mac(platforms::proof::Hash::Sha256, b"right", &[body.as_bytes()]);
    let signature = format!("sha256={}", hex::encode(mac));
    let refused = scene.receive(&source, &[("x-signature", &signature)], body).await;
    assert_eq!(refused.state, ReceiptState::Rejected);
    let at = format!("/v1/receipts/{}", refused.receipt.expect("a receipt"));
    let masked = body.replace("canary-instance-key", "***");
    let shown = scene.get(&format!("{at}/request")).await.ok();
    assert_eq!((&shown["body"], &shown["intact"]), (&json!(masked), &json!(true)));
    let corrected = json!({ "role": "signing", "secret": "right", "overlap_s": 0 });
    scene.post(&format!("/v1/sources/{source}/rotate-secret"), corrected).await.ok();
    assert_eq!(scene.post(&format!("{at}/verify"), Value::Null).await.ok()["genuine"], true);
    assert_eq!(scene.post(&format!("{at}/release"), json!({})).await.ok()["state"], "accepted");
    assert_eq!(scene.get(&format!("{at}/request")).await.ok()["body"], json!(masked));
    scene.ask("DELETE", &format!("/v1/sources/{source}"), crate::scene::ADMIN, &Value::Null).await.ok();
    assert_eq!(
        scene.get(&format!("{at}/request")).await.ok()["body"],
        json!(masked),
        "nor without its source"
    );
}

#[tokio::test]
async fn a_request_in_quarantine_was_genuine_when_it_came_and_need_not_prove_itself_again() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let new = json!({
        "platform": "whatzme", "name": "evo", "app": app, "unknown_accounts": "quarantine",
        "settings": { "signature": false, "auth": "bearer" },
        "secrets": [{ "role": "credential", "secret": "old" }],
    });
    let source = text(&scene.post("/v1/sources", new).await.ok(), "id");
    let body = r#"{"event":"messages.upsert","instance":"acme","data":{"key":{"id":"K","remoteJid":"1@s.whatsapp.net"},"message":{"conversation":"x"}}}"#;
    let held = scene.receive(&source, &[("authorization", "Bearer old")], body).await;
    assert_eq!(held.state, ReceiptState::Unrouted);
    let rotated = json!({ "role": "credential", "secret": "new", "overlap_s": 0 });
    scene.post(&format!("/v1/sources/{source}/rotate-secret"), rotated).await.ok();
    let at = format!("/v1/receipts/{}", held.receipt.expect("a receipt"));
    let again = scene.post(&format!("{at}/verify"), Value::Null).await.ok();
    assert_eq!((&again["genuine"], &again["events"]), (&json!(true), &json!(1)));
    scene.post("/v1/accounts", json!({ "source": source, "address": "acme", "app": app })).await.ok();
    let operator = scene.token("operator", None).await;
    let released = scene.ask("POST", &format!("{at}/release"), &operator, &json!({})).await.ok();
    assert_eq!((&released["state"], &released["items_new"]), (&json!("accepted"), &json!(1)));
}
