//! Tests of 360dialog Cloud sources.

use bytes::Bytes;
use model::receipt::Reason;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use serde_json::{Value, json};

use super::Dialog360;
use crate::fixture::{NOW, every_fixture, post, signed, source, told};
use crate::http::{Answer, Incoming};
use crate::platform::{Platform, Sender};
use crate::proof::Rejection;

const SIGNATURE: &str = "483eef48a0252426168d68219e6f7dc3040ee445015e33134525a55221b3a658";
const BODY: &str = r#"{"messages":[]}"#;

fn customer() -> Source {
    let secrets = [(SecretRole::Credential, "long-random"), (SecretRole::AccessToken, "d360-key")];
    source("dialog360", &json!({ "header": "X-Hook" }), &secrets)
}

fn partner() -> Source {
    source("dialog360", &json!({}), &[(SecretRole::Signing, "old"), (SecretRole::Signing, "platform-secret")])
}

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    Dialog360.verify(source, request).err().map(|Rejection(reason)| reason)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    every_fixture("dialog360", |body| {
        let (source, request) = (customer(), post(&[("x-hook", "long-random")], body));
        let verified = Dialog360.verify(&source, &request).expect("it shows the header");
        told(&Dialog360.parse(&source, &verified).expect("a readable body"))
    });
}

#[test]
fn a_partners_vector_is_accepted_with_and_without_its_prefix_and_nothing_else_is() {
    let shown = |text: &str| post(&[("x-360dialog-signature", text)], BODY);
    assert_eq!(refusal(&partner(), &shown(SIGNATURE)), None);
    assert_eq!(refusal(&partner(), &shown(&format!("sha256={SIGNATURE}"))), None);
    let altered = Incoming { body: r#"{"messages":[1]}"#.into(), ..shown(SIGNATURE) };
    assert_eq!(refusal(&partner(), &altered), Some(Reason::SignatureWrong));
    assert_eq!(refusal(&partner(), &shown(&SIGNATURE[1..])), Some(Reason::SignatureMalformed));
    assert_eq!(refusal(&partner(), &post(&[], BODY)), Some(Reason::SignatureMissing));
    let both = source("dialog360", &json!({}), &[(SecretRole::Signing, "s"), (SecretRole::Credential, "c")]);
    assert!(refusal(&both, &post(&[("authorization", "c")], BODY)).is_some(), "who can be signed must be");
    assert_eq!((Dialog360.check(&partner()), Dialog360.check(&customer())), (Ok(()), Ok(())));
    assert!(Dialog360.check(&source("dialog360", &json!({}), &[])).is_err());
}

#[test]
fn an_endpoint_gets_what_the_platform_would_send() {
    let headers = signed(&Dialog360, &partner(), &["platform-secret"], BODY.as_bytes(), NOW);
    assert_eq!(headers, [("x-360dialog-signature".to_owned(), SIGNATURE.to_owned())]);
    let headers = signed(&Dialog360, &customer(), &["key"], BODY.as_bytes(), NOW);
    assert_eq!(headers, [("X-Hook".to_owned(), "key".to_owned())]);
}

#[test]
fn a_message_is_metas_with_the_key_of_the_number() {
    let message = json!({ "to": "15551112222", "type": "text", "text": { "body": "hola" } });
    let message: OutgoingMessage = serde_json::from_value(message).expect("a message");
    let source = customer();
    let sender = Sender { source: &source, account: "200", correlation: "snd_1", now: NOW };
    let call = Dialog360.compose(&sender, &message).expect("a call");
    assert_eq!(call.url, "https://waba-v2.360dialog.io/messages");
    assert_eq!(call.headers[0], ("D360-API-KEY".to_owned(), "d360-key".to_owned()));
    let body: Value = serde_json::from_slice(&call.body).expect("JSON");
    assert_eq!((&body["messaging_product"], &body["to"]), (&json!("whatsapp"), &json!("+15551112222")));
    assert_eq!(body["biz_opaque_callback_data"], "snd_1");
    let taken = Answer {
        status: 200,
        retry_after_secs: None,
        body: Bytes::from_static(br#"{"messages":[{"id":"wamid.C"}]}"#),
    };
    let taken = Dialog360.interpret(&source, &taken);
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("wamid.C")));
}
