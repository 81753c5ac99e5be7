//! What is left of a body: the events of the wanted accounts, their very bytes, and nothing of anybody else.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::tests::{fixtures, read, shown};
use super::*;

/// A batch for two numbers of two WhatsApp Business Accounts, written as nobody would write it twice.
const BATCH: &str = r#"{ "object":"whatsapp_business_account","more":1.50,
 "entry" : [ {"id":"W1","time":1739321024,"changes":[
  {"field":"messages","value":{"metadata":{"phone_number_id":"PN1"},"messages":[{"from":"1","id":"wamid.1","timestamp":"1","type":"text","text":{"body":"\u00e4\/"}}]}} ,
  {"field":"messages","value":{"metadata":{"phone_number_id":"PN2"},"statuses":[{"id":"wamid.2","status":"read","timestamp":"1"}]}}]},
  {"id":"W2","changes":[{"field":"account_alerts","value":{"alert":1e3}}] } ] }"#;

fn narrowed(body: &str, wanted: &[&str]) -> Narrowed {
    narrow(body.as_bytes(), &|account| wanted.contains(&account))
}

fn part(body: &str, wanted: &[&str]) -> String {
    match narrowed(body, wanted) {
        Narrowed::Part(part) => String::from_utf8(part.to_vec()).expect("a part is text"),
        other => panic!("not a part: {other:?}"),
    }
}

#[test]
fn what_stays_keeps_its_own_bytes() {
    let first = r#"{"field":"messages","value":{"metadata":{"phone_number_id":"PN1"},"messages":[{"from":"1","id":"wamid.1","timestamp":"1","type":"text","text":{"body":"\u00e4\/"}}]}}"#;
    let head = "{ \"object\":\"whatsapp_business_account\",\"more\":1.50,\n \"entry\" : ";
    let expected = format!(r#"{head}[{{"id":"W1","time":1739321024,"changes":[{first}]}}] }}"#);
    assert_eq!(part(BATCH, &["PN1"]), expected);
    let third = r#"{"id":"W2","changes":[{"field":"account_alerts","value":{"alert":1e3}}] }"#;
    assert_eq!(part(BATCH, &["W2"]), format!("{head}[{third}] }}"));
    let both = part(BATCH, &["PN2", "W2"]);
    assert!(both.contains("wamid.2") && both.contains(third) && !both.contains("wamid.1"), "{both}");
}

#[test]
fn a_body_of_which_everything_or_nothing_is_wanted_is_not_rewritten() {
    assert_eq!(narrowed(BATCH, &["PN1", "PN2", "W2"]), Narrowed::Whole);
    assert_eq!(narrowed(BATCH, &["W1", "PN3", ""]), Narrowed::Nothing);
    for (name, body) in fixtures() {
        assert_eq!(narrow(body.as_bytes(), &|_| true), Narrowed::Whole, "{name}");
    }
}

#[test]
fn a_body_that_cannot_be_read_is_one_event_on_no_account() {
    for body in
        ["", "{", "[]", r#"{"object":"page","entry":[]}"#, r#"{"object":"whatsapp_business_account"}"#]
    {
        assert_eq!(narrowed(body, &[""]), Narrowed::Whole, "{body}");
        assert_eq!(narrowed(body, &["PN1"]), Narrowed::Nothing, "{body}");
    }
    assert_eq!(narrow(b"\xff", &|_| true), Narrowed::Whole);
}

#[test]
fn an_entry_that_cannot_be_read_goes_with_its_own_id() {
    let body = r#"{"object":"whatsapp_business_account","entry":["odd",{"id":"W1","changes":{}},{"id":"W2","changes":[]},7]}"#;
    assert!(part(body, &["W1"]).ends_with(r#""entry":[{"id":"W1","changes":{}}]}"#));
    assert!(part(body, &["W2"]).ends_with(r#""entry":[{"id":"W2","changes":[]}]}"#));
    assert!(part(body, &[""]).ends_with(r#""entry":["odd",7]}"#));
}

/// One change of a fixture, moved to another number or account.
fn moved(mut change: Value, number: usize) -> Value {
    if let Some(id) = change.pointer_mut("/value/metadata/phone_number_id") {
        *id = json!(format!("PN{number}"));
    }
    change
}

fn any_batch() -> impl Strategy<Value = Value> {
    let change = (prop::sample::select(fixtures()), 0..3_usize, 0..3_usize);
    prop::collection::vec(change, 1..8).prop_map(|chosen| {
        let mut entries: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
        for ((_, body), number, account) in chosen {
            let body: Value = serde_json::from_str(&body).expect("a fixture is JSON");
            for entry in body["entry"].as_array().expect("entries") {
                let changes = entry["changes"].as_array().cloned().unwrap_or_default();
                let moved = changes.into_iter().map(|change| moved(change, number));
                entries.entry(account).or_default().extend(moved);
            }
        }
        let entry = |(account, changes)| json!({ "id": format!("W{account}"), "time": 1_790_000_300, "changes": changes });
        let entries: Vec<Value> = entries.into_iter().map(entry).collect();
        json!({ "object": "whatsapp_business_account", "entry": entries })
    })
}

fn told(body: &[u8]) -> Vec<Value> {
    read(body).expect("a body of WhatsApp's").iter().map(shown).collect()
}

proptest! {
    #[test]
    fn a_part_holds_the_events_of_the_wanted_accounts_and_no_other(
        batch in any_batch(),
        wanted in prop::collection::btree_set("(PN|W)[0-2]", 0..5),
    ) {
        let body = batch.to_string();
        let is_wanted = |event: &Value| wanted.contains(event["account"].as_str().unwrap_or_default());
        let expected: Vec<Value> = told(body.as_bytes()).into_iter().filter(is_wanted).collect();
        let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        let left = match narrow(body.as_bytes(), &|account| wanted.contains(account)) {
            Narrowed::Whole => told(body.as_bytes()),
            Narrowed::Part(part) => told(&part),
            Narrowed::Nothing => Vec::new(),
        };
        prop_assert_eq!(left, expected);
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = narrow(&body, &|account| account.len() % 2 == 0);
    }
}
