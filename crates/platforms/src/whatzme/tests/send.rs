//! Sending: the calls that are made, and what the answers mean.

use std::time::Duration;

use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::SecretRole;
use serde_json::{Value, json};

use super::signing;
use crate::fixture::{NOW, source};
use crate::http::Answer;
use crate::platform::{Interpreted, Platform, Sender};
use crate::whatzme::WhatzMe;

fn compose(settings: &Value, message: Value) -> Result<crate::http::Call, String> {
    let secrets = [(SecretRole::Signing, "s"), (SecretRole::AccessToken, "TOKEN")];
    let source = source("whatzme", settings, &secrets);
    let message: OutgoingMessage = serde_json::from_value(message).expect("a message");
    let sender = Sender { source: &source, account: "ac me", correlation: "snd_1", now: NOW };
    WhatzMe.compose(&sender, &message).map_err(|unsupported| unsupported.0)
}

fn body_of(call: &crate::http::Call) -> Value {
    serde_json::from_slice(&call.body).expect("JSON")
}

#[test]
fn a_text_is_sent_as_the_guide_says() {
    let text = json!({ "to": "5215512345678@s.whatsapp.net", "type": "text", "text": { "body": "¡Hola!" } });
    let call = compose(&json!({ "api_base": "https://api.example/" }), text).expect("a call");
    assert_eq!(call.url, "https://api.example/messages/send");
    assert!(call.headers.contains(&("authorization".to_owned(), "Bearer TOKEN".to_owned())));
    assert_eq!(
        body_of(&call),
        json!({ "to": "5215512345678", "type": "text", "text": { "body": "¡Hola!" } })
    );
}

#[test]
fn a_file_is_sent_by_its_link() {
    let document = json!({ "to": "+521", "type": "document", "document": { "link": "https://x.example/a.pdf", "filename": "a.pdf" } });
    let call = compose(&json!({ "api_base": "https://api.example", "send_path": "/v2/send" }), document)
        .expect("a call");
    assert_eq!(call.url, "https://api.example/v2/send");
    let file = json!({ "link": "https://x.example/a.pdf", "filename": "a.pdf" });
    assert_eq!(body_of(&call), json!({ "to": "521", "type": "document", "document": file }));
}

#[test]
fn evolution_is_spoken_where_the_source_says_so() {
    let text = json!({ "to": "120363000000000001@g.us", "type": "text", "text": { "body": "hi" } });
    let call =
        compose(&json!({ "api_base": "https://evo.example", "dialect": "evolution" }), text).expect("a call");
    assert_eq!(call.url, "https://evo.example/message/sendText/ac%20me");
    assert!(call.headers.contains(&("apikey".to_owned(), "TOKEN".to_owned())));
    assert_eq!(body_of(&call), json!({ "number": "120363000000000001@g.us", "text": "hi" }));
}

#[test]
fn what_cannot_be_sent_is_said_in_words() {
    let base = || json!({ "api_base": "https://api.example" });
    let text = json!({ "to": "521", "type": "text", "text": { "body": "x" } });
    let with = |more: Value| {
        let mut message = text.clone();
        message.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        message
    };
    for (settings, message) in [
        (json!({}), text.clone()),
        (base(), with(json!({ "reply_to": "K1" }))),
        (base(), with(json!({ "to": { "bsuid": "US.1" } }))),
        (base(), with(json!({ "to": "somebody" }))),
        (base(), with(json!({ "to": "status@broadcast" }))),
        (base(), with(json!({ "type": "reaction", "reaction": { "message_id": "K1", "emoji": "x" } }))),
        (base(), with(json!({ "type": "image", "image": { "id": "m1" } }))),
        (json!({ "api_base": "https://e.example", "dialect": "evolution", "instance": ".." }), text.clone()),
    ] {
        let refusal = compose(&settings, message.clone()).expect_err("a refusal");
        assert!(refusal.len() > 20, "{message}: {refusal}");
    }
}

fn interpreted(settings: &Value, status: u16, body: &str) -> Interpreted {
    let answer =
        Answer { status, retry_after_secs: Some(7), body: bytes::Bytes::copy_from_slice(body.as_bytes()) };
    WhatzMe.interpret(&signing(settings), &answer)
}

#[test]
fn the_id_of_a_sent_message_is_found_wherever_it_is() {
    let id = |settings: &Value, body: &str| interpreted(settings, 201, body);
    for body in
        [r#"{"messages":[{"id":"M"}]}"#, r#"{"key":{"id":"M"}}"#, r#"{"id":"M"}"#, r#"{"messageId":"M"}"#]
    {
        let found = id(&json!({}), body);
        assert_eq!((found.outcome, found.message_id.as_deref()), (Outcome::Done, Some("M")), "{body}");
    }
    let own = id(&json!({ "message_id_pointer": "/data/0/ref" }), r#"{"id":"no","data":[{"ref":7}]}"#);
    assert_eq!(own.message_id.as_deref(), Some("7"));
    for silent in ["", "{}", "ok", r#"{"id":null}"#] {
        let found = id(&json!({}), silent);
        assert_eq!((found.outcome, found.message_id), (Outcome::Done, None), "{silent}");
    }
}

#[test]
fn an_answer_is_read_by_whether_the_message_may_have_left() {
    let outcome = |status, body| interpreted(&json!({}), status, body);
    for status in [429, 503] {
        let Outcome::Retry { after, .. } = outcome(status, "").outcome else { panic!("{status} is retried") };
        assert_eq!(after, Some(Duration::from_secs(7)));
    }
    for status in [500, 502, 504] {
        assert!(matches!(outcome(status, r#"{"error":"x"}"#).outcome, Outcome::Unknown(_)), "{status}");
    }
    assert!(matches!(outcome(507, r#"{"error":"x"}"#).outcome, Outcome::Retry { .. }));
    assert!(matches!(outcome(520, "<html>").outcome, Outcome::Unknown(_)));
    assert_eq!(
        outcome(400, r#"{"message":"bad number"}"#).outcome,
        Outcome::Refused("400: bad number".to_owned())
    );
    assert!(matches!(outcome(302, "").outcome, Outcome::Refused(_)));
    for (status, stopped) in [(401, true), (403, true), (404, false)] {
        let answer = outcome(status, "");
        assert!(matches!(answer.outcome, Outcome::Refused(_)));
        assert_eq!(answer.account_stopped, stopped, "{status}");
    }
}

#[test]
fn the_pace_is_the_settings_or_none() {
    assert_eq!(WhatzMe.pace(&signing(&json!({}))), None);
    let pace = WhatzMe.pace(&signing(&json!({ "messages_per_second": 4 }))).expect("a pace");
    assert_eq!(pace.account_interval, Duration::from_millis(250));
}
