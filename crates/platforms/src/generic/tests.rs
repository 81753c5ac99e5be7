//! Tests of generic sources: other platforms' schemes told in settings, first of all.

mod challenge;
mod reading;
mod scheme;
mod settings;

use bytes::Bytes;
use model::event::NewEvent;
use model::receipt::Reason;
use model::source::Source;
use serde_json::{Value, json};

use super::Generic;
use crate::fixture::{every_fixture, post, source, told};
use crate::http::Incoming;
use crate::platform::Platform;
use crate::proof::Rejection;

const JSON: (&str, &str) = ("content-type", "application/json");

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    Generic.verify(source, request).err().map(|Rejection(reason)| reason)
}

fn read(settings: &Value, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Vec<NewEvent> {
    let source = source("generic", settings, &[]);
    assert_eq!(Generic.check(&source), Ok(()), "{settings}");
    let request = post(headers, body);
    let verified = Generic.verify(&source, &request).expect("an unsigned source");
    Generic.parse(&source, &verified).expect("a readable body")
}

fn unsigned(more: Value) -> Value {
    merged(json!({ "scheme": "unsigned" }), more)
}

fn merged(mut settings: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("settings are an object") };
    settings.as_object_mut().expect("an object").extend(more);
    settings
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    every_fixture("generic", |file| {
        let fixture: Value = serde_json::from_slice(&file).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let headers = fixture["headers"].as_object().expect("headers");
        let headers: Vec<(&str, String)> =
            headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        told(&read(&fixture["settings"], &headers, text(&fixture["body"])))
    });
}

fn hmac_with(more: Value) -> Value {
    merged(json!({ "scheme": "hmac", "header": "X-S" }), more)
}
