//! The audit log: every operation that changes something leaves a line, and who may read it finds it.

use std::collections::BTreeSet;
use std::time::Duration;

use model::watch::{Registered, Watch};
use serde_json::{Value, json};
use store::Queue;
use store::watches::RecordedWatch;

use crate::replays::let_die;
use crate::scene::{ADMIN, APP_SECRET, Scene, ids, text};

/// One request of each operation that changes something, with what the log calls it: in an order in which each succeeds.
struct Acts<'s> {
    scene: &'s Scene,
    token: String,
    seen: BTreeSet<(String, String)>,
}

impl Acts<'_> {
    /// Does it; one line more is there, with this action and subject, by this token.
    async fn act(&mut self, (method, route): (&str, &str), (id, action): (&str, &str), body: Value) -> Value {
        let before = self.lines().await.len();
        let path = route.replace("{id}", id);
        let answer = self.scene.ask(method, &path, &self.token, &body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        let lines = self.lines().await;
        assert_eq!(lines.len(), before + 1, "{method} {path} leaves one line");
        assert_eq!(lines[0]["action"], action, "{method} {path}");
        assert!(text(&lines[0], "actor").ends_with(" auditor"), "{}", lines[0]);
        assert!(!text(&lines[0], "subject").is_empty());
        assert_eq!(lines[0]["created_at"], self.scene.clock.now().to_string());
        if route.contains("{id}") && !action.starts_with("message.send") && action != "event.replay" {
            assert_eq!(lines[0]["subject"], id);
        }
        self.seen.insert((method.to_owned(), route.to_owned()));
        // Replays have a small budget of their own.
        self.scene.clock.advance(Duration::from_secs(1));
        answer.body
    }

    /// Every line, without those of looking.
    async fn lines(&self) -> Vec<Value> {
        let page = self.scene.get("/v1/audit?limit=250").await.ok();
        page["data"].as_array().expect("a page").clone()
    }
}

fn documented() -> BTreeSet<(String, String)> {
    let document: Value = serde_json::from_str(&api::openapi::json()).expect("JSON");
    let mut found = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys().filter(|method| *method != "get") {
            found.insert((method.to_uppercase(), path.clone()));
        }
    }
    found
}

#[tokio::test]
async fn every_operation_that_changes_something_leaves_a_line() {
    let scene = Scene::new().await;
    let made = scene.post("/v1/tokens", json!({ "name": "auditor", "role": "admin" })).await.ok();
    let mut acts = Acts { scene: &scene, token: text(&made, "token"), seen: BTreeSet::new() };
    let (app, source) = configure(&mut acts).await;
    register(&mut acts).await;
    talk(&mut acts, &app, &source).await;
    deliver(&mut acts, &app).await;
    file(&mut acts, &app).await;
    remove(&mut acts, &source).await;
    assert_eq!(acts.seen, documented());
}

/// Somebody else sees to it, as the lane would.
async fn register(acts: &mut Acts<'_>) {
    let scene = acts.scene;
    let secrets =
        json!([{ "role": "credential", "secret": "c" }, { "role": "access_token", "secret": "1:t" }]);
    let bot = json!({ "platform": "telegram", "name": "bot", "secrets": secrets, "watchdog": "off" });
    let id = text(&scene.post("/v1/sources", bot).await.ok(), "id");
    let store = scene.store.clone();
    let lane = tokio::spawn(async move {
        loop {
            for claimed in store.watches().claim(10, Duration::from_secs(60)).await? {
                let is_asked = claimed.asked.is_some();
                let watch = Watch { registered: Registered::Yes, ..claimed.watch.clone() };
                let recorded = RecordedWatch { claimed, watch, next_at: None, told: Vec::new() };
                store.watches().record(recorded).await?;
                if is_asked {
                    return Ok::<(), store::Error>(());
                }
            }
            store.woken(Queue::Watches).await;
        }
    });
    let told = acts.act(("POST", "/v1/sources/{id}/register"), (&id, "source.register"), json!({})).await;
    lane.await.expect("it ends").expect("a record");
    assert_eq!(
        (text(&told, "state"), text(&told, "url")),
        ("registered".to_owned(), format!("https://gw.example/in/{id}"))
    );
    let known = scene.get(&format!("/v1/sources/{id}/registration")).await.ok();
    assert_eq!(known, told);
}

async fn configure(acts: &mut Acts<'_>) -> (String, String) {
    let app = text(&acts.act(("POST", "/v1/apps"), ("", "app.create"), json!({ "name": "a" })).await, "id");
    acts.act(("PATCH", "/v1/apps/{id}"), (&app, "app.update"), json!({ "name": "b" })).await;
    let secrets = json!([
        { "role": "signing", "secret": "mistyped" },
        { "role": "verify_token", "secret": "v" },
        { "role": "access_token", "secret": "t" },
    ]);
    let new = json!({ "platform": "whatsapp", "name": "wa", "app": app, "secrets": secrets });
    let source = text(&acts.act(("POST", "/v1/sources"), ("", "source.create"), new).await, "id");
    let renamed = json!({ "name": "numbers" });
    acts.act(("PATCH", "/v1/sources/{id}"), (&source, "source.update"), renamed.clone()).await;
    let new = json!({ "source": source, "address": "900" });
    let account = text(&acts.act(("POST", "/v1/accounts"), ("", "account.create"), new).await, "id");
    acts.act(("PATCH", "/v1/accounts/{id}"), (&account, "account.update"), renamed.clone()).await;
    acts.act(("POST", "/v1/accounts/{id}/key"), (&account, "account.key"), Value::Null).await;

    let refused = acts.scene.whatsapp_message(&source, APP_SECRET, "200", "wamid.0").await;
    let receipt = refused.receipt.expect("a receipt").to_string();
    acts.act(("POST", "/v1/receipts/{id}/verify"), (&receipt, "receipt.verify"), Value::Null).await;
    let rotation = json!({ "role": "signing", "secret": APP_SECRET });
    let route = ("POST", "/v1/sources/{id}/rotate-secret");
    acts.act(route, (&source, "source.rotate_secret"), rotation).await;
    acts.act(("POST", "/v1/receipts/{id}/release"), (&receipt, "receipt.release"), json!({})).await;
    let new = json!({ "name": "t", "role": "viewer" });
    let token = text(&acts.act(("POST", "/v1/tokens"), ("", "token.create"), new).await, "id");
    acts.act(("DELETE", "/v1/tokens/{id}"), (&token, "token.revoke"), Value::Null).await;
    (app, source)
}

async fn talk(acts: &mut Acts<'_>, app: &str, source: &str) {
    acts.scene.whatsapp_message(source, APP_SECRET, "200", "wamid.1").await;
    let talk = ids(&acts.scene.get("/v1/conversations").await.ok()).remove(0);
    for (verb, action) in [
        ("handoff", "conversation.handoff"),
        ("resolve", "conversation.resolved"),
        ("reopen", "conversation.reopened"),
    ] {
        let route = format!("/v1/conversations/{{id}}/{verb}");
        acts.act(("POST", &route), (&talk, action), Value::Null).await;
    }
    let mark = json!({ "message_id": "wamid.1" });
    acts.act(("POST", "/v1/conversations/{id}/read"), (&talk, "message.send"), mark).await;
    let new = json!({ "conversation": talk, "type": "text", "text": { "body": "hi" } });
    let sent = text(&acts.act(("POST", "/v1/messages"), ("", "message.send"), new).await, "id");
    acts.act(("POST", "/v1/messages/{id}/cancel"), (&sent, "message.cancel"), Value::Null).await;
    let whatzme = json!({
        "platform": "whatzme", "name": "wz", "app": app, "settings": { "api_base": "https://gateway.example.com" },
        "secrets": [{ "role": "signing", "secret": "s" }, { "role": "access_token", "secret": "t" }],
    });
    let whatzme = text(&acts.scene.post("/v1/sources", whatzme).await.ok(), "id");
    acts.scene.post("/v1/accounts", json!({ "source": whatzme, "address": "main" })).await.ok();
    let new = json!({ "to": "573001234567", "type": "text", "text": { "body": "Hola" } });
    acts.act(("POST", "/messages/send"), ("", "message.send"), new).await;
}

async fn deliver(acts: &mut Acts<'_>, app: &str) {
    let new = json!({ "url": "https://example.com/hook", "app": app, "types": ["generic.*"] });
    let endpoint = text(&acts.act(("POST", "/v1/endpoints"), ("", "endpoint.create"), new).await, "id");
    acts.act(("PATCH", "/v1/endpoints/{id}"), (&endpoint, "endpoint.update"), json!({ "name": "x" })).await;
    for verb in ["pause", "resume"] {
        let (route, action) = (format!("/v1/endpoints/{{id}}/{verb}"), format!("endpoint.{verb}"));
        acts.act(("POST", &route), (&endpoint, &action), Value::Null).await;
    }
    let route = ("POST", "/v1/endpoints/{id}/rotate-secret");
    acts.act(route, (&endpoint, "endpoint.rotate_secret"), json!({})).await;
    let open = acts.scene.open_source(app).await;
    for number in 0..2 {
        acts.scene.event(&open, "paid", number).await;
    }
    let owed = ids(&acts.scene.get("/v1/deliveries?status=pending").await.ok());
    acts.act(("POST", "/v1/deliveries/{id}/retry"), (&owed[0], "delivery.retry"), Value::Null).await;
    acts.act(("POST", "/v1/deliveries/{id}/cancel"), (&owed[1], "delivery.cancel"), Value::Null).await;
    acts.act(("POST", "/v1/deliveries/{id}/replay"), (&owed[1], "delivery.replay"), Value::Null).await;
    while let_die(acts.scene).await > 0 {}
    acts.act(("POST", "/v1/replays"), ("", "delivery.replay_many"), json!({})).await;
    while let_die(acts.scene).await > 0 {}
    let event = ids(&acts.scene.get("/v1/events?type=generic.paid").await.ok()).remove(0);
    let to = json!({ "endpoint": endpoint });
    acts.act(("POST", "/v1/events/{id}/replay"), (&event, "event.replay"), to).await;
    acts.act(("DELETE", "/v1/endpoints/{id}"), (&endpoint, "endpoint.delete"), Value::Null).await;
}

async fn file(acts: &mut Acts<'_>, app: &str) {
    let upload = format!("/v1/files?app={app}");
    let uploaded = acts.act(("POST", &upload), ("", "file.upload"), json!({ "any": "bytes" })).await;
    acts.seen.remove(&("POST".to_owned(), upload));
    acts.seen.insert(("POST".to_owned(), "/v1/files".to_owned()));
    let id = acts.scene.failed_file(app).await;
    acts.act(("POST", "/v1/files/{id}/retry"), (&id, "file.retry"), Value::Null).await;
    acts.act(("DELETE", "/v1/files/{id}"), (&text(&uploaded, "id"), "file.delete"), Value::Null).await;
}

async fn remove(acts: &mut Acts<'_>, source: &str) {
    acts.act(("DELETE", "/v1/sources/{id}"), (source, "source.delete"), Value::Null).await;
}

#[tokio::test]
async fn what_comes_to_nothing_leaves_no_line() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let endpoint = scene.endpoint(&app).await;
    let count = async || ids(&scene.get("/v1/audit").await.ok()).len();
    let before = count().await;
    scene.post("/v1/replays", json!({})).await.ok();
    scene.post(&format!("/v1/endpoints/{endpoint}/resume"), Value::Null).await.ok();
    scene.post("/v1/apps", json!({ "name": "" })).await.problem(422, "invalid");
    scene.ask("DELETE", "/v1/tokens/tok_00000000000", ADMIN, &Value::Null).await.problem(404, "not_found");
    assert_eq!(count().await, before);
    scene.faults.fail_after(2);
    scene.post("/v1/apps", json!({ "name": "b" })).await.problem(503, "unavailable");
    assert!(scene.faults.clear());
    assert_eq!((count().await, ids(&scene.get("/v1/apps").await.ok()).len()), (before, 1));
}

#[tokio::test]
async fn lines_are_narrowed_by_actor_action_app_and_time_and_a_bound_admin_sees_their_own() {
    let scene = Scene::new().await;
    let (one, two) = (scene.app("one").await, scene.app("two").await);
    let made = scene.post("/v1/tokens", json!({ "name": "one's", "role": "admin", "app": one })).await.ok();
    let (token, id) = (text(&made, "token"), text(&made, "id"));
    scene.clock.advance(Duration::from_secs(60));
    let later = scene.clock.now().to_string();
    let new = json!({ "url": "https://example.com/hook" });
    scene.ask("POST", "/v1/endpoints", &token, &new).await.ok();
    scene.endpoint(&two).await;
    let count = async |query: &str| ids(&scene.get(&format!("/v1/audit?{query}")).await.ok()).len();
    assert_eq!(count("").await, 5);
    assert_eq!(count(&format!("actor={id}")).await, 1);
    assert_eq!(count("actor=admin%20of%20the%20configuration").await, 4);
    assert_eq!(count("actor=nobody").await, 0);
    assert_eq!(count("action=endpoint.create").await, 2);
    assert_eq!(count("action=app.*").await, 2);
    assert_eq!(count(&format!("app={two}")).await, 2);
    assert_eq!(count(&format!("since={later}")).await, 2);
    assert_eq!(count(&format!("until={later}&limit=2")).await, 2);
    let own = scene.ask("GET", "/v1/audit", &token, &Value::Null).await.ok();
    assert_eq!(ids(&own).len(), 3, "{own}");
    assert!(own["data"].as_array().expect("a page").iter().all(|line| line["app"] == one.as_str()));
}
