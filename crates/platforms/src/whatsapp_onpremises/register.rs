//! The URL of a number, and the headers that its requests bring along: `configs/webhook` (platforms.md 2.1 and 3).

use http::Method;
use model::retry::Outcome;
use serde_json::{Map, Value, json};

use crate::http::{Answer, Call};
use crate::platform::Unsupported;
use crate::registration::{self, Found, Look, Step, Wanted, told_by};
use crate::static_proof;

/// The one step there is: of the API at this address, which is shown the number's key.
pub(crate) fn steps(
    wanted: &Wanted<'_>,
    api: &str,
    key: (&str, String),
    is_signed: bool,
) -> Result<Vec<Step>, Unsupported> {
    let address = format!("{api}/v1/configs/webhook");
    let entered = if is_signed { static_proof::Entered::default() } else { static_proof::entered(wanted)? };
    let url = entered.in_url(wanted.url);
    let headers: Map<String, Value> =
        entered.headers.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    let shown = [key];
    let look = Look { call: Call::get(address.clone(), &shown), ours: url.clone(), read: found };
    Ok(vec![Step {
        what: "the webhook of the number".to_owned(),
        look: Some(look),
        set: registration::send(Method::POST, address, &shown, &json!({ "url": url, "headers": headers })),
        read,
    }])
}

fn found(answer: &Answer, ours: &str) -> Found {
    let body = told_by(answer);
    match (answer.status, &body) {
        (404, _) => Found::url(None, ours),
        (200, Some(config)) => Found::url(config.text("url").as_deref(), ours),
        _ => Found::unclear(answer, words(answer).as_deref()),
    }
}

fn read(answer: &Answer) -> Outcome {
    registration::outcome(answer, matches!(answer.status, 200 | 201), words(answer).as_deref())
}

/// What the API says of a refusal.
fn words(answer: &Answer) -> Option<String> {
    let meta = told_by(answer)?.object("meta")?;
    ["developer_message", "developerMessage"].iter().find_map(|name| meta.string(name))
}
