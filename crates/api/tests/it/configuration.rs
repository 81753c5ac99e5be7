//! Apps, sources, accounts and endpoints: made, changed, deleted.

use std::time::Duration;

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
async fn what_is_kept_is_counted_at_most_once_a_minute_and_health_is_told() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let (source, _) = (scene.open_source(&app).await, scene.endpoint(&app).await);
    let counted = async || scene.get("/v1/stats/counts").await.ok();
    let began = scene.clock.now().to_string();
    let none = json!({ "pending": 0, "in_flight": 0, "held": 0, "delivered": 0, "dead": 0, "cancelled": 0 });
    let empty = counted().await;
    assert_eq!(
        (&empty["events"], &empty["by_state"], &empty["counted_at"]),
        (&json!(0), &none, &json!(began))
    );
    scene.event(&source, "paid", 1).await;
    assert_eq!(counted().await, empty);
    scene.clock.advance(Duration::from_secs(60));
    let later = counted().await;
    assert_eq!(
        (&later["receipts"], &later["events"], &later["deliveries"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(later["by_state"]["pending"], 1);
    assert_eq!(scene.get("/v1/health").await.ok()["ok"], true);
    assert_eq!(scene.get("/v1/stats").await.ok(), json!({ "due": 1, "in_line": 0, "sends": 0 }));
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

#[tokio::test]
async fn a_change_to_a_version_that_is_gone_is_refused_and_one_to_what_is_there_is_made() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let source = scene.whatsapp_source(&app, "s").await;
    let endpoint = scene.endpoint(&app).await;
    let account =
        text(&scene.post("/v1/accounts", json!({ "source": source, "address": "200" })).await.ok(), "id");
    for path in [
        format!("/v1/apps/{app}"),
        format!("/v1/sources/{source}"),
        format!("/v1/accounts/{account}"),
        format!("/v1/endpoints/{endpoint}"),
    ] {
        let change = async |name: &str, tag: &str| {
            scene.ask_with(("PATCH", &path), ADMIN, &json!({ "name": name }), &[("if-match", tag)]).await
        };
        let seen = scene.get(&path).await;
        let tag = seen.headers["etag"].to_str().expect("text").to_owned();
        assert_eq!(tag, "\"1\"", "{path}");
        let changed = change("first", &tag).await;
        let next = changed.headers["etag"].to_str().expect("text").to_owned();
        assert_eq!(changed.ok()["name"], "first");
        assert_eq!(next, "\"2\"", "{path}");
        assert_eq!(scene.get(&path).await.headers["etag"], next.as_str(), "{path}");
        for gone in [tag.as_str(), "\"9\"", "W/\"2\"", "2", "\"x\"", ""] {
            change("second", gone).await.problem(412, "stale");
        }
        assert_eq!(change("second", &format!("{tag}, {next}")).await.ok()["name"], "second");
        assert_eq!(change("third", "*").await.ok()["name"], "third");
        let plain = scene.ask("PATCH", &path, ADMIN, &json!({ "name": "fourth" })).await;
        assert_eq!(plain.headers["etag"], "\"5\"", "{path}");
    }
    let at = format!("/v1/endpoints/{endpoint}");
    for verb in ["pause", "resume"] {
        let before = scene.get(&at).await.headers["etag"].clone();
        let after = scene.post(&format!("{at}/{verb}"), Value::Null).await.headers["etag"].clone();
        assert_ne!(before, after, "a person who looks sees another state");
    }
    let before = scene.get(&at).await.headers["etag"].clone();
    scene.post(&format!("{at}/rotate-secret"), json!({})).await.ok();
    assert_ne!(scene.get(&at).await.headers["etag"], before);
}

#[tokio::test]
async fn every_change_of_what_has_a_version_can_name_the_version_it_is_for() {
    let scene = Scene::new().await;
    let app = scene.app("a").await;
    let source = format!("/v1/sources/{}", scene.whatsapp_source(&app, "s").await);
    let endpoint = format!("/v1/endpoints/{}", scene.endpoint(&app).await);
    let rotation = json!({ "role": "signing", "secret": "n" });
    for (path, acts) in [
        (&source, vec![("POST", "/rotate-secret", rotation), ("DELETE", "", Value::Null)]),
        (
            &endpoint,
            vec![
                ("POST", "/pause", Value::Null),
                ("POST", "/resume", Value::Null),
                ("POST", "/rotate-secret", json!({})),
                ("DELETE", "", Value::Null),
            ],
        ),
    ] {
        for (method, verb, body) in acts {
            let seen = scene.get(path).await.headers["etag"].to_str().expect("text").to_owned();
            let at = format!("{path}{verb}");
            let with =
                async |tag: &str| scene.ask_with((method, &at), ADMIN, &body, &[("if-match", tag)]).await;
            with("\"99\"").await.problem(412, "stale");
            let done = with(&seen).await;
            assert!((200..300).contains(&done.status), "{method} {at} {}", done.body);
        }
        scene.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn changes_of_the_same_thing_at_once_are_all_made() {
    let scene = Scene::new().await;
    let endpoint = scene.endpoint(&scene.app("a").await).await;
    let at = format!("/v1/endpoints/{endpoint}");
    let (name, concurrency, timeout) =
        (json!({ "name": "x" }), json!({ "concurrency": 3 }), json!({ "timeout_s": 7 }));
    let (one, two, three) = tokio::join!(
        scene.ask("PATCH", &at, ADMIN, &name),
        scene.ask("PATCH", &at, ADMIN, &concurrency),
        scene.ask("PATCH", &at, ADMIN, &timeout),
    );
    assert!([one, two, three].into_iter().all(|answer| answer.status == 200));
    let seen = scene.get(&at).await.ok();
    assert_eq!(
        (&seen["name"], &seen["concurrency"], &seen["timeout_s"]),
        (&json!("x"), &json!(3), &json!(7))
    );
}
