//! Other platforms' schemes told in settings, and every way to come close to one.

use std::time::Duration;

use http::Method;
use model::receipt::Reason;
use model::source::SecretRole;
use serde_json::{Value, json};

use super::{refusal, unsigned};
use crate::fixture::token::{claims, hs256};
use crate::fixture::{NOW, post, signed, source};
use crate::generic::Generic;
use crate::http::Incoming;
use crate::platform::Platform;

/// A platform's scheme in settings, its key, and one request with a signature its own SDK agrees with.
struct Vector {
    settings: Value,
    key: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

fn vectors() -> Vec<(&'static str, Vector)> {
    [of_shops_and_forges(), of_gateways(), with_a_time()].into_iter().flatten().collect()
}

fn vector(
    settings: Value,
    key: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> Vector {
    Vector { settings, key, headers, body }
}

fn of_shops_and_forges() -> Vec<(&'static str, Vector)> {
    vec![
        (
            "GitHub",
            vector(
                json!({ "scheme": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256=" }),
                "gh-secret",
                &[(
                    "X-Hub-Signature-256",
                    "sha256=2bee4c08b9d93e3a723e763b301d71395d18deb4f7a43b5e587302537c4eb9a3",
                )],
                r#"{"zen":"ok"}"#,
            ),
        ),
        (
            "Meta, legacy",
            vector(
                json!({ "scheme": "hmac", "header": "X-Hub-Signature", "prefix": "sha1=", "hash": "sha1" }),
                "app-secret-1",
                &[("X-Hub-Signature", "sha1=eb6072e7a30271eb1e3f4fac9c589e84f3ecc944")],
                r#"{"object":"whatsapp_business_account","entry":[]}"#,
            ),
        ),
        (
            "Shopify",
            vector(
                json!({ "scheme": "hmac", "header": "X-Shopify-Hmac-Sha256", "encoding": "base64" }),
                "shop-secret",
                &[("X-Shopify-Hmac-Sha256", "plW8VGqq0nDMIEhDqaNNW99asdUCy7EIqLZVcQwtAZ0=")],
                r#"{"id":1}"#,
            ),
        ),
        (
            "LINE",
            vector(
                json!({ "scheme": "hmac", "header": "x-line-signature", "encoding": "base64" }),
                "line-secret",
                &[("X-Line-Signature", "jHGKsZOC9E1kyEPdnnV8KLH1Q8vYfOVKnv3CY0cnwcA=")],
                r#"{"destination":"U00000000000000000000000000000000","events":[]}"#,
            ),
        ),
    ]
}

fn of_gateways() -> Vec<(&'static str, Vector)> {
    vec![
        (
            "Viber",
            vector(
                json!({ "scheme": "hmac", "header": "X-Viber-Content-Signature" }),
                "viber-token",
                &[(
                    "X-Viber-Content-Signature",
                    "23bc7030ab898b1ff5d04fd53f908faf933d6c6b7e4cc9356619610d93937da3",
                )],
                r#"{"event":"webhook","timestamp":1700000000000,"message_token":1}"#,
            ),
        ),
        (
            "360dialog",
            vector(
                json!({ "scheme": "hmac", "header": "x-360dialog-signature" }),
                "platform-secret",
                &[(
                    "x-360dialog-signature",
                    "483eef48a0252426168d68219e6f7dc3040ee445015e33134525a55221b3a658",
                )],
                r#"{"messages":[]}"#,
            ),
        ),
        (
            "WhatzMeAPI",
            vector(
                json!({ "scheme": "hmac", "header": "X-Signature", "prefix": "sha256=" }),
                "whatz-secret",
                &[("X-Signature", "sha256=205dae33b67a294c02a6ad6673fa12b155cffdf2868c8c22c708a9800c3eb5d8")],
                r#"{"event":"messages.upsert","messages":[{"key":{"id":"K1","fromMe":false,"remoteJid":"5215500000001@s.whatsapp.net"},"message":{"conversation":"Hola"}}]}"#,
            ),
        ),
    ]
}

fn with_a_time() -> Vec<(&'static str, Vector)> {
    vec![
        (
            "Slack",
            vector(
                json!({ "scheme": "hmac", "header": "X-Slack-Signature", "prefix": "v0=", "signed": "v0:{timestamp}:{body}", "timestamp_header": "X-Slack-Request-Timestamp" }),
                "slack-secret",
                &[
                    (
                        "X-Slack-Signature",
                        "v0=27133f8b99d64a75e7b4452f7c8d1dc43d57c592d298a299666f0a307d32abe4",
                    ),
                    ("X-Slack-Request-Timestamp", "1700000000"),
                ],
                r#"{"type":"event_callback","event_id":"Ev1"}"#,
            ),
        ),
        (
            "Stripe",
            vector(
                json!({ "scheme": "hmac", "header": "Stripe-Signature", "style": "pairs", "timestamp_field": "t", "signed": "{timestamp}.{body}" }),
                "whsec_stripe_test",
                &[(
                    "Stripe-Signature",
                    "t=1700000000,v1=00,v1=a898e3d79c323403a1fae570a6a85c94a49f50d22b8ebc757a021998864a58f3,v0=11",
                )],
                r#"{"id":"evt_1","object":"event"}"#,
            ),
        ),
        (
            "Standard Webhooks",
            vector(
                json!({ "scheme": "hmac", "header": "webhook-signature", "prefix": "v1,", "separator": " ", "encoding": "base64", "signed": "{id}.{timestamp}.{body}", "id_header": "webhook-id", "timestamp_header": "webhook-timestamp", "key_encoding": "base64", "key_prefix": "whsec_" }),
                "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
                &[
                    ("webhook-signature", "v1a,AAAA v1,Des36p45N1wTJvr5hlIiGk/HwUW8cHCtGoRHmqMa3gM="),
                    ("webhook-id", "msg_1"),
                    ("webhook-timestamp", "1700000000"),
                ],
                r#"{"type":"message.received"}"#,
            ),
        ),
    ]
}

#[test]
fn the_schemes_of_other_platforms_can_be_told_in_settings() {
    for (name, vector) in vectors() {
        let signing = |key: &str| source("generic", &vector.settings, &[(SecretRole::Signing, key)]);
        let request = post(vector.headers, vector.body);
        let good = signing(vector.key);
        assert_eq!(Generic.check(&good), Ok(()), "{name}");
        assert_eq!(refusal(&good, &request), None, "{name}");
        assert_eq!(refusal(&signing("b3RoZXI="), &request), Some(Reason::SignatureWrong), "{name}");
        let two = [(SecretRole::Signing, "b3RoZXI="), (SecretRole::Signing, vector.key)];
        assert_eq!(refusal(&source("generic", &vector.settings, &two), &request), None, "{name}");
        for at in 0..vector.body.len() {
            let mut body = vector.body.as_bytes().to_vec();
            body[at] ^= 1;
            let altered = Incoming { body: body.into(), ..request.clone() };
            assert_eq!(refusal(&good, &altered), Some(Reason::SignatureWrong), "{name} at {at}");
        }
    }
}

#[test]
fn a_header_that_is_missing_cut_or_in_another_case_is_refused() {
    for (name, vector) in vectors() {
        let source = source("generic", &vector.settings, &[(SecretRole::Signing, vector.key)]);
        let with = |header: &str, value: Option<&str>| {
            let mut request = post(vector.headers, vector.body);
            request.headers.remove(header);
            if let Some(value) = value {
                let header = http::HeaderName::from_bytes(header.as_bytes()).expect("a header's name");
                request.headers.insert(header, value.parse().expect("a header's value"));
            }
            refusal(&source, &request)
        };
        for (header, _) in vector.headers {
            assert_eq!(with(header, None), Some(Reason::SignatureMissing), "{name} without {header}");
            assert!(with(header, Some("")).is_some(), "{name}: {header} empty");
        }
        let (header, value) = vector.headers[0];
        let runs = value.split(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/');
        let signature = runs.max_by_key(|run| run.len()).expect("a signature");
        for cut in [&signature[1..], &signature[..signature.len() - 1], &signature[..signature.len() / 2]] {
            assert!(with(header, Some(&value.replace(signature, cut))).is_some(), "{name} cut to {cut}");
        }
        if vector.settings["encoding"] == "base64" {
            let lower = value.replace(signature, &signature.to_lowercase());
            assert!(with(header, Some(&lower)).is_some(), "{name} in lower case");
        }
        if let Some(prefix) = vector.settings["prefix"].as_str() {
            let shouted = value.replace(prefix, &prefix.to_uppercase());
            assert_eq!(with(header, Some(&shouted)), Some(Reason::SignatureMalformed), "{name}: {shouted}");
        }
    }
}

#[test]
fn a_signed_time_must_be_near_both_ways() {
    for (name, vector) in
        vectors().into_iter().filter(|(name, _)| ["Slack", "Stripe", "Standard Webhooks"].contains(name))
    {
        let at = |settings: &Value, secs: u64| {
            let source = source("generic", settings, &[(SecretRole::Signing, vector.key)]);
            let late = Incoming {
                received_at: NOW.plus(Duration::from_secs(secs)),
                ..post(vector.headers, vector.body)
            };
            let early = Incoming { received_at: NOW.minus(Duration::from_secs(secs)), ..late.clone() };
            [refusal(&source, &late), refusal(&source, &early)]
        };
        let outside = [Some(Reason::TimestampOutside); 2];
        assert_eq!(at(&vector.settings, 300), [None; 2], "{name}");
        assert_eq!(at(&vector.settings, 301), outside, "{name}");
        let mut narrow = vector.settings.clone();
        narrow["tolerance_s"] = json!(5);
        assert_eq!(at(&narrow, 5), [None; 2], "{name}");
        assert_eq!(at(&narrow, 6), outside, "{name}");
    }
}

#[test]
fn what_is_signed_for_an_endpoint_is_accepted_by_the_same_settings() {
    let more = [
        json!({ "scheme": "hmac", "header": "X-S", "hash": "sha512", "encoding": "base64url", "signed": "{timestamp}\n{method}\n{body}", "timestamp_header": "X-T", "timestamp_unit": "ms" }),
        json!({ "scheme": "header", "header": "X-Api-Key", "prefix": "Key " }),
        json!({ "scheme": "bearer" }),
        json!({ "scheme": "basic" }),
    ];
    let settings = vectors().into_iter().map(|(_, vector)| vector.settings).chain(more);
    for settings in settings {
        let key = if settings["key_encoding"] == "base64" { "whsec_b3RoZXI=" } else { "user:word" };
        let source =
            source("generic", &settings, &[(SecretRole::Signing, key), (SecretRole::Credential, key)]);
        let headers = signed(&Generic, &source, &[key], b"{}", NOW);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(refusal(&source, &post(&headers, "{}")), None, "{settings}");
        assert!(refusal(&source, &post(&[], "{}")).is_some(), "{settings}");
    }
}

#[test]
fn the_url_a_sender_was_given_can_be_signed() {
    let settings = json!({ "scheme": "hmac", "header": "X-S", "signed": "{method} {url} {path} {body}", "public_url": "https://gw.example/" });
    let source = source("generic", &settings, &[(SecretRole::Signing, "k")]);
    let mac =
        |text: &str| hex::encode(crate::proof::mac(crate::proof::Hash::Sha256, b"k", &[text.as_bytes()]));
    let header = mac("POST https://gw.example/in/src_1?a=1 /in/src_1 {}");
    let request = Incoming { query: Some("a=1".to_owned()), ..post(&[("X-S", &header)], "{}") };
    assert_eq!(refusal(&source, &request), None);
    let elsewhere = Incoming { query: Some("a=2".to_owned()), ..request };
    assert_eq!(refusal(&source, &elsewhere), Some(Reason::SignatureWrong));
    assert!(signed(&Generic, &source, &["k"], b"{}", NOW).is_empty());
}

#[test]
fn a_token_is_accepted_where_the_settings_say_and_nowhere_else() {
    let accepts = |settings: Value, request: &Incoming| {
        let source = source("generic", &settings, &[(SecretRole::Credential, "t0-ken")]);
        assert_eq!(Generic.check(&source), Ok(()), "{settings}");
        refusal(&source, request)
    };
    let header = json!({ "scheme": "header", "header": "X-Token", "prefix": "T " });
    assert_eq!(accepts(header.clone(), &post(&[("x-token", "T t0-ken")], "")), None);
    assert_eq!(accepts(header.clone(), &post(&[("x-token", "T T0-ken")], "")), Some(Reason::CredentialWrong));
    assert_eq!(accepts(header, &post(&[("x-token", "t0-ken")], "")), Some(Reason::CredentialMissing));
    let at = |path: &str, query: &str| Incoming {
        path: path.to_owned(),
        query: Some(query.to_owned()),
        ..post(&[], "")
    };
    let parameter = || json!({ "scheme": "url_token" });
    assert_eq!(accepts(parameter(), &at("/in/s", "a=1&token=t0%2Dken")), None);
    assert_eq!(accepts(parameter(), &at("/in/s", "token=other")), Some(Reason::CredentialWrong));
    assert_eq!(accepts(parameter(), &at("/in/s/t0-ken", "")), Some(Reason::CredentialMissing));
    let in_path = || json!({ "scheme": "url_token", "in_path": true });
    assert_eq!(accepts(in_path(), &at("/in/s/t0-ken", "")), None);
    assert_eq!(accepts(in_path(), &at("/in/s", "token=t0-ken")), Some(Reason::CredentialWrong));
    let bearer = || json!({ "scheme": "bearer" });
    assert_eq!(accepts(bearer(), &post(&[("authorization", "Bearer t0-ken")], "")), None);
    assert_eq!(
        accepts(bearer(), &post(&[("authorization", "Basic t0-ken")], "")),
        Some(Reason::CredentialMissing)
    );
}

#[test]
fn only_the_methods_of_the_settings_are_accepted() {
    let by = |methods: Value, method| {
        let source = source("generic", &unsigned(methods), &[]);
        refusal(&source, &Incoming { method, ..post(&[], "{}") })
    };
    assert_eq!(by(json!({}), Method::POST), None);
    assert_eq!(by(json!({}), Method::PUT), Some(Reason::MethodNotAllowed));
    assert_eq!(by(json!({ "methods": "PUT, GET" }), Method::GET), None);
    assert_eq!(by(json!({ "methods": "PUT, GET" }), Method::POST), Some(Reason::MethodNotAllowed));
}

#[test]
fn a_jwt_is_accepted_in_the_schemes_that_name_its_algorithm() {
    let request = post(&[("authorization", &format!("Bearer {}", hs256(&claims(600), "jwt-key")))], "{}");
    let under = |scheme: &str, secret| {
        let credentials = [(SecretRole::Credential, secret)];
        refusal(&source("generic", &json!({ "scheme": scheme }), &credentials), &request)
    };
    assert_eq!(under("jwt_hs256", "jwt-key"), None);
    assert_eq!(under("jwt_hs256", "other-key"), Some(Reason::CredentialWrong));
    assert_eq!(under("jwt_rs256", "jwt-key"), Some(Reason::SecretNotConfigured));
    assert_eq!(under("bearer", "jwt-key"), Some(Reason::CredentialWrong));
}

#[test]
fn a_header_that_proves_something_is_refused_when_it_is_there_twice() {
    for (name, vector) in vectors() {
        let source = source("generic", &vector.settings, &[(SecretRole::Signing, vector.key)]);
        for header in vector.headers {
            let headers = [vector.headers, &[*header]].concat();
            let reason = refusal(&source, &post(&headers, vector.body));
            assert_eq!(reason, Some(Reason::HeaderRepeated), "{name}: {}", header.0);
        }
    }
    let shown = json!({ "scheme": "header", "header": "X-Token" });
    let source = source("generic", &shown, &[(SecretRole::Credential, "t")]);
    let twice = post(&[("x-token", "t"), ("X-Token", "t")], "");
    assert_eq!(refusal(&source, &twice), Some(Reason::HeaderRepeated));
}

#[test]
fn the_keys_of_a_rotation_all_sign_where_a_header_has_room_for_them() {
    let keys = ["whsec_b3RoZXI=", "whsec_b2xk"];
    for (name, vector) in vectors() {
        let of = |key| source("generic", &vector.settings, &[(SecretRole::Signing, key)]);
        let headers = signed(&Generic, &of(keys[0]), &keys, b"{}", NOW);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = post(&headers, "{}");
        assert_eq!(refusal(&of(keys[0]), &request), None, "{name}");
        let has_room = ["Stripe", "Standard Webhooks"].contains(&name);
        assert_eq!(refusal(&of(keys[1]), &request).is_none(), has_room, "{name}");
    }
}
