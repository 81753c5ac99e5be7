//! Tests of sources of the on-premises client.

use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::OnPremises;
use crate::fixture::{NOW, every_fixture, post, source, told};
use crate::http::{Answer, Call};
use crate::platform::{Interpreted, Platform, Sender};

const HOOK: (&str, &str) = ("authorization", "Basic dTpw");

fn number(settings: &Value) -> Source {
    let secrets = [(SecretRole::Credential, "Basic dTpw"), (SecretRole::AccessToken, "number-key")];
    source("whatsapp_onpremises", settings, &secrets)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    let source = number(&json!({ "account": "15550002222" }));
    every_fixture("whatsapp_onpremises", |body| {
        let request = post(&[HOOK], body);
        let verified = OnPremises.verify(&source, &request).expect("it shows the header");
        told(&OnPremises.parse(&source, &verified).expect("a readable body"))
    });
}

#[test]
fn a_number_needs_what_was_entered_with_its_url() {
    assert_eq!(OnPremises.check(&number(&json!({ "api_base": "https://client.example" }))), Ok(()));
    assert!(OnPremises.check(&source("whatsapp_onpremises", &json!({}), &[])).is_err());
    for bad in [json!({ "show_key_in": "url" }), json!({ "api_base": "x" }), json!({ "colour": 1 })] {
        assert!(OnPremises.check(&number(&bad)).is_err(), "{bad}");
    }
    assert!(OnPremises.verify(&number(&json!({})), &post(&[], "{}")).is_err());
    assert!(OnPremises.verify(&number(&json!({})), &post(&[("authorization", "Basic x")], "{}")).is_err());
}

fn composed(settings: &Value, message: &Value) -> Result<Call, String> {
    let message: OutgoingMessage = serde_json::from_value(message.clone()).expect("a message");
    let source = number(settings);
    let sender = Sender { source: &source, account: "default", correlation: "snd_1", now: NOW };
    OnPremises.compose(&sender, &message).map_err(|unsupported| unsupported.0)
}

#[test]
fn messages_and_read_marks_have_the_clients_calls() {
    let at = json!({ "api_base": "https://client.example/" });
    let text =
        json!({ "to": "+15551112222", "reply_to": "ABEG", "type": "text", "text": { "body": "hola" } });
    let call = composed(&at, &text).expect("a call");
    assert_eq!((call.method, call.url.as_str()), (Method::POST, "https://client.example/v1/messages"));
    assert_eq!(call.headers[0], ("D360-API-KEY".to_owned(), "number-key".to_owned()));
    let body: Value = serde_json::from_slice(&call.body).expect("JSON");
    let expected = json!({ "to": "15551112222", "recipient_type": "individual", "type": "text",
        "text": { "body": "hola", "preview_url": false }, "context": { "message_id": "ABEG" } });
    assert_eq!(body, expected);
    let bearer = json!({ "api_base": "https://client.example", "show_key_in": "bearer" });
    let read = json!({ "to": "1", "type": "read", "read": { "message_id": "ABEGVzVQ" } });
    let call = composed(&bearer, &read).expect("a call");
    assert_eq!(
        (call.method, call.url.as_str()),
        (Method::PUT, "https://client.example/v1/messages/ABEGVzVQ")
    );
    assert_eq!(call.headers[0].1, "Bearer number-key");
    assert_eq!(&call.body[..], br#"{"status":"read"}"#);
    for (settings, message, words) in [
        (json!({}), text, "api_base"),
        (at.clone(), json!({ "to": "1", "type": "text", "text": { "body": "" } }), "empty"),
        (
            at.clone(),
            json!({ "to": "1", "type": "reaction", "reaction": { "message_id": "1", "emoji": "x" } }),
            "no reactions",
        ),
        (at, json!({ "to": "1", "type": "read", "read": { "message_id": "../settings" } }), "not one of"),
    ] {
        assert!(composed(&settings, &message).is_err_and(|refusal| refusal.contains(words)), "{message}");
    }
}

fn answered(status: u16, body: &str) -> Interpreted {
    let answer = Answer { status, retry_after_secs: None, body: Bytes::copy_from_slice(body.as_bytes()) };
    OnPremises.interpret(&number(&json!({})), &answer)
}

#[test]
fn every_error_of_the_table_is_followed() {
    let taken = answered(201, r#"{"messages":[{"id":"gBEGkY"}],"meta":{"api_status":"stable"}}"#);
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("gBEGkY")));
    assert_eq!(answered(200, "{}").outcome, Outcome::Done);
    let error = |status, code: i64| {
        answered(status, &json!({ "errors": [{ "code": code, "title": "t", "details": "d" }] }).to_string())
    };
    for code in [429, 471, 500, 503, 1014, 1015, 1016] {
        assert!(matches!(error(400, code).outcome, Outcome::Retry { after: Some(_), .. }), "{code}");
    }
    for code in [408, 410, 470, 1013, 1026] {
        assert!(matches!(error(400, code).outcome, Outcome::Refused(_)), "{code}");
    }
    assert!(matches!(error(404, 1006).outcome, Outcome::Refused(words) if words.contains("v1/contacts")));
    assert!(answered(401, "").account_stopped && error(402, 402).account_stopped);
    assert!(matches!(answered(502, "").outcome, Outcome::Unknown(_)));
    assert!(matches!(answered(503, "").outcome, Outcome::Retry { .. }));
    let words = answered(400, r#"{"meta":{"success":false,"http_code":400,"developer_message":"bad url"}}"#);
    assert!(matches!(words.outcome, Outcome::Refused(words) if words.contains("bad url")));
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let source = number(&json!({}));
        let request = post(&[HOOK], body);
        let verified = OnPremises.verify(&source, &request).expect("it shows the header");
        let _ = OnPremises.parse(&source, &verified);
    }
}
