//! Tests of WATI sources.

use bytes::Bytes;
use model::receipt::Reason;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Wati;
use crate::fixture::{NOW, every_fixture, post, source, told};
use crate::http::{Answer, Incoming};
use crate::platform::{Interpreted, Platform, Sender};
use crate::proof::Rejection;

fn inbox(settings: &Value) -> Source {
    source(
        "wati",
        settings,
        &[(SecretRole::Credential, "long-random"), (SecretRole::AccessToken, "Bearer wati-token")],
    )
}

fn asked(query: Option<&str>, body: impl Into<Bytes>) -> Incoming {
    Incoming { query: query.map(str::to_owned), ..post(&[], body) }
}

fn refusal(settings: &Value, query: Option<&str>) -> Option<Reason> {
    Wati.verify(&inbox(settings), &asked(query, "{}")).err().map(|Rejection(reason)| reason)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    let source = inbox(&json!({ "account": "ventas" }));
    every_fixture("wati", |body| {
        let request = asked(Some("key=long-random"), body);
        let verified = Wati.verify(&source, &request).expect("a genuine request");
        told(&Wati.parse(&source, &verified).expect("a readable body"))
    });
}

#[test]
fn only_the_text_in_the_url_proves_a_request() {
    let plain = json!({});
    assert_eq!(refusal(&plain, Some("key=long-random")), None);
    assert_eq!(refusal(&json!({ "parameter": "token" }), Some("a=1&token=long-random")), None);
    for wrong in ["key=long-rando", "key=LONG-RANDOM", "key=", "token=long-random"] {
        assert!(refusal(&plain, Some(wrong)).is_some(), "{wrong}");
    }
    assert_eq!(refusal(&plain, None), Some(Reason::CredentialMissing));
    let nobodys = source("wati", &plain, &[]);
    assert!(Wati.verify(&nobodys, &asked(Some("key="), "{}")).is_err());
    assert!(Wati.check(&nobodys).is_err() && Wati.check(&inbox(&json!({ "api_base": "x" }))).is_err());
    assert_eq!(Wati.check(&inbox(&json!({ "api_base": "https://live-server-1.wati.io" }))), Ok(()));
}

fn composed(message: &Value) -> Result<(String, String), String> {
    let message: OutgoingMessage = serde_json::from_value(message.clone()).expect("a message");
    let source = inbox(&json!({ "api_base": "https://live.example/123/" }));
    let sender = Sender { source: &source, account: "ventas", correlation: "snd_1", now: NOW };
    let call = Wati.compose(&sender, &message).map_err(|unsupported| unsupported.0)?;
    assert_eq!(call.headers[0], ("authorization".to_owned(), "Bearer wati-token".to_owned()));
    Ok((call.url, String::from_utf8(call.body.to_vec()).expect("text")))
}

#[test]
fn texts_and_templates_have_their_calls_and_the_rest_is_refused_in_words() {
    let text = json!({ "to": "+1 555 111 2222", "type": "text", "text": { "body": "¿qué & cómo?" } });
    let said = "messageText=%C2%BFqu%C3%A9+%26+c%C3%B3mo%3F";
    let url = format!("https://live.example/123/api/v1/sendSessionMessage/15551112222?{said}");
    assert_eq!(composed(&text), Ok((url, String::new())));
    let template = json!({ "template_name": "hola", "broadcast_name": "b", "parameters": [] });
    let (url, body) =
        composed(&json!({ "to": "15551112222", "type": "template", "template": template })).expect("a call");
    assert_eq!(url, "https://live.example/123/api/v2/sendTemplateMessage?whatsappNumber=15551112222");
    assert_eq!(serde_json::from_str::<Value>(&body).ok(), Some(template));
    for (message, words) in [
        (json!({ "to": "ana", "type": "text", "text": { "body": "x" } }), "phone number"),
        (json!({ "to": "1", "type": "text", "text": { "body": "" } }), "empty"),
        (json!({ "to": "1", "type": "template", "template": { "name": "x" } }), "template_name"),
        (json!({ "to": "1", "type": "image", "image": { "link": "https://x" } }), "texts and templates"),
        (json!({ "to": "1", "type": "read", "read": { "message_id": "1" } }), "mark a message as read"),
    ] {
        assert!(composed(&message).is_err_and(|refusal| refusal.contains(words)), "{message}");
    }
}

fn answered(status: u16, body: &str) -> Interpreted {
    let answer = Answer { status, retry_after_secs: None, body: Bytes::copy_from_slice(body.as_bytes()) };
    Wati.interpret(&inbox(&json!({})), &answer)
}

#[test]
fn a_success_that_says_no_is_a_failure() {
    let taken =
        answered(200, r#"{"result":true,"error":null,"receivers":[{"localMessageId":"d38f","waId":"1"}]}"#);
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("d38f")));
    let refused = answered(200, r#"{"result":false,"info":"Ticket has been expired."}"#);
    assert!(matches!(refused.outcome, Outcome::Refused(words) if words.contains("expired")));
    assert!(matches!(answered(200, "<html>").outcome, Outcome::Unknown(_)));
    assert!(matches!(answered(502, "").outcome, Outcome::Unknown(_)));
    assert!(matches!(answered(429, "").outcome, Outcome::Retry { .. }));
    assert!(answered(401, "").account_stopped);
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let request = asked(Some("key=long-random"), body);
        let verified = Wati.verify(&inbox(&json!({})), &request).expect("a genuine request");
        let _ = Wati.parse(&inbox(&json!({})), &verified);
    }
}
