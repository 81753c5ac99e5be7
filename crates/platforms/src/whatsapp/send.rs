//! The call that sends a message through the Graph API (platforms.md 1.10).

use model::send::{
    OutgoingBody, OutgoingMedia, OutgoingMessage, OutgoingReaction, ReadMark, Recipient, TextBody,
};
use model::source::{SecretRole, Settings};
use serde::Serialize;
use serde_json::value::RawValue;

use super::interactive;
use crate::http::Call;
use crate::json::{self, Object};
use crate::platform::{Sender, Unsupported};
use crate::settings;

const API_BASE: &str = "https://graph.facebook.com";
const API_VERSION: &str = "v25.0";
const PRODUCT: &str = "whatsapp";
/// The longest text, in characters.
const TEXT_MAX: usize = 4096;

/// Says what is wrong with the settings of the address that messages are sent to.
pub(super) fn check(settings: &Settings) -> Result<(), String> {
    let base = settings::text(settings, "api_base")?.unwrap_or(API_BASE);
    if !is_link(base) || base.contains(['?', '#']) || base.contains(char::is_whitespace) {
        return Err(format!("setting \"api_base\" must be an address such as {API_BASE}"));
    }
    let version = settings::text(settings, "api_version")?.unwrap_or(API_VERSION);
    let digits = version.strip_prefix('v').unwrap_or_default();
    match digits.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())) {
        true => Ok(()),
        false => Err(format!("setting \"api_version\" must be a version such as {API_VERSION}")),
    }
}

/// The call that sends this message or sets this read mark, or why there is none.
pub(super) fn compose(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
    let mut tokens = sender.source.secrets(SecretRole::AccessToken, sender.now);
    let token = tokens.find(|token| !token.expose().is_empty()).ok_or_else(|| {
        unsupported("the source has no access token: add a secret with role \"access_token\"")
    })?;
    Ok(Call::post_json(address(sender)?, token.expose(), body(sender, message)?))
}

/// The body of the call, which those who pass messages on to Meta take too.
pub(crate) fn body(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<String, Unsupported> {
    match &message.body {
        OutgoingBody::Read { read } => mark(read),
        body => wire(sender, message, body),
    }
}

/// Where the Graph API is, with its version.
pub(super) fn graph(settings: &Settings) -> String {
    let base = settings.text("api_base").unwrap_or(API_BASE).trim_end_matches('/');
    format!("{base}/{}", settings.text("api_version").unwrap_or(API_VERSION))
}

fn address(sender: &Sender<'_>) -> Result<String, Unsupported> {
    let account = sender.account;
    if account.is_empty() || !account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return refuse(format!("\"{account}\" is not a phone number id"));
    }
    Ok(format!("{}/{account}/messages", graph(&sender.source.settings)))
}

/// A message as the Graph API takes it; the parts of our own shape that hold what is sent are the platform's.
#[derive(Serialize)]
struct Wire<'m> {
    messaging_product: &'static str,
    recipient_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'m str>,
    biz_opaque_callback_data: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context<'m>>,
    #[serde(flatten)]
    body: &'m OutgoingBody,
}

#[derive(Serialize)]
struct Context<'m> {
    message_id: &'m str,
}

fn wire(sender: &Sender<'_>, message: &OutgoingMessage, body: &OutgoingBody) -> Result<String, Unsupported> {
    allowed(body)?;
    let address = message.to.address();
    if address.is_empty() {
        return refuse("the message has no recipient");
    }
    let removal = without_emoji(body);
    let wire = Wire {
        messaging_product: PRODUCT,
        recipient_type: if is_group(&message.to) { "group" } else { "individual" },
        to: matches!(message.to, Recipient::Address(_)).then(|| international(address)),
        recipient: matches!(message.to, Recipient::Bsuid { .. }).then_some(address),
        biz_opaque_callback_data: sender.correlation,
        context: message.reply_to.as_deref().map(|message_id| Context { message_id }),
        body: removal.as_ref().unwrap_or(body),
    };
    Ok(json::raw(&wire).get().to_owned())
}

/// An absent emoji takes a reaction back with us, an empty one with Meta.
fn without_emoji(body: &OutgoingBody) -> Option<OutgoingBody> {
    match body {
        OutgoingBody::Reaction { reaction: OutgoingReaction { message_id, emoji: None } } => {
            let emoji = Some(String::new());
            Some(OutgoingBody::Reaction {
                reaction: OutgoingReaction { message_id: message_id.clone(), emoji },
            })
        }
        _ => None,
    }
}

/// Digits alone are a whole international number, as webhooks name people; without a plus sign Meta would put the
/// business's own country before them.
fn international(address: &str) -> String {
    let is_digits = address.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { format!("+{address}") } else { address.to_owned() }
}

/// The id of a group has letters in it, a phone number has none.
fn is_group(to: &Recipient) -> bool {
    matches!(to, Recipient::Address(address) if address.contains(|c: char| c.is_ascii_alphabetic()))
}

fn mark(read: &ReadMark) -> Result<String, Unsupported> {
    #[derive(Serialize)]
    struct Mark<'m> {
        messaging_product: &'static str,
        status: &'static str,
        message_id: &'m str,
        #[serde(skip_serializing_if = "Option::is_none")]
        typing_indicator: Option<Typing>,
    }
    #[derive(Serialize)]
    struct Typing {
        r#type: &'static str,
    }
    named(&read.message_id)?;
    let typing_indicator = read.typing.then_some(Typing { r#type: "text" });
    let mark =
        Mark { messaging_product: PRODUCT, status: "read", message_id: &read.message_id, typing_indicator };
    Ok(json::raw(&mark).get().to_owned())
}

/// Refuses what Meta would refuse, in words that say what to change.
pub(crate) fn allowed(body: &OutgoingBody) -> Result<(), Unsupported> {
    match body {
        OutgoingBody::Text { text } => written(text),
        OutgoingBody::Image { image: media } | OutgoingBody::Video { video: media } => {
            file(media, true, false)
        }
        OutgoingBody::Document { document: media } => file(media, true, true),
        OutgoingBody::Audio { audio: media } | OutgoingBody::Sticker { sticker: media } => {
            file(media, false, false)
        }
        OutgoingBody::Template { template } => approved(&json::raw(template)),
        OutgoingBody::Interactive { interactive } => interactive::check(&json::raw(interactive)),
        OutgoingBody::Reaction { reaction } => named(&reaction.message_id),
        OutgoingBody::Location { location } => {
            let is_place = location.latitude.abs() <= 90.0 && location.longitude.abs() <= 180.0;
            if is_place {
                Ok(())
            } else {
                refuse("a latitude is at most 90 degrees, a longitude at most 180")
            }
        }
        OutgoingBody::Contacts { contacts } => match contacts.as_array() {
            Some(cards) if !cards.is_empty() => Ok(()),
            _ => refuse("contacts must be a list of at least one card"),
        },
        OutgoingBody::Read { read } => named(&read.message_id),
    }
}

fn written(text: &TextBody) -> Result<(), Unsupported> {
    match text.body.chars().count() {
        0 => refuse("the text is empty"),
        1..=TEXT_MAX => Ok(()),
        count => refuse(format!("the text has {count} characters and WhatsApp takes {TEXT_MAX}: split it")),
    }
}

fn file(media: &OutgoingMedia, caption: bool, filename: bool) -> Result<(), Unsupported> {
    match (&media.id, &media.link) {
        (Some(_), None) => {}
        (None, Some(link)) if is_link(link) => {}
        (None, Some(_)) => return refuse("the link of a file must begin with https:// or http://"),
        _ => return refuse("a file needs exactly one of id and link"),
    }
    match (&media.caption, &media.filename) {
        (Some(_), _) if !caption => refuse("audio and stickers take no caption: send the words as a text"),
        (_, Some(_)) if !filename => refuse("only a document takes a filename"),
        _ => Ok(()),
    }
}

fn approved(template: &RawValue) -> Result<(), Unsupported> {
    match Object::of(template).and_then(|template| template.text("name").zip(template.object("language"))) {
        Some(_) => Ok(()),
        None => refuse("a template is an object with a name and a language, {\"code\": \"en_US\"}"),
    }
}

fn named(message_id: &str) -> Result<(), Unsupported> {
    if message_id.is_empty() { refuse("the message_id is empty") } else { Ok(()) }
}

fn is_link(link: &str) -> bool {
    link.starts_with("https://") || link.starts_with("http://")
}

fn refuse<T>(words: impl Into<String>) -> Result<T, Unsupported> {
    Err(unsupported(words))
}

/// A refusal in words.
pub(super) fn unsupported(words: impl Into<String>) -> Unsupported {
    Unsupported(words.into())
}

#[cfg(test)]
mod tests;
