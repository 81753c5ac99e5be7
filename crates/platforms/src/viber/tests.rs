//! Tests of Viber sources.

use bytes::Bytes;
use model::receipt::Reason;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Viber;
use crate::fixture::{NOW, every_fixture, post, sealed, source, told};
use crate::http::{Answer, Call, Incoming};
use crate::platform::{Interpreted, Platform, Sender};
use crate::proof::Rejection;

const TOKEN: &str = "viber-token";
const BODY: &str = r#"{"event":"webhook","timestamp":1700000000000,"message_token":1}"#;
const SIGNATURE: &str = "23bc7030ab898b1ff5d04fd53f908faf933d6c6b7e4cc9356619610d93937da3";

fn bot() -> Source {
    let settings =
        json!({ "sender_name": "Tienda", "api_base": "https://viber.example/", "account": "tienda" });
    source("viber", &settings, &[(SecretRole::AccessToken, TOKEN)])
}

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    Viber.verify(source, request).err().map(|Rejection(reason)| reason)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    let source = bot();
    every_fixture("viber", |body| {
        let request = sealed(&Viber, &source, TOKEN, post(&[], body));
        let verified = Viber.verify(&source, &request).expect("a signed request");
        told(&Viber.parse(&source, &verified).expect("a readable body"))
    });
}

#[test]
fn the_vector_is_accepted_and_answered_and_its_neighbours_are_not() {
    let shown = |text: &str| post(&[("x-viber-content-signature", text)], BODY);
    let (source, request) = (bot(), shown(SIGNATURE));
    let verified = Viber.verify(&source, &request).expect("the vector");
    assert_eq!(Viber.handshake(&source, &verified).map(|reply| reply.status), Some(200));
    let altered = Incoming { body: BODY.replace(":1}", ":2}").into(), ..shown(SIGNATURE) };
    assert_eq!(refusal(&source, &altered), Some(Reason::SignatureWrong));
    assert_eq!(refusal(&source, &shown(&SIGNATURE.to_uppercase())), Some(Reason::SignatureMalformed));
    assert_eq!(refusal(&source, &post(&[], BODY)), Some(Reason::SignatureMissing));
    let nobodys = crate::fixture::source("viber", &json!({}), &[]);
    assert_eq!(refusal(&nobodys, &shown(SIGNATURE)), Some(Reason::SecretNotConfigured));
    assert!(Viber.check(&nobodys).is_err());
    assert_eq!(Viber.check(&bot()), Ok(()));
}

fn composed(message: &Value) -> Result<Call, String> {
    let message: OutgoingMessage = serde_json::from_value(message.clone()).expect("a message");
    let source = bot();
    let sender = Sender { source: &source, account: "tienda", correlation: "snd_1", now: NOW };
    Viber.compose(&sender, &message).map_err(|unsupported| unsupported.0)
}

#[test]
fn what_a_bot_can_send_has_its_call_and_the_rest_is_refused_in_words() {
    let buttons = json!({ "type": "button", "body": { "text": "?" },
        "action": { "buttons": [{ "type": "reply", "reply": { "id": "a", "title": "Sí" } }] } });
    let button = json!({ "ActionType": "reply", "ActionBody": "a", "Text": "Sí" });
    let card = json!([{ "name": { "formatted_name": "Luis" }, "phones": [{ "phone": "+1555" }] }]);
    for (message, part, sent) in [
        (json!({ "type": "text", "text": { "body": "hola" } }), "text", json!("hola")),
        (
            json!({ "type": "image", "image": { "link": "https://e.x/a.jpg" } }),
            "media",
            json!("https://e.x/a.jpg"),
        ),
        (json!({ "type": "sticker", "sticker": { "id": "46105" } }), "sticker_id", json!(46105)),
        (
            json!({ "type": "location", "location": { "latitude": 1.5, "longitude": 2.5 } }),
            "location",
            json!({ "lat": 1.5, "lon": 2.5 }),
        ),
        (
            json!({ "type": "contacts", "contacts": card }),
            "contact",
            json!({ "name": "Luis", "phone_number": "+1555" }),
        ),
        (
            json!({ "type": "interactive", "interactive": buttons }),
            "keyboard",
            json!({ "Type": "keyboard", "Buttons": [button] }),
        ),
    ] {
        let mut whole = message.clone();
        whole["to"] = json!("0123=");
        let call = composed(&whole).expect("a call");
        assert_eq!(call.url, "https://viber.example/pa/send_message");
        assert_eq!(call.headers[0], ("x-viber-auth-token".to_owned(), TOKEN.to_owned()));
        let body: Value = serde_json::from_slice(&call.body).expect("JSON");
        assert_eq!((&body["receiver"], &body["sender"]["name"]), (&json!("0123="), &json!("Tienda")));
        assert_eq!((&body["tracking_data"], &body[part]), (&json!("snd_1"), &sent));
    }
    for (message, words) in [
        (json!({ "to": "1", "type": "text", "text": { "body": "" } }), "empty"),
        (json!({ "to": "1", "reply_to": "1", "type": "text", "text": { "body": "x" } }), "reply_to"),
        (json!({ "to": "1", "type": "document", "document": { "link": "https://x" } }), "how large"),
        (json!({ "to": "1", "type": "contacts", "contacts": [] }), "one contact"),
        (json!({ "to": "1", "type": "read", "read": { "message_id": "1" } }), "as read"),
    ] {
        assert!(composed(&message).is_err_and(|refusal| refusal.contains(words)), "{message}");
    }
}

fn answered(status: u16, body: &str) -> Interpreted {
    let answer = Answer { status, retry_after_secs: None, body: Bytes::copy_from_slice(body.as_bytes()) };
    Viber.interpret(&bot(), &answer)
}

#[test]
fn a_success_that_says_no_is_a_failure_and_long_tokens_stay_whole() {
    let taken = answered(200, r#"{"status":0,"status_message":"ok","message_token":5741311803571721087}"#);
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("5741311803571721087")));
    let refused = answered(200, r#"{"status":6,"status_message":"receiverNotSubscribed"}"#);
    assert!(matches!(refused.outcome, Outcome::Refused(words) if words.contains("receiverNotSubscribed")));
    assert!(answered(200, r#"{"status":2,"status_message":"invalidAuthToken"}"#).account_stopped);
    assert!(matches!(answered(200, r#"{"status":12}"#).outcome, Outcome::Retry { .. }));
    assert!(matches!(answered(200, "").outcome, Outcome::Unknown(_)));
    assert!(matches!(answered(502, "").outcome, Outcome::Unknown(_)));
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let source = bot();
        let request = sealed(&Viber, &source, TOKEN, post(&[], body));
        let verified = Viber.verify(&source, &request).expect("a signed request");
        let _ = Viber.parse(&source, &verified);
    }
}
