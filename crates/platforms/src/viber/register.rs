//! The bot's webhook: `set_webhook`, during which Viber calls the URL, and `get_account_info`.

use http::Method;
use model::retry::Outcome;
use model::source::SecretRole;
use serde_json::json;

use super::send::API_BASE;
use crate::http::Answer;
use crate::outgoing::base;
use crate::platform::Unsupported;
use crate::registration::{self, Found, Look, Step, Wanted, told_by};

/// What Viber is asked to tell; `webhook` and `message` come in any case.
const EVENTS: [&str; 6] =
    ["subscribed", "unsubscribed", "conversation_started", "delivered", "seen", "failed"];

/// The one step there is.
pub(super) fn steps(wanted: &Wanted<'_>) -> Result<Vec<Step>, Unsupported> {
    let shown = [("x-viber-auth-token", wanted.secret(SecretRole::AccessToken)?.to_owned())];
    let api = base(&wanted.source.settings, API_BASE);
    let body = json!({ "url": wanted.url, "event_types": EVENTS, "send_name": true });
    let look = Look {
        call: registration::send(Method::POST, format!("{api}/pa/get_account_info"), &shown, &json!({})),
        ours: wanted.url.to_owned(),
        read: found,
    };
    Ok(vec![Step {
        what: "the webhook of the bot".to_owned(),
        look: Some(look),
        set: registration::send(Method::POST, format!("{api}/pa/set_webhook"), &shown, &body),
        read,
    }])
}

fn found(answer: &Answer, ours: &str) -> Found {
    let body = told_by(answer);
    match body.as_ref().filter(|body| body.text("status").as_deref() == Some("0")) {
        Some(info) => Found::url(info.text("webhook").as_deref(), ours),
        None => Found::unclear(answer, body.and_then(|body| body.text("status_message")).as_deref()),
    }
}

fn read(answer: &Answer) -> Outcome {
    let body = told_by(answer);
    let is_done = body.as_ref().and_then(|body| body.text("status")).as_deref() == Some("0");
    registration::outcome(answer, is_done, body.and_then(|body| body.text("status_message")).as_deref())
}
