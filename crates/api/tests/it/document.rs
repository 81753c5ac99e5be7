//! The OpenAPI document: complete, served, and kept.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::scene::Scene;

fn document() -> Value {
    serde_json::from_str(&api::openapi::json()).expect("JSON")
}

#[test]
fn the_kept_document_is_the_one_that_is_made() {
    let kept =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json"));
    assert!(
        kept.is_ok_and(|kept| kept == api::openapi::json()),
        "the API has changed: cargo run -p api --example openapi > docs/reference/openapi.json, and look at the difference"
    );
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_gives() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            let name = operation["operationId"].as_str().expect("a name");
            assert!(names.insert(name.to_owned()), "{name} is there twice");
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
            let gives = operation["responses"]
                .as_object()
                .expect("answers")
                .keys()
                .any(|status| status.starts_with('2'));
            assert!(gives, "{method} {path}");
        }
    }
    assert!(names.len() > 50);
}

#[test]
fn what_is_an_id_a_time_or_a_bounded_number_is_said_to_be_one() {
    let document = document();
    let is_told = |member: &str, schema: &Value| match member {
        "id" | "app" | "cursor" => schema["pattern"].is_string(),
        "limit" | "concurrency" | "overlap_s" => schema["maximum"].is_number(),
        "role" | "platform" | "status" => schema["enum"].is_array() || schema["type"] == "integer",
        "since" | "until" => schema["format"] == "date-time",
        member if member.ends_with("_at") => schema["format"] == "date-time" || schema["items"].is_object(),
        _ => true,
    };
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for operation in item.as_object().expect("an item").values() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().expect("a name");
                assert!(is_told(name, &parameter["schema"]), "{path} {parameter}");
                asked += 1;
            }
        }
    }
    assert!(asked > 100);
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        let is_asked = schema["additionalProperties"] == false;
        for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!((!is_asked && schema["enum"].is_null()) || is_told(member, schema), "{name}.{member}");
            // The id of a file is its platform's.
            let is_ours = member == "id" && name != "OutgoingMedia";
            assert!(!is_ours || schema["pattern"].is_string(), "{name}.{member}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let text = document.to_string();
    for reference in text.split(r##""$ref":"#"##).skip(1) {
        let pointer = reference.split('"').next().expect("a pointer");
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn the_document_is_served_to_everybody_and_every_path_in_it_is_answered() {
    let scene = Scene::new().await;
    let request = http::Request::get("/openapi.json").body(axum::body::Body::empty()).expect("a request");
    assert_eq!(scene.send(request).await.body, document());
    for (path, item) in document()["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys() {
            let request = http::Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(path.replace("{id}", "x"));
            let answer = scene.send(request.body(axum::body::Body::empty()).expect("a request")).await;
            answer.problem(401, "unauthenticated");
        }
    }
}
