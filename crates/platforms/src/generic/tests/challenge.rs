//! Challenges: what is said back, to whom, and what that opens.

use model::receipt::Reason;
use model::source::SecretRole;
use serde_json::{Value, json};

use super::{JSON, hmac_with};
use crate::fixture::{get, post, source};
use crate::generic::Generic;
use crate::http::Incoming;
use crate::platform::Platform;
use crate::proof::Rejection;

fn challenged(settings: &Value, request: &Incoming) -> Result<Option<String>, Reason> {
    let secrets = [(SecretRole::Signing, "k"), (SecretRole::VerifyToken, "vt")];
    let source = source("generic", settings, &secrets);
    assert_eq!(Generic.check(&source), Ok(()), "{settings}");
    let verified = Generic.verify(&source, request).map_err(|Rejection(reason)| reason)?;
    let reply = Generic.handshake(&source, &verified);
    Ok(reply.map(|reply| {
        let content_type = reply.content_type;
        format!("{} {content_type} {}", reply.status, String::from_utf8_lossy(&reply.body))
    }))
}

#[test]
fn a_get_challenge_is_said_back_as_plain_text_after_its_token_matched() {
    let settings = || hmac_with(json!({ "challenge_parameter": "c", "challenge_token_parameter": "t" }));
    let said = challenged(&settings(), &get("c=%3Cb%3Ehi&t=vt"));
    assert_eq!(said, Ok(Some("200 text/plain; charset=utf-8 <b>hi".to_owned())));
    for wrong in ["c=hi&t=other", "c=hi", "c=hi&t="] {
        assert_eq!(challenged(&settings(), &get(wrong)), Err(Reason::VerifyTokenWrong), "{wrong}");
    }
    assert_eq!(challenged(&settings(), &get("t=vt")), Err(Reason::MethodNotAllowed));
}

#[test]
fn an_open_challenge_opens_nothing_else() {
    let settings =
        || hmac_with(json!({ "challenge_parameter": "c", "challenge_open": true, "methods": "POST,GET" }));
    assert!(challenged(&settings(), &get("c=hi")).is_ok_and(|said| said.is_some()));
    assert_eq!(challenged(&settings(), &get("d=hi")), Err(Reason::SignatureMissing));
    let posted = Incoming { query: Some("c=hi".to_owned()), ..post(&[], "{}") };
    assert_eq!(challenged(&settings(), &posted), Err(Reason::SignatureMissing));
    assert_eq!(challenged(&hmac_with(json!({})), &get("c=hi")), Err(Reason::MethodNotAllowed));
}

#[test]
fn a_json_challenge_is_said_back_only_when_it_is_signed() {
    let settings = || hmac_with(json!({ "challenge_json_field": "challenge" }));
    let signed = |body: &'static str| {
        let mac = hex::encode(crate::proof::mac(crate::proof::Hash::Sha256, b"k", &[body.as_bytes()]));
        post(&[("X-S", &mac), JSON], body)
    };
    let asked = r#"{"challenge":"a\"b","type":"url_verification"}"#;
    assert_eq!(
        challenged(&settings(), &signed(asked)),
        Ok(Some(r#"200 application/json {"challenge":"a\"b"}"#.to_owned()))
    );
    assert_eq!(challenged(&settings(), &signed(r#"{"type":"event"}"#)), Ok(None));
    assert_eq!(challenged(&settings(), &post(&[JSON], asked)), Err(Reason::SignatureMissing));
}
