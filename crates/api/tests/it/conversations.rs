//! Conversations: handed off, resolved, reopened, and told of.

use serde_json::{Value, json};

use crate::scene::{Scene, ids, text};

#[tokio::test]
async fn each_change_is_told_once_in_the_conversations_own_line() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let (source, endpoint) = (scene.whatsapp_source(&app, "s").await, scene.endpoint(&app).await);
    scene.whatsapp_message(&source, "s", "200", "wamid.1").await;
    let conversation = ids(&scene.get("/v1/conversations").await.ok()).remove(0);
    let at = format!("/v1/conversations/{conversation}");
    for (verb, state, event_type) in [
        ("handoff", "handed_off", "conversation.handoff"),
        ("handoff", "handed_off", "conversation.handoff"),
        ("resolve", "resolved", "conversation.resolved"),
        ("reopen", "open", "conversation.reopened"),
    ] {
        assert_eq!(scene.post(&format!("{at}/{verb}"), Value::Null).await.ok()["state"], state);
        let told = scene.get(&format!("/v1/events?conversation={conversation}&type={event_type}")).await.ok();
        assert_eq!(ids(&told).len(), 1, "{event_type}");
    }
    let deliveries = scene.get(&format!("/v1/deliveries?endpoint={endpoint}")).await.ok();
    assert_eq!(ids(&deliveries).len(), 5, "created, received and three changes");
    assert_eq!(ids(&scene.get("/v1/conversations?status=open").await.ok()).len(), 1);
    assert!(ids(&scene.get("/v1/conversations?status=resolved").await.ok()).is_empty());
}

#[tokio::test]
async fn a_conversation_shows_its_contact_and_its_window() {
    let scene = Scene::new().await;
    let source = scene.whatsapp_source(&scene.app("a").await, "s").await;
    scene.whatsapp_message(&source, "s", "200", "wamid.1").await;
    let shown = scene.get("/v1/conversations").await.ok()["data"][0].clone();
    assert!(shown["window_ends_at"].is_string());
    let contact = scene.get(&format!("/v1/contacts/{}", text(&shown, "contact"))).await.ok();
    assert_eq!(
        (&contact["name"], &contact["identifiers"][0]),
        (&json!("Ana"), &json!({ "kind": "wa_id", "value": "15550000042" }))
    );
    let event = ids(&scene.get("/v1/events?type=message.received").await.ok()).remove(0);
    let event = scene.get(&format!("/v1/events/{event}")).await.ok();
    assert_eq!(event["data"]["message"]["text"], "hello");
}
