//! One event a request; what comes as a form is read in [`super::form`].

use std::collections::BTreeMap;

use model::conversation::{Identifier, Party, Touch};
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::message::{Body, Media, Message, Reaction};
use model::time::Timestamp;
use serde_json::value::RawValue;

use super::{CHANNEL, KIND, form};
use crate::http::Incoming;
use crate::json::{self, Object, raw};
use crate::platform::Unreadable;

/// Members of a message that are told under names of ours.
const TOLD: [&str; 12] = [
    "type",
    "channel",
    "user",
    "text",
    "ts",
    "event_ts",
    "thread_ts",
    "subtype",
    "bot_id",
    "message",
    "previous_message",
    "deleted_ts",
];
/// Subtypes that are messages like any other.
const PLAIN: [&str; 5] = ["file_share", "thread_broadcast", "bot_message", "me_message", "reply_broadcast"];

/// The events of a request.
pub(super) fn parse(request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let item = Item { request };
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return form::parse(&item);
    }
    let body = json::object(&request.body)?;
    let kind = body.text("type").ok_or_else(|| Unreadable("a request of Slack has a type".to_owned()))?;
    let team = body.string("team_id").unwrap_or_default();
    Ok(vec![match body.object("event").filter(|_| kind == "event_callback") {
        Some(event) => item.event(&body, &team, &event),
        None => item.other(&kind, &team, item.rest(&body)),
    }])
}

/// What all events of a request share.
pub(super) struct Item<'r> {
    pub(super) request: &'r Incoming,
}

impl Item<'_> {
    /// An event of a workspace, which is the account.
    fn of(&self, event_type: EventType, team: &str, content: Content) -> NewEvent {
        NewEvent {
            account: (!team.is_empty()).then(|| team.to_owned()),
            ..NewEvent::of(event_type, self.request.received_at, content)
        }
    }

    pub(super) fn ours(&self, name: &str, team: &str, content: Content) -> NewEvent {
        self.of(EventType::ours(name), team, content)
    }

    /// What keeps Slack's own name.
    pub(super) fn other(&self, name: &str, team: &str, content: Content) -> NewEvent {
        self.of(EventType::from_foreign(KIND, name), team, content)
    }

    pub(super) fn key(&self, team: &str, parts: &[&str]) -> DedupeKey {
        DedupeKey::of(&[&[team], parts].concat())
    }

    /// Slack's times have six digits after the point, which tell messages of a channel apart.
    pub(super) fn time(&self, ts: &str) -> Timestamp {
        let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, "0"));
        let millis: i64 = fraction.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let seconds = seconds.parse::<i64>().ok().filter(|seconds| (0..=1 << 40).contains(seconds));
        seconds.map_or(self.request.received_at, |seconds| Timestamp::from_millis(seconds * 1_000 + millis))
    }

    /// A body without the token that stands in each.
    fn rest(&self, body: &Object<'_>) -> Content {
        let told: BTreeMap<&str, &RawValue> = body.members().filter(|(name, _)| *name != "token").collect();
        Content::Raw(raw(&told))
    }

    fn event(&self, body: &Object<'_>, team: &str, event: &Object<'_>) -> NewEvent {
        let kind = event.text("type").unwrap_or_default();
        let app = body.string("api_app_id");
        let read = match &*kind {
            "message" => self.message(team, app.as_deref(), event),
            "reaction_added" | "reaction_removed" => self.reaction(team, event, kind == "reaction_added"),
            _ => None,
        };
        let read = read.unwrap_or_else(|| {
            let name = match event.text("subtype") {
                Some(subtype) => format!("{kind}.{subtype}"),
                None if kind.is_empty() => "unrecognised".to_owned(),
                None => kind.to_string(),
            };
            let party = event.string("channel").map(|channel| party(&channel, Touch::None));
            NewEvent { party, ..self.other(&name, team, self.rest(body)) }
        });
        let at = event.text("event_ts").or_else(|| body.text("event_time"));
        NewEvent {
            dedupe_key: body.string("event_id").map(|id| self.key(team, &[&id])),
            occurred_at: at.map_or(self.request.received_at, |at| self.time(&at)),
            ..read
        }
    }

    fn message(&self, team: &str, app: Option<&str>, event: &Object<'_>) -> Option<NewEvent> {
        let channel = event.string("channel")?;
        let inner = event.object("message");
        let (name, said) = match event.text("subtype").as_deref() {
            None => ("message.received", event),
            Some(plain) if PLAIN.contains(&plain) => ("message.received", event),
            Some("message_changed") => ("message.edited", inner.as_ref()?),
            Some("message_deleted") => return self.deleted(team, &channel, event),
            Some(_) => return None,
        };
        // What a bot of this very app has posted comes back like anybody's.
        let is_ours = said.text("bot_id").is_some() && app.is_some() && said.text("app_id").as_deref() == app;
        let (name, touch) = match (name, is_ours) {
            ("message.received", true) => ("message.echo", Touch::UnclearEcho),
            ("message.received", false) if said.text("bot_id").is_none() => (name, Touch::Inbound),
            _ => (name, Touch::None),
        };
        let (id, thread) = (said.string("ts")?, said.string("thread_ts"));
        let message = Message {
            author: said.string("user").or_else(|| said.string("bot_id")),
            body: body(said)?,
            reply_to: thread.filter(|thread| *thread != id),
            extra: said.rest(|key| TOLD.contains(&key)).map(|rest| raw(&rest)),
            id,
            ..Message::default()
        };
        let content = Content::Message { message: Box::new(message) };
        Some(NewEvent { party: Some(party(&channel, touch)), ..self.ours(name, team, content) })
    }

    fn deleted(&self, team: &str, channel: &str, event: &Object<'_>) -> Option<NewEvent> {
        let id = event.string("deleted_ts")?;
        let message = Message { id, body: Body::Deleted, ..Message::default() };
        let content = Content::Message { message: Box::new(message) };
        Some(NewEvent {
            party: Some(party(channel, Touch::None)),
            ..self.ours("message.deleted", team, content)
        })
    }

    /// Slack says which emoji was taken back; told is only that one was, as on every platform.
    fn reaction(&self, team: &str, event: &Object<'_>, is_added: bool) -> Option<NewEvent> {
        let item = event.object("item")?;
        let (channel, message_id) = (item.string("channel")?, item.string("ts")?);
        let emoji = event.string("reaction").filter(|_| is_added);
        let reaction = Reaction { id: None, message_id, emoji };
        Some(NewEvent {
            party: Some(party(&channel, Touch::None)),
            ..self.ours("message.reaction", team, Content::Reaction { reaction })
        })
    }
}

/// The channel is the contact: what is answered goes there, whoever of it wrote.
pub(super) fn party(channel: &str, touch: Touch) -> Party {
    Party { identifiers: vec![Identifier::new(CHANNEL, channel)], name: None, touch }
}

/// The words, or the first file with the words under it; further files are with what has no name of ours.
fn body(said: &Object<'_>) -> Option<Body> {
    let text = said.string("text");
    let files = said.items("files").unwrap_or_default();
    let Some(file) = files.first().and_then(|file| Object::of(file)) else {
        return Some(Body::Text { text: text.unwrap_or_default() });
    };
    let media = Media {
        id: file.string("id"),
        url: file.string("url_private_download").or_else(|| file.string("url_private")),
        caption: text,
        filename: file.string("name"),
        mime_type: file.string("mimetype"),
        ..Media::default()
    };
    Some(Body::of_file(media))
}
