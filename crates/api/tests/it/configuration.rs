//! Apps, sources, accounts and endpoints: made, changed, deleted.

use serde_json::{Value, json};

use crate::scene::{ADMIN, Scene, ids, text};

#[tokio::test]
async fn the_first_source_needs_no_app_and_makes_one() {
    let scene = Scene::new().await;
    let new = json!({ "platform": "generic", "name": "shop", "settings": { "scheme": "unsigned" } });
    let source = scene.post("/v1/sources", new.clone()).await.ok();
    let apps = scene.get("/v1/apps").await.ok();
    assert_eq!(ids(&apps), [text(&source, "app")]);
    assert_eq!(source["unsigned"], true);
    assert_eq!(source["url_path"], format!("/in/{}", text(&source, "id")));
    scene.app("second").await;
    let unclear = scene.post("/v1/sources", new).await;
    unclear.problem(422, "invalid");
    assert_eq!(unclear.body["errors"][0]["pointer"], "/app");
}

#[tokio::test]
async fn a_source_is_changed_in_part_and_deleted() {
    let scene = Scene::new().await;
    let new = json!({
        "platform": "generic", "name": "shop", "settings": { "scheme": "unsigned" }, "path": "/webhooks/shop",
        "allowed_networks": ["192.0.2.0/24"], "rate_per_second": 10,
    });
    let id = text(&scene.post("/v1/sources", new).await.ok(), "id");
    let at = format!("/v1/sources/{id}");
    let changed =
        scene.ask("PATCH", &at, ADMIN, &json!({ "name": "till", "rate_per_second": null })).await.ok();
    assert_eq!((&changed["name"], &changed["path"]), (&json!("till"), &json!("/webhooks/shop")));
    assert_eq!(changed["rate_per_second"], Value::Null);
    assert!(scene.store.routing().source_at("/webhooks/shop").is_some());
    scene.ask("PATCH", &at, ADMIN, &json!({ "path": null })).await.ok();
    assert!(scene.store.routing().source_at("/webhooks/shop").is_none());
    assert_eq!(scene.ask("DELETE", &at, ADMIN, &Value::Null).await.status, 204);
    scene.get(&at).await.problem(404, "not_found");
    scene.ask("DELETE", &at, ADMIN, &Value::Null).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_source_that_could_not_work_is_refused_in_words() {
    let scene = Scene::new().await;
    let open = json!({ "scheme": "unsigned" });
    let with = |member: &str, value: Value| {
        let mut new = json!({ "platform": "generic", "name": "x", "settings": open });
        new[member] = value;
        new
    };
    for (new, pointer) in [
        (with("platform", json!("pigeon")), "/platform"),
        (with("settings", json!({ "scheme": "magic" })), "/settings"),
        (with("settings", json!({ "scheme": "unsigned", "hedder": "x" })), "/settings"),
        (with("path", json!("/v1/x")), "/path"),
        (with("path", json!("webhooks")), "/path"),
        (with("name", json!("")), "/name"),
        (with("allowed_networks", json!(["192.0.2.0/24", "everywhere"])), "/allowed_networks/1"),
        (with("rate_per_second", json!(0)), "/rate_per_second"),
        (with("unknown_accounts", json!("guess")), "/unknown_accounts"),
        (with("secrets", json!([{ "role": "spare", "secret": "x" }])), "/secrets/0/role"),
    ] {
        let answer = scene.post("/v1/sources", new.clone()).await;
        answer.problem(422, "invalid");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{new}");
    }
    assert!(ids(&scene.get("/v1/apps").await.ok()).is_empty(), "a refused source makes no app");
    scene.post("/v1/sources", with("path", json!("/one"))).await.ok();
    scene.post("/v1/sources", with("path", json!("/one"))).await.problem(409, "conflict");
}

#[tokio::test]
async fn an_account_is_named_and_given_to_another_app() {
    let scene = Scene::new().await;
    let (one, two) = (scene.app("one").await, scene.app("two").await);
    let source = scene.whatsapp_source(&one, "s").await;
    let new = json!({ "source": source, "address": "200", "name": "Sales" });
    let account = scene.post("/v1/accounts", new.clone()).await.ok();
    assert_eq!(account["app"], one.as_str());
    scene.post("/v1/accounts", new).await.problem(409, "conflict");
    let at = format!("/v1/accounts/{}", text(&account, "id"));
    let given = scene.ask("PATCH", &at, ADMIN, &json!({ "app": two, "name": null })).await.ok();
    assert_eq!((&given["app"], &given["name"]), (&json!(two), &Value::Null));
    scene.whatsapp_message(&source, "s", "200", "wamid.1").await;
    assert!(!ids(&scene.get(&format!("/v1/events?app={two}")).await.ok()).is_empty());
    assert!(ids(&scene.get(&format!("/v1/events?app={one}")).await.ok()).is_empty());
}

#[tokio::test]
async fn an_endpoint_is_changed_in_part_paused_resumed_and_deleted() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let source = scene.open_source(&app).await;
    let new = json!({
        "url": "https://example.com/hook", "types": ["message.*"], "sources": [source], "retry": ["1m", "5m"],
        "headers": { "X-Api-Key": "k" }, "concurrency": 3, "timeout_s": 5, "order": "none", "on_dead": "hold",
    });
    let made = scene.post("/v1/endpoints", new).await.ok();
    assert_eq!(
        (&made["name"], &made["retry"], &made["timeout_s"]),
        (&json!("example.com"), &json!("1m,5m"), &json!(5))
    );
    let at = format!("/v1/endpoints/{}", text(&made, "id"));
    let change = json!({ "url": "http://127.0.0.1:9/x", "allow_http": true, "retry": [] });
    let changed = scene.ask("PATCH", &at, ADMIN, &change).await.ok();
    assert_eq!((&changed["types"], &changed["retry"]), (&json!(["message.*"]), &json!("")));
    assert_eq!(scene.post(&format!("{at}/pause"), Value::Null).await.ok()["state"], "paused");
    assert_eq!(scene.post(&format!("{at}/resume"), Value::Null).await.ok()["state"], "enabled");
    assert_eq!(scene.ask("DELETE", &at, ADMIN, &Value::Null).await.status, 204);
    scene.get(&at).await.problem(404, "not_found");
}

#[tokio::test]
async fn counts_add_up_and_health_is_told() {
    let scene = Scene::new().await;
    assert_eq!(scene.get("/v1/stats/counts").await.ok()["sound"], true);
    assert_eq!(scene.get("/v1/health").await.ok()["ok"], true);
    assert_eq!(scene.get("/v1/stats").await.ok(), json!({ "due": 0, "in_line": 0, "sends": 0 }));
}

#[tokio::test]
async fn a_store_that_fails_is_our_fault_and_may_be_asked_again() {
    let scene = Scene::new().await;
    scene.faults.fail_after(0);
    let answer = scene.post("/v1/apps", json!({ "name": "a" })).await;
    assert!(scene.faults.clear());
    answer.problem(503, "unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(ids(&scene.get("/v1/apps").await.ok()).is_empty());
    scene.post("/v1/apps", json!({ "name": "a" })).await.ok();
}
