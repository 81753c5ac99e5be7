//! Tests of Standard Webhooks sources.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use model::receipt::Reason;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::StandardWebhooks;
use crate::fixture::{NOW, every_fixture, post, sealed, signed as signed_by, source, told};
use crate::http::Incoming;
use crate::platform::Platform;
use crate::proof::Rejection;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const BODY: &str = r#"{"type":"message.received"}"#;
const SIGNATURE: &str = "v1,Des36p45N1wTJvr5hlIiGk/HwUW8cHCtGoRHmqMa3gM=";

fn with(secrets: &[&str]) -> Source {
    let secrets: Vec<(SecretRole, &str)> = secrets.iter().map(|text| (SecretRole::Signing, *text)).collect();
    source("standard_webhooks", &json!({}), &secrets)
}

fn signed(signature: &str) -> Incoming {
    let headers =
        [("webhook-id", "msg_1"), ("webhook-timestamp", "1700000000"), ("webhook-signature", signature)];
    post(&headers, BODY)
}

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    StandardWebhooks.verify(source, request).err().map(|Rejection(reason)| reason)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    every_fixture("standard_webhooks", |body| {
        let source = with(&[SECRET]);
        let request = sealed(&StandardWebhooks, &source, SECRET, post(&[], body));
        let verified = StandardWebhooks.verify(&source, &request).expect("a signed request");
        told(&StandardWebhooks.parse(&source, &verified).expect("a readable body"))
    });
}

#[test]
fn the_vector_is_accepted_by_either_family_of_names() {
    let svix = [("svix-id", "msg_1"), ("svix-timestamp", "1700000000"), ("svix-signature", SIGNATURE)];
    for request in [signed(SIGNATURE), post(&svix, BODY)] {
        assert_eq!(refusal(&with(&[SECRET]), &request), None);
        assert_eq!(refusal(&with(&["AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"]), &request), None);
    }
    let mixed = [("webhook-id", "msg_1"), ("svix-timestamp", "1700000000"), ("svix-signature", SIGNATURE)];
    assert_eq!(refusal(&with(&[SECRET]), &post(&mixed, BODY)), Some(Reason::SignatureMissing));
}

#[test]
fn several_signatures_and_several_secrets_need_one_pair_that_fits() {
    let other = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    let wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let several = signed(&format!("v2,x {wrong} v1a,AAAA {SIGNATURE}"));
    assert_eq!(refusal(&with(&[other, SECRET]), &several), None);
    assert_eq!(refusal(&with(&[other]), &several), Some(Reason::SignatureWrong));
    assert_eq!(refusal(&with(&[]), &several), Some(Reason::SecretNotConfigured));
    let mut retired = with(&[other, SECRET]);
    retired.secrets[1].key.retires_at = Some(NOW);
    assert_eq!(refusal(&retired, &several), Some(Reason::SignatureWrong));
}

#[test]
fn only_so_many_signatures_are_tried() {
    let wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ";
    let after =
        |count: usize| refusal(&with(&[SECRET]), &signed(&format!("{}{SIGNATURE}", wrong.repeat(count))));
    assert_eq!((after(3), after(4)), (None, Some(Reason::SignatureMalformed)));
}

#[test]
fn neighbours_of_the_vector_are_refused() {
    let source = with(&[SECRET]);
    assert!(refusal(&source, &signed(&SIGNATURE.to_lowercase())).is_some());
    let short = format!("v1,{}", BASE64.encode(&BASE64.decode(&SIGNATURE[3..]).expect("base64")[..31]));
    for wrong in [short.as_str(), "v1,"] {
        assert_eq!(refusal(&source, &signed(wrong)), Some(Reason::SignatureWrong), "{wrong}");
    }
    for malformed in ["", &SIGNATURE[3..], "V1,AAAA", "v1", "v2,AAAA"] {
        assert_eq!(refusal(&source, &signed(malformed)), Some(Reason::SignatureMalformed), "{malformed}");
    }
    let altered = Incoming { body: BODY.replace('m', "n").into(), ..signed(SIGNATURE) };
    assert_eq!(refusal(&source, &altered), Some(Reason::SignatureWrong));
    for (name, value, reason) in [
        ("webhook-id", "msg_2", Reason::SignatureWrong),
        ("webhook-id", "msg.1", Reason::SignatureMissing),
        ("webhook-timestamp", "1700000001", Reason::SignatureWrong),
        ("webhook-timestamp", "soon", Reason::SignatureMalformed),
        ("webhook-timestamp", "99999999999999999999", Reason::SignatureMalformed),
    ] {
        let mut request = signed(SIGNATURE);
        request.headers.insert(name, value.parse().expect("a header's value"));
        assert_eq!(refusal(&source, &request), Some(reason), "{name} {value}");
    }
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut request = signed(SIGNATURE);
        request.headers.remove(name);
        assert_eq!(refusal(&source, &request), Some(Reason::SignatureMissing), "{name}");
    }
    let got = Incoming { method: Method::GET, ..signed(SIGNATURE) };
    assert_eq!(refusal(&source, &got), Some(Reason::MethodNotAllowed));
}

#[test]
fn an_old_or_early_request_is_refused() {
    let at = |secs: u64, settings: Value| {
        let source = source("standard_webhooks", &settings, &[(SecretRole::Signing, SECRET)]);
        let late = Incoming { received_at: NOW.plus(Duration::from_secs(secs)), ..signed(SIGNATURE) };
        let early = Incoming { received_at: NOW.minus(Duration::from_secs(secs)), ..signed(SIGNATURE) };
        (refusal(&source, &late), refusal(&source, &early))
    };
    let outside = Some(Reason::TimestampOutside);
    assert_eq!(at(300, json!({})), (None, None));
    assert_eq!(at(301, json!({})), (outside, outside));
    assert_eq!(at(11, json!({ "tolerance_s": 10 })), (outside, outside));
}

#[test]
fn an_ed25519_signature_is_accepted_under_the_public_key_only() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a seed of 32 bytes");
    let public = format!("whpk_{}", BASE64.encode(pair.public_key().as_ref()));
    let signature = pair.sign(format!("msg_1.1700000000.{BODY}").as_bytes());
    let request = signed(&format!("v1a,{}", BASE64.encode(signature.as_ref())));
    assert_eq!(StandardWebhooks.check(&with(&[&public])), Ok(()));
    assert_eq!(refusal(&with(&[SECRET, &public]), &request), None);
    assert_eq!(refusal(&with(&[SECRET]), &request), Some(Reason::SignatureWrong));
    // A public key is known to everybody: it must never be the key of an HMAC.
    let forged_mac = crate::proof::mac(
        crate::proof::Hash::Sha256,
        pair.public_key().as_ref(),
        &[format!("msg_1.1700000000.{BODY}").as_bytes()],
    );
    let forged = signed(&format!("v1,{}", BASE64.encode(forged_mac)));
    assert_eq!(refusal(&with(&[&public]), &forged), Some(Reason::SignatureWrong));
}

#[test]
fn secrets_and_settings_that_cannot_be_meant_are_refused() {
    assert_eq!(StandardWebhooks.check(&with(&[SECRET])), Ok(()));
    for bad in ["whsk_AAAA", "whpk_AAAA", "whsec_???", "whsec_", ""] {
        assert!(StandardWebhooks.check(&with(&[bad])).is_err(), "{bad}");
    }
    assert!(StandardWebhooks.check(&with(&[])).is_err());
    for settings in
        [json!({ "tolerance_s": 0 }), json!({ "event_prefix": "message" }), json!({ "header": "x" })]
    {
        let source = source("standard_webhooks", &settings, &[(SecretRole::Signing, SECRET)]);
        assert!(StandardWebhooks.check(&source).is_err(), "{settings}");
    }
}

#[test]
fn what_is_signed_for_an_endpoint_is_the_same_on_every_attempt_but_for_the_time() {
    let sign = |at| signed_by(&StandardWebhooks, &with(&[]), &[SECRET], BODY.as_bytes(), at);
    let (first, second) = (sign(NOW), sign(NOW.plus(Duration::from_secs(60))));
    assert_eq!(first[0], ("webhook-id".to_owned(), "evt_1".to_owned()), "the id is the event's");
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
    assert_ne!(first[2], second[2]);
}

#[test]
fn every_shared_key_of_an_endpoint_signs_so_that_it_can_be_rotated() {
    let other = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    let headers = |keys: &[&str]| signed_by(&StandardWebhooks, &with(&[]), keys, BODY.as_bytes(), NOW);
    let both = headers(&[other, "whpk_AAAA", SECRET]);
    assert_eq!(both[2].1.split(' ').count(), 2);
    let shown: Vec<(&str, &str)> = both.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for key in [other, SECRET] {
        assert_eq!(refusal(&with(&[key]), &post(&shown, BODY)), None);
    }
    assert_eq!(headers(&["not base64 at all"]), []);
}

#[test]
fn headers_that_are_there_twice_are_refused_in_either_family() {
    let good = [("id", "msg_1"), ("timestamp", "1700000000"), ("signature", SIGNATURE)];
    for family in ["webhook", "svix"] {
        for repeated in 0..3 {
            let names: Vec<String> = good.iter().map(|(name, _)| format!("{family}-{name}")).collect();
            let mut headers: Vec<(&str, &str)> =
                names.iter().zip(good).map(|(name, (_, value))| (name.as_str(), value)).collect();
            headers.push(headers[repeated]);
            let reason = refusal(&with(&[SECRET]), &post(&headers, BODY));
            assert_eq!(reason, Some(Reason::HeaderRepeated), "{family} {}", good[repeated].0);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_and_no_headers_panic(body in prop::collection::vec(any::<u8>(), 0..200), id in "[!-~]{0,20}", stamp in "[!-~]{0,20}", signature in "[ -~]{0,60}") {
        let headers = [("webhook-id", id.as_str()), ("webhook-timestamp", &stamp), ("webhook-signature", &signature)];
        prop_assert!(refusal(&with(&[SECRET]), &post(&headers, body.clone())).is_some());
        let source = with(&[SECRET]);
        let request = sealed(&StandardWebhooks, &source, SECRET, post(&[], body));
        let verified = StandardWebhooks.verify(&source, &request).expect("a signed request");
        prop_assert_eq!(StandardWebhooks.parse(&source, &verified).map(|events| events.len()), Ok(1));
    }
}
