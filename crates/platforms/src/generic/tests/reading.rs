//! Reading: what repeats, what is unreadable, and what the sender hears.

use serde_json::json;

use super::{JSON, read, unsigned};
use crate::fixture::{post, source};
use crate::generic::Generic;
use crate::platform::Platform;

#[test]
fn without_an_id_every_request_is_a_fact_of_its_own() {
    let plain = read(&unsigned(json!({})), &[JSON], r#"{"amount":5}"#);
    assert_eq!(plain[0].dedupe_key, None);
    let by_id = unsigned(json!({ "dedupe_pointer": "/id" }));
    let key = |body: &'static str| read(&by_id, &[JSON], body)[0].dedupe_key.clone();
    assert!(key(r#"{"id":1}"#).is_some());
    assert_eq!(key(r#"{"id":1}"#), key(r#"{"id":1,"try":2}"#));
    assert_ne!(key(r#"{"id":9007199254740993}"#), key(r#"{"id":9007199254740992}"#));
    for none in [r#"{"id":null}"#, r#"{"id":""}"#, r#"{"id":{}}"#, "{}"] {
        assert_eq!(key(none), None, "{none}");
    }
}

#[test]
fn a_body_that_claims_to_be_json_and_is_not_is_unreadable() {
    let source = source("generic", &unsigned(json!({})), &[]);
    let events = |content_type, body: Vec<u8>| {
        let request = post(&[("content-type", content_type)], body);
        let verified = Generic.verify(&source, &request).expect("an unsigned source");
        Generic.parse(&source, &verified).map(|events| events.len()).ok()
    };
    assert_eq!(events("application/json", b"{".to_vec()), None);
    assert_eq!(events("application/cloudevents+json; charset=utf-8", b"\xff".to_vec()), None);
    assert_eq!(events("application/json", vec![b'['; 200_000]), None);
    assert_eq!(events("application/json", Vec::new()), Some(1));
    assert_eq!(events("application/octet-stream", b"\xff\x00".to_vec()), Some(1));
}

#[test]
fn a_request_carries_a_bounded_number_of_items() {
    let source = source("generic", &unsigned(json!({ "items_pointer": "/i" })), &[]);
    let count = |items: usize| {
        let request = post(&[JSON], format!("{{\"i\":[{}0]}}", "0,".repeat(items - 1)));
        let verified = Generic.verify(&source, &request).expect("an unsigned source");
        Generic.parse(&source, &verified).map(|events| events.len()).ok()
    };
    assert_eq!(count(10_000), Some(10_000));
    assert_eq!(count(10_001), None);
}

#[test]
fn the_sender_hears_what_the_settings_say() {
    let heard = |settings| {
        let source = source("generic", &unsigned(settings), &[]);
        let request = post(&[], "{}");
        let verified = Generic.verify(&source, &request).expect("an unsigned source");
        let reply = Generic.acknowledge(&source, &verified);
        (reply.status, reply.content_type, String::from_utf8_lossy(&reply.body).into_owned())
    };
    let plain = "text/plain; charset=utf-8";
    assert_eq!(heard(json!({})), (200, plain, String::new()));
    let said = r#"{"status":"success","message":"Webhook received."}"#;
    let with = json!({ "response_status": 202, "response_body": said });
    assert_eq!(heard(with), (202, "application/json", said.to_owned()));
    let xml = json!({ "response_body": "<Response/>", "response_type": "text/xml" });
    assert_eq!(heard(xml), (200, "text/xml", "<Response/>".to_owned()));
}
