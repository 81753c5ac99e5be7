//! A list of events for one channel; a check of the URL has none.

use std::collections::BTreeMap;

use model::conversation::{Identifier, Party, Touch};
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::message::{Body, ChoiceControl, Location, Media, Message};
use model::time::Timestamp;
use serde_json::value::RawValue;

use super::{CHAT, KIND};
use crate::http::Incoming;
use crate::json::{self, Object, raw};
use crate::platform::{ITEMS_MAX, Unreadable};

/// Members of an event that are told under names of ours.
const TOLD: [&str; 7] = ["type", "message", "postback", "source", "timestamp", "webhookEventId", "mode"];
/// Members of a message that are, by the kinds they belong to.
const TOLD_OF_MESSAGE: [&str; 9] =
    ["id", "type", "text", "quotedMessageId", "fileName", "latitude", "longitude", "title", "address"];

/// The events of a request, in order.
pub(super) fn parse(request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let body = json::object(&request.body)?;
    let account = body.string("destination");
    let events = body.items("events").filter(|_| account.is_some());
    let events =
        events.ok_or_else(|| Unreadable("a webhook of LINE has a destination and events".to_owned()))?;
    if events.len() > ITEMS_MAX {
        return Err(Unreadable::too_many());
    }
    let item = |value| Item { account: account.as_deref().unwrap_or_default(), request, value };
    Ok(events.into_iter().map(|value| item(value).event()).collect())
}

struct Item<'r> {
    account: &'r str,
    request: &'r Incoming,
    value: &'r RawValue,
}

impl Item<'_> {
    fn event(&self) -> NewEvent {
        let object = Object::of(self.value);
        let (Some(event), Some(kind)) = (&object, object.as_ref().and_then(|event| event.text("type")))
        else {
            return self.told(EventType::from_foreign(KIND, "unrecognised"), self.as_it_came());
        };
        // Another module of the channel has this chat: what comes is to be seen, not answered.
        let is_standby = event.text("mode").as_deref() == Some("standby");
        let read = match &*kind {
            _ if is_standby => None,
            "message" => self.message(event),
            "postback" => self.choice(event),
            "unsend" => self.unsent(event),
            _ => None,
        };
        read.unwrap_or_else(|| {
            let prefix = if is_standby { "line.standby" } else { KIND };
            let content = self.as_it_came();
            self.of(event, EventType::from_foreign(prefix, &kind), Touch::None, content)
        })
    }

    fn as_it_came(&self) -> Content {
        Content::Raw(self.value.to_owned())
    }

    fn told(&self, event_type: EventType, content: Content) -> NewEvent {
        NewEvent {
            account: Some(self.account.to_owned()),
            ..NewEvent::of(event_type, self.request.received_at, content)
        }
    }

    fn of(&self, event: &Object<'_>, event_type: EventType, touch: Touch, content: Content) -> NewEvent {
        let id = event.string("webhookEventId");
        let millis = event.text("timestamp").and_then(|text| text.parse().ok());
        NewEvent {
            dedupe_key: id.map(|id| DedupeKey::of(&[self.account, &id])),
            party: Chat::of(event).map(|chat| Party {
                identifiers: vec![Identifier::new(CHAT, chat.id)],
                name: None,
                touch,
            }),
            occurred_at: millis.map_or(self.request.received_at, Timestamp::from_millis),
            ..self.told(event_type, content)
        }
    }

    fn ours(&self, event: &Object<'_>, name: &str, touch: Touch, message: Message) -> Option<NewEvent> {
        let chat = Chat::of(event)?;
        let message = match chat.is_shared {
            true => Message { author: chat.user, group: Some(chat.id), ..message },
            false => message,
        };
        let content = Content::Message { message: Box::new(message) };
        let event_type = EventType::ours(name);
        Some(self.of(event, event_type, touch, content))
    }

    fn message(&self, event: &Object<'_>) -> Option<NewEvent> {
        let (raw_message, said) = (event.get("message")?, event.object("message")?);
        let body = body(&said, raw_message);
        let is_whole = matches!(body, Body::Unsupported { .. });
        let message = Message {
            id: said.string("id")?,
            body,
            reply_to: said.string("quotedMessageId"),
            extra: extra(event, said.rest(|key| is_whole || TOLD_OF_MESSAGE.contains(&key))),
            ..Message::default()
        };
        self.ours(event, "message.received", Touch::Inbound, message)
    }

    fn choice(&self, event: &Object<'_>) -> Option<NewEvent> {
        let postback = event.object("postback")?;
        let message = Message {
            id: event.string("webhookEventId")?,
            body: Body::Choice {
                from: ChoiceControl::Button,
                id: postback.string("data"),
                title: None,
                description: None,
            },
            extra: extra(event, postback.rest(|key| key == "data")),
            ..Message::default()
        };
        self.ours(event, "message.received", Touch::Inbound, message)
    }

    fn unsent(&self, event: &Object<'_>) -> Option<NewEvent> {
        let id = event.object("unsend")?.string("messageId")?;
        self.ours(
            event,
            "message.deleted",
            Touch::None,
            Message { id, body: Body::Deleted, ..Message::default() },
        )
    }
}

/// What the event says beyond our names, the reply token among it, and what its message does.
fn extra(event: &Object<'_>, of_message: Option<BTreeMap<&str, &RawValue>>) -> Option<Box<RawValue>> {
    let rest = event.rest(|key| TOLD.contains(&key));
    let mut all: BTreeMap<&str, Box<RawValue>> =
        rest.into_iter().flatten().map(|(key, value)| (key, value.to_owned())).collect();
    all.extend(of_message.map(|rest| ("message", raw(&rest))));
    (!all.is_empty()).then(|| raw(&all))
}

/// Where an event happened.
struct Chat {
    id: String,
    /// Who of it, where that is told.
    user: Option<String>,
    /// Whether it is a group or a room.
    is_shared: bool,
}

impl Chat {
    fn of(event: &Object<'_>) -> Option<Chat> {
        let source = event.object("source")?;
        let user = source.string("userId");
        let (id, is_shared) = match source.text("type")?.as_ref() {
            "group" => (source.string("groupId")?, true),
            "room" => (source.string("roomId")?, true),
            _ => (user.clone()?, false),
        };
        Some(Chat { id, user, is_shared })
    }
}

fn body(said: &Object<'_>, raw: &RawValue) -> Body {
    let kind = said.text("type").unwrap_or_default();
    let media = || Media {
        id: said.string("id"),
        url: said.object("contentProvider").and_then(|provider| provider.string("originalContentUrl")),
        filename: said.string("fileName"),
        ..Media::default()
    };
    let known = match &*kind {
        "text" => said.string("text").map(|text| Body::Text { text }),
        "image" => Some(Body::Image(media())),
        "video" => Some(Body::Video(media())),
        "audio" => Some(Body::Audio(media())),
        "file" => Some(Body::Document(media())),
        // A sticker is named by its package and its number in it, which stand with what has no name of ours.
        "sticker" => Some(Body::Sticker(Media::default())),
        "location" => location(said).map(Body::Location),
        _ => None,
    };
    known.unwrap_or_else(|| Body::Unsupported {
        reason: (!kind.is_empty()).then(|| kind.into_owned()),
        raw: raw.to_owned(),
    })
}

fn location(said: &Object<'_>) -> Option<Location> {
    Some(Location {
        latitude: said.number("latitude")?,
        longitude: said.number("longitude")?,
        name: said.string("title"),
        address: said.string("address"),
        url: None,
    })
}
