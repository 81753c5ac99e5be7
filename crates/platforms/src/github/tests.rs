//! Tests of GitHub sources.

use model::receipt::Reason;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::GitHub;
use crate::fixture::{every_fixture, post, sealed, source, told};
use crate::http::Incoming;
use crate::platform::Platform;
use crate::proof::Rejection;

const SECRET: &str = "gh-secret";
const BODY: &str = r#"{"zen":"ok"}"#;
const SIGNATURE: &str = "sha256=2bee4c08b9d93e3a723e763b301d71395d18deb4f7a43b5e587302537c4eb9a3";

fn with(secrets: &[&str]) -> Source {
    let secrets: Vec<(SecretRole, &str)> = secrets.iter().map(|text| (SecretRole::Signing, *text)).collect();
    source("github", &json!({}), &secrets)
}

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    GitHub.verify(source, request).err().map(|Rejection(reason)| reason)
}

fn events(headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Result<Value, String> {
    let source = with(&[SECRET]);
    let request = sealed(&GitHub, &source, SECRET, post(headers, body));
    let verified = GitHub.verify(&source, &request).expect("a signed request");
    GitHub.parse(&source, &verified).map(|events| told(&events)).map_err(|unreadable| unreadable.0)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    let headers = [("x-github-event", "push"), ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")];
    every_fixture("github", |body| events(&headers, body).expect("a readable body"));
}

#[test]
fn the_vector_is_accepted_and_its_neighbours_are_not() {
    let shown = |text: &str| post(&[("x-hub-signature-256", text)], BODY);
    let source = with(&["old", SECRET]);
    assert_eq!(refusal(&source, &shown(SIGNATURE)), None);
    for (header, reason) in [
        (&SIGNATURE[..69], Reason::SignatureMalformed),
        (&SIGNATURE[7..], Reason::SignatureMalformed),
        (&SIGNATURE.to_uppercase(), Reason::SignatureMalformed),
        (&SIGNATURE.replace("a3", "a4"), Reason::SignatureWrong),
    ] {
        assert_eq!(refusal(&source, &shown(header)), Some(reason), "{header}");
    }
    assert_eq!(refusal(&source, &post(&[], BODY)), Some(Reason::SignatureMissing));
    assert_eq!(refusal(&with(&[]), &shown(SIGNATURE)), Some(Reason::SecretNotConfigured));
    let twice = post(&[("x-hub-signature-256", SIGNATURE), ("x-hub-signature-256", SIGNATURE)], BODY);
    assert_eq!(refusal(&source, &twice), Some(Reason::HeaderRepeated));
}

#[test]
fn a_form_is_signed_as_it_is_and_its_json_is_the_content() {
    let form = "payload=%7B%22repository%22%3A%7B%22full_name%22%3A%22acme%2Fshop%22%7D%7D";
    let headers = [("x-github-event", "issues"), ("content-type", "application/x-www-form-urlencoded")];
    let told = events(&headers, form).expect("a readable form");
    assert_eq!(told[0]["type"], "github.issues");
    assert_eq!(told[0]["account"], "acme/shop");
    assert_eq!(told[0]["content"], r#"{"repository":{"full_name":"acme/shop"}}"#);
    assert_eq!(told[0]["dedupe"], Value::Null, "without a delivery id nobody knows a repeat");
}

#[test]
fn a_request_that_does_not_say_what_happened_is_unreadable() {
    assert!(events(&[], BODY).is_err_and(|words| words.contains("X-GitHub-Event")));
    assert!(events(&[("x-github-event", "push")], "no JSON").is_err());
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300), kind in "[a-z/-]{0,40}") {
        let _ = events(&[("x-github-event", "push"), ("content-type", &kind)], body);
    }
}
