//! WAHA's payloads, told in the shape of Baileys that the rest of the adapter reads.

use serde_json::{Map, Value, json};

use super::content::text;

/// The item a payload stands for.
pub(super) fn translated(payload: &Value) -> Value {
    let from_me = payload.get("fromMe").and_then(Value::as_bool).unwrap_or(false);
    let other = if from_me { text(payload, "to") } else { text(payload, "from") };
    let key = json!({
        "id": payload.get("id"),
        "remoteJid": other,
        "fromMe": from_me,
        "participant": payload.get("participant"),
    });
    let has_message = payload.get("body").is_some() || payload.get("hasMedia").is_some();
    match payload.get("ack").and_then(Value::as_i64).filter(|_| !has_message) {
        // WAHA counts acks from -1, Baileys from 0.
        Some(ack) => json!({ "key": key, "update": { "status": ack.saturating_add(1) } }),
        None => json!({
            "key": key,
            "messageTimestamp": payload.get("timestamp"),
            "message": message(payload),
        }),
    }
}

fn message(payload: &Value) -> Value {
    let context = json!({ "stanzaId": payload.pointer("/replyTo/id") });
    if let Some(place) = payload.get("location").filter(|place| place.is_object()) {
        return json!({ "locationMessage": {
            "degreesLatitude": place.get("latitude"),
            "degreesLongitude": place.get("longitude"),
            "name": place.get("description"),
        }});
    }
    let Some(media) = payload.get("media").filter(|media| media.is_object()) else {
        return json!({ "extendedTextMessage": { "text": payload.get("body"), "contextInfo": context } });
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
