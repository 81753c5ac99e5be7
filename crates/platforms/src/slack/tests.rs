//! Tests of Slack sources.

use bytes::Bytes;
use model::receipt::Reason;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use model::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Slack;
use crate::fixture::{NOW, every_fixture, post, sealed, source, told};
use crate::http::{Answer, Call, Incoming};
use crate::platform::{Interpreted, Platform, Sender};
use crate::proof::Rejection;

const SECRET: &str = "slack-secret";
const BODY: &str = r#"{"type":"event_callback","event_id":"Ev1"}"#;
const SIGNATURE: &str = "v0=27133f8b99d64a75e7b4452f7c8d1dc43d57c592d298a299666f0a307d32abe4";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn app() -> Source {
    let secrets =
        [(SecretRole::Signing, "old"), (SecretRole::Signing, SECRET), (SecretRole::AccessToken, "xoxb-1")];
    source("slack", &json!({ "api_base": "https://slack.example/api" }), &secrets)
}

fn refusal(request: &Incoming) -> Option<Reason> {
    Slack.verify(&app(), request).err().map(|Rejection(reason)| reason)
}

fn events(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Value, String> {
    let source = app();
    let request = sealed(&Slack, &source, SECRET, post(headers, body));
    let verified = Slack.verify(&source, &request).expect("a signed request");
    Slack.parse(&source, &verified).map(|events| told(&events)).map_err(|unreadable| unreadable.0)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    every_fixture("slack", |body| events(&[("content-type", "application/json")], body).expect("readable"));
}

#[test]
fn the_vector_is_accepted_and_its_neighbours_are_not() {
    let at = |time: &str, signature: &str| {
        post(&[("x-slack-request-timestamp", time), ("x-slack-signature", signature)], BODY)
    };
    assert_eq!(refusal(&at("1700000000", SIGNATURE)), None);
    for (time, signature, reason) in [
        ("1700000001", SIGNATURE, Reason::SignatureWrong),
        ("1700000000", &SIGNATURE[3..], Reason::SignatureMalformed),
        ("1700000000", &SIGNATURE.to_uppercase(), Reason::SignatureMalformed),
        ("soon", SIGNATURE, Reason::SignatureMalformed),
        ("", SIGNATURE, Reason::SignatureMalformed),
    ] {
        assert_eq!(refusal(&at(time, signature)), Some(reason), "{time} {signature}");
    }
    assert_eq!(refusal(&post(&[("x-slack-signature", SIGNATURE)], BODY)), Some(Reason::SignatureMissing));
    let late = Incoming { received_at: Timestamp::from_secs(1_700_000_301), ..at("1700000000", SIGNATURE) };
    assert_eq!(refusal(&late), Some(Reason::TimestampOutside));
    assert!(Slack.check(&source("slack", &json!({}), &[])).is_err());
    assert_eq!(Slack.check(&app()), Ok(()));
}

#[test]
fn the_check_of_the_url_is_answered_with_its_own_word() {
    let source = app();
    let body = r#"{"token":"XXYYZZ","challenge":"abc","type":"url_verification"}"#;
    let request = sealed(&Slack, &source, SECRET, post(&[], body));
    let verified = Slack.verify(&source, &request).expect("a signed request");
    let reply = Slack.handshake(&source, &verified).expect("an answer");
    assert_eq!((reply.status, &reply.body[..]), (200, &b"abc"[..]));
}

#[test]
fn forms_are_choices_and_commands_and_keep_no_token() {
    let payload = json!({ "type": "block_actions", "token": "XXYYZZ", "trigger_id": "t1", "team": { "id": "T1" },
        "user": { "id": "U1" }, "channel": { "id": "C1" }, "message": { "ts": "1739321000.000100" },
        "response_url": "https://hooks.slack.com/actions/x",
        "actions": [
            { "type": "button", "action_id": "choice_0", "value": "yes", "text": { "text": "Sí" }, "action_ts": "1739321020.000100" },
            { "type": "static_select", "action_id": "s", "selected_option": { "value": "v2", "text": { "text": "Dos" } }, "action_ts": "1739321020.000200" },
        ] });
    let form =
        |text: &str| form_urlencoded::Serializer::new(String::new()).append_pair("payload", text).finish();
    let told = events(&[FORM], form(&payload.to_string())).expect("readable");
    let chosen = |at: usize, member: &str| told[at]["content"]["message"][member].clone();
    assert_eq!(
        (chosen(0, "choice_id"), chosen(0, "title"), chosen(0, "from")),
        (json!("yes"), json!("Sí"), json!("button"))
    );
    assert_eq!((chosen(1, "choice_id"), chosen(1, "from")), (json!("v2"), json!("list")));
    assert_eq!(told[0]["party"]["known_by"], json!(["slack_channel=C1"]));
    assert_ne!(told[0]["dedupe"], told[1]["dedupe"]);
    let view =
        json!({ "type": "view_submission", "token": "XXYYZZ", "trigger_id": "t2", "team": { "id": "T1" } });
    let view = events(&[FORM], form(&view.to_string())).expect("readable");
    assert_eq!(view[0]["type"], "slack.view_submission");
    let command = "token=XXYYZZ&team_id=T1&channel_id=C1&user_id=U1&command=%2Fpedido&text=12&trigger_id=t3";
    let command = events(&[FORM], command).expect("readable");
    assert_eq!((&command[0]["type"], &command[0]["account"]), (&json!("slack.command"), &json!("T1")));
    for one in [&told, &view, &command] {
        assert!(!one.to_string().contains("XXYYZZ"), "{one}");
    }
    assert!(events(&[FORM], "a=b").is_err() && events(&[], "[]").is_err());
}

fn composed(message: &Value) -> Result<Call, String> {
    let message: OutgoingMessage = serde_json::from_value(message.clone()).expect("a message");
    let source = app();
    let sender = Sender { source: &source, account: "T1", correlation: "snd_1", now: NOW };
    Slack.compose(&sender, &message).map_err(|unsupported| unsupported.0)
}

#[test]
fn texts_buttons_and_reactions_have_their_calls_and_the_rest_is_refused_in_words() {
    let body = |message: Value| {
        let call = composed(&message).expect("a call");
        assert_eq!(call.headers[0].1, "Bearer xoxb-1");
        (call.url, serde_json::from_slice::<Value>(&call.body).expect("JSON"))
    };
    let (url, sent) =
        body(json!({ "to": "C1", "reply_to": "1.2", "type": "text", "text": { "body": "hola" } }));
    assert_eq!(url, "https://slack.example/api/chat.postMessage");
    assert_eq!(sent, json!({ "channel": "C1", "text": "hola", "thread_ts": "1.2", "unfurl_links": false }));
    let buttons = json!({ "type": "button", "body": { "text": "?" },
        "action": { "buttons": [{ "type": "reply", "reply": { "id": "a", "title": "Sí" } }] } });
    let (_, sent) = body(json!({ "to": "C1", "type": "interactive", "interactive": buttons }));
    assert_eq!(sent["blocks"][1]["elements"][0]["value"], "a");
    let reaction = json!({ "message_id": "1.2", "emoji": ":thumbsup:" });
    let (url, sent) = body(json!({ "to": "C1", "type": "reaction", "reaction": reaction }));
    assert_eq!(url, "https://slack.example/api/reactions.add");
    assert_eq!(sent, json!({ "channel": "C1", "timestamp": "1.2", "name": "thumbsup" }));
    for (message, words) in [
        (json!({ "to": "#general", "type": "text", "text": { "body": "x" } }), "id of a channel"),
        (json!({ "to": "C1", "type": "text", "text": { "body": "" } }), "empty"),
        (
            json!({ "to": "C1", "type": "reaction", "reaction": { "message_id": "1", "emoji": "👍" } }),
            "by name",
        ),
        (json!({ "to": "C1", "type": "document", "document": { "link": "https://x" } }), "as a text"),
        (json!({ "to": "C1", "type": "template", "template": {} }), "blocks"),
        (json!({ "to": "C1", "type": "read", "read": { "message_id": "1" } }), "as read"),
    ] {
        assert!(composed(&message).is_err_and(|refusal| refusal.contains(words)), "{message}");
    }
}

fn answered(status: u16, body: &str) -> Interpreted {
    let answer = Answer { status, retry_after_secs: Some(3), body: Bytes::copy_from_slice(body.as_bytes()) };
    Slack.interpret(&app(), &answer)
}

#[test]
fn a_success_that_says_no_is_a_failure() {
    let taken = answered(200, r#"{"ok":true,"channel":"C1","ts":"1739321000.000100"}"#);
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("1739321000.000100")));
    let refused = answered(200, r#"{"ok":false,"error":"channel_not_found"}"#);
    assert!(matches!(refused.outcome, Outcome::Refused(words) if words.contains("channel_not_found")));
    assert!(answered(200, r#"{"ok":false,"error":"token_revoked"}"#).account_stopped);
    assert!(matches!(answered(429, "").outcome, Outcome::Retry { after: Some(_), .. }));
    assert!(matches!(answered(200, r#"{"ok":false,"error":"ratelimited"}"#).outcome, Outcome::Retry { .. }));
    assert!(matches!(answered(200, r#"{"ok":false,"error":"internal_error"}"#).outcome, Outcome::Unknown(_)));
    assert!(matches!(answered(200, "<html>").outcome, Outcome::Unknown(_)));
    assert!(matches!(answered(502, "").outcome, Outcome::Unknown(_)));
    assert_eq!(answered(200, r#"{"ok":false,"error":"already_reacted"}"#).outcome, Outcome::Done);
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300), is_form in any::<bool>()) {
        let headers = if is_form { vec![FORM] } else { Vec::new() };
        let _ = events(&headers, body.clone());
        let _ = Slack.redact(&body);
    }
}
