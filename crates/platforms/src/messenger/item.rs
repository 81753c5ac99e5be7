//! One item of an entry: a message, a tap, a reaction, a step, or something else.

use model::conversation::{Identifier, Party, Touch};
use model::event::{Content, EventType, NewEvent};
use model::message::{
    AccountNotice, Body, ChoiceControl, Location, Media, Message, MessageState, Reaction, Status,
};
use serde_json::value::RawValue;

use super::parse::{Entry, whole};
use crate::json::{self, Object, raw};

/// Items that keep their own name, by the member that says which they are.
const OTHERS: [&str; 9] = [
    "optin",
    "referral",
    "pass_thread_control",
    "take_thread_control",
    "request_thread_control",
    "app_roles",
    "account_linking",
    "game_play",
    "message_context",
];
/// Members of a message that are told under names of ours.
const TOLD: [&str; 10] = [
    "mid",
    "text",
    "attachments",
    "quick_reply",
    "reply_to",
    "referral",
    "is_echo",
    "is_deleted",
    "is_self",
    "seq",
];

/// One item, and who is at the other end.
pub(super) struct Item<'r> {
    entry: &'r Entry<'r>,
    value: &'r RawValue,
    object: Object<'r>,
    person: Option<Identifier>,
    is_standby: bool,
}

impl<'r> Item<'r> {
    /// The events of an item: one, but for a receipt of several messages.
    pub(super) fn events(entry: &'r Entry<'r>, value: &'r RawValue, is_standby: bool) -> Vec<NewEvent> {
        let Some(object) = Object::of(value) else { return vec![entry.unrecognised(value)] };
        let person = person(entry, &object);
        let item = Item { entry, value, object, person, is_standby };
        let read = item.read();
        if read.is_empty() { vec![item.unrecognised()] } else { read }
    }

    fn read(&self) -> Vec<NewEvent> {
        let one = |name: &str, read: fn(&Self, &Object<'r>) -> Option<NewEvent>| {
            self.object.object(name).and_then(|told| read(self, &told)).into_iter().collect::<Vec<_>>()
        };
        match () {
            () if self.has("message") => one("message", Self::message),
            () if self.has("message_edit") => one("message_edit", Self::edited),
            () if self.has("postback") => one("postback", Self::postback),
            () if self.has("reaction") => one("reaction", Self::reaction),
            () if self.has("delivery") => self.delivered(),
            () if self.has("read") => one("read", Self::seen),
            () if self.has("policy_enforcement") => one("policy_enforcement", Self::policy),
            () => {
                OTHERS.iter().find(|name| self.has(name)).map(|name| self.other(name)).into_iter().collect()
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some()
    }

    fn timestamp(&self) -> Option<String> {
        self.object.string("timestamp")
    }

    fn event(&self, name: &str, parts: &[&str], touch: Touch, content: Content) -> NewEvent {
        let touch = if self.is_standby { Touch::None } else { touch };
        let identifiers: Vec<Identifier> = self.person.iter().cloned().collect();
        let party = (!identifiers.is_empty()).then_some(Party { identifiers, name: None, touch });
        let event_type = EventType::ours(name);
        NewEvent {
            dedupe_key: Some(self.entry.key(parts)),
            party,
            occurred_at: self.entry.time(self.timestamp().as_deref()),
            ..self.entry.event(event_type, content)
        }
    }

    fn message(&self, told: &Object<'r>) -> Option<NewEvent> {
        let mid = told.string("mid")?;
        if told.flag("is_deleted") {
            let message = Message { id: mid.clone(), body: Body::Deleted, ..Message::default() };
            let content = Content::Message { message: Box::new(message) };
            return Some(self.event("message.deleted", &["delete", &mid], Touch::None, content));
        }
        let (name, touch) = match told.flag("is_echo") {
            true => ("message.echo", self.echo(told)),
            false => ("message.received", Touch::Inbound),
        };
        let reply_to = told.object("reply_to").and_then(|replied| replied.string("mid"));
        let attachments = told.items("attachments").unwrap_or_default();
        // One file is the body; where there are several, all of them stand beside it as they came.
        let is_told = |key: &str| match key {
            "attachments" => attachments.len() <= 1,
            "reply_to" => reply_to.is_some(),
            key => TOLD.contains(&key),
        };
        let message = Message {
            id: mid.clone(),
            body: body(told, attachments.first().copied()),
            reply_to: reply_to.clone(),
            referral: told.get("referral").map(ToOwned::to_owned),
            extra: told.rest(is_told).map(|rest| raw(&rest)),
            ..Message::default()
        };
        Some(self.event(name, &["message", &mid], touch, Content::Message { message: Box::new(message) }))
    }

    /// What an app sent may be our own; what no app sent, a person typed.
    fn echo(&self, told: &Object<'_>) -> Touch {
        match (told.text("app_id"), self.entry.app_id) {
            (None, _) => Touch::HumanEcho,
            (Some(app), Some(own)) if app == own => Touch::None,
            (Some(_), _) => Touch::UnclearEcho,
        }
    }

    fn edited(&self, told: &Object<'r>) -> Option<NewEvent> {
        let (mid, text) = (told.string("mid")?, told.string("text")?);
        let number = told.string("num_edit").or_else(|| self.timestamp()).unwrap_or_default();
        let message = Message { id: mid.clone(), body: Body::Text { text }, ..Message::default() };
        let content = Content::Message { message: Box::new(message) };
        Some(self.event("message.edited", &["edit", &mid, &number], Touch::None, content))
    }

    /// A tap on a button, the menu or an ice breaker; some have no id of their own.
    fn postback(&self, told: &Object<'r>) -> Option<NewEvent> {
        let payload = told.string("payload");
        let at = self.timestamp().unwrap_or_default();
        let id = told.string("mid").unwrap_or_else(|| {
            format!(
                "{}:{at}:{}",
                self.person.as_ref().map_or("", |person| &person.value),
                payload.as_deref().unwrap_or("")
            )
        });
        let body = Body::Choice {
            from: ChoiceControl::Button,
            id: payload,
            title: told.string("title"),
            description: None,
        };
        let referral = told.get("referral").map(ToOwned::to_owned);
        let message = Message { id: id.clone(), body, referral, ..Message::default() };
        let content = Content::Message { message: Box::new(message) };
        Some(self.event("message.received", &["postback", &id], Touch::Inbound, content))
    }

    fn reaction(&self, told: &Object<'r>) -> Option<NewEvent> {
        let (mid, action) = (told.string("mid")?, told.string("action").unwrap_or_default());
        let emoji = told.string("emoji").or_else(|| told.string("reaction")).filter(|_| action != "unreact");
        let at = self.timestamp().unwrap_or_default();
        let who = self.person.as_ref().map_or("", |person| &person.value).to_owned();
        let reaction = Reaction { id: None, message_id: mid.clone(), emoji };
        let parts = ["reaction", &mid, &who, &action, &at];
        Some(self.event("message.reaction", &parts, Touch::None, Content::Reaction { reaction }))
    }

    /// Each message that is named; without names all is said that there is: up to when.
    fn delivered(&self) -> Vec<NewEvent> {
        let told = self.object.object("delivery");
        let mids = told.and_then(|told| told.items("mids")).unwrap_or_default();
        let step = |mid: &RawValue| Some(self.step(json::text(mid)?.into_owned(), MessageState::Delivered));
        let steps: Vec<NewEvent> = mids.into_iter().filter_map(step).collect();
        if steps.is_empty() { vec![self.other("delivery")] } else { steps }
    }

    /// Instagram names the message, Messenger says up to when.
    fn seen(&self, told: &Object<'r>) -> Option<NewEvent> {
        let mid = told.string("mid");
        Some(mid.map_or_else(|| self.other("read"), |mid| self.step(mid, MessageState::Read)))
    }

    fn step(&self, mid: String, state: MessageState) -> NewEvent {
        let recipient = self.person.as_ref().map(|person| person.value.clone());
        let name = format!("message.{}", state.as_str());
        let (order_key, parts) = (Some(mid.clone()), ["status", &mid, state.as_str()].map(str::to_owned));
        let status = Status {
            message_id: mid,
            state,
            recipient,
            correlation: None,
            errors: Vec::new(),
            pricing: None,
            platform_conversation: None,
            extra: None,
        };
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let event = self.event(&name, &parts, Touch::None, Content::Status { status: Box::new(status) });
        NewEvent { party: None, order_key, ..event }
    }

    fn policy(&self, told: &Object<'r>) -> Option<NewEvent> {
        let notice =
            AccountNotice { field: "policy_enforcement".to_owned(), errors: Vec::new(), raw: whole(told) };
        let at = self.timestamp().unwrap_or_default();
        let content = Content::Account { notice: Box::new(notice) };
        let event = self.event("account.alert", &["policy", &at], Touch::None, content);
        Some(NewEvent { party: None, ..event })
    }

    /// What keeps its own name. Control of the thread that passes to another app is a person's, or another bot's.
    fn other(&self, name: &str) -> NewEvent {
        let owner = self.object.object(name).and_then(|told| told.string("new_owner_app_id"));
        let is_passed =
            name == "pass_thread_control" && owner.is_some() && owner.as_deref() != self.entry.app_id;
        let touch = if is_passed { Touch::HumanEcho } else { Touch::None };
        let identifiers: Vec<Identifier> = self.person.iter().cloned().collect();
        NewEvent {
            dedupe_key: self.timestamp().map(|at| {
                let who = self.person.as_ref().map_or("", |person| &person.value);
                self.entry.key(&[name, who, &at])
            }),
            party: (!identifiers.is_empty()).then_some(Party { identifiers, name: None, touch }),
            occurred_at: self.entry.time(self.timestamp().as_deref()),
            ..self.entry.raw(name, self.value)
        }
    }

    fn unrecognised(&self) -> NewEvent {
        NewEvent {
            occurred_at: self.entry.time(self.timestamp().as_deref()),
            ..self.entry.unrecognised(self.value)
        }
    }
}

/// The person of an item: whoever of sender and recipient is not the page.
fn person(entry: &Entry<'_>, item: &Object<'_>) -> Option<Identifier> {
    let of = |side: &str| item.object(side);
    let other =
        ["sender", "recipient"].iter().filter_map(|side| of(side)?.string("id")).find(|id| *id != entry.id);
    let by_ref = || of("sender").and_then(|sender| sender.string("user_ref"));
    other
        .map(|id| Identifier::new(entry.product.people[0], id))
        .or_else(|| by_ref().map(|user_ref| Identifier::new("user_ref", user_ref)))
}

fn body(told: &Object<'_>, attachment: Option<&RawValue>) -> Body {
    let text = told.string("text");
    if let Some(reply) = told.object("quick_reply") {
        let id = reply.string("payload");
        return Body::Choice { from: ChoiceControl::QuickReply, id, title: text, description: None };
    }
    let file = attachment.and_then(Object::of).and_then(|attachment| attached(&attachment, text.clone()));
    match (file, text) {
        (Some(file), _) => file,
        (None, Some(text)) => Body::Text { text },
        (None, None) => {
            let kind = attachment.and_then(Object::of).and_then(|attachment| attachment.string("type"));
            Body::Unsupported { reason: kind, raw: whole(told) }
        }
    }
}

/// A file or a place; shares, stories and templates have no name of ours.
fn attached(attachment: &Object<'_>, caption: Option<String>) -> Option<Body> {
    let (kind, payload) = (attachment.text("type")?, attachment.object("payload")?);
    let media = Media { url: payload.string("url"), caption, ..Media::default() };
    Some(match &*kind {
        "image" if payload.get("sticker_id").is_some() => {
            Body::Sticker(Media { id: payload.string("sticker_id"), ..media })
        }
        "image" => Body::Image(media),
        "video" | "reel" | "ig_reel" => Body::Video(media),
        "audio" => Body::Audio(media),
        "file" => Body::Document(media),
        "location" => {
            let at = payload.object("coordinates")?;
            let place = Location {
                latitude: at.number("lat")?,
                longitude: at.number("long")?,
                ..Location::default()
            };
            Body::Location(Location { name: attachment.string("title"), ..place })
        }
        _ => return None,
    })
}
