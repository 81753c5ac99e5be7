//! What a message holds, by its type (platforms.md 1.5).

use model::message::{Body, ChoiceControl, Location, Media};
use serde_json::value::RawValue;

use crate::json::{self, Object};

/// Members of a file that have a place in [`Media`].
const MEDIA: [&str; 9] =
    ["id", "url", "link", "mime_type", "sha256", "caption", "filename", "voice", "animated"];

/// Reads what a message of this type holds; what is unknown or not as expected is kept raw.
pub(super) fn read(kind: &str, message: &Object<'_>, raw: &RawValue) -> Body {
    known(kind, message).unwrap_or_else(|| {
        let own = message.object(kind).and_then(|part| part.string("type"));
        let reason = own.or_else(|| (!kind.is_empty()).then(|| kind.to_owned()));
        Body::Unsupported { reason, raw: raw.to_owned() }
    })
}

/// What the part of this type says that has no place in a [`Body`].
pub(super) fn rest(kind: &str, message: &Object<'_>) -> Option<Box<RawValue>> {
    let part = message.object(kind)?;
    if kind == "interactive" {
        return interactive_rest(&part);
    }
    let told: &[&str] = match kind {
        "text" => &["body"],
        "image" | "video" | "audio" | "voice" | "document" | "sticker" => &MEDIA,
        "location" => &["latitude", "longitude", "name", "address", "url"],
        "button" => &["payload", "text"],
        "system" => &["type", "body", "wa_id", "new_wa_id", "user_id", "parent_user_id"],
        "revoke" => &["original_message_id"],
        // The others are told as they came.
        _ => return None,
    };
    part.rest(|key| told.contains(&key)).map(|rest| json::raw(&rest))
}

fn interactive_rest(part: &Object<'_>) -> Option<Box<RawValue>> {
    let kind = part.text("type")?;
    let told: &[&str] =
        if kind == "nfm_reply" { &["name", "response_json"] } else { &["id", "title", "description"] };
    let answer = part.object(&kind)?.rest(|key| told.contains(&key)).map(|rest| json::raw(&rest));
    let mut rest = part.rest(|key| key == "type" || key == kind).unwrap_or_default();
    rest.extend(answer.as_deref().map(|answer| (&*kind, answer)));
    (!rest.is_empty()).then(|| json::raw(&rest))
}

fn known(kind: &str, message: &Object<'_>) -> Option<Body> {
    if kind == "contacts" {
        message.items(kind)?;
        return Some(Body::Contacts { contacts: message.get(kind)?.to_owned() });
    }
    let part = message.object(kind)?;
    match kind {
        "text" => part.string("body").map(|text| Body::Text { text }),
        "image" => Some(Body::Image(media(&part))),
        "video" => Some(Body::Video(media(&part))),
        "audio" => Some(Body::Audio(media(&part))),
        "voice" => Some(Body::Audio(Media { voice: true, ..media(&part) })),
        "document" => Some(Body::Document(media(&part))),
        "sticker" => Some(Body::Sticker(media(&part))),
        "location" => location(&part).map(Body::Location),
        "button" => Some(Body::Choice {
            from: ChoiceControl::QuickReply,
            id: part.string("payload"),
            title: part.string("text"),
            description: None,
        }),
        "interactive" => interactive(&part),
        "order" => Some(Body::Order { order: message.get(kind)?.to_owned() }),
        "system" => Some(Body::System { notice: part.string("type"), text: part.string("body") }),
        _ => None,
    }
}

fn media(part: &Object<'_>) -> Media {
    Media {
        id: part.string("id"),
        url: part.string("url").or_else(|| part.string("link")),
        mime_type: part.string("mime_type"),
        sha256: part.string("sha256"),
        caption: part.string("caption"),
        filename: part.string("filename"),
        voice: part.flag("voice"),
        animated: part.flag("animated"),
    }
}

fn location(part: &Object<'_>) -> Option<Location> {
    Some(Location {
        latitude: part.number("latitude")?,
        longitude: part.number("longitude")?,
        name: part.string("name"),
        address: part.string("address"),
        url: part.string("url"),
    })
}

fn interactive(part: &Object<'_>) -> Option<Body> {
    let kind = part.text("type")?;
    let answer = part.object(&kind)?;
    let choice = |from| Body::Choice {
        from,
        id: answer.string("id"),
        title: answer.string("title"),
        description: answer.string("description"),
    };
    match &*kind {
        "button_reply" => Some(choice(ChoiceControl::Button)),
        "list_reply" => Some(choice(ChoiceControl::List)),
        "nfm_reply" => {
            Some(Body::Form { name: answer.string("name"), response: answer.string("response_json") })
        }
        _ => None,
    }
}
