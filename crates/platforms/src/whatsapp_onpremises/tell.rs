//! Events of ours in the client's shape: `contacts`, `messages`, `statuses`, `errors` (platforms.md 2.3), whatever platform they
//! came from. What the client has no shape for is not told.

use model::event::EventType;
use model::time::Timestamp;
use serde_json::{Map, Value, json};

/// The event types that have a shape.
pub const TOLD: [&str; 7] = [
    "message.received",
    "message.reaction",
    "message.sent",
    "message.delivered",
    "message.read",
    "message.failed",
    "account.alert",
];
/// What a contact is known by, the one first that a client's user would write to.
const KNOWN_BY: [&str; 3] = ["wa_id", "phone", "jid"];
/// What the client says of a message it cannot read.
const UNKNOWN: i64 = 501;

/// The body that tells an event with this content; `None` where the client has no shape for it.
pub fn tell(event_type: &EventType, occurred_at: Timestamp, content: &str) -> Option<Vec<u8>> {
    let content: Value = serde_json::from_str(content).ok()?;
    let told = match event_type.as_str() {
        "message.received" => message(&content, &content["message"], occurred_at)?,
        "message.reaction" => reaction(&content, occurred_at)?,
        "account.alert" => json!({ "errors": errors(&content["notice"]["errors"])? }),
        "message.sent" | "message.delivered" | "message.read" | "message.failed" => {
            json!({ "statuses": [status(&content["status"], occurred_at)?] })
        }
        _ => return None,
    };
    serde_json::to_vec(&told).ok()
}

/// Who wrote it, beside it.
fn written(content: &Value, mut message: Value, at: Timestamp) -> Option<Value> {
    let contact = content["contact"].as_object()?;
    let known = KNOWN_BY.iter().find_map(|kind| contact.get(*kind));
    let any = || contact.iter().find(|(kind, _)| *kind != "name").map(|(_, value)| value);
    let from = known.or_else(any)?.clone();
    let name = contact.get("name").cloned().unwrap_or_else(|| json!(""));
    message["from"] = from.clone();
    message["timestamp"] = json!(at.as_secs().to_string());
    Some(json!({ "contacts": [{ "profile": { "name": name }, "wa_id": from }], "messages": [message] }))
}

fn reaction(content: &Value, at: Timestamp) -> Option<Value> {
    let told = &content["reaction"];
    let emoji = told["emoji"].as_str().unwrap_or_default();
    let id = told["id"].as_str().map_or_else(|| format!("reaction.{}", at.as_millis()), str::to_owned);
    let reaction = json!({ "message_id": told["message_id"], "emoji": emoji });
    written(content, json!({ "id": id, "type": "reaction", "reaction": reaction }), at)
}

fn message(content: &Value, told: &Value, at: Timestamp) -> Option<Value> {
    let (kind, mut body) = body(told)?;
    // What is stored here is had from us, under our id.
    if let (Some(here), Some(file)) = (content["file"].as_object(), body.get_mut(kind)) {
        file["id"] = here.get("id")?.clone();
        file["link"] = here.get("url").cloned().unwrap_or_default();
    }
    let mut message = json!({ "id": told["id"], "type": kind });
    message.as_object_mut()?.extend(body);
    if let Some(group) = told["group"].as_str() {
        message["group_id"] = json!(group);
    }
    if let Some(context) = context(told) {
        message["context"] = context;
    }
    written(content, message, at)
}

/// What it answers, and whether it was passed on.
fn context(told: &Value) -> Option<Value> {
    let mut context = Map::new();
    told["reply_to"].as_str().map(|id| context.insert("id".to_owned(), json!(id)));
    match told["forwarded"].as_str() {
        Some("frequently") => context.insert("frequently_forwarded".to_owned(), json!(true)),
        Some(_) => context.insert("forwarded".to_owned(), json!(true)),
        None => None,
    };
    (!context.is_empty()).then_some(Value::Object(context))
}

/// The type, and the members that hold what it says.
fn body(told: &Value) -> Option<(&'static str, Map<String, Value>)> {
    let one = |kind: &'static str, what: Value| (kind, Map::from_iter([(kind.to_owned(), what)]));
    Some(match told["kind"].as_str()? {
        "text" => one("text", json!({ "body": told["text"] })),
        "image" => one("image", file(told)),
        "video" => one("video", file(told)),
        "document" => one("document", file(told)),
        "sticker" => one("sticker", file(told)),
        "audio" if told["voice"] == true => one("voice", file(told)),
        "audio" => one("audio", file(told)),
        "location" => one("location", some(told, &["latitude", "longitude", "name", "address", "url"])),
        "contacts" => one("contacts", told["contacts"].clone()),
        "order" => one("order", told["order"].clone()),
        "system" => one("system", present(json!({ "body": told["text"], "type": told["notice"] }))),
        "form" => {
            let reply = present(json!({ "name": told["name"], "response_json": told["response"] }));
            one("interactive", json!({ "type": "nfm_reply", "nfm_reply": reply }))
        }
        "choice" => choice(told),
        _ => {
            let words = told["reason"].as_str().unwrap_or("the message cannot be shown");
            let errors = json!([{ "code": UNKNOWN, "title": "Unknown message type", "details": words }]);
            ("unknown", Map::from_iter([("errors".to_owned(), errors)]))
        }
    })
}

fn choice(told: &Value) -> (&'static str, Map<String, Value>) {
    let (id, title) = (&told["choice_id"], &told["title"]);
    let (kind, what) = match told["from"].as_str() {
        Some("list") => {
            let reply = present(json!({ "id": id, "title": title, "description": told["description"] }));
            ("interactive", json!({ "type": "list_reply", "list_reply": reply }))
        }
        Some("quick_reply") => ("button", present(json!({ "text": title, "payload": id }))),
        _ => {
            let reply = present(json!({ "id": id, "title": title }));
            ("interactive", json!({ "type": "button_reply", "button_reply": reply }))
        }
    };
    (kind, Map::from_iter([(kind.to_owned(), what)]))
}

fn file(told: &Value) -> Value {
    let mut file = some(told, &["mime_type", "sha256", "caption", "filename"]);
    for (ours, theirs) in [("media_id", "id"), ("url", "link")] {
        if let Some(value) = told.get(ours) {
            file[theirs] = value.clone();
        }
    }
    file
}

/// What there is something to say in.
fn present(mut what: Value) -> Value {
    if let Some(members) = what.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    what
}

/// The members of these names that are there.
fn some(told: &Value, names: &[&str]) -> Value {
    let there = names.iter().filter_map(|name| Some(((*name).to_owned(), told.get(*name)?.clone())));
    Value::Object(there.collect())
}

/// A step, under the id that our API gave for the message where it is one of ours.
fn status(told: &Value, at: Timestamp) -> Option<Value> {
    let id = told.get("correlation").unwrap_or(&told["message_id"]);
    let mut status = present(json!({
        "id": id,
        "recipient_id": told["recipient"],
        "status": told["state"],
        "timestamp": at.as_secs().to_string(),
        "type": "message",
    }));
    let more = [
        ("errors", errors(&told["errors"])),
        ("pricing", told.get("pricing").cloned()),
        ("conversation", told.get("platform_conversation").cloned()),
    ];
    for (name, what) in more.into_iter().filter_map(|(name, what)| Some((name, what?))) {
        status[name] = what;
    }
    id.is_string().then_some(status)
}

fn errors(told: &Value) -> Option<Value> {
    let all = told.as_array().filter(|all| !all.is_empty())?;
    Some(all.iter().map(|error| some(error, &["code", "title", "details"])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, post, source};
    use crate::registry;
    use model::source::SecretRole;

    /// What the client's user is told of each event that a platform's fixture holds.
    fn told(platform: &str, fixture: &str) -> Value {
        let adapter = registry::find(platform).expect("a platform");
        let secrets = [(SecretRole::Credential, "shown"), (SecretRole::Signing, "secret")];
        let settings = json!({ "unsigned": true });
        let source = source(platform, &settings, &secrets);
        let path = format!("{}/fixtures/{platform}/{fixture}.json", env!("CARGO_MANIFEST_DIR"));
        let request = post(&[], std::fs::read(path).expect("a fixture"));
        let proven = crate::proof::by_nothing(&request, crate::proof::Unsigned::SettingSaysSo);
        let events = adapter.parse(&source, &proven).expect("events");
        let told = |event: &model::event::NewEvent| {
            let content = event.content.to_json(event.party.as_ref()).expect("content");
            let told = tell(&event.event_type, NOW, &content);
            told.map_or(Value::Null, |told| serde_json::from_slice(&told).expect("JSON"))
        };
        events.iter().map(told).collect()
    }

    #[test]
    fn every_event_of_whatsapp_has_the_clients_shape_or_none() {
        let names = [
            "message_text",
            "message_image",
            "message_audio",
            "message_document",
            "message_location",
            "message_contacts",
            "message_interactive_button",
            "message_interactive_list",
            "message_interactive_form",
            "message_button",
            "message_order",
            "message_reply",
            "message_forwarded_often",
            "message_reaction",
            "message_reaction_removed",
            "message_unsupported",
            "message_system_number",
            "message_edit",
            "status_delivered",
            "status_failed",
            "errors",
        ];
        let all: Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), told("whatsapp", name))).collect();
        insta::assert_json_snapshot!("whatsapp_in_the_clients_shape", all);
    }

    #[test]
    fn other_platforms_are_told_in_the_same_shape() {
        let all = json!({
            "telegram": told("telegram", "text"),
            "telegram choice": told("telegram", "choice"),
            "messenger": told("messenger", "image"),
            "viber": told("viber", "location"),
        });
        insta::assert_json_snapshot!("others_in_the_clients_shape", all);
    }

    #[test]
    fn what_was_told_is_read_back_as_the_same_by_the_clients_own_parser() {
        let body = told("whatsapp", "message_text")[0].clone();
        let request = post(&[], body.to_string());
        let read = crate::whatsapp::parse::parse_client("whatsapp_onpremises", "default", &request);
        let read = read.expect("the client's shape");
        assert_eq!(read[0].event_type.as_str(), "message.received");
        let content = read[0].content.to_json(read[0].party.as_ref()).expect("content");
        let again = tell(&read[0].event_type, NOW, &content).expect("a shape");
        assert_eq!(serde_json::from_slice::<Value>(&again).expect("JSON"), body);
    }

    #[test]
    fn a_status_goes_by_the_id_that_our_api_gave() {
        let status = json!({ "status": { "message_id": "wamid.1", "state": "read", "recipient": "1555", "correlation": "msg_1" } });
        let told = tell(&EventType::ours("message.read"), NOW, &status.to_string()).expect("a shape");
        let told: Value = serde_json::from_slice(&told).expect("JSON");
        assert_eq!(told["statuses"][0]["id"], json!("msg_1"));
    }
}
