//! The statuses that follow a message the Graph API took (platforms.md 1.6).

use bytes::Bytes;
use model::time::Timestamp;
use serde_json::{Map, Value, json};

use super::{Number, Taken, webhook};
use crate::switches::Step;

/// The webhooks that carry these steps of a message.
pub(super) fn webhooks(number: &Number, taken: &Taken, groups: &[Vec<Step>], at: Timestamp) -> Vec<Bytes> {
    let webhook = |steps: &Vec<Step>| {
        let statuses: Vec<Value> = steps.iter().map(|step| status(taken, *step, at)).collect();
        webhook::envelope(number, json!({ "statuses": statuses }))
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
