//! Tests of LINE sources.

use bytes::Bytes;
use model::receipt::Reason;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Line;
use crate::fixture::{NOW, every_fixture, post, sealed, source, told};
use crate::http::{Answer, Call, Incoming};
use crate::platform::{Interpreted, Platform, Sender};
use crate::proof::Rejection;

const SECRET: &str = "line-secret";
const BODY: &str = r#"{"destination":"U00000000000000000000000000000000","events":[]}"#;
const SIGNATURE: &str = "jHGKsZOC9E1kyEPdnnV8KLH1Q8vYfOVKnv3CY0cnwcA=";

fn channel() -> Source {
    let secrets = [
        (SecretRole::Signing, "old"),
        (SecretRole::Signing, SECRET),
        (SecretRole::AccessToken, "line-token"),
    ];
    source("line", &json!({ "api_base": "https://line.example/" }), &secrets)
}

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    Line.verify(source, request).err().map(|Rejection(reason)| reason)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    let source = channel();
    every_fixture("line", |body| {
        let request = sealed(&Line, &source, SECRET, post(&[], body));
        let verified = Line.verify(&source, &request).expect("a signed request");
        told(&Line.parse(&source, &verified).expect("a readable body"))
    });
}

#[test]
fn the_vector_is_accepted_and_its_neighbours_are_not() {
    let shown = |text: &str| post(&[("x-line-signature", text)], BODY);
    assert_eq!(refusal(&channel(), &shown(SIGNATURE)), None);
    let altered = Incoming { body: BODY.replace("[]", "[1]").into(), ..shown(SIGNATURE) };
    assert_eq!(refusal(&channel(), &altered), Some(Reason::SignatureWrong));
    assert_eq!(
        refusal(&channel(), &shown(SIGNATURE.trim_end_matches('='))),
        Some(Reason::SignatureMalformed)
    );
    assert_eq!(refusal(&channel(), &post(&[], BODY)), Some(Reason::SignatureMissing));
    let nobodys = source("line", &json!({}), &[]);
    assert_eq!(refusal(&nobodys, &shown(SIGNATURE)), Some(Reason::SecretNotConfigured));
    assert!(Line.check(&nobodys).is_err());
    assert_eq!(Line.check(&channel()), Ok(()));
    assert!(Line.check(&source("line", &json!({ "api_base": "x" }), &[(SecretRole::Signing, "s")])).is_err());
}

fn composed(message: &Value) -> Result<Call, String> {
    let message: OutgoingMessage = serde_json::from_value(message.clone()).expect("a message");
    let source = channel();
    let sender = Sender { source: &source, account: "Uff", correlation: "snd_1", now: NOW };
    Line.compose(&sender, &message).map_err(|unsupported| unsupported.0)
}

#[test]
fn what_can_be_pushed_is_and_every_attempt_has_the_same_retry_key() {
    let buttons = json!({ "type": "button", "body": { "text": "?" },
        "action": { "buttons": [{ "type": "reply", "reply": { "id": "a", "title": "Sí" } }] } });
    let action = json!({ "type": "postback", "label": "Sí", "data": "a", "displayText": "Sí" });
    let picture = json!({ "type": "image", "originalContentUrl": "https://e.x/a.jpg", "previewImageUrl": "https://e.x/a.jpg" });
    for (message, sent) in [
        (json!({ "type": "text", "text": { "body": "hola" } }), json!({ "type": "text", "text": "hola" })),
        (json!({ "type": "image", "image": { "link": "https://e.x/a.jpg" } }), picture),
        (
            json!({ "type": "sticker", "sticker": { "id": "446/1988" } }),
            json!({ "type": "sticker", "packageId": "446", "stickerId": "1988" }),
        ),
        (
            json!({ "type": "location", "location": { "latitude": 1.0, "longitude": 2.0, "address": "C 1" } }),
            json!({ "type": "location", "title": "C 1", "address": "C 1", "latitude": 1.0, "longitude": 2.0 }),
        ),
        (
            json!({ "type": "interactive", "interactive": buttons }),
            json!({ "type": "text", "text": "?", "quickReply": { "items": [{ "type": "action", "action": action }] } }),
        ),
    ] {
        let mut whole = message.clone();
        whole["to"] = json!("U12");
        let call = composed(&whole).expect("a call");
        assert_eq!(call.url, "https://line.example/v2/bot/message/push");
        assert_eq!(call.headers[0].1, "Bearer line-token");
        let (name, key) = &call.headers[2];
        assert_eq!((name.as_str(), key.len(), &key[14..15]), ("x-line-retry-key", 36, "8"));
        assert_eq!(composed(&whole).expect("a call").headers[2].1, *key);
        let body: Value = serde_json::from_slice(&call.body).expect("JSON");
        assert_eq!(body, json!({ "to": "U12", "messages": [sent] }));
    }
    for (message, words) in [
        (json!({ "to": "U", "type": "text", "text": { "body": "" } }), "empty"),
        (json!({ "to": "U", "reply_to": "1", "type": "text", "text": { "body": "x" } }), "reply_to"),
        (json!({ "to": "U", "type": "video", "video": { "link": "https://x" } }), "preview"),
        (json!({ "to": "U", "type": "image", "image": { "link": "http://x" } }), "https"),
        (json!({ "to": "U", "type": "read", "read": { "message_id": "1" } }), "token of its own"),
    ] {
        assert!(composed(&message).is_err_and(|refusal| refusal.contains(words)), "{message}");
    }
}

fn answered(status: u16, body: &str) -> Interpreted {
    Line.interpret(
        &channel(),
        &Answer { status, retry_after_secs: None, body: Bytes::copy_from_slice(body.as_bytes()) },
    )
}

#[test]
fn a_repeat_that_was_accepted_before_is_done_and_a_quota_is_not_tried_again() {
    let taken = answered(200, r#"{"sentMessages":[{"id":"461230966842064897","quoteToken":"I"}]}"#);
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("461230966842064897")));
    assert_eq!(answered(409, r#"{"message":"The retry key is already accepted"}"#).outcome, Outcome::Done);
    let quota = answered(429, r#"{"message":"You have reached your monthly limit."}"#);
    assert!(matches!(quota.outcome, Outcome::Refused(words) if words.contains("monthly")));
    assert!(matches!(answered(429, "{}").outcome, Outcome::Retry { .. }));
    assert!(matches!(answered(500, "").outcome, Outcome::Retry { .. }));
    assert!(matches!(answered(400, "").outcome, Outcome::Refused(_)));
    assert!(answered(401, "").account_stopped);
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let source = channel();
        let request = sealed(&Line, &source, SECRET, post(&[], body));
        let verified = Line.verify(&source, &request).expect("a signed request");
        let _ = Line.parse(&source, &verified);
    }
}
