//! Tests of Telegram sources.

use std::time::Duration;

use bytes::Bytes;
use model::receipt::Reason;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Telegram;
use crate::fixture::{NOW, every_fixture, post, sealed, source, told};
use crate::http::{Answer, Incoming};
use crate::platform::{Interpreted, Platform, Sender};
use crate::proof::Rejection;

const TOKEN: &str = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11";
const SECRET: &str = "the_secret-token";

fn bot() -> Source {
    source("telegram", &json!({}), &[(SecretRole::Credential, SECRET), (SecretRole::AccessToken, TOKEN)])
}

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    Telegram.verify(source, request).err().map(|Rejection(reason)| reason)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    every_fixture("telegram", |body| {
        let request = sealed(&Telegram, &bot(), SECRET, post(&[], body));
        let verified = Telegram.verify(&bot(), &request).expect("a genuine request");
        told(&Telegram.parse(&bot(), &verified).expect("a readable body"))
    });
}

#[test]
fn only_the_secret_token_proves_an_update() {
    let shown = |token: &str| post(&[("x-telegram-bot-api-secret-token", token)], "{}");
    assert_eq!(refusal(&bot(), &shown(SECRET)), None);
    for wrong in ["", "the_secret", "THE_SECRET-TOKEN", "the_secret-token "] {
        assert!(refusal(&bot(), &shown(wrong)).is_some(), "{wrong}");
    }
    assert_eq!(refusal(&bot(), &post(&[], "{}")), Some(Reason::CredentialMissing));
    let twice = [("x-telegram-bot-api-secret-token", SECRET); 2];
    assert_eq!(refusal(&bot(), &post(&twice, "{}")), Some(Reason::HeaderRepeated));
    let without = source("telegram", &json!({}), &[]);
    assert_eq!(refusal(&without, &shown(SECRET)), Some(Reason::SecretNotConfigured));
}

#[test]
fn secrets_and_settings_that_cannot_be_meant_are_refused() {
    assert_eq!(Telegram.check(&bot()), Ok(()));
    for token in ["", "two words", &"x".repeat(257)] {
        let source = source("telegram", &json!({}), &[(SecretRole::Credential, token)]);
        assert!(Telegram.check(&source).is_err(), "{token}");
    }
    for settings in [json!({ "api_base": "ftp://x" }), json!({ "bot": "" }), json!({ "unsigned": true })] {
        assert!(Telegram.check(&source("telegram", &settings, &[(SecretRole::Credential, SECRET)])).is_err());
    }
}

#[test]
fn updates_of_a_bot_nobody_has_named_have_one_account() {
    let nameless = source("telegram", &json!({}), &[(SecretRole::Credential, SECRET)]);
    let body = r#"{"update_id":1,"poll":{}}"#;
    let request = sealed(&Telegram, &nameless, SECRET, post(&[], body));
    let verified = Telegram.verify(&nameless, &request).expect("a genuine request");
    assert_eq!(told(&Telegram.parse(&nameless, &verified).expect("events"))[0]["account"], "bot");
}

fn composed(message: &Value) -> Result<(String, Value), String> {
    let message: OutgoingMessage = serde_json::from_value(message.clone()).expect("a message");
    let source = bot();
    let sender = Sender { source: &source, account: "123456", correlation: "snd_1", now: NOW };
    let call = Telegram.compose(&sender, &message).map_err(|unsupported| unsupported.0)?;
    assert!(!format!("{call:?}").contains(TOKEN), "the token is a part of the address and is not shown");
    Ok((call.url, serde_json::from_slice(&call.body).expect("JSON")))
}

#[test]
fn each_kind_of_message_has_its_method() {
    let place = json!({ "latitude": 1.5, "longitude": -2.5 });
    let named = json!({ "latitude": 1.5, "longitude": -2.5, "name": "Casa", "address": "Calle 1" });
    let card =
        json!([{ "name": { "formatted_name": "Eva", "first_name": "Eva" }, "phones": [{ "phone": "+1" }] }]);
    let ask = json!({ "type": "button", "body": { "text": "?" },
        "action": { "buttons": [{ "type": "reply", "reply": { "id": "y", "title": "Sí" } }] } });
    for (message, method, expected) in [
        (
            json!({ "to": "42", "type": "text", "text": { "body": "hi" }, "reply_to": "7" }),
            "sendMessage",
            json!({ "chat_id": 42, "text": "hi", "link_preview_options": { "is_disabled": true }, "reply_parameters": { "message_id": 7 } }),
        ),
        (
            json!({ "to": "-1001234567890", "type": "image", "image": { "link": "https://x/y.png", "caption": "c" } }),
            "sendPhoto",
            json!({ "chat_id": -1_001_234_567_890_i64, "photo": "https://x/y.png", "caption": "c" }),
        ),
        (
            json!({ "to": "@ofertas", "type": "document", "document": { "id": "doc1" } }),
            "sendDocument",
            json!({ "chat_id": "@ofertas", "document": "doc1" }),
        ),
        (
            json!({ "to": "42", "type": "location", "location": place }),
            "sendLocation",
            json!({ "chat_id": 42, "latitude": 1.5, "longitude": -2.5 }),
        ),
        (
            json!({ "to": "42", "type": "location", "location": named }),
            "sendVenue",
            json!({ "chat_id": 42, "latitude": 1.5, "longitude": -2.5, "title": "Casa", "address": "Calle 1" }),
        ),
        (
            json!({ "to": "42", "type": "contacts", "contacts": card }),
            "sendContact",
            json!({ "chat_id": 42, "phone_number": "+1", "first_name": "Eva", "last_name": null }),
        ),
        (
            json!({ "to": "42", "type": "interactive", "interactive": ask }),
            "sendMessage",
            json!({ "chat_id": 42, "text": "?", "reply_markup": { "inline_keyboard": [[{ "text": "Sí", "callback_data": "y" }]] } }),
        ),
        (
            json!({ "to": "42", "type": "reaction", "reaction": { "message_id": "7", "emoji": "👍" } }),
            "setMessageReaction",
            json!({ "chat_id": 42, "message_id": 7, "reaction": [{ "type": "emoji", "emoji": "👍" }] }),
        ),
        (
            json!({ "to": "42", "type": "reaction", "reaction": { "message_id": "7" } }),
            "setMessageReaction",
            json!({ "chat_id": 42, "message_id": 7, "reaction": [] }),
        ),
        (
            json!({ "to": "42", "type": "read", "read": { "message_id": "7", "typing": true } }),
            "sendChatAction",
            json!({ "chat_id": 42, "action": "typing" }),
        ),
    ] {
        let (url, body) = composed(&message).expect("a call");
        assert_eq!(url, format!("https://api.telegram.org/bot{TOKEN}/{method}"));
        assert_eq!(body, expected, "{message}");
    }
}

#[test]
fn what_telegram_cannot_send_is_said_in_words() {
    let long = "x".repeat(4097);
    let wide = json!({ "type": "button", "body": { "text": "?" },
        "action": { "buttons": [{ "reply": { "id": "i".repeat(65), "title": "t" } }] } });
    for (message, words) in [
        (json!({ "to": "ana", "type": "text", "text": { "body": "hi" } }), "number of a chat"),
        (json!({ "to": "42", "type": "text", "text": { "body": "" } }), "empty"),
        (json!({ "to": "42", "type": "text", "text": { "body": long } }), "4096"),
        (json!({ "to": "42", "type": "image", "image": { "id": "1", "link": "https://x" } }), "exactly one"),
        (json!({ "to": "42", "type": "image", "image": { "link": "file:///etc/passwd" } }), "https://"),
        (json!({ "to": "42", "type": "interactive", "interactive": wide }), "64 bytes"),
        (json!({ "to": "42", "type": "template", "template": { "name": "x" } }), "no templates"),
        (json!({ "to": "42", "type": "read", "read": { "message_id": "7" } }), "mark a message as read"),
        (json!({ "to": "42", "type": "contacts", "contacts": [] }), "one card"),
        (
            json!({ "to": "42", "type": "text", "text": { "body": "hi" }, "reply_to": "wamid.1" }),
            "is a number",
        ),
    ] {
        assert!(composed(&message).is_err_and(|refusal| refusal.contains(words)), "{message}");
    }
}

fn answered(status: u16, body: &str) -> Interpreted {
    let answer = Answer { status, retry_after_secs: None, body: Bytes::copy_from_slice(body.as_bytes()) };
    Telegram.interpret(&bot(), &answer)
}

#[test]
fn an_answer_says_what_follows() {
    let taken = answered(200, r#"{"ok":true,"result":{"message_id":8,"date":1}}"#);
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("8")));
    assert_eq!(answered(200, r#"{"ok":true,"result":true}"#).outcome, Outcome::Done);
    let wait = answered(
        429,
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":7}}"#,
    );
    assert!(
        matches!(wait.outcome, Outcome::Retry { after: Some(after), .. } if after == Duration::from_secs(7))
    );
    let moved = answered(
        400,
        r#"{"ok":false,"error_code":400,"description":"group","parameters":{"migrate_to_chat_id":-100}}"#,
    );
    assert!(matches!(moved.outcome, Outcome::Refused(words) if words.contains("-100")));
    let blocked = answered(
        403,
        r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#,
    );
    assert!(matches!(blocked.outcome, Outcome::Refused(_)) && !blocked.account_stopped);
    assert!(answered(401, r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#).account_stopped);
    assert!(matches!(answered(500, r#"{"ok":false,"error_code":500}"#).outcome, Outcome::Retry { .. }));
    assert!(matches!(answered(502, "<html>").outcome, Outcome::Unknown(_)));
    assert!(matches!(answered(200, "<html>").outcome, Outcome::Refused(_)));
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let request = sealed(&Telegram, &bot(), SECRET, post(&[], body));
        let verified = Telegram.verify(&bot(), &request).expect("a genuine request");
        let _ = Telegram.parse(&bot(), &verified);
    }

    #[test]
    fn no_update_of_any_shape_panics(key in "message|callback_query|message_reaction|deleted_business_messages", inner in "[\\[\\]{}a-z\",:0-9]{0,80}") {
        let body = format!("{{\"update_id\":1,\"{key}\":{inner}}}");
        let request = sealed(&Telegram, &bot(), SECRET, post(&[], body));
        let verified = Telegram.verify(&bot(), &request).expect("a genuine request");
        let _ = Telegram.parse(&bot(), &verified);
    }
}
