//! Tests of Stripe sources.

use std::time::Duration;

use model::receipt::Reason;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::json;

use super::Stripe;
use crate::fixture::{NOW, every_fixture, post, sealed, signed, source, told};
use crate::http::Incoming;
use crate::platform::Platform;
use crate::proof::Rejection;

const SECRET: &str = "whsec_stripe_test";
const BODY: &str = r#"{"id":"evt_1","object":"event"}"#;
const SIGNATURE: &str = "a898e3d79c323403a1fae570a6a85c94a49f50d22b8ebc757a021998864a58f3";

fn with(secrets: &[&str]) -> Source {
    let secrets: Vec<(SecretRole, &str)> = secrets.iter().map(|text| (SecretRole::Signing, *text)).collect();
    source("stripe", &json!({}), &secrets)
}

fn shown(header: &str) -> Incoming {
    post(&[("stripe-signature", header)], BODY)
}

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    Stripe.verify(source, request).err().map(|Rejection(reason)| reason)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    every_fixture("stripe", |body| {
        let source = with(&[SECRET]);
        let request = sealed(&Stripe, &source, SECRET, post(&[], body));
        let verified = Stripe.verify(&source, &request).expect("a signed request");
        told(&Stripe.parse(&source, &verified).expect("a readable body"))
    });
}

#[test]
fn the_vector_is_accepted_and_its_neighbours_are_not() {
    let (source, good) = (with(&[SECRET]), format!("t=1700000000,v1={SIGNATURE}"));
    assert_eq!(refusal(&source, &shown(&good)), None);
    let other = "0".repeat(64);
    let several = format!("t=1700000000, v0=ffff, v1={other}, v1={SIGNATURE}");
    assert_eq!(refusal(&source, &shown(&several)), None, "one of several fits while a secret is rolled");
    assert_eq!(refusal(&with(&["whsec_other", SECRET]), &shown(&good)), None);
    let v0 = format!("t=1700000000,v0={SIGNATURE}");
    for (header, reason) in [
        (v0.as_str(), Reason::SignatureMalformed),
        (&good[..good.len() - 2], Reason::SignatureWrong),
        (&good.to_uppercase(), Reason::SignatureMalformed),
        (&good.replace("t=1700000000", "t=1700000001"), Reason::SignatureWrong),
        (&good.replace("t=1700000000,", ""), Reason::SignatureMalformed),
        (&format!("t=1,{good}"), Reason::SignatureMalformed),
        ("", Reason::SignatureMalformed),
    ] {
        assert_eq!(refusal(&source, &shown(header)), Some(reason), "{header}");
    }
    let altered = Incoming { body: BODY.replace("evt_1", "evt_2").into(), ..shown(&good) };
    assert_eq!(refusal(&source, &altered), Some(Reason::SignatureWrong));
    assert_eq!(refusal(&source, &post(&[], BODY)), Some(Reason::SignatureMissing));
    assert_eq!(refusal(&with(&[]), &shown(&good)), Some(Reason::SecretNotConfigured));
}

#[test]
fn an_old_request_is_refused_however_well_it_is_signed() {
    let (source, good) = (with(&[SECRET]), format!("t=1700000000,v1={SIGNATURE}"));
    let at = |secs| Incoming { received_at: NOW.plus(Duration::from_secs(secs)), ..shown(&good) };
    assert_eq!(
        (refusal(&source, &at(300)), refusal(&source, &at(301))),
        (None, Some(Reason::TimestampOutside))
    );
}

#[test]
fn every_key_of_an_endpoint_signs_so_that_it_can_be_rotated() {
    let headers = signed(&Stripe, &with(&[]), &["whsec_new", SECRET], BODY.as_bytes(), NOW);
    let request = post(&[(headers[0].0.as_str(), headers[0].1.as_str())], BODY);
    for key in ["whsec_new", SECRET] {
        assert_eq!(refusal(&with(&[key]), &request), None);
    }
    assert_eq!(signed(&Stripe, &with(&[]), &[], BODY.as_bytes(), NOW), []);
}

#[test]
fn a_source_needs_its_secret_and_known_settings() {
    assert_eq!(Stripe.check(&with(&[SECRET])), Ok(()));
    assert!(Stripe.check(&with(&[])).is_err());
    assert!(
        Stripe
            .check(&source("stripe", &json!({ "tolerance": 1 }), &[(SecretRole::Signing, SECRET)]))
            .is_err()
    );
}

proptest! {
    #[test]
    fn no_header_and_no_body_panics(header in "[ -~]{0,200}", body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(refusal(&with(&[SECRET]), &post(&[("stripe-signature", &header)], body.clone())).is_some());
        let source = with(&[SECRET]);
        let request = sealed(&Stripe, &source, SECRET, post(&[], body));
        let verified = Stripe.verify(&source, &request).expect("a signed request");
        let _ = Stripe.parse(&source, &verified);
    }
}
