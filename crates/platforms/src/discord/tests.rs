//! Tests of Discord sources.

use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use bytes::Bytes;
use model::receipt::Reason;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Discord;
use crate::fixture::{NOW, every_fixture, post, source, told};
use crate::http::{Answer, Incoming};
use crate::platform::{Interpreted, Platform, Sender};
use crate::proof::Rejection;

const PUBLIC: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
const BODY: &str = r#"{"type":1}"#;
const SIGNATURE: &str = "c1098e97d711377f30225d53d94b89d43537f92e5b3afaddc590781b1f9f9d4b2eeab335d370be3b9a090bc61a85b86448bc140dcd195f1569c2bff181257607";

fn application(settings: &Value) -> Source {
    source("discord", settings, &[(SecretRole::Signing, PUBLIC), (SecretRole::AccessToken, "bot-token")])
}

/// A request as Discord signs it, with the private key of the reference.
fn signed(body: impl Into<Bytes>) -> Incoming {
    let body = body.into();
    let seed: Vec<u8> = (0..32).collect();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed of 32 bytes");
    let signature = pair.sign(&[b"1700000000", body.as_ref()].concat());
    let signature = hex::encode(signature.as_ref());
    post(&[("x-signature-ed25519", &signature), ("x-signature-timestamp", "1700000000")], body)
}

fn shown(signature: &str, time: &str) -> Incoming {
    post(&[("x-signature-ed25519", signature), ("x-signature-timestamp", time)], BODY)
}

fn refusal(request: &Incoming) -> Option<Reason> {
    Discord.verify(&application(&json!({})), request).err().map(|Rejection(reason)| reason)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    let source = application(&json!({}));
    every_fixture("discord", |body| {
        let request = signed(body);
        let verified = Discord.verify(&source, &request).expect("a signed request");
        told(&Discord.parse(&source, &verified).expect("a readable body"))
    });
}

#[test]
fn the_vector_is_accepted_and_what_discord_tries_is_refused() {
    assert_eq!(refusal(&shown(SIGNATURE, "1700000000")), None);
    assert_eq!(signed(BODY).headers["x-signature-ed25519"], SIGNATURE);
    let wrong = SIGNATURE.replace("c1", "c2");
    for (signature, time, reason) in [
        (wrong.as_str(), "1700000000", Reason::SignatureWrong),
        (SIGNATURE, "1700000001", Reason::SignatureWrong),
        (&SIGNATURE[..126], "1700000000", Reason::SignatureMalformed),
        (&SIGNATURE.to_uppercase(), "1700000000", Reason::SignatureMalformed),
        ("", "1700000000", Reason::SignatureMalformed),
    ] {
        assert_eq!(refusal(&shown(signature, time)), Some(reason), "{signature} {time}");
    }
    assert_eq!(refusal(&post(&[], BODY)), Some(Reason::SignatureMissing));
    let altered = Incoming { body: r#"{"type":2}"#.into(), ..shown(SIGNATURE, "1700000000") };
    assert_eq!(refusal(&altered), Some(Reason::SignatureWrong));
    let late = Incoming { received_at: NOW.plus(Duration::from_secs(301)), ..shown(SIGNATURE, "1700000000") };
    assert_eq!(refusal(&late), Some(Reason::TimestampOutside));
    assert!(Discord.check(&source("discord", &json!({}), &[(SecretRole::Signing, "00")])).is_err());
}

/// The status and body of what Discord hears.
fn heard(settings: &Value, body: &str) -> (u16, String) {
    let (source, request) = (application(settings), signed(body.to_owned()));
    let verified = Discord.verify(&source, &request).expect("a signed request");
    let reply =
        Discord.handshake(&source, &verified).unwrap_or_else(|| Discord.acknowledge(&source, &verified));
    assert_eq!(reply.content_type, "application/json");
    (reply.status, String::from_utf8(reply.body.to_vec()).expect("text"))
}

#[test]
fn each_kind_of_request_has_its_own_answer() {
    let of = |kind: u8| format!(r#"{{"id":"1","type":{kind},"token":"t"}}"#);
    for (body, status, answer) in [
        (r#"{"type":1}"#.to_owned(), 200, r#"{"type":1}"#),
        (of(1), 200, r#"{"type":1}"#),
        (r#"{"version":1,"application_id":"900","type":0}"#.to_owned(), 204, ""),
        (r#"{"version":1,"type":1,"event":{"type":"X"}}"#.to_owned(), 204, ""),
        (of(2), 200, r#"{"type":5}"#),
        (of(3), 200, r#"{"type":6}"#),
        (of(4), 200, r#"{"type":8,"data":{"choices":[]}}"#),
        (of(5), 200, r#"{"type":5}"#),
    ] {
        assert_eq!(heard(&json!({}), &body), (status, answer.to_owned()), "{body}");
    }
    let private = heard(&json!({ "ephemeral": true }), &of(2));
    assert_eq!(private.1, r#"{"type":5,"data":{"flags":64}}"#);
}

fn composed(message: &Value) -> Result<(String, String, Value), String> {
    let message: OutgoingMessage = serde_json::from_value(message.clone()).expect("a message");
    let source = application(&json!({}));
    let sender = Sender { source: &source, account: "900", correlation: "snd_1", now: NOW };
    let call = Discord.compose(&sender, &message).map_err(|unsupported| unsupported.0)?;
    assert!(call.headers.contains(&("authorization".to_owned(), "Bot bot-token".to_owned())));
    let body =
        if call.body.is_empty() { Value::Null } else { serde_json::from_slice(&call.body).expect("JSON") };
    Ok((call.method.to_string(), call.url.replace("https://discord.com/api/v10", ""), body))
}

#[test]
fn each_kind_of_message_has_its_call() {
    let ask = json!({ "type": "button", "body": { "text": "?" },
        "action": { "buttons": [{ "reply": { "id": "y", "title": "Sí" } }] } });
    let row =
        json!({ "type": 1, "components": [{ "type": 2, "style": 1, "label": "Sí", "custom_id": "y" }] });
    for (message, method, url, body) in [
        (
            json!({ "type": "text", "text": { "body": "hi" } }),
            "POST",
            "/channels/55/messages",
            json!({ "content": "hi", "nonce": "snd_1", "enforce_nonce": true }),
        ),
        (
            json!({ "type": "text", "text": { "body": "hi" }, "reply_to": "77" }),
            "POST",
            "/channels/55/messages",
            json!({ "content": "hi", "nonce": "snd_1", "enforce_nonce": true, "message_reference": { "message_id": "77" } }),
        ),
        (
            json!({ "type": "text", "text": { "body": "hi" }, "reply_to": "900:a/b" }),
            "PATCH",
            "/webhooks/900/a%2Fb/messages/@original",
            json!({ "content": "hi" }),
        ),
        (
            json!({ "type": "interactive", "interactive": ask }),
            "POST",
            "/channels/55/messages",
            json!({ "content": "?", "components": [row], "nonce": "snd_1", "enforce_nonce": true }),
        ),
        (
            json!({ "type": "document", "document": { "link": "https://x/y.pdf", "caption": "c" } }),
            "POST",
            "/channels/55/messages",
            json!({ "content": "c\nhttps://x/y.pdf", "nonce": "snd_1", "enforce_nonce": true }),
        ),
        (
            json!({ "type": "reaction", "reaction": { "message_id": "77", "emoji": "👍" } }),
            "PUT",
            "/channels/55/messages/77/reactions/%F0%9F%91%8D/@me",
            Value::Null,
        ),
        (
            json!({ "type": "read", "read": { "message_id": "77", "typing": true } }),
            "POST",
            "/channels/55/typing",
            Value::Null,
        ),
    ] {
        let mut message = message;
        message["to"] = json!("55");
        assert_eq!(composed(&message), Ok((method.to_owned(), url.to_owned(), body)), "{message}");
    }
}

#[test]
fn what_cannot_be_sent_is_said_in_words() {
    for (message, words) in [
        (json!({ "to": "../55", "type": "text", "text": { "body": "hi" } }), "must be an id"),
        (json!({ "to": "55", "type": "text", "text": { "body": "x".repeat(2_001) } }), "2000"),
        (
            json!({ "to": "55", "type": "text", "text": { "body": "hi" }, "reply_to": "9/..:t" }),
            "must be an id",
        ),
        (json!({ "to": "55", "type": "image", "image": { "id": "1" } }), "by its link"),
        (json!({ "to": "55", "type": "reaction", "reaction": { "message_id": "77" } }), "reaction back"),
        (json!({ "to": "55", "type": "read", "read": { "message_id": "77" } }), "mark a message as read"),
        (
            json!({ "to": "55", "type": "location", "location": { "latitude": 1.0, "longitude": 1.0 } }),
            "places",
        ),
    ] {
        let refused = composed(&message).expect_err("a refusal");
        assert!(refused.contains(words), "{message}: {refused}");
    }
}

fn answered(status: u16, body: &str) -> Interpreted {
    let answer = Answer { status, retry_after_secs: None, body: Bytes::copy_from_slice(body.as_bytes()) };
    Discord.interpret(&application(&json!({})), &answer)
}

#[test]
fn an_answer_says_what_follows() {
    let taken = answered(200, r#"{"id":"1397","content":"hi"}"#);
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("1397")));
    assert_eq!(answered(204, "").outcome, Outcome::Done);
    let wait = answered(429, r#"{"message":"You are being rate limited.","retry_after":1.5,"global":false}"#);
    assert!(
        matches!(wait.outcome, Outcome::Retry { after: Some(after), .. } if after == Duration::from_millis(1_500))
    );
    assert!(
        matches!(answered(500, "").outcome, Outcome::Retry { .. }),
        "the nonce makes a second try harmless"
    );
    assert!(matches!(
        answered(403, r#"{"message":"Cannot send messages to this user","code":50007}"#).outcome,
        Outcome::Refused(_)
    ));
    assert!(answered(401, r#"{"message":"401: Unauthorized","code":0}"#).account_stopped);
    assert!(matches!(answered(429, r#"{"retry_after":-1e300}"#).outcome, Outcome::Retry { after: None, .. }));
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let (source, request) = (application(&json!({})), signed(body));
        let verified = Discord.verify(&source, &request).expect("a signed request");
        let _ = (Discord.parse(&source, &verified), Discord.acknowledge(&source, &verified));
    }

    #[test]
    fn no_interaction_of_any_shape_panics(kind in 0_u8..7, inner in "[\\[\\]{}a-z\",:0-9]{0,80}") {
        let body = format!("{{\"id\":\"1\",\"type\":{kind},\"token\":\"t\",\"channel_id\":\"1\",\"user\":{{}},\"data\":{inner}}}");
        let (source, request) = (application(&json!({})), signed(body));
        let verified = Discord.verify(&source, &request).expect("a signed request");
        let _ = (Discord.parse(&source, &verified), Discord.acknowledge(&source, &verified));
    }
}
