//! The client's own API: messages, and read marks (platforms.md 2.5).

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use model::send::{OutgoingBody, OutgoingMessage};
use model::source::Settings;
use serde_json::{Value, json};

use crate::http::{Answer, Call};
use crate::json::{self, Object};
use crate::outgoing::{access_token, base, cause, check_base, retry, unsupported};
use crate::platform::{Interpreted, Sender, Unsupported};
use crate::{settings, whatsapp};

const API_BASE: &str = "https://waba.360dialog.io";
/// The header that shows the key of a number.
pub(crate) const DIALOG360_KEY: &str = "D360-API-KEY";
/// How the number's key is shown.
const WAYS: [(&str, Way); 2] = [("d360", Way::D360), ("bearer", Way::Bearer)];
/// Codes after which a message may be sent again, after this wait: too much at once, the client's own troubles.
const PASSING: [i64; 6] = [429, 500, 503, 1014, 1015, 1016];
const PASSING_WAIT: Duration = Duration::from_secs(2);
/// The number has reached its limit, or is taken for spam.
const LIMIT: i64 = 471;
const LIMIT_WAIT: Duration = Duration::from_secs(4 * 3600);
/// The recipient is not known to the client until it has been looked up.
const UNKNOWN_CONTACT: i64 = 1006;
/// Payment is missing.
const UNPAID: i64 = 402;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    D360,
    Bearer,
}

/// Says what is wrong with the settings for sending.
pub(super) fn check(of: &Settings) -> Result<(), String> {
    settings::choice(of, "show_key_in", &WAYS)?;
    check_base(of, API_BASE)
}

/// A header that shows a number's key.
pub(super) type Show = fn(&str) -> (&'static str, String);

/// Where the client is, and how it is shown the number's key.
pub(super) fn at(of: &Settings) -> Result<(&str, Show), Unsupported> {
    let base = of.text("api_base").map(|_| base(of, API_BASE));
    let base = base.ok_or_else(|| unsupported("set \"api_base\" to the address of your client first"))?;
    let show: Show = match settings::choice(of, "show_key_in", &WAYS).ok().flatten().unwrap_or(Way::D360) {
        Way::D360 => |key| (DIALOG360_KEY, key.to_owned()),
        Way::Bearer => |key| ("authorization", format!("Bearer {key}")),
    };
    Ok((base, show))
}

/// The call that sends this message or sets this read mark.
pub(super) fn compose(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
    let of = &sender.source.settings;
    let (base, show) = at(of)?;
    let (name, shown) = show(access_token(sender)?);
    let (method, url, body) = match &message.body {
        OutgoingBody::Read { read } => {
            let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"._-=".contains(&byte);
            if read.message_id.is_empty() || !read.message_id.bytes().all(is_id) {
                return Err(unsupported("the message_id is not one of WhatsApp's"));
            }
            (Method::PUT, format!("{base}/v1/messages/{}", read.message_id), json!({ "status": "read" }))
        }
        body => (Method::POST, format!("{base}/v1/messages"), wire(message, body)?),
    };
    let headers = vec![(name.to_owned(), shown), ("content-type".to_owned(), "application/json".to_owned())];
    Ok(Call { method, url, headers, body: Bytes::from(body.to_string()) })
}

/// The Cloud API's message without what only that has.
fn wire(message: &OutgoingMessage, body: &OutgoingBody) -> Result<Value, Unsupported> {
    whatsapp::send::allowed(body)?;
    if matches!(body, OutgoingBody::Reaction { .. }) {
        return Err(unsupported("the on-premises client has no reactions to send"));
    }
    let to = message.to.address().trim_start_matches('+');
    if to.is_empty() {
        return Err(unsupported("the message has no recipient"));
    }
    let mut wire =
        serde_json::to_value(body).map_err(|_| unsupported("the message cannot be written as JSON"))?;
    // A group's id has a dash in it, and a number never has.
    wire["recipient_type"] = json!(if to.contains('-') { "group" } else { "individual" });
    wire["to"] = json!(to);
    if let Some(replied) = &message.reply_to {
        wire["context"] = json!({ "message_id": replied });
    }
    Ok(wire)
}

/// What an answer means; 200 and 201 are both usual, and a read mark is answered with nothing.
pub(super) fn interpret(answer: &Answer) -> Interpreted {
    let body = json::object(&answer.body).ok();
    let first = |name: &str| {
        let items = body.as_ref().and_then(|body| body.items(name)).unwrap_or_default();
        items.first().and_then(|item| Object::of(item))
    };
    let error = first("errors");
    let code = error.as_ref().and_then(|error| error.text("code")?.parse::<i64>().ok());
    let words = |name: &str| error.as_ref().and_then(|error| error.string(name)).unwrap_or_default();
    let meta = body.as_ref().and_then(|body| body.object("meta"));
    let developer =
        meta.and_then(|meta| meta.string("developer_message").or_else(|| meta.string("developerMessage")));
    let told = [words("title"), words("details"), developer.unwrap_or_default()].join(" ");
    let cause = cause(&format!("HTTP {} error {} {}", answer.status, code.unwrap_or(0), told.trim()));
    match (answer.status, code) {
        (200..=299, None) => {
            let message_id = first("messages").and_then(|message| message.string("id"));
            Interpreted { message_id, ..Interpreted::of(Outcome::Done) }
        }
        (_, Some(LIMIT)) => Interpreted::of(Outcome::Retry { after: Some(LIMIT_WAIT), cause }),
        (_, Some(code)) if PASSING.contains(&code) => {
            let asked = answer.retry_after_secs.map(Duration::from_secs).unwrap_or_default();
            Interpreted::of(Outcome::Retry { after: Some(asked.max(PASSING_WAIT)), cause })
        }
        (_, Some(UNKNOWN_CONTACT)) => {
            let words = format!("{cause}: look the number up first, POST …/v1/contacts, and use its wa_id");
            Interpreted::of(Outcome::Refused(words))
        }
        (401 | 403, _) | (_, Some(UNPAID)) => {
            Interpreted { account_stopped: true, ..Interpreted::of(Outcome::Refused(cause)) }
        }
        (429 | 503, None) => retry(answer, cause),
        (500.., None) => {
            Interpreted::of(Outcome::Unknown(format!("{cause}: the message may have been taken")))
        }
        _ => Interpreted::of(Outcome::Refused(cause)),
    }
}
