//! Messages out: what is refused before anything is queued, and what is queued.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use store::sends::WantedSends;

use crate::scene::{ADMIN, Scene, ids, text};

async fn with_conversation() -> (Scene, String) {
    let scene = Scene::new().await;
    let source = scene.whatsapp_source(&scene.app("a").await, "s").await;
    scene.whatsapp_message(&source, "s", "200", "wamid.1").await;
    let conversation = ids(&scene.get("/v1/conversations").await.ok()).remove(0);
    (scene, conversation)
}

#[tokio::test]
async fn an_answer_needs_only_its_conversation() {
    let (scene, conversation) = with_conversation().await;
    let new = json!({ "conversation": conversation, "type": "text", "text": { "body": "hi" } });
    let sent = scene.post("/v1/messages", new).await;
    assert_eq!(sent.status, 202);
    assert_eq!((&sent.body["state"], &sent.body["conversation"]), (&json!("pending"), &json!(conversation)));
    let shown = scene.get(&format!("/v1/messages/{}", text(&sent.body, "id"))).await.ok();
    assert_eq!(
        shown["content"],
        json!({ "to": "15550000042", "type": "text", "text": { "body": "hi", "preview_url": false } })
    );
    let listed = scene.get(&format!("/v1/messages?conversation={conversation}&status=pending")).await.ok();
    assert_eq!(ids(&listed).len(), 1);
    assert!(listed["data"][0].get("content").is_none());
    assert!(ids(&scene.get("/v1/messages?status=dead").await.ok()).is_empty());
}

#[tokio::test]
async fn a_recipient_in_any_spelling_finds_the_conversation() {
    let (scene, conversation) = with_conversation().await;
    let new = json!({ "from": "200", "to": "+1 555 000 0042", "type": "text", "text": { "body": "hi" } });
    assert_eq!(scene.post("/v1/messages", new).await.ok()["conversation"], conversation.as_str());
}

#[tokio::test]
async fn outside_the_window_only_templates_pass_unless_it_is_overridden() {
    let (scene, conversation) = with_conversation().await;
    scene.clock.advance(Duration::from_secs(24 * 3600));
    let text = json!({ "conversation": conversation, "type": "text", "text": { "body": "hi" } });
    scene.post("/v1/messages", text.clone()).await.problem(422, "window_closed");
    let template = json!({ "name": "hello", "language": { "code": "en_US" } });
    let template = json!({ "conversation": conversation, "type": "template", "template": template });
    scene.post("/v1/messages", template).await.ok();
    let mut forced = text;
    forced["override_window"] = json!(true);
    scene.post("/v1/messages", forced).await.ok();
    let stranger = json!({ "from": "200", "to": "15559999999", "type": "text", "text": { "body": "hi" } });
    scene.post("/v1/messages", stranger).await.problem(422, "window_closed");
}

#[tokio::test]
async fn what_the_platform_cannot_send_is_refused_in_its_words() {
    let (scene, conversation) = with_conversation().await;
    let empty = json!({ "conversation": conversation, "type": "text", "text": { "body": "" } });
    let answer = scene.post("/v1/messages", empty).await;
    answer.problem(422, "unsupported");
    assert_eq!(answer.body["detail"], "the text is empty");
    assert!(ids(&scene.get("/v1/messages").await.ok()).is_empty());
}

#[tokio::test]
async fn a_message_that_says_two_things_or_nothing_is_refused() {
    let (scene, conversation) = with_conversation().await;
    let body = json!({ "body": "hi" });
    for (members, pointer) in [
        (json!({ "type": "text", "text": body, "image": { "link": "https://x" } }), "/image"),
        (json!({ "type": "pigeon", "text": body }), "/type"),
        (json!({ "type": "text" }), "/text"),
        (json!({ "type": "text", "text": body, "to": 5 }), "/to"),
        (json!({ "type": "text", "text": body, "to": "1\0" }), "/to"),
        (json!({ "type": "text", "text": body, "from": "999" }), "/from"),
        (json!({ "type": "text", "text": body, "surprise": 1 }), "/surprise"),
    ] {
        let mut new = members;
        new["conversation"] = json!(conversation);
        let answer = scene.post("/v1/messages", new.clone()).await;
        answer.problem(422, "invalid");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{new}");
    }
    let nowhere = scene.post("/v1/messages", json!({ "type": "text", "text": body, "to": "1" })).await;
    assert_eq!(nowhere.body["errors"][0]["pointer"], "/from");
}

#[tokio::test]
async fn a_message_is_marked_as_read() {
    let (scene, conversation) = with_conversation().await;
    let path = format!("/v1/conversations/{conversation}/read");
    let mark = scene.post(&path, json!({ "message_id": "wamid.1", "typing": true })).await;
    assert_eq!(mark.status, 202);
    let shown = scene.get(&format!("/v1/messages/{}", text(&mark.body, "id"))).await.ok();
    assert_eq!(shown["content"]["read"], json!({ "message_id": "wamid.1", "typing": true }));
}

#[tokio::test]
async fn a_client_of_whatzmeapi_sends_as_it_is_used_to() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let new = json!({
        "platform": "whatzme", "name": "wz", "app": app, "settings": { "api_base": "https://gateway.example.com" },
        "secrets": [{ "role": "signing", "secret": "s" }, { "role": "access_token", "secret": "t" }],
    });
    let source = text(&scene.post("/v1/sources", new).await.ok(), "id");
    let sender = scene.token("sender", Some(&app)).await;
    let body = json!({ "to": "573001234567", "type": "text", "text": { "body": "Hola" } });
    scene.ask("POST", "/messages/send", &sender, &body).await.problem(422, "invalid");
    scene.post("/v1/accounts", json!({ "source": source, "address": "main" })).await.ok();
    let sent = scene.ask("POST", "/messages/send", &sender, &body).await;
    assert_eq!((sent.status, &sent.body["ok"]), (200, &json!(true)));
    let id = text(&sent.body, "id");
    assert_eq!(
        scene.ask("GET", &format!("/v1/messages/{id}"), &sender, &Value::Null).await.ok()["state"],
        "pending"
    );
    scene.post("/v1/accounts", json!({ "source": source, "address": "other" })).await.ok();
    scene.ask("POST", "/messages/send", &sender, &body).await.problem(422, "invalid");
    scene.ask("POST", "/messages/send?from=other", &sender, &body).await.ok();
    let image = json!({ "to": "1", "type": "image", "image": { "link": "https://x" } });
    scene.ask("POST", "/messages/send", ADMIN, &image).await.problem(422, "invalid");
}

#[tokio::test]
async fn a_message_that_waits_is_called_off_and_one_that_is_being_sent_is_not() {
    let (scene, conversation) = with_conversation().await;
    let sender = scene.token("sender", None).await;
    let new = json!({ "conversation": conversation, "type": "text", "text": { "body": "hi" } });
    let id = text(&scene.post("/v1/messages", new.clone()).await.ok(), "id");
    let cancel = format!("/v1/messages/{id}/cancel");
    let called_off = scene.ask("POST", &cancel, &sender, &json!({})).await.ok();
    assert_eq!((&called_off["state"], &called_off["due_at"]), (&json!("cancelled"), &Value::Null));
    assert_eq!(scene.get(&format!("/v1/messages/{id}")).await.ok()["message_state"], "failed");
    let again = scene.post(&cancel, Value::Null).await;
    again.problem(409, "conflict");
    assert_eq!(again.body["detail"], "it no longer waits to be sent");
    let id = text(&scene.post("/v1/messages", new).await.ok(), "id");
    let lease = Duration::from_secs(60);
    let wanted = WantedSends { limit: 1, lease, busy: HashMap::new(), pacing: Arc::new(|_| None) };
    assert_eq!(scene.store.sends().claim(wanted).await.expect("a claim").sends.len(), 1);
    let under_way = scene.post(&format!("/v1/messages/{id}/cancel"), Value::Null).await;
    under_way.problem(409, "conflict");
    assert_eq!(under_way.body["detail"], "it is being sent at this moment and cannot be called off");
    assert_eq!(scene.get(&format!("/v1/messages/{id}")).await.ok()["state"], "in_flight");
}
