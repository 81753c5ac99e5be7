//! CodeChat's items, whose key lies flat beside the message, told in the shape of Baileys that the rest of the adapter
//! reads.

use serde_json::{Map, Value, json};

/// The item as Baileys would tell it; `None` where it is not CodeChat's.
pub(super) fn translated(item: &Value) -> Option<Value> {
    let kind = item.get("messageType")?.as_str()?;
    let content = item.get("content").filter(|content| content.is_object())?;
    let address = ["keyRemoteJid", "keyLid"].iter().find_map(|name| item.get(*name)?.as_str())?;
    // A plain text comes as an object too, which only the longer form of a text can be.
    let kind = if kind == "conversation" { "extendedTextMessage" } else { kind };
    Some(json!({
        "key": {
            "id": item.get("keyId"),
            "remoteJid": address,
            "remoteJidAlt": item.get("keyLid"),
            "fromMe": item.get("keyFromMe"),
            "participant": item.get("keyParticipant"),
            "participantAlt": item.get("keyParticipantLid"),
        },
        "pushName": item.get("pushName"),
        "messageTimestamp": item.get("messageTimestamp"),
        "message": Map::from_iter([(kind.to_owned(), content.clone())]),
    }))
}
