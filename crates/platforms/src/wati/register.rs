//! The URL of a WATI account. Its API takes one and has no documented way to tell which it has.

use http::Method;
use model::retry::Outcome;
use serde_json::json;

use super::send::{api, token};
use super::{PARAMETER, SecretRole};
use crate::http::Answer;
use crate::outgoing::escaped;
use crate::platform::Unsupported;
use crate::registration::{self, Step, Wanted, told_by};

/// Every event that WATI tells of.
const EVENTS: [&str; 12] = [
    "message",
    "newContactMessageReceived",
    "sessionMessageSent",
    "sessionMessageSent_v2",
    "templateMessageSent",
    "templateMessageSent_v2",
    "sentMessageDELIVERED_v2",
    "sentMessageREAD_v2",
    "sentMessageREPLIED_v2",
    "templateMessageFailed",
    "sessionMessageFailed",
    "ctaButtonClicked",
];

/// The one step there is.
pub(super) fn steps(wanted: &Wanted<'_>) -> Result<Vec<Step>, Unsupported> {
    let settings = &wanted.source.settings;
    let shown = [("authorization", format!("Bearer {}", token(wanted.newest(SecretRole::AccessToken))?))];
    let (parameter, proof) =
        (settings.text("parameter").unwrap_or(PARAMETER), wanted.secret(SecretRole::Credential)?);
    let url = format!("{}?{}={}", wanted.url, escaped(parameter), escaped(proof));
    let mut entry = json!({ "status": 1, "url": url, "eventTypes": EVENTS });
    if let Some(number) = settings.text("account") {
        entry["phoneNumber"] = json!(number);
    }
    Ok(vec![Step {
        what: "the webhook of the account".to_owned(),
        look: None,
        set: registration::send(
            Method::POST,
            format!("{}/api/v2/webhookEndpoints", api(settings)?),
            &shown,
            &json!([entry]),
        ),
        read,
    }])
}

fn read(answer: &Answer) -> Outcome {
    let body = told_by(answer);
    let told = body.as_ref().and_then(|body| body.get("result")).map(|result| result.get());
    let is_done = matches!(answer.status, 200..=299) && told != Some("false");
    let words = body.and_then(|body| ["info", "error", "message"].iter().find_map(|name| body.string(name)));
    registration::outcome(answer, is_done, words.as_deref())
}
