//! WAHA's payloads, told in the shape of Baileys that the rest of the adapter reads.

use serde_json::{Map, Value, json};

use super::content::text;

/// The item a payload stands for, and the payload itself beside it.
pub(super) fn translated(payload: &Value) -> Value {
    // A message that was taken back is told as it was before; only its key counts.
    let revoked =
        ["before", "after"].iter().find_map(|name| payload.get(*name).filter(|old| old.is_object()));
    let payload = revoked.unwrap_or(payload);
    let from_me = payload.get("fromMe").and_then(Value::as_bool).unwrap_or(false);
    let other = if from_me { text(payload, "to") } else { text(payload, "from") };
    let key = json!({
        "id": payload.get("id"),
        "remoteJid": other,
        "fromMe": from_me,
        "participant": payload.get("participant"),
    });
    let has_message = payload.get("body").is_some() || payload.get("hasMedia").is_some();
    let at = payload.get("timestamp");
    match payload.get("ack").and_then(Value::as_i64).filter(|_| !has_message) {
        _ if revoked.is_some() => {
            json!({ "key": key, "update": { "messageStubType": 1 }, "payload": payload })
        }
        // WAHA counts acks from -1, Baileys from 0.
        Some(ack) => json!({
            "key": key,
            "messageTimestamp": at,
            "update": { "status": ack.saturating_add(1) },
            "payload": payload,
        }),
        None => {
            json!({ "key": key, "messageTimestamp": at, "message": message(payload), "payload": payload })
        }
    }
}

fn message(payload: &Value) -> Value {
    if let Some(reaction) = payload.get("reaction").filter(|reaction| reaction.is_object()) {
        let target = json!({ "id": reaction.get("messageId") });
        return json!({ "reactionMessage": { "key": target, "text": reaction.get("text") } });
    }
    let replied = payload.get("replyTo");
    let context = json!({
        "stanzaId": replied.and_then(|replied| replied.get("id")),
        "participant": replied.and_then(|replied| replied.get("participant")),
    });
    if let Some(place) = payload.get("location").filter(|place| place.is_object()) {
        return json!({ "locationMessage": {
            "degreesLatitude": place.get("latitude"),
            "degreesLongitude": place.get("longitude"),
            "name": place.get("description"),
        }});
    }
    let Some(media) = payload.get("media").filter(|media| media.is_object()) else {
        return match text(payload, "body") {
            Some(said) => json!({ "extendedTextMessage": { "text": said, "contextInfo": context } }),
            // A card, a poll, a file that was not fetched: what it is stands in members we have no names for.
            None => json!({ "payload": payload }),
        };
    };
    let kind = match media.get("mimetype").and_then(Value::as_str).and_then(|mime| mime.split('/').next()) {
        Some("image") => "imageMessage",
        Some("video") => "videoMessage",
        Some("audio") => "audioMessage",
        _ => "documentMessage",
    };
    let file = json!({
        "mimetype": media.get("mimetype"),
        "fileName": media.get("filename"),
        "caption": payload.get("body"),
        "contextInfo": context,
    });
    Map::from_iter([(kind.to_owned(), file), ("mediaUrl".to_owned(), json!(media.get("url")))]).into()
}
