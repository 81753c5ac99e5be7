//! One callback a request.

use model::conversation::{Identifier, Party, Touch};
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::message::{Body, Location, Media, Message, MessageState, PlatformError, Status};
use model::source::Source;
use model::time::Timestamp;
use serde_json::value::RawValue;

use super::{KIND, PERSON};
use crate::http::Incoming;
use crate::json::{self, Object, raw};
use crate::platform::Unreadable;

/// The account, where the source names none: callbacks do not say which bot they are for.
const ACCOUNT_DEFAULT: &str = "default";
/// Callbacks that tell how far a message of ours came.
const STEPS: [(&str, MessageState); 3] =
    [("delivered", MessageState::Delivered), ("seen", MessageState::Read), ("failed", MessageState::Failed)];
/// Members of a message that are told under names of ours.
const TOLD: [&str; 6] = ["type", "text", "media", "file_name", "contact", "location"];

/// The event of a request.
pub(super) fn parse(source: &Source, request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let body = json::object(&request.body)?;
    let name = body.string("event");
    let name = name.ok_or_else(|| Unreadable("a callback of Viber has an event".to_owned()))?;
    let account = source.settings.text("account").unwrap_or(ACCOUNT_DEFAULT);
    let callback = Callback { account, request, body: &body, name: &name };
    let step = STEPS.iter().find(|(known, _)| *known == name).map(|(_, state)| *state);
    let read = match step {
        Some(state) => callback.step(state),
        None if name == "message" => callback.message(),
        None => None,
    };
    Ok(vec![read.unwrap_or_else(|| callback.other())])
}

struct Callback<'r> {
    account: &'r str,
    request: &'r Incoming,
    body: &'r Object<'r>,
    name: &'r str,
}

impl Callback<'_> {
    /// Who it is about: a sender, or a user, whole or by id.
    fn person(&self) -> Option<(String, Option<String>)> {
        let whole = self.body.object("sender").or_else(|| self.body.object("user"));
        match whole {
            Some(person) => Some((person.string("id")?, person.string("name"))),
            None => Some((self.body.string("user_id")?, None)),
        }
    }

    fn event(&self, event_type: EventType, touch: Touch, content: Content) -> NewEvent {
        let person = self.person();
        // The token is longer than a number of JavaScript, and is read as it is written.
        let token = self.body.string("message_token");
        let user = person.as_ref().map(|(id, _)| id.as_str()).unwrap_or_default();
        let key = token.map(|token| DedupeKey::of(&[self.account, &token, self.name, user]));
        let millis = self.body.text("timestamp").and_then(|text| text.parse().ok());
        NewEvent {
            event_type,
            dedupe_key: key,
            account: Some(self.account.to_owned()),
            party: person.map(|(id, name)| Party {
                identifiers: vec![Identifier::new(PERSON, id)],
                name,
                touch,
            }),
            order_key: None,
            occurred_at: millis.map_or(self.request.received_at, Timestamp::from_millis),
            content,
        }
    }

    fn ours(&self, name: &str, touch: Touch, content: Content) -> NewEvent {
        self.event(EventType::ours(name), touch, content)
    }

    fn other(&self) -> NewEvent {
        let members: std::collections::BTreeMap<&str, &RawValue> = self.body.members().collect();
        self.event(EventType::from_foreign(KIND, self.name), Touch::None, Content::Raw(raw(&members)))
    }

    fn message(&self) -> Option<NewEvent> {
        let (raw_message, said) = (self.body.get("message")?, self.body.object("message")?);
        self.person()?;
        let body = body(&said, raw_message);
        let is_whole = matches!(body, Body::Unsupported { .. });
        let message = Message {
            id: self.body.string("message_token")?,
            body,
            extra: said.rest(|key| is_whole || TOLD.contains(&key)).map(|rest| raw(&rest)),
            ..Message::default()
        };
        let content = Content::Message { message: Box::new(message) };
        Some(self.ours("message.received", Touch::Inbound, content))
    }

    fn step(&self, state: MessageState) -> Option<NewEvent> {
        let error = || PlatformError { code: 0, title: None, details: self.body.string("desc") };
        let status = Status {
            message_id: self.body.string("message_token")?,
            state,
            recipient: self.person().map(|(id, _)| id),
            correlation: None,
            errors: if state == MessageState::Failed { vec![error()] } else { Vec::new() },
            pricing: None,
            platform_conversation: None,
            extra: None,
        };
        let content = Content::Status { status: Box::new(status) };
        Some(self.ours(&format!("message.{}", state.as_str()), Touch::None, content))
    }
}

fn body(said: &Object<'_>, value: &RawValue) -> Body {
    let kind = said.text("type").unwrap_or_default();
    let media = || Media {
        url: said.string("media"),
        caption: said.string("text"),
        filename: said.string("file_name"),
        ..Media::default()
    };
    let known = match &*kind {
        "text" => said.string("text").map(|text| Body::Text { text }),
        // A shared link is a text that is one.
        "url" => said.string("media").map(|text| Body::Text { text }),
        "picture" => Some(Body::Image(media())),
        "video" => Some(Body::Video(media())),
        "file" => Some(Body::Document(media())),
        "sticker" => Some(Body::Sticker(Media { url: said.string("media"), ..Media::default() })),
        "contact" => said.get("contact").map(|card| Body::Contacts { contacts: raw(&[card]) }),
        "location" => said.object("location").and_then(|at| location(&at)).map(Body::Location),
        _ => None,
    };
    known.unwrap_or_else(|| Body::Unsupported {
        reason: (!kind.is_empty()).then(|| kind.into_owned()),
        raw: value.to_owned(),
    })
}

fn location(at: &Object<'_>) -> Option<Location> {
    Some(Location { latitude: at.number("lat")?, longitude: at.number("lon")?, ..Location::default() })
}
