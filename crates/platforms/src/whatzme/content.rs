//! What a Baileys message says: one member of a one-of, often inside a wrapper.

use model::message::{Body, ChoiceControl, Forwarded, Location, Media};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::json;

/// Members that hold another message: `ephemeralMessage.message`.
const WRAPPERS: [&str; 7] = [
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "lottieStickerMessage",
    "deviceSentMessage",
];
/// Members that stand beside the message and are none.
const COMPANIONS: [&str; 5] =
    ["messageContextInfo", "senderKeyDistributionMessage", "base64", "mediaUrl", "apikey"];
/// The most wrappers around one message.
const WRAPPERS_MAX: usize = 8;

/// What a message does.
pub(super) enum Said {
    /// It says something.
    Something(Box<Spoken>),
    /// It reacts to another; no emoji takes the reaction back.
    Reaction { target: String, emoji: Option<String> },
    /// It says another anew.
    Edit { target: Option<String>, spoken: Box<Spoken> },
    /// It takes another back.
    Revocation { target: String },
}

/// What was said, and in answer to what.
pub(super) struct Spoken {
    pub(super) body: Body,
    pub(super) reply_to: Option<String>,
    pub(super) forwarded: Option<Forwarded>,
    pub(super) referral: Option<Box<RawValue>>,
    pub(super) extra: Option<Box<RawValue>>,
}

/// Reads the `message` of an item; `None` when nobody says anything in it, as in most `protocolMessage`s.
pub(super) fn read(message: &Value) -> Option<Said> {
    let mut message = message;
    for _ in 0..WRAPPERS_MAX {
        if let Some(edited) = message.pointer("/editedMessage/message") {
            let whole = || Some(Said::Edit { target: None, spoken: Box::new(spoken(edited)) });
            return edit_of(edited).or_else(whole);
        }
        match unwrapped(message) {
            Some(inner) => message = inner,
            None => break,
        }
    }
    if message.get("protocolMessage").is_some() {
        return edit_of(message);
    }
    members(message).next()?;
    reaction(message).or_else(|| Some(Said::Something(Box::new(spoken(message)))))
}

fn unwrapped(message: &Value) -> Option<&Value> {
    WRAPPERS.iter().find_map(|name| message.get(name)?.get("message"))
}

fn members(message: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = message.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value));
    all.filter(|(name, _)| !COMPANIONS.contains(name))
}

/// A `protocolMessage` that takes a message back or says it anew.
fn edit_of(message: &Value) -> Option<Said> {
    let protocol = message.get("protocolMessage")?;
    let target = text(protocol.get("key")?, "id")?;
    let kind = protocol.get("type")?;
    match (kind.as_str(), kind.as_i64()) {
        (Some("REVOKE"), _) | (_, Some(0)) => Some(Said::Revocation { target }),
        (Some("MESSAGE_EDIT"), _) | (_, Some(14)) => {
            let spoken = Box::new(spoken(protocol.get("editedMessage")?));
            Some(Said::Edit { target: Some(target), spoken })
        }
        _ => None,
    }
}

fn reaction(message: &Value) -> Option<Said> {
    let reaction = message.get("reactionMessage")?;
    let target = text(reaction.get("key")?, "id")?;
    Some(Said::Reaction { target, emoji: text(reaction, "text") })
}

fn spoken(message: &Value) -> Spoken {
    let inner = unwrapped(message).unwrap_or(message);
    let readable = members(inner).find_map(|(name, value)| Some((value, body(name, value, inner)?)));
    let (value, body) = readable.unwrap_or_else(|| {
        let (name, value) = members(inner).next().unwrap_or(("", &Value::Null));
        (value, unsupported(name, inner))
    });
    let context = value.get("contextInfo").unwrap_or(&Value::Null);
    Spoken {
        body,
        reply_to: text(context, "stanzaId"),
        forwarded: forwarded(context),
        referral: context.get("externalAdReply").filter(|ad| ad.is_object()).map(json::raw),
        extra: encrypted_file(value),
    }
}

fn body(name: &str, value: &Value, message: &Value) -> Option<Body> {
    let media = || file(value, message);
    Some(match name {
        "conversation" => Body::Text { text: value.as_str()?.to_owned() },
        "extendedTextMessage" => Body::Text { text: text(value, "text")? },
        "imageMessage" => Body::Image(media()),
        "videoMessage" | "ptvMessage" => Body::Video(media()),
        "audioMessage" => Body::Audio(media()),
        "documentMessage" => Body::Document(media()),
        "stickerMessage" => Body::Sticker(media()),
        "locationMessage" | "liveLocationMessage" => Body::Location(location(value)?),
        "contactMessage" => Body::Contacts { contacts: json::raw(&json!([value])) },
        "contactsArrayMessage" => Body::Contacts { contacts: json::raw(value.get("contacts")?) },
        _ => return chosen(name, value),
    })
}

fn chosen(name: &str, value: &Value) -> Option<Body> {
    let choice = |from, id, title, description| Body::Choice { from, id, title, description };
    Some(match name {
        "buttonsResponseMessage" => choice(
            ChoiceControl::Button,
            text(value, "selectedButtonId"),
            text(value, "selectedDisplayText"),
            None,
        ),
        "listResponseMessage" => choice(
            ChoiceControl::List,
            value.get("singleSelectReply").and_then(|reply| text(reply, "selectedRowId")),
            text(value, "title"),
            text(value, "description"),
        ),
        "templateButtonReplyMessage" => choice(
            ChoiceControl::QuickReply,
            text(value, "selectedId"),
            text(value, "selectedDisplayText"),
            None,
        ),
        "interactiveResponseMessage" => {
            let flow = value.get("nativeFlowResponseMessage")?;
            Body::Form { name: text(flow, "name"), response: text(flow, "paramsJson") }
        }
        _ => return None,
    })
}

/// The `url` of these messages leads to an encrypted file, so that only a gateway's own `mediaUrl` is told as one.
fn file(value: &Value, message: &Value) -> Media {
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    Media {
        id: None,
        url: text(message, "mediaUrl"),
        mime_type: text(value, "mimetype"),
        sha256: text(value, "fileSha256"),
        caption: text(value, "caption"),
        filename: text(value, "fileName"),
        voice: flag("ptt"),
        animated: flag("isAnimated"),
    }
}

/// What is needed to fetch and decrypt a file where the gateway does not do it.
fn encrypted_file(value: &Value) -> Option<Box<RawValue>> {
    value.get("mediaKey")?;
    let names = ["url", "directPath", "mediaKey", "fileEncSha256", "fileLength"];
    let kept = names.iter().filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone())));
    Some(json::raw(&kept.collect::<serde_json::Map<String, Value>>()))
}

fn location(value: &Value) -> Option<Location> {
    Some(Location {
        latitude: value.get("degreesLatitude")?.as_f64()?,
        longitude: value.get("degreesLongitude")?.as_f64()?,
        name: text(value, "name"),
        address: text(value, "address"),
        url: text(value, "url"),
    })
}

fn forwarded(context: &Value) -> Option<Forwarded> {
    let score = context.get("forwardingScore").and_then(Value::as_i64).unwrap_or(0);
    let is_forwarded = context.get("isForwarded").and_then(Value::as_bool).unwrap_or(score > 0);
    // WhatsApp shows "forwarded many times" from five on.
    let often = if score >= 5 { Forwarded::Frequently } else { Forwarded::Once };
    is_forwarded.then_some(often)
}

fn unsupported(name: &str, message: &Value) -> Body {
    let reason = Some(name.to_owned()).filter(|name| !name.is_empty());
    Body::Unsupported { reason, raw: json::raw(&super::parse::without_api_key(message)) }
}

/// The text of a member; an empty one says nothing.
pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
