//! Problems: their shape, in both languages, and the ids of requests.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::scene::{ADMIN, Scene};

#[tokio::test]
async fn a_problem_speaks_the_callers_language_and_keeps_its_code() {
    let scene = Scene::new().await;
    let path = "/v1/sources/src_00000000000";
    let english = scene.get(path).await;
    let spanish =
        scene.ask_with(("GET", path), ADMIN, &Value::Null, &[("accept-language", "es-MX,es;q=0.9")]).await;
    for (answer, language) in [(&english, "en"), (&spanish, "es")] {
        answer.problem(404, "not_found");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.headers["content-language"], language);
        assert_eq!(answer.body["status"], 404);
        assert_eq!(answer.body["type"], "urn:gancho:error:not_found");
        assert_eq!(answer.body["request_id"], answer.headers["x-request-id"].to_str().expect("text"));
    }
    assert_eq!(
        (&english.body["title"], &spanish.body["title"]),
        (&json!("not found"), &json!("no encontrado"))
    );
    assert_ne!(english.body["detail"], spanish.body["detail"]);
}

#[tokio::test]
async fn what_is_wrong_in_a_body_is_named_by_a_pointer_in_both_languages() {
    let scene = Scene::new().await;
    let wrong = [
        (json!({ "url": "https://example.com", "surprise": 1 }), "/surprise"),
        (json!({ "url": 7 }), "/url"),
        (json!({ "url": "http://example.com" }), "/url"),
        (json!({ "url": "https://example.com", "types": ["a.b", "a*"] }), "/types/1"),
        (json!({ "url": "https://example.com", "headers": { "webhook-id": "x" } }), "/headers/webhook-id"),
        (json!({ "url": "https://example.com", "retry": "soon" }), "/retry"),
        (json!({ "url": "https://example.com", "retry": "" }), "/retry"),
        (json!({ "url": "https://example.com", "concurrency": 101 }), "/concurrency"),
        (json!({ "url": "https://example.com", "timeout_s": 0 }), "/timeout_s"),
        (json!({ "url": "https://example.com", "secret": "short" }), "/secret"),
        (json!({ "url": "https://example.com", "format": "xml" }), "/format"),
        (json!({ "url": "https://example.com", "sources": ["src_00000000000"] }), "/sources/0"),
    ];
    for (body, pointer) in wrong {
        let answer = scene.post("/v1/endpoints", body.clone()).await;
        answer.problem(422, "invalid");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}");
    }
    let body = json!({ "url": "http://example.com" });
    let spanish = scene.ask_with(("POST", "/v1/endpoints"), ADMIN, &body, &[("accept-language", "es")]).await;
    assert_eq!(spanish.body["errors"][0]["detail"], "solo https; activa allow_http para entregar sin cifrar");
}

#[tokio::test]
async fn what_is_no_json_or_too_much_is_refused() {
    let scene = Scene::new().await;
    let send = async |body: Vec<u8>| {
        let request = Request::post("/v1/apps").header("authorization", format!("Bearer {ADMIN}"));
        scene.send(request.body(Body::from(body)).expect("a request")).await
    };
    for wrong in ["{", "nonsense", r#"{"name":"a"} {}"#, r#"["a"]"#, "7", "\u{0}"] {
        send(wrong.into()).await.problem(400, "malformed");
    }
    send(vec![b' '; 1024 * 1024 + 1]).await.problem(413, "too_large");
    send(vec![b'['; 100_000]).await.problem(400, "malformed");
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_problems_too() {
    let scene = Scene::new().await;
    scene.get("/v1/nothing").await.problem(404, "not_found");
    scene.get("/v1/sources/src_00000000000/nothing").await.problem(404, "not_found");
    scene.ask("PUT", "/v1/apps", ADMIN, &Value::Null).await.problem(405, "method_not_allowed");
    scene.get("/v1/sources/nonsense").await.problem(404, "not_found");
}

#[tokio::test]
async fn no_answer_is_kept_on_its_way_or_taken_for_what_it_is_not() {
    let scene = Scene::new().await;
    let paths = ["/v1/apps", "/v1/apps/app_x", "/v1/nothing", "/openapi.json"];
    for path in paths {
        let headers = scene.get(path).await.headers;
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_a_plain_one_is_the_callers_own() {
    let scene = Scene::new().await;
    let own = scene.ask_with(("GET", "/v1/apps"), ADMIN, &Value::Null, &[("x-request-id", "abc-123")]).await;
    assert_eq!(own.headers["x-request-id"], "abc-123");
    let odd = scene.ask_with(("GET", "/v1/apps"), ADMIN, &Value::Null, &[("x-request-id", "<script>")]).await;
    assert_eq!(odd.headers["x-request-id"].len(), 20);
    let document = scene.get("/openapi.json").await;
    assert!(document.headers.contains_key("x-request-id"));
}
