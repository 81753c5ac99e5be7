//! Tests of Messenger sources, and what those of Instagram share with them.

use bytes::Bytes;
use model::receipt::Reason;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::MESSENGER;
use crate::fixture::{NOW, every_fixture, get, post, sealed, source, told};
use crate::http::{Answer, Incoming};
use crate::platform::{Interpreted, Narrowed, Platform, Sender};
use crate::proof::Rejection;

pub(crate) const SECRET: &str = "app-secret-1";

/// A source of a platform of Meta's with everything it needs.
pub(crate) fn complete(platform: &str, settings: &Value) -> Source {
    let secrets = [
        (SecretRole::Signing, SECRET),
        (SecretRole::VerifyToken, "verify-me"),
        (SecretRole::AccessToken, "page-token"),
    ];
    source(platform, settings, &secrets)
}

fn page() -> Source {
    complete("messenger", &json!({ "app_id": "1234" }))
}

fn refusal(request: &Incoming) -> Option<Reason> {
    MESSENGER.verify(&page(), request).err().map(|Rejection(reason)| reason)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    every_fixture("messenger", |body| {
        let request = sealed(&MESSENGER, &page(), SECRET, post(&[], body));
        let verified = MESSENGER.verify(&page(), &request).expect("a signed request");
        told(&MESSENGER.parse(&page(), &verified).expect("a readable body"))
    });
}

#[test]
fn the_vector_with_escapes_is_accepted_over_the_bytes_as_they_came() {
    let body = r#"{"object":"page","entry":[{"id":"1","messaging":[{"message":{"mid":"m1","text":"\u00e4\u00f6"}}]}]}"#;
    let signature = "sha256=cf8aded7ae33885ad5deab93ff840e879b54c38082d8ccd3331ea2f6ceead2e3";
    let shown = |body: &str| post(&[("x-hub-signature-256", signature)], body.to_owned());
    assert_eq!(refusal(&shown(body)), None);
    assert_eq!(refusal(&shown(&body.replace(r"\u00e4\u00f6", "äö"))), Some(Reason::SignatureWrong));
    assert_eq!(refusal(&post(&[], body)), Some(Reason::SignatureMissing));
}

#[test]
fn the_check_of_the_url_is_answered_to_whoever_knows_the_verify_token() {
    let asked = get("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify-me");
    let verified = MESSENGER.verify(&page(), &asked).expect("the right token");
    assert_eq!(
        MESSENGER.handshake(&page(), &verified).map(|reply| reply.body),
        Some(Bytes::from("1158201444"))
    );
    let wrong = get("hub.mode=subscribe&hub.challenge=1&hub.verify_token=other");
    assert_eq!(refusal(&wrong), Some(Reason::VerifyTokenWrong));
}

#[test]
fn settings_that_cannot_be_meant_and_missing_secrets_are_refused() {
    assert_eq!(MESSENGER.check(&page()), Ok(()));
    for settings in [json!({ "api_base": "x" }), json!({ "api_version": "25" }), json!({ "unsigned": true })]
    {
        assert!(MESSENGER.check(&complete("messenger", &settings)).is_err(), "{settings}");
    }
    let secrets = [(SecretRole::Signing, SECRET)];
    assert!(MESSENGER.check(&source("messenger", &json!({}), &secrets)).is_err());
}

/// The address and body of the call that sends a message.
pub(crate) fn composed(
    platform: &dyn Platform,
    source: &Source,
    message: &Value,
) -> Result<(String, Value), String> {
    let message: OutgoingMessage = serde_json::from_value(message.clone()).expect("a message");
    let sender = Sender { source, account: "PAGE1", correlation: "snd_1", now: NOW };
    let call = platform.compose(&sender, &message).map_err(|unsupported| unsupported.0)?;
    assert!(call.headers.contains(&("authorization".to_owned(), "Bearer page-token".to_owned())));
    Ok((call.url, serde_json::from_slice(&call.body).expect("JSON")))
}

#[test]
fn each_kind_of_message_has_its_call() {
    let to = json!({ "id": "5550001" });
    let ask = json!({ "type": "button", "body": { "text": "?" },
        "action": { "buttons": [{ "reply": { "id": "y", "title": "Sí" } }] } });
    let said = |message: Value| json!({ "recipient": to, "messaging_type": "RESPONSE", "message": message });
    for (message, expected) in [
        (json!({ "type": "text", "text": { "body": "hi" } }), said(json!({ "text": "hi" }))),
        (
            json!({ "type": "document", "document": { "link": "https://x/y.pdf" } }),
            said(
                json!({ "attachment": { "type": "file", "payload": { "url": "https://x/y.pdf", "is_reusable": false } } }),
            ),
        ),
        (
            json!({ "type": "image", "image": { "id": "77" } }),
            said(json!({ "attachment": { "type": "image", "payload": { "attachment_id": "77" } } })),
        ),
        (
            json!({ "type": "interactive", "interactive": ask }),
            said(
                json!({ "text": "?", "quick_replies": [{ "content_type": "text", "title": "Sí", "payload": "y" }] }),
            ),
        ),
        (
            json!({ "type": "read", "read": { "message_id": "m_1" } }),
            json!({ "recipient": to, "sender_action": "mark_seen" }),
        ),
        (
            json!({ "type": "read", "read": { "message_id": "m_1", "typing": true } }),
            json!({ "recipient": to, "sender_action": "typing_on" }),
        ),
    ] {
        let mut message = message;
        message["to"] = json!("5550001");
        let (url, body) = composed(&MESSENGER, &page(), &message).expect("a call");
        assert_eq!(url, "https://graph.facebook.com/v25.0/PAGE1/messages");
        assert_eq!(body, expected);
    }
}

#[test]
fn what_cannot_be_sent_is_said_in_words() {
    for (message, words) in [
        (json!({ "type": "text", "text": { "body": "" } }), "empty"),
        (json!({ "type": "text", "text": { "body": "x".repeat(2_001) } }), "2000"),
        (json!({ "type": "image", "image": { "link": "https://x", "caption": "c" } }), "caption"),
        (json!({ "type": "sticker", "sticker": { "id": "1" } }), "stickers"),
        (json!({ "type": "reaction", "reaction": { "message_id": "m_1", "emoji": "❤" } }), "reactions"),
        (json!({ "type": "text", "text": { "body": "hi" }, "reply_to": "m_1" }), "reply_to"),
    ] {
        let mut message = message;
        message["to"] = json!("5550001");
        assert!(
            composed(&MESSENGER, &page(), &message).is_err_and(|refusal| refusal.contains(words)),
            "{message}"
        );
    }
}

fn answered(status: u16, body: &str) -> Interpreted {
    let answer = Answer { status, retry_after_secs: None, body: Bytes::copy_from_slice(body.as_bytes()) };
    MESSENGER.interpret(&page(), &answer)
}

#[test]
fn an_answer_says_what_follows() {
    let taken = answered(200, r#"{"recipient_id":"5550001","message_id":"m_out"}"#);
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("m_out")));
    assert_eq!(answered(200, r#"{"recipient_id":"5550001"}"#).outcome, Outcome::Done);
    let error = |code: i64| {
        answered(400, &format!(r#"{{"error":{{"message":"m","code":{code},"error_subcode":2018278}}}}"#))
    };
    for code in [613, 4, 32, 80006, 1200, 2, 1] {
        assert!(matches!(error(code).outcome, Outcome::Retry { .. }), "{code}");
    }
    for code in [10, 100, 551, 1_545_041, 200] {
        assert!(matches!(error(code).outcome, Outcome::Refused(_)), "{code}");
    }
    assert!(error(190).account_stopped && !error(10).account_stopped);
    assert!(matches!(answered(502, "<html>").outcome, Outcome::Unknown(_)));
    assert!(matches!(answered(200, "<html>").outcome, Outcome::Unknown(_)));
    assert!(matches!(answered(503, "").outcome, Outcome::Retry { .. }));
}

#[test]
fn a_body_is_cut_down_to_the_pages_that_are_wanted_in_its_own_bytes() {
    let body =
        r#"{ "object":"page", "entry": [{"id":"1","messaging":[]}, {"id":"2", "messaging":[{}]},{"x":1}] }"#;
    let of = |wanted: &'static [&'static str]| MESSENGER.narrow(body.as_bytes(), &|id| wanted.contains(&id));
    assert_eq!(of(&["1", "2", ""]), Narrowed::Whole);
    let part = r#"{ "object":"page", "entry": [{"id":"2", "messaging":[{}]}] }"#;
    assert_eq!(of(&["2"]), Narrowed::Part(Bytes::from(part)));
    assert_eq!(of(&["3"]), Narrowed::Nothing);
    assert_eq!(MESSENGER.narrow(b"no JSON", &|id| id == "1"), Narrowed::Nothing);
    assert_eq!(MESSENGER.narrow(b"no JSON", &|id| id.is_empty()), Narrowed::Whole);
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let request = sealed(&MESSENGER, &page(), SECRET, post(&[], body));
        let verified = MESSENGER.verify(&page(), &request).expect("a signed request");
        let _ = MESSENGER.parse(&page(), &verified);
    }

    #[test]
    fn no_item_of_any_shape_panics(inner in "[\\[\\]{}a-z\",:0-9]{0,80}", key in "message|postback|reaction|delivery|read|message_edit") {
        let body = format!("{{\"entry\":[{{\"id\":\"1\",\"messaging\":[{{\"{key}\":{inner}}}]}}]}}");
        let request = sealed(&MESSENGER, &page(), SECRET, post(&[], body));
        let verified = MESSENGER.verify(&page(), &request).expect("a signed request");
        let _ = MESSENGER.parse(&page(), &verified);
    }
}
