//! Interactions, and events of the application. Ordinary messages of channels do not come over HTTP.

use std::collections::BTreeMap;

use model::conversation::{Identifier, Party, Touch};
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::message::{Body, ChoiceControl, Message};
use model::time::Timestamp;
use serde_json::value::RawValue;

use super::{CHANNEL, KIND};
use crate::http::Incoming;
use crate::json::{self, Object, raw};
use crate::platform::Unreadable;

/// When the ids of Discord begin to count, in milliseconds since the epoch.
const EPOCH_MS: i64 = 1_420_070_400_000;
/// The deepest options of a command: a group, a command of it, its options.
const OPTIONS_DEPTH: usize = 3;
/// Webhook events that hold a message, and what has become of it.
const MESSAGES: [(&str, &str); 6] = [
    ("LOBBY_MESSAGE_CREATE", "message.received"),
    ("LOBBY_MESSAGE_UPDATE", "message.edited"),
    ("LOBBY_MESSAGE_DELETE", "message.deleted"),
    ("GAME_DIRECT_MESSAGE_CREATE", "message.received"),
    ("GAME_DIRECT_MESSAGE_UPDATE", "message.edited"),
    ("GAME_DIRECT_MESSAGE_DELETE", "message.deleted"),
];

/// What a request is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Ping,
    Command,
    Component,
    Autocomplete,
    Modal,
    EventPing,
    Event,
}

impl Kind {
    /// Reads no more than it must; `None` is for what there is no name for.
    pub(super) fn of(body: &[u8]) -> Option<Kind> {
        json::object(body).ok().and_then(|body| Kind::read(&body))
    }

    /// An interaction has a token, an event of the application has none.
    fn read(body: &Object<'_>) -> Option<Kind> {
        let is_interaction = body.get("token").is_some();
        Some(match (body.text("type")?.as_ref(), is_interaction, body.get("event").is_some()) {
            ("0", false, _) => Kind::EventPing,
            ("1", _, true) => Kind::Event,
            ("1", _, false) => Kind::Ping,
            ("2", true, _) => Kind::Command,
            ("3", true, _) => Kind::Component,
            ("4", true, _) => Kind::Autocomplete,
            ("5", true, _) => Kind::Modal,
            _ => return None,
        })
    }
}

/// The event of a request.
pub(super) fn parse(request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let body = json::object(&request.body)?;
    let told = Told { account: body.string("application_id"), request };
    let read = match Kind::read(&body) {
        Some(Kind::Event) => body.object("event").and_then(|event| told.event(&event)),
        Some(Kind::Autocomplete) => told.named("autocomplete", &body),
        Some(Kind::Command) => told.interaction(&body, command),
        Some(Kind::Component) => told.interaction(&body, component),
        Some(Kind::Modal) => told.interaction(&body, modal),
        Some(Kind::Ping | Kind::EventPing) | None => None,
    };
    Ok(vec![read.unwrap_or_else(|| told.other("unrecognised", Content::Body))])
}

struct Told<'r> {
    account: Option<String>,
    request: &'r Incoming,
}

impl Told<'_> {
    fn of(&self, event_type: EventType, content: Content) -> NewEvent {
        NewEvent {
            account: self.account.clone(),
            ..NewEvent::of(event_type, self.request.received_at, content)
        }
    }

    fn other(&self, name: &str, content: Content) -> NewEvent {
        self.of(EventType::from_foreign(KIND, name), content)
    }

    /// An interaction that keeps its own name, without its token.
    fn named(&self, name: &str, body: &Object<'_>) -> Option<NewEvent> {
        let id = body.string("id")?;
        let members: BTreeMap<&str, &RawValue> = body.members().filter(|(key, _)| *key != "token").collect();
        Some(NewEvent {
            dedupe_key: Some(DedupeKey::of(&["interaction", &id])),
            occurred_at: self.made_at(&id),
            ..self.other(name, Content::Raw(raw(&members)))
        })
    }

    /// What a person did is a message of theirs. `answer_to` is what an answer to it is sent with, for fifteen minutes.
    fn interaction(&self, body: &Object<'_>, read: fn(&Object<'_>) -> Option<Body>) -> Option<NewEvent> {
        let (id, data) = (body.string("id")?, body.object("data")?);
        let said = read(&data)?;
        let member = body.object("member");
        let user =
            member.as_ref().and_then(|member| member.object("user")).or_else(|| body.object("user"))?;
        let channel = body.string("channel_id").or_else(|| body.object("channel")?.string("id"))?;
        let application = body.string("application_id")?;
        let answer_to = format!("{application}:{}", body.string("token")?);
        let beside = |name: &str| body.get(name).map(|value| (name.to_owned(), value.to_owned()));
        let mut extra: BTreeMap<String, Box<RawValue>> =
            ["guild_id", "locale", "context"].into_iter().filter_map(beside).collect();
        extra.insert("data".to_owned(), body.get("data")?.to_owned());
        extra.insert("answer_to".to_owned(), raw(&answer_to));
        let reply_to = body.object("message").and_then(|message| message.string("id"));
        let message = Message {
            id: id.clone(),
            author: user.string("id"),
            group: body.string("guild_id"),
            body: said,
            reply_to,
            extra: Some(raw(&extra)),
            ..Message::default()
        };
        let name = match member {
            Some(_) => body.object("channel").and_then(|channel| channel.string("name")),
            None => user.string("global_name").or_else(|| user.string("username")),
        };
        let content = Content::Message { message: Box::new(message) };
        Some(NewEvent {
            dedupe_key: Some(DedupeKey::of(&["interaction", &id])),
            party: Some(party(channel, name, Touch::Inbound)),
            occurred_at: self.made_at(&id),
            ..self.of(EventType::ours("message.received"), content)
        })
    }

    /// An event of the application. It has no id: the same type, time and thing are the same event.
    fn event(&self, event: &Object<'_>) -> Option<NewEvent> {
        let name = event.string("type")?;
        let at = event.string("timestamp").unwrap_or_default();
        let data = event.object("data");
        let of_what = data.as_ref().and_then(|data| data.string("id")).unwrap_or_default();
        let members: BTreeMap<&str, &RawValue> = event.members().collect();
        let raw_event = self.other(&name.to_ascii_lowercase(), Content::Raw(raw(&members)));
        let told = MESSAGES.iter().find(|(known, _)| *known == name);
        let message = told.zip(data.as_ref()).and_then(|((_, name), data)| self.message(name, data));
        Some(NewEvent {
            dedupe_key: Some(DedupeKey::of(&["event", &name, &at, &of_what])),
            occurred_at: time(&at).unwrap_or(self.request.received_at),
            ..message.unwrap_or(raw_event)
        })
    }

    fn message(&self, name: &str, data: &Object<'_>) -> Option<NewEvent> {
        let (id, channel) = (data.string("id")?, data.string("channel_id")?);
        let author = data.object("author");
        let body = match name {
            "message.deleted" => Body::Deleted,
            _ => Body::Text { text: data.string("content")? },
        };
        let touch = if name == "message.received" { Touch::Inbound } else { Touch::None };
        let message = Message {
            id,
            author: author.as_ref().and_then(|author| author.string("id")),
            body,
            extra: data
                .rest(|key| ["id", "channel_id", "author", "content"].contains(&key))
                .map(|rest| raw(&rest)),
            ..Message::default()
        };
        let content = Content::Message { message: Box::new(message) };
        Some(NewEvent { party: Some(party(channel, None, touch)), ..self.of(EventType::ours(name), content) })
    }

    /// Ids of Discord hold when they were made.
    fn made_at(&self, id: &str) -> Timestamp {
        let made_at = id.parse::<u64>().ok().map(|id| i64::try_from(id >> 22).unwrap_or(0) + EPOCH_MS);
        let made_at = made_at.map(Timestamp::from_millis);
        made_at.filter(|at| *at <= self.request.received_at).unwrap_or(self.request.received_at)
    }
}

fn party(channel: String, name: Option<String>, touch: Touch) -> Party {
    Party { identifiers: vec![Identifier::new(CHANNEL, channel)], name, touch }
}

/// A command as it is typed: `/weather city:Lima`.
fn command(data: &Object<'_>) -> Option<Body> {
    let mut text = format!("/{}", data.string("name")?);
    options(data, &mut text, OPTIONS_DEPTH);
    Some(Body::Text { text })
}

fn options(of: &Object<'_>, text: &mut String, depth: usize) {
    if depth == 0 {
        return;
    }
    for option in of.items("options").unwrap_or_default() {
        let Some(option) = Object::of(option) else { continue };
        text.push(' ');
        text.push_str(&option.string("name").unwrap_or_default());
        match option.get("value") {
            Some(value) => {
                text.push(':');
                text.push_str(
                    &json::text(value).map_or_else(|| value.get().to_owned(), |value| value.into_owned()),
                );
            }
            None => options(&option, text, depth - 1),
        }
    }
}

/// A button, or what was chosen of a menu.
fn component(data: &Object<'_>) -> Option<Body> {
    let values = data.items("values").unwrap_or_default();
    let first = values.first().and_then(|value| json::text(value)).map(|value| value.into_owned());
    let from = if values.is_empty() { ChoiceControl::Button } else { ChoiceControl::List };
    let custom_id = data.string("custom_id");
    let (id, description) = if first.is_some() { (first, custom_id) } else { (custom_id, None) };
    Some(Body::Choice { from, id, title: None, description })
}

/// A form, as it was filled in.
fn modal(data: &Object<'_>) -> Option<Body> {
    Some(Body::Form {
        name: data.string("custom_id"),
        response: data.get("components").map(|raw| raw.get().to_owned()),
    })
}

/// Discord leaves the zone out where it means UTC.
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z")))
}
