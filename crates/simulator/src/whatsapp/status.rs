//! The statuses that follow a message the Graph API took (platforms.md 1.6).

use bytes::Bytes;
use model::time::Timestamp;
use serde_json::{Map, Value, json};

use super::phone::user_id;
use super::{Number, Taken, webhook};
use crate::switches::Step;

/// The webhooks that carry these steps of a message.
pub(super) fn webhooks(number: &Number, taken: &Taken, groups: &[Vec<Step>], at: Timestamp) -> Vec<Bytes> {
    let webhook = |steps: &Vec<Step>| {
        let statuses: Vec<Value> = steps.iter().map(|step| status(taken, *step, at)).collect();
        let mut items = json!({ "statuses": statuses });
        if let Some(contact) = contact(taken) {
            items["contacts"] = json!([contact]);
        }
        webhook::envelope(number, items)
    };
    groups.iter().map(webhook).collect()
}

fn status(taken: &Taken, step: Step, at: Timestamp) -> Value {
    let mut status = recipient(taken);
    let mut put = |name: &str, value: Value| status.insert(name.to_owned(), value);
    put("id", json!(taken.wamid));
    put("status", json!(word(step)));
    put("timestamp", json!(at.as_secs().to_string()));
    if let Some(correlation) = &taken.correlation {
        put("biz_opaque_callback_data", json!(correlation));
    }
    match step {
        // The price comes with `sent` and one of the later steps.
        Step::Sent | Step::Delivered => {
            let pricing = json!({
                "billable": false,
                "pricing_model": "PMP",
                "type": "free_customer_service",
                "category": "service",
            });
            put("pricing", pricing);
        }
        Step::Read => {}
        Step::Failed(code) => {
            let title = format!("the simulated platform gave up: {code}");
            put(
                "errors",
                json!([{ "code": code, "title": title, "message": title, "error_data": { "details": title } }]),
            );
        }
    }
    Value::Object(status)
}

fn word(step: Step) -> &'static str {
    match step {
        Step::Sent => "sent",
        Step::Delivered => "delivered",
        Step::Read => "read",
        Step::Failed(_) => "failed",
    }
}

/// The person, who is named beside statuses since 2026; a group is not.
fn contact(taken: &Taken) -> Option<Value> {
    let to = taken.to.trim_start_matches('+');
    match (taken.body.get("to"), &taken.body["recipient_type"]) {
        (None, _) => Some(json!({ "user_id": taken.to })),
        (Some(_), kind) if kind == "group" => None,
        (Some(_), _) => Some(json!({ "wa_id": to, "user_id": user_id(to) })),
    }
}

/// Whom a status is about, in the member that the kind of address has.
fn recipient(taken: &Taken) -> Map<String, Value> {
    let mut members = Map::new();
    if taken.body.get("to").is_none() {
        members.insert("recipient_user_id".to_owned(), json!(taken.to));
        return members;
    }
    let id = taken.to.trim_start_matches('+');
    members.insert("recipient_id".to_owned(), json!(id));
    if taken.body["recipient_type"] == "group" {
        members.insert("recipient_type".to_owned(), json!("group"));
    }
    members
}
