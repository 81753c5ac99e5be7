//! One update a request: what it is about, in which chat, and when.

use model::conversation::{Identifier, Party, Touch};
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::message::{Body, ChoiceControl, ContactChange, Message, Reaction};
use model::source::Source;
use model::time::Timestamp;
use serde_json::value::RawValue;

use super::content::{self, TOLD};
use super::{CHAT, KIND, bot};
use crate::http::Incoming;
use crate::json::{self, Object, raw};
use crate::platform::{ITEMS_MAX, Unreadable};

/// The account of updates whose bot nobody has named.
const ACCOUNT_DEFAULT: &str = "bot";
/// Updates that hold a message, and what has become of it.
const MESSAGES: [(&str, &str); 6] = [
    ("message", "message.received"),
    ("edited_message", "message.edited"),
    ("channel_post", "message.received"),
    ("edited_channel_post", "message.edited"),
    ("business_message", "message.received"),
    ("edited_business_message", "message.edited"),
];
/// Updates that keep their own name.
const OTHERS: [&str; 15] = [
    "inline_query",
    "chosen_inline_result",
    "shipping_query",
    "pre_checkout_query",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "message_reaction_count",
    "chat_boost",
    "removed_chat_boost",
    "business_connection",
    "purchased_paid_media",
    "managed_bot",
];

/// The events of one update: one, but for a deletion of several messages.
pub(super) fn parse(source: &Source, request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let body = json::object(&request.body)?;
    let id = body.string("update_id");
    let id = id.ok_or_else(|| Unreadable("an update of Telegram has an update_id".to_owned()))?;
    let bot = bot(source, request.received_at);
    let update = Update { id, bot, request };
    if let Some((_, name, message)) =
        MESSAGES.iter().find_map(|(key, name)| Some((key, name, body.object(key)?)))
    {
        return Ok(vec![update.message(name, &message).unwrap_or_else(|| update.unrecognised(&body))]);
    }
    let read = match () {
        () if body.get("callback_query").is_some() => {
            body.object("callback_query").and_then(|query| update.choice(&query)).map(|event| vec![event])
        }
        () if body.get("message_reaction").is_some() => {
            body.object("message_reaction").and_then(|told| update.reaction(&told)).map(|event| vec![event])
        }
        () => match body.object("deleted_business_messages") {
            Some(told) => update.deleted(&told)?,
            None => OTHERS.iter().find_map(|key| Some(vec![update.other(key, body.get(key)?)])),
        },
    };
    Ok(read.unwrap_or_else(|| vec![update.unrecognised(&body)]))
}

/// What all events of one update share.
struct Update<'r> {
    id: String,
    bot: Option<String>,
    request: &'r Incoming,
}

impl Update<'_> {
    fn event(&self, event_type: EventType, content: Content) -> NewEvent {
        NewEvent {
            // A bot counts its own updates.
            dedupe_key: Some(DedupeKey::of(&[self.account(), &self.id])),
            account: Some(self.account().to_owned()),
            ..NewEvent::of(event_type, self.request.received_at, content)
        }
    }

    fn account(&self) -> &str {
        self.bot.as_deref().unwrap_or(ACCOUNT_DEFAULT)
    }

    fn ours(&self, name: &str, content: Content) -> NewEvent {
        self.event(EventType::ours(name), content)
    }

    fn other(&self, name: &str, value: &RawValue) -> NewEvent {
        self.event(EventType::from_foreign(KIND, name), Content::Raw(value.to_owned()))
    }

    fn unrecognised(&self, body: &Object<'_>) -> NewEvent {
        let members: std::collections::BTreeMap<&str, &RawValue> = body.members().collect();
        self.event(EventType::from_foreign(KIND, "unrecognised"), Content::Raw(raw(&members)))
    }

    fn message(&self, name: &str, message: &Object<'_>) -> Option<NewEvent> {
        let (id, chat) = (message.string("message_id")?, message.object("chat")?);
        if let Some(to) = message.string("migrate_to_chat_id") {
            return self.moved(&chat, to, message);
        }
        let is_ours =
            message.object("from").and_then(|from| from.string("id")).is_some_and(|id| self.bot == Some(id));
        let (name, touch) = match (name, is_ours, is_channel(&chat)) {
            ("message.received", true, _) => ("message.echo", Touch::UnclearEcho),
            ("message.received", false, false) => (name, Touch::Inbound),
            _ => (name, Touch::None),
        };
        let at = message.text("edit_date").or_else(|| message.text("date"));
        let (author, group) = (author(message, &chat), group(&chat));
        let body = content::body(message);
        // What we cannot show is with its body as a whole.
        let is_whole = matches!(body, Body::Unsupported { .. });
        let extra = message.rest(|key| is_whole || TOLD.contains(&key)).map(|rest| raw(&rest));
        let replied = message.object("reply_to_message").and_then(|replied| replied.string("message_id"));
        let message = Message {
            id,
            author,
            group,
            body,
            reply_to: replied,
            forwarded: content::forwarded(message),
            referral: None,
            extra,
        };
        Some(NewEvent {
            party: Some(party(&chat, touch)?),
            occurred_at: self.time(at.as_deref()),
            ..self.ours(name, Content::Message { message: Box::new(message) })
        })
    }

    /// A tap on a button under a message of ours.
    fn choice(&self, query: &Object<'_>) -> Option<NewEvent> {
        let (id, under) = (query.string("id")?, query.object("message")?);
        let chat = under.object("chat")?;
        let from = query.object("from");
        let body = Body::Choice {
            from: ChoiceControl::Button,
            id: query.string("data").or_else(|| query.string("game_short_name")),
            title: None,
            description: None,
        };
        let group = group(&chat);
        let author = from.filter(|_| group.is_some()).and_then(|from| from.string("id"));
        let extra = query.rest(|key| ["id", "from", "message", "data"].contains(&key)).map(|rest| raw(&rest));
        let message = Message {
            id,
            author,
            group,
            body,
            reply_to: under.string("message_id"),
            extra,
            ..Message::default()
        };
        Some(NewEvent {
            party: Some(party(&chat, Touch::Inbound)?),
            ..self.ours("message.received", Content::Message { message: Box::new(message) })
        })
    }

    /// The last of what somebody reacts with now; none is a reaction taken back.
    fn reaction(&self, told: &Object<'_>) -> Option<NewEvent> {
        let chat = told.object("chat")?;
        let now = told.items("new_reaction").unwrap_or_default();
        let emoji = now.last().and_then(|one| Object::of(one)).and_then(|one| {
            one.string("emoji").or_else(|| one.string("custom_emoji_id")).or_else(|| one.string("type"))
        });
        let reaction = Reaction { id: None, message_id: told.string("message_id")?, emoji };
        Some(NewEvent {
            party: Some(party(&chat, Touch::None)?),
            occurred_at: self.time(told.text("date").as_deref()),
            ..self.ours("message.reaction", Content::Reaction { reaction })
        })
    }

    fn deleted(&self, told: &Object<'_>) -> Result<Option<Vec<NewEvent>>, Unreadable> {
        let Some((chat, ids)) = told.object("chat").zip(told.items("message_ids")) else { return Ok(None) };
        if ids.len() > ITEMS_MAX {
            return Err(Unreadable::too_many());
        }
        let event = |id: &RawValue| {
            let id = json::text(id)?.into_owned();
            let key = DedupeKey::of(&[self.account(), &self.id, &id]);
            let message = Message { id, group: group(&chat), body: Body::Deleted, ..Message::default() };
            Some(NewEvent {
                dedupe_key: Some(key),
                party: Some(party(&chat, Touch::None)?),
                ..self.ours("message.deleted", Content::Message { message: Box::new(message) })
            })
        };
        Ok(ids.into_iter().map(event).collect::<Option<Vec<NewEvent>>>().filter(|events| !events.is_empty()))
    }

    /// A group became another one, with another number: both are the same contact from now on.
    fn moved(&self, chat: &Object<'_>, to: String, message: &Object<'_>) -> Option<NewEvent> {
        let mut party = party(chat, Touch::None)?;
        party.identifiers.insert(0, Identifier::new(CHAT, &to));
        let change = ContactChange {
            reason: "migrate_to_chat_id".to_owned(),
            from: chat.string("id"),
            to: Some(to),
            text: None,
            extra: None,
        };
        Some(NewEvent {
            party: Some(party),
            occurred_at: self.time(message.text("date").as_deref()),
            ..self.ours("contact.updated", Content::Contact { change })
        })
    }

    fn time(&self, seconds: Option<&str>) -> Timestamp {
        seconds.and_then(model::message::seconds_text).unwrap_or(self.request.received_at)
    }
}

/// The chat is the contact: what is answered goes there, whoever of a group wrote.
fn party(chat: &Object<'_>, touch: Touch) -> Option<Party> {
    let mut identifiers = vec![Identifier::new(CHAT, chat.string("id")?)];
    identifiers.extend(chat.string("username").map(|name| Identifier::new("telegram_username", name)));
    let names: Vec<String> =
        ["title", "first_name", "last_name"].iter().filter_map(|part| chat.string(part)).collect();
    Some(Party { identifiers, name: (!names.is_empty()).then(|| names.join(" ")), touch })
}

fn is_channel(chat: &Object<'_>) -> bool {
    chat.text("type").as_deref() == Some("channel")
}

fn group(chat: &Object<'_>) -> Option<String> {
    matches!(chat.text("type").as_deref(), Some("group" | "supergroup")).then(|| chat.string("id")).flatten()
}

/// Who of a group or a channel wrote.
fn author(message: &Object<'_>, chat: &Object<'_>) -> Option<String> {
    if group(chat).is_none() && !is_channel(chat) {
        return None;
    }
    let of = |name: &str| message.object(name).and_then(|one| one.string("id"));
    of("from").or_else(|| of("sender_chat"))
}
