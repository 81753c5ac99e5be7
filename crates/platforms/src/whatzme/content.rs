//! What a Baileys message says: one member of a one-of, often inside a wrapper.

use model::message::{Body, ChoiceControl, Forwarded, Location, Media};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::redact::without_api_key;
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
/// The member of a context that tells the advertisement a message comes from.
const ADVERTISEMENT: &str = "externalAdReply";
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
    pub(super) extra: Map<String, Value>,
}

/// Reads the `message` of an item; `None` when nobody says anything in it, as in most `protocolMessage`s. Evolution
/// moves the `contextInfo` of a message to the item: `beside` is the item.
pub(super) fn read(message: &Value, beside: &Value) -> Option<Said> {
    let mut message = message;
    for _ in 0..WRAPPERS_MAX {
        if let Some(edited) = message.pointer("/editedMessage/message") {
            let whole = || Some(Said::Edit { target: None, spoken: Box::new(spoken(edited, beside)) });
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
    reaction(message).or_else(|| Some(Said::Something(Box::new(spoken(message, beside)))))
}

fn unwrapped(message: &Value) -> Option<&Value> {
    WRAPPERS.iter().find_map(|name| message.get(name)?.get("message"))
}

fn members(message: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = message.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value));
    all.filter(|(name, _)| !COMPANIONS.contains(name))
}

fn edit_of(message: &Value) -> Option<Said> {
    protocol(message.get("protocolMessage")?)
}

/// A `protocolMessage` that takes a message back or says it anew.
pub(super) fn protocol(protocol: &Value) -> Option<Said> {
    let target = text(protocol.get("key")?, "id")?;
    let kind = protocol.get("type")?;
    match (kind.as_str(), kind.as_i64()) {
        (Some("REVOKE"), _) | (_, Some(0)) => Some(Said::Revocation { target }),
        (Some("MESSAGE_EDIT"), _) | (_, Some(14)) => {
            let spoken = Box::new(spoken(protocol.get("editedMessage")?, &Value::Null));
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

fn spoken(message: &Value, beside: &Value) -> Spoken {
    let inner = unwrapped(message).unwrap_or(message);
    let readable = members(inner).find_map(|(name, value)| Some((value, body(name, value, inner)?)));
    let (value, body) = readable.unwrap_or_else(|| {
        let (name, value) = members(inner).next().unwrap_or(("", &Value::Null));
        (value, unsupported(name, inner))
    });
    let contexts = [value, beside].into_iter().filter_map(|holder| holder.get("contextInfo"));
    let context = contexts.into_iter().find(|context| context.is_object()).unwrap_or(&Value::Null);
    let mut extra = encrypted_file(value);
    extra.extend(rest_of(context).map(|rest| ("contextInfo".to_owned(), rest)));
    Spoken {
        body,
        reply_to: text(context, "stanzaId"),
        forwarded: forwarded(context),
        referral: context.get(ADVERTISEMENT).filter(|ad| ad.is_object()).map(json::raw),
        extra,
    }
}

/// What a context says besides what has a place of its own: who was quoted, who was mentioned. The quoted message itself
/// is left out: it came before, and may hold a picture.
fn rest_of(context: &Value) -> Option<Value> {
    let told = ["stanzaId", "quotedMessage", "isForwarded", "forwardingScore", ADVERTISEMENT];
    let rest = context
        .as_object()?
        .iter()
        .filter(|(name, value)| !told.contains(&name.as_str()) && !value.is_null());
    let rest: Map<String, Value> = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
    (!rest.is_empty()).then(|| without_api_key(&rest.into()))
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
fn encrypted_file(value: &Value) -> Map<String, Value> {
    if value.get("mediaKey").is_none() {
        return Map::new();
    }
    let names = ["url", "directPath", "mediaKey", "fileEncSha256", "fileLength"];
    names.iter().filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone()))).collect()
}

fn location(value: &Value) -> Option<Location> {
    Some(Location {
        latitude: degrees(value.get("degreesLatitude")?)?,
        longitude: degrees(value.get("degreesLongitude")?)?,
        name: text(value, "name"),
        address: text(value, "address"),
        url: text(value, "url"),
    })
}

/// A number, or a number as text.
fn degrees(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|degrees| degrees.is_finite())
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
    Body::Unsupported { reason, raw: json::raw(&without_api_key(message)) }
}

/// The text of a member; an empty one says nothing.
pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
