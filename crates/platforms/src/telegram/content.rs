//! What a message of Telegram holds.

use model::message::{Body, Forwarded, Location, Media};

use crate::json::{Object, raw};

/// Members of a message that are told under names of ours.
pub(super) const TOLD: [&str; 22] = [
    "message_id",
    "from",
    "sender_chat",
    "chat",
    "date",
    "edit_date",
    "text",
    "caption",
    "photo",
    "video",
    "animation",
    "video_note",
    "audio",
    "voice",
    "document",
    "sticker",
    "location",
    "venue",
    "contact",
    "reply_to_message",
    "forward_origin",
    "forward_date",
];
/// Notices of Telegram within a chat.
const NOTICES: [&str; 14] = [
    "new_chat_members",
    "left_chat_member",
    "new_chat_title",
    "new_chat_photo",
    "delete_chat_photo",
    "group_chat_created",
    "supergroup_chat_created",
    "channel_chat_created",
    "migrate_from_chat_id",
    "pinned_message",
    "message_auto_delete_timer_changed",
    "forum_topic_created",
    "forum_topic_closed",
    "forum_topic_reopened",
];

/// The body; what has no name of ours stays with it as it came.
pub(super) fn body(message: &Object<'_>) -> Body {
    if let Some(text) = message.string("text") {
        return Body::Text { text };
    }
    if let Some(body) = file(message).or_else(|| place(message)).or_else(|| card(message)) {
        return body;
    }
    if let Some(notice) = NOTICES.iter().find(|name| message.get(name).is_some()) {
        return Body::System { notice: Some((*notice).to_owned()), text: None };
    }
    let whole: std::collections::BTreeMap<_, _> = message.members().collect();
    let reason = ["poll", "dice", "game", "invoice", "story", "paid_media", "checklist", "giveaway"];
    let reason = reason.iter().find(|name| message.get(name).is_some());
    Body::Unsupported { reason: reason.map(|name| (*name).to_owned()), raw: raw(&whole) }
}

fn file(message: &Object<'_>) -> Option<Body> {
    let media = |name: &str| {
        let file = message.object(name)?;
        Some(Media {
            id: file.string("file_id"),
            mime_type: file.string("mime_type"),
            caption: message.string("caption"),
            filename: file.string("file_name"),
            ..Media::default()
        })
    };
    // An animation comes with a document of the same file, for clients that know no animations.
    if let Some(film) = media("animation").or_else(|| media("video")).or_else(|| media("video_note")) {
        return Some(Body::Video(film));
    }
    if let Some(sticker) = message.object("sticker") {
        let animated = sticker.flag("is_animated") || sticker.flag("is_video");
        return Some(Body::Sticker(Media { id: sticker.string("file_id"), animated, ..Media::default() }));
    }
    let voice = media("voice").map(|voice| Body::Audio(Media { voice: true, ..voice }));
    let audio = || media("audio").map(Body::Audio);
    let document = || media("document").map(Body::Document);
    picture(message).or(voice).or_else(audio).or_else(document)
}

/// A picture comes in several sizes, the largest last.
fn picture(message: &Object<'_>) -> Option<Body> {
    let sizes = message.items("photo")?;
    let largest = Object::of(sizes.last()?)?;
    let caption = message.string("caption");
    Some(Body::Image(Media { id: largest.string("file_id"), caption, ..Media::default() }))
}

fn place(message: &Object<'_>) -> Option<Body> {
    let venue = message.object("venue");
    let place =
        venue.as_ref().and_then(|venue| venue.object("location")).or_else(|| message.object("location"))?;
    let of_venue = |name: &str| venue.as_ref().and_then(|venue| venue.string(name));
    Some(Body::Location(Location {
        latitude: place.number("latitude")?,
        longitude: place.number("longitude")?,
        name: of_venue("title"),
        address: of_venue("address"),
        url: None,
    }))
}

fn card(message: &Object<'_>) -> Option<Body> {
    let card = message.get("contact")?;
    Some(Body::Contacts { contacts: raw(&[card]) })
}

/// Telegram does not say how often.
pub(super) fn forwarded(message: &Object<'_>) -> Option<Forwarded> {
    let is_forwarded = message.get("forward_origin").or_else(|| message.get("forward_date")).is_some();
    is_forwarded.then_some(Forwarded::Once)
}
