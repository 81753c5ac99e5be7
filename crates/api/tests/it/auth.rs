//! Who may ask for what: every role against every route of the document.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use model::time::Timestamp;
use serde_json::{Value, json};

use crate::scene::{ADMIN, Scene, text};

/// Method and path of every route, with an id that names nothing.
fn routes() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&api::openapi::json()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").clone();
    let each = paths.into_iter().flat_map(|(path, item)| {
        let methods: Vec<String> =
            item.as_object().expect("an item").keys().map(|key| key.to_uppercase()).collect();
        methods.into_iter().map(move |method| (method, path.clone()))
    });
    each.collect()
}

fn id_for(path: &str) -> &'static str {
    let prefixes = [
        ("/v1/apps", "app_00000000000"),
        ("/v1/sources", "src_00000000000"),
        ("/v1/accounts", "acc_00000000000"),
        ("/v1/endpoints", "ep_00000000000"),
        ("/v1/events", "evt_00000000000"),
        ("/v1/receipts", "rcp_00000000000"),
        ("/v1/deliveries", "dlv_00000000000"),
        ("/v1/conversations", "cnv_00000000000"),
        ("/v1/contacts", "ctc_00000000000"),
        ("/v1/files", "file_00000000000"),
        ("/v1/messages", "snd_00000000000"),
        ("/v1/tokens", "tok_00000000000"),
    ];
    prefixes.into_iter().find(|(prefix, _)| path.starts_with(prefix)).map_or("", |(_, id)| id)
}

/// Who may ask, as the operators' manual has it: written down here a second time on purpose.
fn allowed(method: &str, path: &str) -> &'static [&'static str] {
    let is = |end: &str| path.ends_with(end);
    match (method, path) {
        (_, path)
            if path.starts_with("/v1/tokens")
                || is("/rotate-secret")
                || is("/key")
                || path == "/v1/audit" =>
        {
            &["admin"]
        }
        (
            "POST",
            "/v1/files"
            | "/v1/messages"
            | "/v1/messages/{id}/cancel"
            | "/messages/send"
            | "/v1/conversations/{id}/read",
        ) => &["admin", "operator", "sender"],
        ("GET", "/v1/messages/{id}" | "/v1/messages/{id}/attempts") => {
            &["admin", "operator", "viewer", "sender"]
        }
        ("GET", "/v1/stats/counts") => &["admin", "operator"],
        ("GET", _) => &["admin", "operator", "viewer"],
        _ => &["admin", "operator"],
    }
}

#[tokio::test]
async fn the_key_of_a_number_passes_no_route_of_ours_and_nobody_else_those_of_the_number() {
    let scene = Scene::new().await;
    let secrets = json!([{ "role": "credential", "secret": "c" }]);
    let source = json!({ "platform": "telegram", "name": "bot", "secrets": secrets });
    let source = text(&scene.post("/v1/sources", source).await.ok(), "id");
    let account = json!({ "source": source, "address": "42" });
    let account = text(&scene.post("/v1/accounts", account).await.ok(), "id");
    let key = text(&scene.post(&format!("/v1/accounts/{account}/key"), json!({})).await.ok(), "token");
    for (method, path) in routes() {
        let answer = scene.ask(&method, &path.replace("{id}", id_for(&path)), &key, &json!({})).await;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
    }
    for role in ["admin", "operator", "viewer", "sender"] {
        let token = scene.token(role, None).await;
        for path in ["/waba/v1/configs/webhook", "/waba/v1/contacts", "/waba/v1/messages"] {
            let answer = scene.ask("POST", path, &token, &json!({})).await;
            assert_eq!(
                (answer.status, &answer.body["errors"][0]["code"]),
                (403, &json!(1005)),
                "{role} {path}"
            );
        }
    }
    let made = scene.post("/v1/tokens", json!({ "name": "n", "role": "number" })).await;
    assert_eq!(made.status, 422, "{}", made.body);
    let odd = scene.ask("POST", "/waba/v1/nothing", &key, &json!({})).await;
    assert_eq!((odd.status, &odd.body["errors"][0]["code"]), (404, &json!(1006)));
    let bad = scene.ask("POST", "/waba/v1/configs/webhook", &key, &json!({ "url": "ftp://x" })).await;
    assert_eq!((bad.status, &bad.body["meta"]["http_code"]), (422, &json!(422)), "{}", bad.body);
}

#[tokio::test]
async fn a_base_url_of_graph_answers_in_its_shape() {
    let scene = Scene::new().await;
    let token = scene.token("sender", None).await;
    let message =
        json!({ "messaging_product": "whatsapp", "to": "1555", "type": "text", "text": { "body": "hi" } });
    for (path, token, status, code) in [
        ("/graph/v25.0/200/messages", "nobody", 401, 190),
        ("/graph/v25.0/200/messages", token.as_str(), 400, 100),
        ("/graph/v25.0/200/media", token.as_str(), 400, 33),
    ] {
        let answer = scene.ask("POST", path, token, &message).await;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (status, &json!(code)), "{path}");
    }
}

#[tokio::test]
async fn each_role_passes_exactly_the_routes_it_may() {
    let scene = Scene::new().await;
    let routes = routes();
    assert!(routes.len() > 50, "{}", routes.len());
    for role in ["admin", "operator", "viewer", "sender"] {
        let token = scene.token(role, None).await;
        for (method, path) in &routes {
            let at = path.replace("{id}", id_for(path));
            let answer = scene.ask(method, &at, &token, &json!({ "nothing": "known" })).await;
            let may = allowed(method, path).contains(&role);
            let refused = answer.status == 403;
            assert_eq!(refused, !may, "{role} {method} {path}: {} {}", answer.status, answer.body);
            assert!(answer.status < 500 && answer.status != 401, "{role} {method} {path}: {}", answer.status);
            // Replays have a small budget of their own.
            scene.clock.advance(Duration::from_secs(1));
        }
    }
}

#[tokio::test]
async fn whoever_shows_no_token_that_works_hears_the_same() {
    let scene = Scene::new().await;
    let soon = scene.clock.now().plus(Duration::from_secs(60)).to_string();
    let short =
        scene.post("/v1/tokens", json!({ "name": "t", "role": "viewer", "expires_at": soon })).await.ok();
    let (expired, revoked) = (
        text(&short, "token"),
        scene.post("/v1/tokens", json!({ "name": "t", "role": "viewer" })).await.ok(),
    );
    assert_eq!(scene.ask("GET", "/v1/apps", &text(&revoked, "token"), &Value::Null).await.status, 200);
    scene.ask("DELETE", &format!("/v1/tokens/{}", text(&revoked, "id")), ADMIN, &Value::Null).await.ok();
    scene.clock.advance(Duration::from_secs(61));
    let typo = expired.replace("gancho_", "gancho_x");
    let mut heard = Vec::new();
    for token in [expired.as_str(), &text(&revoked, "token"), &typo, "", "x", &"x".repeat(5_000)] {
        for (method, path) in [("GET", "/v1/apps"), ("POST", "/v1/sources"), ("GET", "/v1/events/nonsense")] {
            let mut answer = scene.ask(method, path, token, &Value::Null).await;
            answer.problem(401, "unauthenticated");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            answer.body.as_object_mut().expect("an object").remove("request_id");
            heard.push(answer.body);
        }
    }
    assert!(heard.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_cookie_or_a_query_is_no_token() {
    let scene = Scene::new().await;
    let request = Request::get(format!("/v1/apps?token={ADMIN}")).header("cookie", format!("token={ADMIN}"));
    scene.send(request.body(Body::empty()).expect("a request")).await.problem(401, "unauthenticated");
    let basic = Request::get("/v1/apps").header("authorization", format!("Basic {ADMIN}"));
    scene.send(basic.body(Body::empty()).expect("a request")).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_token_of_one_app_makes_no_apps_and_sees_no_counts() {
    let scene = Scene::new().await;
    let app = scene.app("one").await;
    let token = scene.token("admin", Some(&app)).await;
    scene.ask("POST", "/v1/apps", &token, &json!({ "name": "two" })).await.problem(403, "forbidden");
    scene.ask("GET", "/v1/stats", &token, &Value::Null).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_token_cannot_expire_in_the_past() {
    let scene = Scene::new().await;
    let past = Timestamp::from_secs(1_000).to_string();
    let answer = scene.post("/v1/tokens", json!({ "name": "t", "role": "viewer", "expires_at": past })).await;
    answer.problem(422, "invalid");
    assert_eq!(answer.body["errors"][0]["pointer"], "/expires_at");
}

#[tokio::test]
async fn a_token_that_asks_too_often_waits() {
    let scene = Scene::new().await;
    for _ in 0..10 {
        scene.post("/v1/replays", json!({})).await.ok();
    }
    let answer = scene.post("/v1/replays", json!({})).await;
    answer.problem(429, "too_many");
    let wait = answer.headers["retry-after"].to_str().expect("text");
    assert!(["1", "2"].contains(&wait), "{wait}");
    assert_eq!(answer.headers["ratelimit-policy"], "\"replays\";q=10;w=10");
    assert_eq!(answer.headers["ratelimit"], "\"replays\";r=0;t=10");
    let other = scene.get("/v1/apps").await;
    assert_eq!(other.headers["ratelimit-policy"], "\"requests\";q=200;w=1");
    assert_eq!(other.headers["ratelimit"], "\"requests\";r=199;t=1");
    let unknown = scene.ask("GET", "/v1/apps", "nobody", &Value::Null).await;
    assert!(!unknown.headers.contains_key("ratelimit"), "who is nobody has no budget");
    scene.clock.advance(Duration::from_secs(2));
    scene.post("/v1/replays", json!({})).await.ok();
}

#[tokio::test]
async fn a_token_revoked_on_another_node_works_for_half_a_minute_at_most() {
    let scene = Scene::new().await;
    let made = scene.post("/v1/tokens", json!({ "name": "t", "role": "viewer" })).await.ok();
    let token = text(&made, "token");
    let ask = async || scene.ask("GET", "/v1/apps", &token, &Value::Null).await.status;
    assert_eq!(ask().await, 200);
    let id = text(&made, "id").parse().expect("an id");
    scene.store.access().revoke_token(id).await.expect("revoked");
    scene.clock.advance(Duration::from_secs(20));
    assert_eq!(ask().await, 200, "it is remembered");
    scene.clock.advance(Duration::from_secs(10));
    assert_eq!(ask().await, 401, "being used does not keep it alive");
}
