//! Fixtures in, events out; batches, near-equal items, and bodies nobody would send.

use std::collections::HashSet;
use std::path::PathBuf;

use model::conversation::Touch;
use model::event::{Content, DedupeKey};
use model::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::tests::source;
use super::*;
use crate::meta::tests::delivery;

pub(super) fn read(body: &[u8]) -> Result<Vec<NewEvent>, Unreadable> {
    parse("whatsapp", &source(&[], &json!({})), &delivery(body, &[]))
}

pub(super) fn fixtures() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/whatsapp");
    let files = std::fs::read_dir(folder).expect("the fixtures are there");
    let paths = files.map(|file| file.expect("a readable folder").path());
    let mut read: Vec<(String, String)> = paths
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("a readable fixture"))
        })
        .collect();
    read.sort();
    read
}

fn fixture(name: &str) -> Value {
    let (_, text) = fixtures().into_iter().find(|(found, _)| found == name).expect("a fixture of this name");
    serde_json::from_str(&text).expect("a fixture is JSON")
}

/// The parts a key was made of.
fn parts(key: &DedupeKey) -> Vec<String> {
    let (mut rest, mut parts) = (key.as_bytes(), Vec::new());
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (part, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
        parts.push(String::from_utf8(part.to_vec()).expect("a part is text"));
        rest = tail;
    }
    parts
}

pub(super) fn shown(event: &NewEvent) -> Value {
    let party = event.party.as_ref().map(|party| {
        let identifiers: Vec<String> =
            party.identifiers.iter().map(|name| format!("{} {}", name.kind, name.value)).collect();
        json!({"identifiers": identifiers, "name": party.name, "touch": format!("{:?}", party.touch)})
    });
    let content: Value =
        serde_json::from_str(&event.content.to_json(None).expect("the content is not the body"))
            .expect("JSON");
    json!({
        "event_type": event.event_type.as_str(),
        "dedupe_key": event.dedupe_key.as_ref().map(parts),
        "account": event.account,
        "party": party,
        "order_key": event.order_key,
        "occurred_at": event.occurred_at.to_string(),
        "content": content,
    })
}

#[test]
fn every_fixture_gives_the_events_of_its_snapshot() {
    for (name, body) in fixtures() {
        let events = read(body.as_bytes()).expect("a fixture is WhatsApp's");
        let events: Vec<Value> = events.iter().map(shown).collect();
        insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
            insta::assert_json_snapshot!(name, events);
        });
    }
}

#[test]
fn a_body_of_another_object_is_not_whatsapps() {
    for body in [
        r#"{"object":"page","entry":[]}"#,
        r#"{"entry":[]}"#,
        r#"{"object":"whatsapp_business_account"}"#,
        r#"{"object":"whatsapp_business_account","entry":{}}"#,
        r#"{"object":"whatsapp_business_account","entry":[]"#,
        r#"{"object":"whatsapp_business_account","entry":[]} x"#,
        "[]",
        "",
    ] {
        assert!(read(body.as_bytes()).is_err(), "{body}");
    }
    let deep = format!(
        r#"{{"object":"whatsapp_business_account","entry":[{}{}]}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    assert!(read(deep.as_bytes()).is_err());
}

#[test]
fn why_a_body_cannot_be_read_says_nothing_of_what_is_in_it() {
    let bodies = [
        r#"{"object":"canary","entry":[]}"#,
        r#""canary""#,
        r#"{"object":"whatsapp_business_account","entry":"canary"}"#,
        "canary\u{1b}[2J",
        "{\"canary\":canary",
    ];
    for body in bodies {
        let words = read(body.as_bytes()).expect_err("it is not WhatsApp's").to_string();
        assert!(!words.contains("canary") && !words.contains(char::is_control), "{words}");
    }
}

#[test]
fn a_nul_in_a_name_reaches_no_text_of_the_database() {
    let mut item = message("wamid.1", 1_790_000_000);
    item["from"] = json!("521\0");
    let body = String::from_utf8(around(&[item])).expect("JSON").replace("100200300", "100\\u0000");
    let events = read(body.as_bytes()).expect("a message");
    let party = events[0].party.as_ref().expect("a party");
    assert_eq!(events[0].account.as_deref(), Some("100\u{fffd}"));
    assert!(party.identifiers.iter().any(|name| name.value == "521\u{fffd}"), "{party:?}");
}

fn message(id: &str, timestamp: u64) -> Value {
    json!({"from": format!("52155{timestamp}"), "id": id, "timestamp": timestamp.to_string(), "type": "text",
           "text": {"body": "x".repeat(2_500)}})
}

fn around(messages: &[Value]) -> Vec<u8> {
    let contacts: Vec<Value> =
        messages.iter().map(|item| json!({"wa_id": item["from"], "profile": {"name": item["id"]}})).collect();
    let value =
        json!({"metadata": {"phone_number_id": "100200300"}, "contacts": contacts, "messages": messages});
    let entry = json!([{"id": "900800700", "changes": [{"field": "messages", "value": value}]}]);
    json!({"object": "whatsapp_business_account", "entry": entry}).to_string().into_bytes()
}

#[test]
fn a_batch_of_a_thousand_gives_a_thousand_events_in_order_each_with_its_contact() {
    let mut messages: Vec<Value> =
        (0..1000).map(|n| message(&format!("wamid.{n}"), 1_790_000_000 - n)).collect();
    messages[500] = json!("spoilt");
    let body = around(&messages);
    assert!((2_500_000..3_145_728).contains(&body.len()), "{}", body.len());
    let events = read(&body).expect("a batch");
    let keys: HashSet<_> = events.iter().map(|event| event.dedupe_key.clone()).collect();
    assert_eq!((events.len(), keys.len()), (1000, 1000));
    for (n, event) in events.iter().enumerate() {
        match &event.content {
            Content::Message { message } => {
                assert_eq!(message.id, format!("wamid.{n}"));
                let party = event.party.as_ref().expect("a sender");
                assert_eq!(party.name.as_deref(), Some(message.id.as_str()));
            }
            _ => assert_eq!((n, event.event_type.as_str()), (500, "whatsapp.unrecognised")),
        }
    }
}

fn keys(body: &Value) -> Vec<DedupeKey> {
    let events = read(body.to_string().as_bytes()).expect("a fixture is WhatsApp's");
    events.into_iter().map(|event| event.dedupe_key.expect("a key")).collect()
}

#[test]
fn the_same_body_again_has_the_same_keys() {
    for (name, body) in fixtures().into_iter().filter(|(name, _)| name != "errors" && name != "batch") {
        let body: Value = serde_json::from_str(&body).expect("a fixture is JSON");
        assert_eq!(keys(&body), keys(&body), "{name}");
    }
}

/// What tells two items apart, each as a fixture, a place in it and another value there.
#[test]
fn items_that_differ_in_one_telling_member_are_two_facts() {
    let item = "/entry/0/changes/0/value/messages/0";
    let step = "/entry/0/changes/0/value/statuses/0";
    for (name, place, other) in [
        ("message_text", format!("{item}/id"), json!("wamid.TEXT2")),
        ("message_text", "/entry/0/changes/0/value/metadata/phone_number_id".to_owned(), json!("100200301")),
        ("message_text", format!("{item}/type"), json!("revoke")),
        ("message_text", "/entry/0/changes/0/field".to_owned(), json!("standby")),
        ("message_reaction", format!("{item}/reaction/emoji"), json!("")),
        ("message_reaction", format!("{item}/reaction/emoji"), json!("❤")),
        ("message_reaction", format!("{item}/timestamp"), json!("1790000001")),
        ("status_sent", format!("{step}/status"), json!("delivered")),
        ("status_sent", format!("{step}/id"), json!("wamid.OUT9")),
        ("status_sent", format!("{step}/recipient_id"), json!("5215553334444")),
        ("status_group", format!("{step}/recipient_participant_id"), json!("5215555556666")),
        ("status_word_unknown", format!("{step}/timestamp"), json!("1790000051")),
        ("account_updates", "/entry/0/time".to_owned(), json!(1_790_000_301)),
        ("account_updates", "/entry/0/changes/0/value/event".to_owned(), json!("PENDING")),
        ("errors_with_time", "/entry/0/time".to_owned(), json!(1_790_000_101)),
    ] {
        let mut body = fixture(name);
        let before = keys(&body);
        *body.pointer_mut(&place).expect("the place is there") = other;
        assert_ne!(before[0], keys(&body)[0], "{name} {place}");
    }
}

#[test]
fn what_does_not_tell_items_apart_makes_no_second_fact() {
    let item = "/entry/0/changes/0/value/messages/0";
    for (name, place, other) in [
        ("message_text", format!("{item}/timestamp"), json!("1790000001")),
        ("message_text", format!("{item}/text/body"), json!("otra cosa")),
        ("message_text", "/entry/0/id".to_owned(), json!("1")),
        ("status_sent", "/entry/0/changes/0/value/statuses/0/timestamp".to_owned(), json!("1790000051")),
    ] {
        let mut body = fixture(name);
        let before = keys(&body);
        *body.pointer_mut(&place).expect("the place is there") = other;
        assert_eq!(before, keys(&body), "{name} {place}");
    }
}

#[test]
fn a_body_of_more_items_than_are_read_is_refused_whole() {
    let zeros = |count: usize| format!("{}0", "0,".repeat(count - 1));
    let around = |inner: String| format!(r#"{{"object":"whatsapp_business_account","entry":[{inner}]}}"#);
    let changes = |inner: String| around(format!(r#"{{"id":"W","changes":[{inner}]}}"#));
    let messages =
        |inner: String| changes(format!(r#"{{"field":"messages","value":{{"messages":[{inner}]}}}}"#));
    let bodies = |count| [around(zeros(count)), changes(zeros(count)), messages(zeros(count))];
    for (read_whole, refused) in bodies(10_000).iter().zip(bodies(10_001)) {
        assert_eq!(read(read_whole.as_bytes()).map(|events| events.len()).ok(), Some(10_000));
        assert!(read(refused.as_bytes()).is_err());
    }
}

#[test]
fn what_is_typed_on_the_phone_hands_off_and_another_apps_message_only_where_the_source_says_so() {
    let touches = |name: &str, settings: Value| {
        let body = fixture(name).to_string();
        let events =
            parse("whatsapp", &source(&[], &settings), &delivery(body.as_bytes(), &[])).expect("echoes");
        let touches: HashSet<String> = events
            .iter()
            .map(|event| format!("{:?}", event.party.as_ref().expect("a party").touch))
            .collect();
        assert!(events.iter().any(|event| event.event_type.as_str() == "message.echo"));
        touches.into_iter().collect::<Vec<_>>()
    };
    let [human, unclear, none] =
        [Touch::HumanEcho, Touch::UnclearEcho, Touch::None].map(|touch| vec![format!("{touch:?}")]);
    assert_eq!(touches("echo", json!({})), human);
    assert_eq!(touches("echo", json!({ "echo_is_human": false })), none);
    assert_eq!(touches("echo_of_an_app", json!({})), none);
    assert_eq!(touches("echo", json!({ "echo_is_human": true })), human);
    assert_eq!(touches("echo_of_an_app", json!({ "echo_is_human": true })), unclear);
}

#[test]
fn an_error_without_a_time_is_a_fact_each_time() {
    let events = read(fixture("errors").to_string().as_bytes()).expect("errors");
    assert!(events.iter().all(|event| event.dedupe_key.is_none()));
}

#[test]
fn a_message_without_a_time_happened_when_it_came() {
    let body = fixture("message_time_unreadable").to_string();
    let events = read(body.as_bytes()).expect("a message");
    assert_eq!(events[0].occurred_at, Timestamp::from_secs(1_790_000_500));
}

fn any_fixture() -> impl Strategy<Value = String> {
    prop::sample::select(fixtures()).prop_map(|(_, body)| body)
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, {"id": 1}, "x"])),
    ]
}

/// Every place of a document, as pointers.
fn places(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| places(item, &format!("{here}/{n}"), all));
        }
        Value::Object(members) => {
            members.iter().for_each(|(key, item)| places(item, &format!("{here}/{key}"), all));
        }
        _ => {}
    }
}

/// What reading in one pass and reading piece by piece come to.
fn both_ways(body: &[u8]) -> (Option<String>, Option<String>) {
    let request = delivery(body, &[]);
    let shown = |events: Vec<NewEvent>| format!("{events:?}");
    let usual = usual::parse("whatsapp", body, request.received_at, None).map(shown);
    (usual, piece_by_piece("whatsapp", &request, None).ok().map(shown))
}

#[test]
fn most_fixtures_are_usual_and_come_to_the_same_piece_by_piece() {
    let read: Vec<_> = fixtures().iter().map(|(_, body)| both_ways(body.as_bytes())).collect();
    let usual: Vec<_> = read.iter().filter(|(usual, _)| usual.is_some()).collect();
    assert!(usual.iter().all(|(usual, slow)| usual == slow));
    assert!(usual.len() * 2 > read.len(), "{} of {}", usual.len(), read.len());
}

proptest! {
    #[test]
    fn what_is_read_in_one_pass_reads_the_same_piece_by_piece(body in any_fixture(), place in any::<prop::sample::Index>(), other in any_value()) {
        let mut value: Value = serde_json::from_str(&body).expect("JSON");
        let mut all = Vec::new();
        places(&value, "", &mut all);
        if let Some(changed) = value.pointer_mut(&all[place.index(all.len())]) {
            *changed = other;
        }
        let (usual, slow) = both_ways(value.to_string().as_bytes());
        prop_assert!(usual.is_none() || usual == slow);
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&body);
    }

    #[test]
    fn no_damaged_fixture_panics(body in any_fixture(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let mut body = body.into_bytes();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = read(&body);
        body.truncate(cut.index(body.len()));
        let _ = read(&body);
    }

    #[test]
    fn a_fixture_with_another_value_anywhere_is_still_read_or_refused_whole(body in any_fixture(), place in any::<prop::sample::Index>(), other in any_value()) {
        let mut body: Value = serde_json::from_str(&body).expect("a fixture is JSON");
        let mut all = Vec::new();
        places(&body, "", &mut all);
        let place = &all[place.index(all.len())];
        *body.pointer_mut(place).expect("the place is there") = other;
        let read = read(body.to_string().as_bytes());
        // Only the top, `object` and `entry` decide whether a body is WhatsApp's at all.
        prop_assert!(read.is_ok() || ["", "/object", "/entry"].contains(&place.as_str()), "{}", place);
    }

    #[test]
    fn one_odd_item_spoils_no_other(odd in any_value(), at in 0usize..4) {
        let mut messages: Vec<Value> = (0..4).map(|n| message(&format!("wamid.{n}"), 1_790_000_000 + n)).collect();
        messages[at] = odd;
        let events = read(&around(&messages)).expect("a batch");
        let received = events.iter().filter(|event| event.event_type.as_str() == "message.received").count();
        prop_assert_eq!((events.len(), received), (4, 3));
    }
}
