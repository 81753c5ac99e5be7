//! Tests of the WhatzMeAPI family.

mod send;

use std::time::Duration;

use http::Method;
use model::conversation::Touch;
use model::event::{Content, NewEvent};
use model::receipt::Reason;
use model::source::{SecretRole, Source};
use model::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::WhatzMe;
use crate::fixture::{self, NOW, every_fixture, post, source, told};
use crate::http::Incoming;
use crate::platform::Platform;
use crate::proof::Rejection;

const VECTOR: &str = r#"{"event":"messages.upsert","messages":[{"key":{"id":"K1","fromMe":false,"remoteJid":"5215500000001@s.whatsapp.net"},"message":{"conversation":"Hola"}}]}"#;
const VECTOR_HEX: &str = "205dae33b67a294c02a6ad6673fa12b155cffdf2868c8c22c708a9800c3eb5d8";

fn signing(settings: &Value) -> Source {
    source("whatzme", settings, &[(SecretRole::Signing, "whatz-secret")])
}

fn signed(hex: &str) -> Incoming {
    post(&[("X-Signature", &format!("sha256={hex}"))], VECTOR)
}

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    WhatzMe.verify(source, request).err().map(|Rejection(reason)| reason)
}

fn read(settings: &Value, body: impl Into<bytes::Bytes>) -> Vec<NewEvent> {
    let source = signing(settings);
    // After the times in the fixtures: one that lies ahead is not believed.
    let received_at = Timestamp::from_secs(1_790_000_500);
    let request = sealed(&source, Incoming { received_at, ..post(&[], body) });
    let verified = WhatzMe.verify(&source, &request).expect("a signed request");
    WhatzMe.parse(&source, &verified).expect("a readable body")
}

fn sealed(source: &Source, request: Incoming) -> Incoming {
    fixture::sealed(&WhatzMe, source, "whatz-secret", request)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    every_fixture("whatzme", |body| told(&read(&json!({}), body)));
}

#[test]
fn the_vector_is_accepted_and_its_neighbours_are_not() {
    let source = signing(&json!({}));
    assert_eq!(refusal(&source, &signed(VECTOR_HEX)), None);
    assert_eq!(refusal(&source, &signed(&VECTOR_HEX.to_uppercase())), None);
    assert_eq!(refusal(&source, &signed(&VECTOR_HEX[..62])), Some(Reason::SignatureWrong));
    assert_eq!(refusal(&source, &signed(&VECTOR_HEX.replace('2', "3"))), Some(Reason::SignatureWrong));
    assert_eq!(refusal(&source, &signed("")), Some(Reason::SignatureWrong));
    assert_eq!(refusal(&source, &post(&[], VECTOR)), Some(Reason::SignatureMissing));
    for malformed in [
        VECTOR_HEX.to_owned(),
        format!("SHA256={VECTOR_HEX}"),
        format!("sha1={VECTOR_HEX}"),
        "sha256=xyz".to_owned(),
    ] {
        let request = post(&[("x-signature", &malformed)], VECTOR);
        assert_eq!(refusal(&source, &request), Some(Reason::SignatureMalformed), "{malformed}");
    }
    let altered = Incoming { body: VECTOR.replace("Hola", "Holb").into(), ..signed(VECTOR_HEX) };
    assert_eq!(refusal(&source, &altered), Some(Reason::SignatureWrong));
    let got = Incoming { method: Method::GET, ..signed(VECTOR_HEX) };
    assert_eq!(refusal(&source, &got), Some(Reason::MethodNotAllowed));
}

#[test]
fn a_signature_that_is_there_twice_is_refused() {
    let value = format!("sha256={VECTOR_HEX}");
    for second in [value.as_str(), "sha256=00"] {
        let twice = post(&[("X-Signature", &value), ("x-signature", second)], VECTOR);
        assert_eq!(refusal(&signing(&json!({})), &twice), Some(Reason::HeaderRepeated));
    }
}

#[test]
fn wahas_signature_is_sha512_in_bare_hex() {
    let source = signing(&json!({ "signature_style": "waha" }));
    assert_eq!(WhatzMe.check(&source), Ok(()));
    let mac = |hash| hex::encode(crate::proof::mac(hash, b"whatz-secret", &[VECTOR.as_bytes()]));
    let with = |value: &str| refusal(&source, &post(&[("X-Webhook-Hmac", value)], VECTOR));
    let sha512 = mac(crate::proof::Hash::Sha512);
    assert_eq!(with(&sha512), None);
    assert_eq!(with(&mac(crate::proof::Hash::Sha256)), Some(Reason::SignatureWrong));
    assert_eq!(with(&sha512[..126]), Some(Reason::SignatureWrong));
    assert_eq!(with(&format!("sha512={sha512}")), Some(Reason::SignatureMalformed));
    assert_eq!(refusal(&source, &signed(VECTOR_HEX)), Some(Reason::SignatureMissing));
    let headers = fixture::signed(&WhatzMe, &source, &["whatz-secret"], VECTOR.as_bytes(), NOW);
    let algorithm = ("x-webhook-hmac-algorithm".to_owned(), "sha512".to_owned());
    assert_eq!(headers, [("x-webhook-hmac".to_owned(), sha512), algorithm]);
}

#[test]
fn an_endpoint_sees_what_the_gateway_would_show() {
    let headers = |settings: Value, secrets: &[(SecretRole, &str)]| {
        fixture::signed(&WhatzMe, &source("whatzme", &settings, secrets), &["a:b"], b"{}", NOW)
    };
    let credential = [(SecretRole::Credential, "ana:pw")];
    let alone = json!({ "signature": false, "auth": "basic" });
    assert_eq!(headers(alone, &credential), [("authorization".to_owned(), "Basic YTpi".to_owned())]);
    let both = headers(json!({ "auth": "bearer" }), &credential);
    assert_eq!(both.len(), 1);
    assert_eq!(both[0].0, "x-signature");
    assert_eq!(headers(json!({ "signature": false, "auth": "jwt_hs256" }), &credential), []);
}

#[test]
fn the_api_key_of_the_envelope_is_masked_in_a_body_that_is_kept_or_passed_on() {
    let folder = format!("{}/fixtures/whatzme", env!("CARGO_MANIFEST_DIR"));
    let mut with_key = 0;
    for file in std::fs::read_dir(folder).expect("fixtures") {
        let path = file.expect("a folder entry").path();
        let Ok(body) = std::fs::read_to_string(&path) else { continue };
        let redacted = WhatzMe.redact(body.as_bytes());
        assert_eq!(redacted.is_some(), body.contains("FAKE-KEY"), "{}", path.display());
        if let Some(redacted) = redacted {
            with_key += 1;
            assert_eq!(redacted, body.replace("FAKE-KEY", "***"), "{}", path.display());
            assert_eq!(
                told(&read(&json!({}), redacted)),
                told(&read(&json!({}), body)),
                "{}",
                path.display()
            );
        }
    }
    assert!(with_key >= 8, "{with_key}");
    let key_of_anybody = bytes::Bytes::from_static(br#"{"apikey":"K"}"#);
    let redacted = |kind| crate::registry::redacted(kind, key_of_anybody.clone());
    assert_eq!(redacted(Some("whatzme")), r#"{"apikey":"***"}"#);
    assert_eq!(redacted(None), r#"{"apikey":"***"}"#, "a removed source's platform is not known");
    assert_eq!(redacted(Some("generic")), key_of_anybody);
}

#[test]
fn a_body_of_more_items_than_are_read_is_refused_whole() {
    let source = signing(&json!({}));
    let count = |items: usize| {
        let body = format!(r#"{{"event":"messages.upsert","messages":[{}0]}}"#, "0,".repeat(items - 1));
        let request = sealed(&source, post(&[], body));
        let verified = WhatzMe.verify(&source, &request).expect("a signed request");
        WhatzMe.parse(&source, &verified).map(|events| events.len()).ok()
    };
    assert_eq!(count(10_000), Some(10_000));
    assert_eq!(count(10_001), None);
}

#[test]
fn a_deletion_of_more_messages_than_are_read_is_refused_before_any_is_made() {
    let body = |keys: usize| json!({ "event": "messages.delete", "instance": "a", "data": { "keys": vec![json!({}); keys] } });
    let outcome = |keys| {
        let source = signing(&json!({}));
        let request = sealed(&source, post(&[], body(keys).to_string()));
        let verified = WhatzMe.verify(&source, &request).expect("a signed request");
        WhatzMe.parse(&source, &verified).map(|events| events.len()).ok()
    };
    assert_eq!((outcome(10_000), outcome(10_001)), (Some(10_000), None));
}

#[test]
fn a_rotated_secret_stays_good_until_it_retires() {
    let secrets = [(SecretRole::Signing, "fresh"), (SecretRole::Signing, "whatz-secret")];
    let mut source = source("whatzme", &json!({}), &secrets);
    source.secrets[1].key.retires_at = Some(NOW.plus(Duration::from_secs(1)));
    assert_eq!(refusal(&source, &signed(VECTOR_HEX)), None);
    source.secrets[1].key.retires_at = Some(NOW);
    assert_eq!(refusal(&source, &signed(VECTOR_HEX)), Some(Reason::SignatureWrong));
}

#[test]
fn signature_and_credential_must_both_hold_where_both_are_demanded() {
    let secrets = [(SecretRole::Signing, "whatz-secret"), (SecretRole::Credential, "t0ken")];
    let source = source("whatzme", &json!({ "auth": "bearer" }), &secrets);
    let with = |signature: &str, authorization: &str| {
        post(&[("x-signature", signature), ("authorization", authorization)], VECTOR)
    };
    let good = format!("sha256={VECTOR_HEX}");
    assert_eq!(refusal(&source, &with(&good, "Bearer t0ken")), None);
    assert_eq!(refusal(&source, &with(&good, "Bearer other")), Some(Reason::CredentialWrong));
    assert_eq!(refusal(&source, &with("sha256=00", "Bearer t0ken")), Some(Reason::SignatureWrong));
    assert_eq!(refusal(&source, &signed(VECTOR_HEX)), Some(Reason::CredentialMissing));
}

#[test]
fn a_credential_may_stand_alone_when_the_signature_is_switched_off() {
    let settings = json!({ "signature": false, "auth": "basic" });
    let source = source("whatzme", &settings, &[(SecretRole::Credential, "ana:pw")]);
    assert_eq!(WhatzMe.check(&source), Ok(()));
    assert_eq!(refusal(&source, &post(&[("authorization", "Basic YW5hOnB3")], VECTOR)), None);
    assert_eq!(
        refusal(&source, &post(&[("authorization", "Basic YW5hOnB4")], VECTOR)),
        Some(Reason::CredentialWrong)
    );
    assert_eq!(refusal(&source, &signed(VECTOR_HEX)), Some(Reason::CredentialMissing));
}

#[test]
fn settings_that_would_let_anybody_in_are_refused_and_accept_nothing() {
    let bare = source("whatzme", &json!({ "signature": false }), &[]);
    assert!(WhatzMe.check(&bare).is_err());
    assert_eq!(refusal(&bare, &post(&[], VECTOR)), Some(Reason::SecretNotConfigured));
    let no_secret = source("whatzme", &json!({}), &[]);
    assert!(WhatzMe.check(&no_secret).is_err());
    assert_eq!(refusal(&no_secret, &signed(VECTOR_HEX)), Some(Reason::SecretNotConfigured));
    assert!(WhatzMe.check(&source("whatzme", &json!({}), &[(SecretRole::Signing, "")])).is_err());
    for settings in [
        json!({ "auth": "digest" }),
        json!({ "auth": "basic" }),
        json!({ "signature": "no" }),
        json!({ "signature_header": "a b" }),
        json!({ "signature_style": "md5" }),
        json!({ "api_base": "ftp://x" }),
        json!({ "send_path": "send" }),
        json!({ "dialect": "klingon" }),
        json!({ "messages_per_second": 0 }),
        json!({ "unheard": 1 }),
    ] {
        assert!(WhatzMe.check(&signing(&settings)).is_err(), "{settings}");
    }
    assert_eq!(
        WhatzMe.check(&signing(&json!({ "auth": "none", "api_base": "https://api.example/v1" }))),
        Ok(())
    );
}

#[test]
fn the_api_key_of_the_envelope_is_never_kept() {
    for name in ["unknown", "connection", "evolution_text", "content"] {
        let file = format!("{}/fixtures/whatzme/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read_to_string(file).expect("a fixture");
        assert!(body.contains("FAKE-KEY"), "{name}");
        for event in read(&json!({}), body) {
            assert!(!event.content.to_json(None).unwrap_or_default().contains("FAKE-KEY"), "{name}");
        }
    }
}

#[test]
fn a_nul_in_a_name_reaches_no_text_of_the_database() {
    let item = json!({ "key": { "id": "N\0", "remoteJid": "52\u{0}1@s.whatsapp.net" }, "pushName": "A\0na", "message": { "conversation": "x" } });
    let body = json!({ "event": "messages.upsert", "instance": "ac\0me", "data": item }).to_string();
    let event = read(&json!({}), body).remove(0);
    let party = event.party.expect("a party");
    assert_eq!(
        (event.account.as_deref(), party.name.as_deref()),
        (Some("ac\u{fffd}me"), Some("A\u{fffd}na"))
    );
    assert!(party.identifiers.iter().all(|name| !name.value.contains('\0')), "{:?}", party.identifiers);
}

#[test]
fn an_echo_hands_off_only_where_the_source_says_so() {
    let echo = |event: &str, settings| {
        let item = json!({ "key": { "id": "F", "fromMe": true, "remoteJid": "521@s.whatsapp.net" }, "message": { "conversation": "x" } });
        let events = read(&settings, json!({ "event": event, "data": item }).to_string());
        assert_eq!(events[0].event_type.as_str(), "message.echo");
        events[0].party.as_ref().expect("a party").touch
    };
    assert_eq!(echo("messages.upsert", json!({})), Touch::None);
    assert_eq!(echo("messages.upsert", json!({ "echo_is_human": true })), Touch::UnclearEcho);
    assert_eq!(echo("send.message", json!({ "echo_is_human": true })), Touch::None);
    let waha = |source: &str| {
        let payload = json!({ "id": "W", "fromMe": true, "to": "521@c.us", "body": "x", "source": source, "timestamp": 1 });
        let body = json!({ "event": "message.any", "session": "acme", "payload": payload }).to_string();
        let events = read(&json!({ "echo_is_human": true }), body);
        (events[0].event_type.as_str().to_owned(), events[0].party.as_ref().expect("a party").touch)
    };
    assert_eq!(waha("app"), ("message.echo".to_owned(), Touch::UnclearEcho));
    assert_eq!(waha("api"), ("message.echo".to_owned(), Touch::None));
}

#[test]
fn every_item_of_a_request_has_a_key_of_its_own_and_a_repeat_has_the_same() {
    let item = |id: &str, jid: &str, me: bool| json!({ "key": { "id": id, "remoteJid": jid, "fromMe": me }, "message": { "conversation": "x" } });
    let jid = "521@s.whatsapp.net";
    let items = [
        item("A", jid, false),
        item("A", jid, true),
        item("A", "522@s.whatsapp.net", false),
        item("B", jid, false),
    ];
    let body = |instance: &str| {
        json!({ "event": "messages.upsert", "instance": instance, "data": items }).to_string()
    };
    let keys = |instance| {
        read(&json!({}), body(instance)).into_iter().map(|event| event.dedupe_key).collect::<Vec<_>>()
    };
    let (one, other) = (keys("one"), keys("other"));
    let all: Vec<_> = one.iter().chain(&other).map(|key| key.clone().expect("a key")).collect();
    for (n, key) in all.iter().enumerate() {
        assert!(!all[..n].contains(key), "item {n} shares a key");
    }
    assert_eq!(one, keys("one"));
}

#[test]
fn the_event_may_be_named_by_the_path_alone() {
    let source = signing(&json!({}));
    let body = r#"{"instance":"acme","data":{"keyId":"P1","fromMe":true,"status":"READ"}}"#;
    let request = Incoming { path: "/in/src_1/messages-update".to_owned(), ..post(&[], body) };
    let request = sealed(&source, request);
    let verified = WhatzMe.verify(&source, &request).expect("a signed request");
    let events = WhatzMe.parse(&source, &verified).expect("a readable body");
    assert_eq!(events[0].event_type.as_str(), "message.read");
    assert_eq!(WhatzMe.acknowledge(&source, &verified).body, r#"{"ok":true}"#);
}

#[test]
fn a_body_that_is_not_of_this_family_is_unreadable() {
    let source = signing(&json!({}));
    for body in ["", "5", "null", "\"x\"", "{", "[1"] {
        let request = sealed(&source, post(&[], body));
        let verified = WhatzMe.verify(&source, &request).expect("a signed request");
        let unreadable = WhatzMe.parse(&source, &verified).expect_err("a body of nobody's").to_string();
        assert!(body.len() < 2 || !unreadable.contains(body), "{unreadable}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = "event|messages|statuses|data|payload|key|keys|id|remoteJid|fromMe|message|update|status|editedMessage|protocolMessage|type|conversation|apikey|messageStubType";
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "messages\\.(upsert|update|delete|edited)|REVOKE|READ|1@lid|[a-z@.]{0,6}".prop_map(Value::from),
    ];
    plain.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_panics_the_parser_and_no_item_vanishes(body in any_json(), event in "messages\\.(upsert|update|delete|edited)") {
        let mut body = body;
        if let Some(members) = body.as_object_mut() {
            members.insert("event".to_owned(), event.into());
        }
        prop_assume!(body.is_object() || body.is_array());
        let events = read(&json!({}), body.to_string());
        let listed = body.get("messages").and_then(Value::as_array).map_or(0, Vec::len);
        prop_assert!(events.len() >= listed);
        for event in events {
            prop_assert!(!matches!(event.content, Content::Body));
        }
    }

    #[test]
    fn no_bytes_panic_the_parser(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let source = signing(&json!({}));
        let request = sealed(&source, post(&[], body));
        let verified = WhatzMe.verify(&source, &request).expect("a signed request");
        let _ = WhatzMe.parse(&source, &verified);
    }

    #[test]
    fn no_settings_panic_the_check(key in "auth|signature|signature_header|api_base|dialect|send_path|[a-z]{1,5}", value in any_json()) {
        let _ = WhatzMe.check(&signing(&json!({ key: value })));
    }
}
