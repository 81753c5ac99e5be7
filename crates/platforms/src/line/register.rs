//! The URL of the channel: `/v2/bot/channel/webhook/endpoint`.

use http::Method;
use model::retry::Outcome;
use model::source::SecretRole;
use serde_json::json;

use super::send::API_BASE;
use crate::http::{Answer, Call};
use crate::outgoing::base;
use crate::platform::Unsupported;
use crate::registration::{self, Found, Look, Step, Wanted, told_by};

/// The one step there is.
pub(super) fn steps(wanted: &Wanted<'_>) -> Result<Vec<Step>, Unsupported> {
    let shown = [("authorization", format!("Bearer {}", wanted.secret(SecretRole::AccessToken)?))];
    let address = format!("{}/v2/bot/channel/webhook/endpoint", base(&wanted.source.settings, API_BASE));
    let look = Look { call: Call::get(address.clone(), &shown), ours: wanted.url.to_owned(), read: found };
    Ok(vec![Step {
        what: "the webhook of the channel".to_owned(),
        look: Some(look),
        set: registration::send(Method::PUT, address, &shown, &json!({ "endpoint": wanted.url })),
        read,
    }])
}

fn found(answer: &Answer, ours: &str) -> Found {
    let body = told_by(answer);
    // A channel that has none yet answers 404.
    let is_told = answer.status == 404 || (answer.status == 200 && body.is_some());
    if !is_told {
        return Found::unclear(answer, body.and_then(|body| body.text("message")).as_deref());
    }
    let endpoint = body.as_ref().and_then(|body| body.text("endpoint"));
    let is_off = body.is_some_and(|body| body.get("active").is_some() && !body.flag("active"));
    match Found::url(endpoint.as_deref(), ours) {
        Found::Ours if is_off => Found::Other(
            "the webhook is switched off: switch \"Use webhook\" on in LINE's console".to_owned(),
        ),
        found => found,
    }
}

fn read(answer: &Answer) -> Outcome {
    let body = told_by(answer);
    registration::outcome(answer, answer.status == 200, body.and_then(|body| body.text("message")).as_deref())
}
