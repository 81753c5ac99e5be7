//! What a message holds, by its type (platforms.md 1.5).

use model::message::{Body, ChoiceControl, Location, Media};
use serde_json::value::RawValue;

use crate::json::Object;

/// Reads what a message of this type holds; what is unknown or not as expected is kept raw.
pub(super) fn read(kind: &str, message: &Object<'_>, raw: &RawValue) -> Body {
    known(kind, message).unwrap_or_else(|| {
        let own = message.object(kind).and_then(|part| part.string("type"));
        let reason = own.or_else(|| (!kind.is_empty()).then(|| kind.to_owned()));
        Body::Unsupported { reason, raw: raw.to_owned() }
    })
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
        url: part.string("url"),
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
