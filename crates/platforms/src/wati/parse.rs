//! One flat object for each event; a retry may bring several.

use std::collections::BTreeMap;

use model::conversation::{Identifier, Party, Touch};
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::message::{
    Body, ChoiceControl, Media, Message, MessageState, PlatformError, Status, seconds_text,
};
use model::source::Source;
use model::time::Timestamp;
use serde_json::value::RawValue;

use super::KIND;
use crate::http::Incoming;
use crate::json::{self, Object, raw};
use crate::platform::{ITEMS_MAX, Unreadable};

/// The account, where the source names none: requests do not say which number they are about.
const ACCOUNT_DEFAULT: &str = "default";
/// Names of events, without their versions, and the step of a message that they tell.
const STEPS: [(&str, MessageState); 4] = [
    ("sentmessagedelivered", MessageState::Delivered),
    ("sentmessageread", MessageState::Read),
    ("templatemessagefailed", MessageState::Failed),
    ("sessionmessagefailed", MessageState::Failed),
];
/// Names of events of what was written on our side.
const WRITTEN: [&str; 2] = ["sessionmessagesent", "templatemessagesent"];
/// Members of a message that are told under names of ours.
const TOLD: [&str; 18] = [
    "id",
    "created",
    "whatsappMessageId",
    "localMessageId",
    "text",
    "type",
    "data",
    "timestamp",
    "owner",
    "eventType",
    "statusString",
    "waId",
    "senderName",
    "listReply",
    "interactiveButtonReply",
    "buttonReply",
    "replyContextId",
    "avatarUrl",
];

/// The events of a request.
pub(super) fn parse(source: &Source, request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    if json::is_deep(&request.body) {
        return Err(Unreadable(format!("not readable JSON: nested deeper than {}", json::DEPTH_MAX)));
    }
    let whole: &RawValue = serde_json::from_slice(&request.body).map_err(|error| json::unreadable(&error))?;
    let items = json::items(whole).unwrap_or_else(|| vec![whole]);
    if items.len() > ITEMS_MAX {
        return Err(Unreadable::too_many());
    }
    let account = source.settings.text("account").unwrap_or(ACCOUNT_DEFAULT);
    Ok(items.into_iter().map(|value| Item { account, request, value }.event()).collect())
}

struct Item<'r> {
    account: &'r str,
    request: &'r Incoming,
    value: &'r RawValue,
}

impl Item<'_> {
    fn event(&self) -> NewEvent {
        let object = Object::of(self.value);
        let name = object.as_ref().and_then(|object| object.string("eventType"));
        let (Some(object), Some(name)) = (object, name) else {
            return self.other("unrecognised", None);
        };
        let plain = plain(&name);
        let step = STEPS.iter().find(|(known, _)| *known == plain).map(|(_, state)| *state);
        let read = match (plain.as_str(), step) {
            ("message", _) => self.message(&object),
            (_, Some(state)) => self.step(&object, state),
            (name, None) if WRITTEN.contains(&name) => self.written(&object),
            _ => None,
        };
        read.unwrap_or_else(|| self.other(&name, Some(&object)))
    }

    fn told(&self, event_type: EventType, content: Content) -> NewEvent {
        NewEvent {
            account: Some(self.account.to_owned()),
            ..NewEvent::of(event_type, self.request.received_at, content)
        }
    }

    fn ours(&self, name: &str, object: &Object<'_>, key: &[&str], content: Content) -> NewEvent {
        NewEvent {
            dedupe_key: Some(DedupeKey::of(&[&[self.account], key].concat())),
            occurred_at: self.time(object),
            ..self.told(EventType::ours(name), content)
        }
    }

    /// What keeps WATI's own name, or has none. Without an id every one is a fact of its own.
    fn other(&self, name: &str, object: Option<&Object<'_>>) -> NewEvent {
        let id = object.and_then(|object| object.string("id").or_else(|| object.string("whatsappMessageId")));
        NewEvent {
            dedupe_key: id.map(|id| DedupeKey::of(&[self.account, "other", name, &id])),
            party: object.and_then(|object| party(object, Touch::None)),
            occurred_at: object.map_or(self.request.received_at, |object| self.time(object)),
            ..self.told(EventType::from_foreign(KIND, name), Content::Raw(self.value.to_owned()))
        }
    }

    /// `owner` says who wrote; `statusString` is `SENT` either way.
    fn message(&self, object: &Object<'_>) -> Option<NewEvent> {
        let id = object.string("whatsappMessageId").or_else(|| object.string("id"))?;
        let (name, touch) = match object.flag("owner") {
            true => ("message.echo", Touch::UnclearEcho),
            false => ("message.received", Touch::Inbound),
        };
        self.message_of(object, &id, (name, touch))
    }

    /// An agent wrote, or somebody through the API: we, perhaps, and then the id says so.
    fn written(&self, object: &Object<'_>) -> Option<NewEvent> {
        self.message_of(object, &sent_id(object)?, ("message.echo", Touch::UnclearEcho))
    }

    fn message_of(&self, object: &Object<'_>, id: &str, (name, touch): (&str, Touch)) -> Option<NewEvent> {
        let body = body(object, self.value);
        let is_whole = matches!(body, Body::Unsupported { .. });
        let message = Message {
            id: id.to_owned(),
            body,
            reply_to: object.string("replyContextId"),
            extra: object.rest(|key| is_whole || TOLD.contains(&key)).map(|rest| raw(&rest)),
            ..Message::default()
        };
        let content = Content::Message { message: Box::new(message) };
        Some(NewEvent { party: party(object, touch), ..self.ours(name, object, &["message", id], content) })
    }

    /// Some steps name no person, so they are in line with those of the same message.
    fn step(&self, object: &Object<'_>, state: MessageState) -> Option<NewEvent> {
        let id = sent_id(object)?;
        let error = || PlatformError {
            code: object.text("failedCode").and_then(|code| code.parse().ok()).unwrap_or(0),
            title: None,
            details: object.string("failedDetail"),
        };
        let errors = if state == MessageState::Failed { vec![error()] } else { Vec::new() };
        let status = Status {
            message_id: id.clone(),
            state,
            recipient: object.string("waId"),
            correlation: None,
            errors,
            pricing: None,
            platform_conversation: None,
            extra: None,
        };
        let name = format!("message.{}", state.as_str());
        let content = Content::Status { status: Box::new(status) };
        let party = party(object, Touch::None);
        let order_key = party.is_none().then(|| id.clone());
        Some(NewEvent {
            party,
            order_key,
            ..self.ours(&name, object, &["status", &id, state.as_str()], content)
        })
    }

    fn time(&self, object: &Object<'_>) -> Timestamp {
        let seconds = object.text("timestamp").as_deref().and_then(seconds_text);
        let created = || object.text("created").as_deref().and_then(Timestamp::parse);
        seconds.or_else(created).unwrap_or(self.request.received_at)
    }
}

/// A name in lower case without its version: `sentMessageDELIVERED_v2` and `templateMessageSent_v2_bsuid`.
fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.split_once("_v").map_or(name.clone(), |(plain, _)| plain.to_owned())
}

/// What the answer to a send named it, or else WhatsApp's own id.
fn sent_id(object: &Object<'_>) -> Option<String> {
    ["localMessageId", "whatsappMessageId", "id"].iter().find_map(|name| object.string(name))
}

fn party(object: &Object<'_>, touch: Touch) -> Option<Party> {
    let identifiers = vec![Identifier::new("wa_id", object.string("waId")?)];
    let name = object.string("senderName").filter(|_| touch == Touch::Inbound);
    Some(Party { identifiers, name, touch })
}

fn body(object: &Object<'_>, value: &RawValue) -> Body {
    let text = object.string("text");
    let choices = [
        ("interactiveButtonReply", ChoiceControl::Button),
        ("listReply", ChoiceControl::List),
        ("buttonReply", ChoiceControl::QuickReply),
    ];
    for (name, from) in choices {
        if let Some(reply) = object.object(name) {
            let id = reply.string("id").or_else(|| reply.string("payload"));
            let title = reply.string("title").or_else(|| reply.string("text")).or(text);
            return Body::Choice { from, id, title, description: reply.string("description") };
        }
    }
    let kind = object.text("type").unwrap_or_default().to_ascii_lowercase();
    let media = || Media { url: object.string("data"), caption: text.clone(), ..Media::default() };
    match kind.as_str() {
        "image" => Body::Image(media()),
        "video" => Body::Video(media()),
        "audio" => Body::Audio(media()),
        "voice" => Body::Audio(Media { voice: true, ..media() }),
        "document" => Body::Document(media()),
        "sticker" => Body::Sticker(media()),
        kind => match text {
            Some(text) => Body::Text { text },
            None => {
                let reason = (!kind.is_empty()).then(|| kind.to_owned());
                let whole: BTreeMap<&str, &RawValue> = object.members().collect();
                Body::Unsupported {
                    reason,
                    raw: if whole.is_empty() { value.to_owned() } else { raw(&whole) },
                }
            }
        },
    }
}
