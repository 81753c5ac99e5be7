//! Tests of Twilio sources.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use model::receipt::Reason;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Twilio;
use crate::fixture::{NOW, every_fixture, post, source, told};
use crate::header_mac::Encoding;
use crate::http::{Answer, Call, Incoming};
use crate::platform::{Interpreted, Platform, Sender};
use crate::proof::{self, Hash, Rejection};

const TOKEN: &str = "tw-token";
const VECTOR: &str = "lOVRLysubO9I79UBl3XZz9XoK14=";
const SID: &str = "AC0123456789abcdef0123456789abcdef";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn with(settings: &Value) -> Source {
    let secrets =
        [(SecretRole::Signing, "old"), (SecretRole::Signing, TOKEN), (SecretRole::AccessToken, "SK1:key")];
    source("twilio", settings, &secrets)
}

fn account() -> Source {
    with(
        &json!({ "public_url": "https://gw.example/", "account_sid": SID, "api_base": "https://tw.example" }),
    )
}

fn vector() -> Incoming {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("To", "whatsapp:+15550002222")
        .append_pair("Body", "Hi")
        .append_pair("MessageSid", "SM1")
        .append_pair("From", "whatsapp:+15550001111")
        .finish();
    Incoming {
        path: "/hooks/tw".to_owned(),
        query: Some("a=1".to_owned()),
        ..post(&[FORM, ("x-twilio-signature", VECTOR)], body)
    }
}

fn refusal(source: &Source, request: &Incoming) -> Option<Reason> {
    Twilio.verify(source, request).err().map(|Rejection(reason)| reason)
}

#[test]
fn the_vector_is_accepted_and_its_neighbours_are_not() {
    assert_eq!(refusal(&account(), &vector()), None);
    assert_eq!(refusal(&with(&json!({ "public_url": "https://gw.example:443" })), &vector()), None);
    let wrong = Some(Reason::SignatureWrong);
    assert_eq!(refusal(&with(&json!({ "public_url": "http://gw.example" })), &vector()), wrong);
    let text = std::str::from_utf8(&vector().body).expect("a form").to_owned();
    for body in [text.replace("Hi", "Ho"), format!("{text}&More=1"), text.replace("Body=Hi&", "")] {
        assert_eq!(refusal(&account(), &Incoming { body: body.into(), ..vector() }), wrong);
    }
    let twice = Incoming { body: format!("{text}&Body=Hi").into(), ..vector() };
    assert_eq!(refusal(&account(), &twice), None, "the same value twice is signed once");
    assert_eq!(refusal(&account(), &Incoming { query: None, ..vector() }), wrong);
    assert_eq!(refusal(&account(), &post(&[FORM], "Body=Hi")), Some(Reason::SignatureMissing));
    let short = post(&[FORM, ("x-twilio-signature", "lOVR")], "Body=Hi");
    assert_eq!(refusal(&account(), &short), Some(Reason::SignatureMalformed));
    assert!(Twilio.check(&source("twilio", &json!({}), &[])).is_err());
    assert_eq!(Twilio.check(&account()), Ok(()));
    for bad in [
        json!({ "public_url": "gw.example" }),
        json!({ "public_url": "https://gw.example/x" }),
        json!({ "account_sid": "AC1" }),
    ] {
        assert!(Twilio.check(&with(&bad)).is_err(), "{bad}");
    }
}

#[test]
fn without_a_setting_the_url_is_what_the_proxy_says() {
    let mut request = vector();
    request.headers.insert("x-forwarded-proto", "https".parse().expect("a value"));
    request.headers.insert("host", "gw.example".parse().expect("a value"));
    assert_eq!(refusal(&with(&json!({})), &request), None);
    request.headers.insert("x-forwarded-host", "other.example".parse().expect("a value"));
    assert_eq!(refusal(&with(&json!({})), &request), Some(Reason::SignatureWrong));
}

fn signed(request: Incoming, signed: &str) -> Incoming {
    let mac = proof::mac(Hash::Sha1, TOKEN.as_bytes(), &[signed.as_bytes()]);
    let mut request = request;
    request.headers.insert("x-twilio-signature", Encoding::Base64.write(&mac).parse().expect("a value"));
    request
}

#[test]
fn a_body_that_is_no_form_is_vouched_for_by_its_hash_in_the_url() {
    let hash = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"{}"));
    let asked = |query: String, body: &'static str| {
        let url = format!("https://gw.example/in/src_1?{query}");
        signed(Incoming { query: Some(query), ..post(&[("content-type", "application/json")], body) }, &url)
    };
    assert_eq!(refusal(&account(), &asked(format!("bodySHA256={hash}"), "{}")), None);
    assert!(refusal(&account(), &asked(format!("bodySHA256={hash}"), "{ }")).is_some());
    assert!(refusal(&account(), &asked("a=1".to_owned(), "{}")).is_some());
}

fn events(body: String) -> Result<Value, String> {
    let source = account();
    let named: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let text = named
        .iter()
        .fold("https://gw.example/in/src_1".to_owned(), |text, (name, value)| text + name + value);
    let request = signed(post(&[FORM], body), &text);
    let verified = Twilio.verify(&source, &request).expect("a signed request");
    let reply = Twilio.acknowledge(&source, &verified);
    assert_eq!((reply.content_type, &reply.body[..]), ("text/xml", &b"<Response/>"[..]));
    Twilio.parse(&source, &verified).map(|events| told(&events)).map_err(|unreadable| unreadable.0)
}

#[test]
fn every_fixture_gives_the_accepted_events() {
    every_fixture("twilio", |body| {
        let fields: BTreeMap<String, String> = serde_json::from_slice(&body).expect("a flat object");
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        events(form).expect("readable")
    });
    assert!(events(String::new()).is_err());
}

#[test]
fn a_get_is_read_from_its_query() {
    let query = "MessageSid=SM1&From=%2B1555&To=%2B1666&Body=hola";
    let source = account();
    let get = Incoming { method: Method::GET, query: Some(query.to_owned()), ..post(&[], "") };
    let request = signed(get, &format!("https://gw.example/in/src_1?{query}"));
    let verified = Twilio.verify(&source, &request).expect("a signed request");
    let told = told(&Twilio.parse(&source, &verified).expect("readable"));
    assert_eq!((&told[0]["type"], &told[0]["account"]), (&json!("message.received"), &json!("+1666")));
}

fn composed(from: &str, message: &Value) -> Result<Call, String> {
    let message: OutgoingMessage = serde_json::from_value(message.clone()).expect("a message");
    let source = account();
    let sender = Sender { source: &source, account: from, correlation: "snd_1", now: NOW };
    Twilio.compose(&sender, &message).map_err(|unsupported| unsupported.0)
}

#[test]
fn texts_files_and_templates_have_their_calls_and_the_rest_is_refused_in_words() {
    let body = |from: &str, message: Value| {
        let call = composed(from, &message).expect("a call");
        assert_eq!(call.url, format!("https://tw.example/2010-04-01/Accounts/{SID}/Messages.json"));
        assert_eq!(call.headers[0].1, "Basic U0sxOmtleQ==");
        String::from_utf8(call.body.to_vec()).expect("a form")
    };
    let text = json!({ "to": "15550001111", "type": "text", "text": { "body": "¿Sí?" } });
    let said = "Body=%C2%BFS%C3%AD%3F";
    assert_eq!(body("+1666", text.clone()), format!("To=%2B15550001111&From=%2B1666&{said}"));
    assert_eq!(
        body("whatsapp:+1666", text),
        format!("To=whatsapp%3A%2B15550001111&From=whatsapp%3A%2B1666&{said}")
    );
    let picture =
        json!({ "to": "+1555", "type": "image", "image": { "link": "https://e.x/a.jpg", "caption": "c" } });
    assert_eq!(
        body("MG12", picture),
        "To=%2B1555&MessagingServiceSid=MG12&MediaUrl=https%3A%2F%2Fe.x%2Fa.jpg&Body=c"
    );
    let template = json!({ "content_sid": "HX1", "content_variables": { "1": "Ana" } });
    let template = json!({ "to": "whatsapp:US.13", "type": "template", "template": template });
    assert_eq!(
        body("whatsapp:+1666", template),
        "To=whatsapp%3AUS.13&From=whatsapp%3A%2B1666&ContentSid=HX1&ContentVariables=%7B%221%22%3A%22Ana%22%7D"
    );
    for (message, words) in [
        (json!({ "to": "ana", "type": "text", "text": { "body": "x" } }), "phone number"),
        (json!({ "to": "1", "type": "text", "text": { "body": "" } }), "empty"),
        (json!({ "to": "1", "type": "image", "image": { "id": "7" } }), "link"),
        (json!({ "to": "1", "type": "interactive", "interactive": {} }), "content_sid"),
        (json!({ "to": "1", "type": "read", "read": { "message_id": "1" } }), "as read"),
    ] {
        assert!(composed("+1666", &message).is_err_and(|refusal| refusal.contains(words)), "{message}");
    }
}

fn answered(status: u16, body: &str) -> Interpreted {
    let answer = Answer { status, retry_after_secs: None, body: Bytes::copy_from_slice(body.as_bytes()) };
    Twilio.interpret(&account(), &answer)
}

#[test]
fn every_error_of_the_table_is_followed() {
    let taken = answered(201, r#"{"sid":"SM12","status":"queued"}"#);
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("SM12")));
    for code in [20429, 14107, 30001, 63018] {
        let passing = answered(400, &json!({ "code": code, "message": "later" }).to_string());
        assert!(matches!(passing.outcome, Outcome::Retry { .. }), "{code}");
    }
    for code in [21211, 21610, 21614, 63003, 63016, 63024] {
        let never = answered(400, &json!({ "code": code, "message": "no" }).to_string());
        assert!(
            matches!(never.outcome, Outcome::Refused(words) if words.contains(&code.to_string())),
            "{code}"
        );
    }
    assert!(answered(401, r#"{"code":20003}"#).account_stopped);
    assert!(matches!(answered(500, "").outcome, Outcome::Unknown(_)));
    assert!(matches!(answered(200, "").outcome, Outcome::Unknown(_)));
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let source = account();
        let request = post(&[FORM], body);
        let verified = proof::by_nothing(&request, proof::Unsigned::ProvenBefore);
        let _ = (Twilio.verify(&source, &request), Twilio.parse(&source, &verified));
    }
}
