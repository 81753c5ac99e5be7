//! WATI's API: texts within the window, templates at any time.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use model::secret::Secret;
use model::send::{OutgoingBody, OutgoingMessage};
use model::source::{SecretRole, Settings};

use crate::http::{Answer, Call};
use crate::json::{self, Object};
use crate::outgoing::{cause, check_base, unsupported};
use crate::platform::{Interpreted, Sender, Unsupported};

/// The longest text, in characters.
const TEXT_MAX: usize = 4096;

/// Says what is wrong with the address of the API.
pub(super) fn check(of: &Settings) -> Result<(), String> {
    check_base(of, "https://live-server-1.wati.io")
}

/// Where the API of this account is.
pub(super) fn api(of: &Settings) -> Result<&str, Unsupported> {
    let base = of.text("api_base").map(|base| base.trim_end_matches('/'));
    base.ok_or_else(|| unsupported("set \"api_base\" to your API endpoint at WATI first"))
}

/// The token, which WATI hands out with its scheme before it.
pub(super) fn token(secret: Option<&Secret>) -> Result<&str, Unsupported> {
    let token = secret.map(|token| token.expose().trim_start_matches("Bearer "));
    token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| unsupported("the source has no access token: add a secret with role \"access_token\""))
}

/// The call that sends this message.
pub(super) fn compose(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
    let base = api(&sender.source.settings)?;
    let token = token(sender.source.secrets(SecretRole::AccessToken, sender.now).next())?;
    if message.reply_to.is_some() {
        return Err(unsupported("WATI cannot answer a certain message: leave reply_to out"));
    }
    let number: String = message.to.address().chars().filter(char::is_ascii_digit).collect();
    if number.is_empty() {
        return Err(unsupported("the recipient must be a phone number"));
    }
    let base = base.trim_end_matches('/');
    match &message.body {
        OutgoingBody::Text { text } => {
            match text.body.chars().count() {
                0 => return Err(unsupported("the text is empty")),
                count if count > TEXT_MAX => {
                    return Err(Unsupported(format!(
                        "the text has {count} characters and {TEXT_MAX} are taken: split it"
                    )));
                }
                _ => {}
            }
            let said: String = form_urlencoded::Serializer::new(String::new())
                .append_pair("messageText", &text.body)
                .finish();
            let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
            let url = format!("{base}/api/v1/sendSessionMessage/{number}?{said}");
            Ok(Call { method: Method::POST, url, headers, body: Bytes::new() })
        }
        OutgoingBody::Template { template } if template["template_name"].is_string() => {
            let url = format!("{base}/api/v2/sendTemplateMessage?whatsappNumber={number}");
            Ok(Call::post_json(url, token, template.to_string()))
        }
        OutgoingBody::Template { .. } => {
            Err(unsupported("a template of WATI has a template_name, a broadcast_name and parameters"))
        }
        OutgoingBody::Read { .. } => Err(unsupported("WATI has no public way to mark a message as read")),
        _ => Err(unsupported("through WATI texts and templates can be sent")),
    }
}

/// What an answer means: HTTP 200 with `"result": false` is a failure.
pub(super) fn interpret(answer: &Answer) -> Interpreted {
    let body = json::object(&answer.body).ok();
    let result = body.as_ref().and_then(|body| body.get("result")).map(|result| result.get());
    let cause = || cause_of(answer.status, body.as_ref());
    match (answer.status, result) {
        (200..=299, Some("true" | "\"success\"")) => {
            Interpreted { message_id: body.as_ref().and_then(message_id), ..Interpreted::of(Outcome::Done) }
        }
        (200..=299, Some(_)) => Interpreted::of(Outcome::Refused(cause())),
        (200..=299, None) => Interpreted::of(Outcome::Unknown(
            "the answer does not say whether the message was taken".to_owned(),
        )),
        (401 | 403, _) => Interpreted { account_stopped: true, ..Interpreted::of(Outcome::Refused(cause())) },
        (429 | 503, _) => {
            let after = answer.retry_after_secs.map(Duration::from_secs);
            Interpreted::of(Outcome::Retry { after, cause: cause() })
        }
        (500.., _) => Interpreted::of(Outcome::Unknown(cause())),
        _ => Interpreted::of(Outcome::Refused(cause())),
    }
}

fn message_id(body: &Object<'_>) -> Option<String> {
    let named = |object: Object<'_>| {
        ["localMessageId", "whatsappMessageId", "id"].iter().find_map(|name| object.string(name))
    };
    let first = body.items("receivers").and_then(|receivers| Object::of(receivers.first()?)).and_then(named);
    first.or_else(|| body.object("message").and_then(named))
}

fn cause_of(status: u16, body: Option<&Object<'_>>) -> String {
    let words = body.and_then(|body| ["info", "error", "message"].iter().find_map(|name| body.string(name)));
    cause(&format!("HTTP {status} {}", words.as_deref().unwrap_or("without a reason")))
}
