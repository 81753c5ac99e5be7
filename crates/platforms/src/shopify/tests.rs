//! Tests of Shopify sources.

use model::receipt::Reason;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Shopify;
use crate::fixture::{every_fixture, post, sealed, source, told};
use crate::http::Incoming;
use crate::platform::Platform;
use crate::proof::Rejection;

const SECRET: &str = "shop-secret";
const BODY: &str = r#"{"id":1}"#;
const SIGNATURE: &str = "plW8VGqq0nDMIEhDqaNNW99asdUCy7EIqLZVcQwtAZ0=";

fn with(secrets: &[&str]) -> Source {
    let secrets: Vec<(SecretRole, &str)> = secrets.iter().map(|text| (SecretRole::Signing, *text)).collect();
    source("shopify", &json!({}), &secrets)
}

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    Shopify.verify(source, request).err().map(|Rejection(reason)| reason)
}

fn events(headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Result<Value, String> {
    let source = with(&[SECRET]);
    let request = sealed(&Shopify, &source, SECRET, post(headers, body));
    let verified = Shopify.verify(&source, &request).expect("a signed request");
    Shopify.parse(&source, &verified).map(|events| told(&events)).map_err(|unreadable| unreadable.0)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    let headers = [
        ("x-shopify-topic", "orders/create"),
        ("x-shopify-shop-domain", "acme.myshopify.com"),
        ("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"),
        ("x-shopify-event-id", "98880550-7158-44d4-b7cd-2c97c8a091b5"),
        ("x-shopify-triggered-at", "2026-03-29T18:00:27.877041743Z"),
    ];
    every_fixture("shopify", |body| events(&headers, body).expect("a readable body"));
}

#[test]
fn the_vector_is_accepted_and_its_neighbours_are_not() {
    let shown = |text: &str| post(&[("x-shopify-hmac-sha256", text)], BODY);
    let source = with(&["old", SECRET]);
    assert_eq!(refusal(&source, &shown(SIGNATURE)), None);
    for (header, reason) in [
        (SIGNATURE.trim_end_matches('='), Reason::SignatureMalformed),
        (&SIGNATURE[4..], Reason::SignatureMalformed),
        (&SIGNATURE.to_lowercase(), Reason::SignatureWrong),
        ("", Reason::SignatureMalformed),
    ] {
        assert_eq!(refusal(&source, &shown(header)), Some(reason), "{header}");
    }
    assert_eq!(refusal(&source, &post(&[], BODY)), Some(Reason::SignatureMissing));
    let altered = Incoming { body: r#"{"id":2}"#.into(), ..shown(SIGNATURE) };
    assert_eq!(refusal(&source, &altered), Some(Reason::SignatureWrong));
}

#[test]
fn what_says_nothing_of_itself_is_still_an_event_of_its_topic() {
    let told = events(&[("x-shopify-topic", "app/uninstalled")], "no JSON").expect("an event");
    assert_eq!((&told[0]["type"], &told[0]["dedupe"]), (&json!("shopify.app.uninstalled"), &Value::Null));
    assert!(events(&[], BODY).is_err_and(|words| words.contains("X-Shopify-Topic")));
}

proptest! {
    #[test]
    fn no_header_panics(topic in "[ -~]{0,60}", at in "[ -~]{0,40}", shop in "[ -~]{0,40}") {
        let headers = [("x-shopify-topic", topic.as_str()), ("x-shopify-triggered-at", &at), ("x-shopify-shop-domain", &shop)];
        let _ = events(&headers, BODY);
    }
}
