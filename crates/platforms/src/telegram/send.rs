//! The Bot API: the method that sends a message, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use model::secret::Secret;
use model::send::{OutgoingBody, OutgoingMedia, OutgoingMessage};
use model::source::{SecretRole, Settings};
use serde_json::{Map, Value, json};

use crate::choices::Choices;
use crate::http::{Answer, Call};
use crate::json;
use crate::outgoing::{base, cause, check_base, unsupported};
use crate::platform::{Interpreted, Sender, Unsupported};
use crate::settings;

pub(super) const API_BASE: &str = "https://api.telegram.org";
const SETTINGS: [&str; 3] = ["bot", "api_base", "messages_per_second"];
/// The longest text and the longest caption, in characters.
const TEXT_MAX: usize = 4096;
const CAPTION_MAX: usize = 1024;
/// The longest id of a button, in bytes.
const CHOICE_BYTES_MAX: usize = 64;

/// Says what is wrong with the settings for sending.
pub(super) fn check(of: &Settings) -> Result<(), String> {
    settings::known(of, &SETTINGS)?;
    settings::text(of, "bot")?;
    settings::number(of, "messages_per_second", 1..=1000)?;
    check_base(of, API_BASE)
}

/// The call of the method that sends this message.
pub(super) fn compose(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
    let token = bot_token(sender.source.secrets(SecretRole::AccessToken, sender.now).next())?;
    let (method, mut fields) = method(&message.body)?;
    fields.insert("chat_id".to_owned(), chat(message.to.address())?);
    if let Some(replied) = &message.reply_to {
        fields.insert("reply_parameters".to_owned(), json!({ "message_id": number(replied)? }));
    }
    Ok(Call {
        method: Method::POST,
        url: format!("{}/bot{token}/{method}", base(&sender.source.settings, API_BASE)),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Bytes::from(Value::Object(fields).to_string()),
    })
}

/// The bot's token, as a part of a path.
pub(super) fn bot_token(secret: Option<&Secret>) -> Result<&str, Unsupported> {
    secret.map(Secret::expose).filter(|token| is_token(token)).ok_or_else(|| {
        unsupported(
            "the source has no bot token: add a secret with role \"access_token\", such as 123456:ABC-DEF",
        )
    })
}

/// A token is a part of the path, so it has to be one.
fn is_token(token: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":_-".contains(&byte);
    token.contains(':') && token.bytes().all(plain)
}

type Fields = Map<String, Value>;

fn method(body: &OutgoingBody) -> Result<(&'static str, Fields), Unsupported> {
    let told = match body {
        OutgoingBody::Text { text } => {
            within("the text", &text.body, TEXT_MAX)?;
            let preview = json!({ "is_disabled": !text.preview_url });
            ("sendMessage", json!({ "text": text.body, "link_preview_options": preview }))
        }
        OutgoingBody::Image { image } => ("sendPhoto", file("photo", image)?),
        OutgoingBody::Video { video } => ("sendVideo", file("video", video)?),
        OutgoingBody::Audio { audio } => ("sendAudio", file("audio", audio)?),
        OutgoingBody::Document { document } => ("sendDocument", file("document", document)?),
        OutgoingBody::Sticker { sticker } => ("sendSticker", file("sticker", sticker)?),
        OutgoingBody::Location { location } => match (&location.name, &location.address) {
            (Some(title), Some(address)) => (
                "sendVenue",
                json!({ "latitude": location.latitude, "longitude": location.longitude, "title": title, "address": address }),
            ),
            _ => ("sendLocation", json!({ "latitude": location.latitude, "longitude": location.longitude })),
        },
        OutgoingBody::Contacts { contacts } => ("sendContact", card(contacts)?),
        OutgoingBody::Interactive { interactive } => ("sendMessage", buttons(interactive)?),
        OutgoingBody::Reaction { reaction } => {
            let emoji = reaction.emoji.as_deref().filter(|emoji| !emoji.is_empty());
            let reactions: Vec<Value> =
                emoji.iter().map(|emoji| json!({ "type": "emoji", "emoji": emoji })).collect();
            let message_id = number(&reaction.message_id)?;
            ("setMessageReaction", json!({ "message_id": message_id, "reaction": reactions }))
        }
        OutgoingBody::Template { .. } => {
            return Err(unsupported("Telegram has no templates: send a text, which needs no approval there"));
        }
        OutgoingBody::Read { read } if read.typing => ("sendChatAction", json!({ "action": "typing" })),
        OutgoingBody::Read { .. } => {
            return Err(unsupported("a bot of Telegram cannot mark a message as read"));
        }
    };
    match told {
        (method, Value::Object(fields)) => Ok((method, fields)),
        (method, _) => Ok((method, Fields::new())),
    }
}

/// Telegram fetches a file by its link, or knows it by an id of its own.
fn file(name: &str, media: &OutgoingMedia) -> Result<Value, Unsupported> {
    let of = match (&media.id, &media.link) {
        (Some(id), None) => id,
        (None, Some(link)) if link.starts_with("https://") || link.starts_with("http://") => link,
        (None, Some(_)) => return Err(unsupported("the link of a file must begin with https:// or http://")),
        _ => return Err(unsupported("a file needs exactly one of id and link")),
    };
    if media.filename.is_some() {
        return Err(unsupported("Telegram takes no filename with a link or an id: it keeps the file's own"));
    }
    let mut fields = Fields::from_iter([(name.to_owned(), Value::from(of.as_str()))]);
    if let Some(caption) = &media.caption {
        within("the caption", caption, CAPTION_MAX)?;
        fields.insert("caption".to_owned(), Value::from(caption.as_str()));
    }
    Ok(Value::Object(fields))
}

/// One card: Telegram's own, or the shape that WhatsApp has.
fn card(contacts: &Value) -> Result<Value, Unsupported> {
    let only = contacts.as_array().filter(|cards| cards.len() == 1).map(|cards| &cards[0]);
    let only = only.ok_or_else(|| unsupported("Telegram sends one contact at a time: a list of one card"))?;
    let text = |pointers: &[&str]| {
        pointers.iter().find_map(|pointer| only.pointer(pointer)?.as_str()).map(str::to_owned)
    };
    let phone = text(&["/phone_number", "/phones/0/phone"]);
    let name = text(&["/first_name", "/name/first_name", "/name/formatted_name"]);
    let (Some(phone), Some(name)) = (phone, name) else {
        return Err(unsupported("a card needs a phone_number and a first_name"));
    };
    Ok(
        json!({ "phone_number": phone, "first_name": name, "last_name": text(&["/last_name", "/name/last_name"]) }),
    )
}

/// Buttons and the rows of a list are the same to Telegram: one under the other.
fn buttons(interactive: &Value) -> Result<Value, Unsupported> {
    let choices = Choices::read(interactive)?;
    let mut rows = Vec::new();
    for choice in &choices.all {
        if choice.id.len() > CHOICE_BYTES_MAX {
            let words = format!("the id of \"{}\" has more than {CHOICE_BYTES_MAX} bytes", choice.title);
            return Err(Unsupported(words));
        }
        rows.push(json!([{ "text": choice.title, "callback_data": choice.id }]));
    }
    within("the text", &choices.text, TEXT_MAX)?;
    Ok(json!({ "text": choices.text, "reply_markup": { "inline_keyboard": rows } }))
}

fn within(what: &str, text: &str, max: usize) -> Result<(), Unsupported> {
    match text.chars().count() {
        0 => Err(Unsupported(format!("{what} is empty"))),
        count if count > max => {
            Err(Unsupported(format!("{what} has {count} characters and Telegram takes {max}: split it")))
        }
        _ => Ok(()),
    }
}

/// A chat is a number, larger than 32 bits and negative for groups, or the name of a public channel.
fn chat(address: &str) -> Result<Value, Unsupported> {
    match address.parse::<i64>() {
        Ok(id) => Ok(Value::from(id)),
        Err(_) if address.starts_with('@') && address.len() > 1 => Ok(Value::from(address)),
        Err(_) => {
            Err(unsupported("the recipient must be the number of a chat, or @ and the name of a channel"))
        }
    }
}

fn number(message_id: &str) -> Result<i64, Unsupported> {
    message_id.parse().map_err(|_| unsupported("the id of a message of Telegram is a number"))
}

/// What an answer means. Whatever Telegram itself has put into words was not done, so it may be tried again.
pub(super) fn interpret(answer: &Answer) -> Interpreted {
    let body = json::object(&answer.body).ok();
    let Some(body) = body.filter(|body| body.get("ok").is_some()) else {
        return Interpreted::of(match answer.status {
            429 | 503 => retry(answer.retry_after_secs, format!("HTTP {} without a reason", answer.status)),
            500.. => Outcome::Unknown(format!("HTTP {}: the message may have been taken", answer.status)),
            status => Outcome::Refused(format!("HTTP {status} is no answer of the Bot API")),
        });
    };
    if body.flag("ok") {
        let message_id = body.object("result").and_then(|result| result.string("message_id"));
        return Interpreted { message_id, ..Interpreted::of(Outcome::Done) };
    }
    let code = body.text("error_code").and_then(|code| code.parse().ok()).unwrap_or(answer.status);
    let parameters = body.object("parameters");
    let told = |name: &str| parameters.as_ref().and_then(|parameters| parameters.string(name));
    let moved = told("migrate_to_chat_id").map(|to| format!(": the chat is {to} now")).unwrap_or_default();
    let description = body.string("description").unwrap_or_default();
    let cause = cause(&format!("error {code} {description}{moved}"));
    let outcome = match code {
        429 | 500.. => {
            let asked = told("retry_after").and_then(|secs| secs.parse().ok());
            retry(asked.or(answer.retry_after_secs), cause)
        }
        _ => Outcome::Refused(cause),
    };
    // The token itself is not known: nothing will leave before somebody has looked.
    Interpreted { account_stopped: matches!(code, 401 | 404), ..Interpreted::of(outcome) }
}

fn retry(after_secs: Option<u64>, cause: String) -> Outcome {
    Outcome::Retry { after: after_secs.map(Duration::from_secs), cause }
}
