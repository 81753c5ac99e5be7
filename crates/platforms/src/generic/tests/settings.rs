//! Settings: what is refused, in which words, and that nothing in them panics.

use model::receipt::Reason;
use model::source::SecretRole;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{hmac_with, refusal, unsigned};
use crate::fixture::{NOW, post, signed, source};
use crate::generic::Generic;
use crate::platform::Platform;

#[test]
fn settings_that_cannot_be_meant_are_refused_in_words_that_name_them() {
    let secrets = [(SecretRole::Signing, "k"), (SecretRole::Credential, "t")];
    let hmac = |more: Value| hmac_with(more);
    for (settings, named) in [
        (json!({}), "scheme"),
        (json!({ "scheme": "md5" }), "scheme"),
        (json!({ "scheme": "hmac" }), "header"),
        (json!({ "scheme": "bearer", "header": "X" }), "header"),
        (json!({ "scheme": "header" }), "header"),
        (hmac(json!({ "hash": "md5" })), "hash"),
        (hmac(json!({ "signed": "{timestamp}" })), "signed"),
        (hmac(json!({ "signed": "{timestamp}.{body}" })), "timestamp_header"),
        (hmac(json!({ "timestamp_header": "X-T" })), "timestamp"),
        (hmac(json!({ "id_header": "X-I" })), "id_header"),
        (hmac(json!({ "signed": "{url}{body}" })), "public_url"),
        (hmac(json!({ "signed": "{url}{body}", "public_url": "gw" })), "public_url"),
        (hmac(json!({ "tolerance_s": 5 })), "tolerance_s"),
        (hmac(json!({ "signature_field": "v1" })), "signature_field"),
        (hmac(json!({ "timestamp_field": "t" })), "timestamp_field"),
        (hmac(json!({ "key_encoding": "hex" })), "key_encoding"),
        (hmac(json!({ "methods": "POST,BREW" })), "methods"),
        (hmac(json!({ "challenge_parameter": "c" })), "challenge_open"),
        (hmac(json!({ "challenge_open": true })), "challenge_parameter"),
        (hmac(json!({ "challenge_parameter": "c", "challenge_token_parameter": "t" })), "verify_token"),
        (hmac(json!({ "event_prefix": "message" })), "event_prefix"),
        (hmac(json!({ "dedupe_header": "X", "dedupe_pointer": "/x" })), "dedupe_pointer"),
        (hmac(json!({ "dedupe_pointer": "x" })), "dedupe_pointer"),
        (hmac(json!({ "response_status": 302 })), "response_status"),
        (hmac(json!({ "response_type": "text/html" })), "response_type"),
        (hmac(json!({ "colour": "red" })), "colour"),
    ] {
        let refusal = Generic.check(&source("generic", &settings, &secrets)).expect_err("a refusal");
        assert!(refusal.contains(named), "{settings}: {refusal}");
    }
}

#[test]
fn every_scheme_needs_its_secret_and_without_one_accepts_nothing() {
    let schemes = [
        hmac_with(json!({})),
        json!({ "scheme": "header", "header": "X-S" }),
        json!({ "scheme": "url_token" }),
        json!({ "scheme": "basic" }),
        json!({ "scheme": "bearer" }),
        json!({ "scheme": "jwt_hs256" }),
        json!({ "scheme": "jwt_rs256" }),
    ];
    for settings in schemes {
        for secrets in [vec![], vec![(SecretRole::Signing, ""), (SecretRole::Credential, "")]] {
            let source = source("generic", &settings, &secrets);
            assert!(Generic.check(&source).is_err(), "{settings}");
            let headers = [("X-S", "00"), ("authorization", "Bearer x")];
            assert!(refusal(&source, &post(&headers, "{}")).is_some(), "{settings}");
        }
    }
    assert_eq!(
        refusal(&source("generic", &json!({}), &[]), &post(&[], "{}")),
        Some(Reason::SecretNotConfigured)
    );
}

#[test]
fn the_settings_the_guides_give_for_known_senders_are_accepted() {
    for guide in ["generic.md", "generic.es.md"] {
        let file = format!("{}/../../docs/guides/{guide}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).expect("the guide");
        let told: Vec<&str> = text.split('`').filter(|code| code.starts_with("\"header\": ")).collect();
        assert_eq!(told.len(), 7, "{guide}");
        for settings in told {
            let settings: Value =
                serde_json::from_str(&format!("{{\"scheme\":\"hmac\",{settings}}}")).expect("JSON");
            let source = source("generic", &settings, &[(SecretRole::Signing, "k")]);
            assert_eq!(Generic.check(&source), Ok(()), "{guide}: {settings}");
        }
    }
}

fn any_settings() -> impl Strategy<Value = Value> {
    let keys = "scheme|header|hash|encoding|prefix|signed|style|separator|timestamp_header|timestamp_field|methods|items_pointer|event_type_pointer|dedupe_pointer|form_json_field|challenge_parameter|challenge_open|response_status|[a-z]{1,6}";
    let values = prop_oneof![
        "hmac|unsigned|header|url_token|pairs|sha256|hex|X-S|/a/0|\\{body\\}|.{0,12}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!([1])),
    ];
    prop::collection::btree_map(keys, values, 0..6).prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn no_settings_and_no_bytes_panic(settings in any_settings(), header in "[ -~]{0,40}", content_type in "application/(json|x-www-form-urlencoded)|text/plain", body in prop::collection::vec(any::<u8>(), 0..200)) {
        let source = source("generic", &settings, &[(SecretRole::Signing, "k"), (SecretRole::Credential, "t")]);
        let _ = Generic.check(&source);
        let request = post(&[("X-S", &header), ("content-type", &content_type)], body);
        if let Ok(verified) = Generic.verify(&source, &request) {
            let _ = Generic.handshake(&source, &verified);
            let _ = Generic.parse(&source, &verified);
            let _ = Generic.acknowledge(&source, &verified);
        }
        let _ = signed(&Generic, &source, &["k"], &request.body, NOW);
    }

    #[test]
    fn no_bytes_panic_the_readers(pointer in "(/[a-z0-9]{0,3}){1,4}", json in "[\\[\\]{}\":,a-z0-9]{0,60}", content_type in "application/(json|x-www-form-urlencoded)|text/plain") {
        let settings = unsigned(json!({ "items_pointer": pointer, "dedupe_pointer": pointer, "form_json_field": "a", "occurred_pointer": pointer }));
        let source = source("generic", &settings, &[]);
        let request = post(&[("content-type", &content_type)], json);
        let verified = Generic.verify(&source, &request).expect("an unsigned source");
        let _ = Generic.parse(&source, &verified);
    }
}
