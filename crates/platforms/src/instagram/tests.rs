//! Tests of Instagram sources, as far as they differ from Messenger's.

use serde_json::json;

use super::INSTAGRAM;
use crate::fixture::{every_fixture, post, sealed, told};
use crate::messenger::tests::{SECRET, complete, composed};
use crate::platform::Platform;

#[test]
fn every_fixture_gives_the_accepted_events() {
    let source = complete("instagram", &json!({}));
    every_fixture("instagram", |body| {
        let request = sealed(&INSTAGRAM, &source, SECRET, post(&[], body));
        let verified = INSTAGRAM.verify(&source, &request).expect("a signed request");
        told(&INSTAGRAM.parse(&source, &verified).expect("a readable body"))
    });
}

#[test]
fn a_reaction_can_be_sent_and_taken_back_and_a_text_is_shorter() {
    let source = complete("instagram", &json!({ "api_base": "https://graph.facebook.com/" }));
    let react = |emoji| json!({ "to": "900", "type": "reaction", "reaction": { "message_id": "i_1", "emoji": emoji } });
    let (url, body) = composed(&INSTAGRAM, &source, &react(json!("❤"))).expect("a call");
    assert_eq!(url, "https://graph.facebook.com/v25.0/PAGE1/messages");
    assert_eq!((&body["sender_action"], &body["payload"]["reaction"]), (&json!("react"), &json!("❤")));
    let (_, body) = composed(&INSTAGRAM, &source, &react(json!(null))).expect("a call");
    assert_eq!(body["sender_action"], "unreact");
    let long = json!({ "to": "900", "type": "text", "text": { "body": "x".repeat(1_001) } });
    assert!(composed(&INSTAGRAM, &source, &long).is_err_and(|words| words.contains("1000")));
}
