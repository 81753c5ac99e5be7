//! Sending through WhatzMeAPI's `/messages/send`, or through Evolution API's `sendText`.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use model::send::{OutgoingBody, OutgoingMedia, OutgoingMessage, Recipient};
use model::source::{SecretRole, Settings, Source};
use serde_json::{Value, json};

use super::jid::{Jid, Sort};
use crate::http::{Answer, Call};
use crate::outgoing::{check_base, escaped, unsupported};
use crate::platform::{Interpreted, Pace, Sender, Unsupported};
use crate::settings::{choice, number, pointer, text};

const SEND_PATH: &str = "/messages/send";
/// Where answers of this family hold the message's id, as far as is known.
const ID_POINTERS: [&str; 4] = ["/messages/0/id", "/key/id", "/id", "/messageId"];
/// The most that is kept of a gateway's own words about a refusal, in characters.
const WORDS_MAX: usize = 200;

/// Whose API it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    WhatzMe,
    Evolution,
}

fn dialect(settings: &Settings) -> Result<Dialect, String> {
    let dialects = [("whatzme", Dialect::WhatzMe), ("evolution", Dialect::Evolution)];
    Ok(choice(settings, "dialect", &dialects)?.unwrap_or(Dialect::WhatzMe))
}

/// Says what is wrong with the settings for sending.
pub(super) fn check(settings: &Settings) -> Result<(), String> {
    dialect(settings)?;
    text(settings, "instance")?;
    pointer(settings, "message_id_pointer")?;
    number(settings, "messages_per_second", 1..=1000)?;
    if text(settings, "send_path")?.is_some_and(|path| !path.starts_with('/')) {
        return Err("setting \"send_path\" must begin with a slash, such as /messages/send".to_owned());
    }
    check_base(settings, "https://api.example")
}

/// The call that sends a message.
pub(super) fn compose(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
    let settings = &sender.source.settings;
    let base =
        settings.text("api_base").ok_or_else(|| unsupported("set \"api_base\" on the source to send"))?;
    let base = base.trim_end_matches('/');
    let token = sender.source.secrets(SecretRole::AccessToken, sender.now).next();
    let token =
        token.ok_or_else(|| unsupported("add a secret with role \"access_token\" to the source to send"))?;
    if message.reply_to.is_some() {
        return Err(unsupported("this gateway cannot answer a particular message: leave \"reply_to\" out"));
    }
    let to = address(&message.to)?;
    match dialect(settings).map_err(Unsupported)? {
        Dialect::WhatzMe => {
            let path = settings.text("send_path").unwrap_or(SEND_PATH);
            let body = body(&to, &message.body)?;
            Ok(Call::post_json(format!("{base}{path}"), token.expose(), body.to_string()))
        }
        Dialect::Evolution => {
            let OutgoingBody::Text { text } = &message.body else {
                return Err(unsupported("the evolution dialect sends text only"));
            };
            let instance = path_part(settings.text("instance").unwrap_or(sender.account))?;
            Ok(Call {
                method: Method::POST,
                url: format!("{base}/message/sendText/{instance}"),
                headers: vec![
                    ("apikey".to_owned(), token.expose().to_owned()),
                    ("content-type".to_owned(), "application/json".to_owned()),
                ],
                body: Bytes::from(json!({ "number": to, "text": text.body }).to_string()),
            })
        }
    }
}

/// People are addressed by their number, whatever jid they are known by; groups and hidden numbers by their jid.
fn address(to: &Recipient) -> Result<String, Unsupported> {
    let Recipient::Address(to) = to else {
        return Err(unsupported("this gateway knows phone numbers and jids only: it cannot send to a bsuid"));
    };
    let to = to.trim();
    match Jid::read(to.strip_prefix('+').unwrap_or(to)) {
        Some(jid) if jid.sort() == Sort::Person => Ok(jid.user().to_owned()),
        Some(jid) if jid.sort() != Sort::Broadcast => Ok(jid.to_string()),
        _ => Err(unsupported("the recipient must be a phone number in digits, or a jid")),
    }
}

fn body(to: &str, body: &OutgoingBody) -> Result<Value, Unsupported> {
    let with = |kind: &str, said: Value| json!({ "to": to, "type": kind, kind: said });
    match body {
        OutgoingBody::Text { text } => Ok(with("text", json!({ "body": text.body }))),
        OutgoingBody::Image { image } => Ok(with("image", file(image)?)),
        OutgoingBody::Video { video } => Ok(with("video", file(video)?)),
        OutgoingBody::Audio { audio } => Ok(with("audio", file(audio)?)),
        OutgoingBody::Document { document } => Ok(with("document", file(document)?)),
        OutgoingBody::Sticker { .. } => Err(cannot("stickers")),
        OutgoingBody::Template { .. } => Err(cannot("templates")),
        OutgoingBody::Interactive { .. } => Err(cannot("buttons and lists")),
        OutgoingBody::Reaction { .. } => Err(cannot("reactions")),
        OutgoingBody::Location { .. } => Err(cannot("places")),
        OutgoingBody::Contacts { .. } => Err(cannot("contacts")),
        OutgoingBody::Read { .. } => {
            Err(unsupported("this gateway has no documented way to mark a message as read"))
        }
    }
}

fn file(media: &OutgoingMedia) -> Result<Value, Unsupported> {
    let link = media.link.as_deref();
    let link =
        link.ok_or_else(|| unsupported("this gateway fetches files itself: give a \"link\", not an id"))?;
    let members = [
        ("link", Some(link)),
        ("caption", media.caption.as_deref()),
        ("filename", media.filename.as_deref()),
    ];
    Ok(members
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text?.into())))
        .collect::<serde_json::Map<_, _>>()
        .into())
}

/// A name as one part of a path; what is not plain is percent-encoded.
fn path_part(name: &str) -> Result<String, Unsupported> {
    if name.is_empty() || name.bytes().all(|byte| byte == b'.') {
        return Err(unsupported(
            "the account is not the name of an instance: set \"instance\" on the source",
        ));
    }
    Ok(escaped(name))
}

fn cannot(what: &str) -> Unsupported {
    Unsupported(format!(
        "this gateway has no documented way to send {what}: send text, or a file by its link"
    ))
}

/// What the gateway's answer means. After 500, 502 and 504 the message may have left all the same; 429 and 503
/// say that it did not, and so does any other failure the gateway itself has put into words.
pub(super) fn interpret(source: &Source, answer: &Answer) -> Interpreted {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let cause = cause(answer.status, body.as_ref());
    let (outcome, account_stopped) = match answer.status {
        200..=299 => (Outcome::Done, false),
        401 | 403 => (Outcome::Refused(cause), true),
        429 | 503 => (retry(answer, cause), false),
        500 | 502 | 504 => (Outcome::Unknown(cause), false),
        501.. if body.is_some() => (retry(answer, cause), false),
        501.. => (Outcome::Unknown(cause), false),
        _ => (Outcome::Refused(cause), false),
    };
    let message_id =
        body.filter(|_| outcome == Outcome::Done).and_then(|body| message_id(&source.settings, &body));
    Interpreted { outcome, message_id, account_stopped }
}

fn retry(answer: &Answer, cause: String) -> Outcome {
    Outcome::Retry { after: answer.retry_after_secs.map(Duration::from_secs), cause }
}

fn message_id(settings: &Settings, body: &Value) -> Option<String> {
    let own = settings.text("message_id_pointer");
    let pointers = own.map_or_else(|| ID_POINTERS.to_vec(), |own| vec![own]);
    pointers.into_iter().find_map(|pointer| match body.pointer(pointer)? {
        Value::String(id) => Some(id.clone()).filter(|id| !id.is_empty()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    })
}

fn cause(status: u16, body: Option<&Value>) -> String {
    let told = ["/message", "/error/message", "/error", "/response/message"];
    let words = body.and_then(|body| told.iter().find_map(|pointer| body.pointer(pointer)?.as_str()));
    match words {
        Some(words) => format!("{status}: {}", words.chars().take(WORDS_MAX).collect::<String>()),
        None => format!("{status} without a reason"),
    }
}

/// The pace of the settings; unofficial gateways publish none.
pub(super) fn pace(settings: &Settings) -> Option<Pace> {
    let per_second = u32::try_from(settings.number("messages_per_second")?).ok().filter(|rate| *rate > 0)?;
    let interval = Duration::from_secs(1) / per_second;
    // One contact has no limit of its own below the account's.
    Some(Pace {
        account_interval: interval,
        account_burst: per_second,
        pair_interval: interval,
        pair_burst: per_second,
    })
}
