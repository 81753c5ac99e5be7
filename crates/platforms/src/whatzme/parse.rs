//! Envelopes of the family: which event, which account, which items.

use std::time::Duration;

use model::event::{Content, EventType, NewEvent};
use model::message::AccountNotice;
use model::source::Source;
use model::time::Timestamp;
use serde_json::Value;

use super::item::Item;
use super::redact::without_api_key;
use super::{KIND, codechat, waha};
use crate::http::Incoming;
use crate::json;
use crate::platform::{ITEMS_MAX, Unreadable};

/// The account of envelopes that name none.
const ACCOUNT_DEFAULT: &str = "default";
/// How far ahead of our clock a gateway's time may lie before it is not believed.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 3600);
/// Names of events whose items are messages, statuses and deletions.
const ITEM_EVENTS: [&str; 11] = [
    "messages.upsert",
    "messages.update",
    "messages.delete",
    "messages.edited",
    "send.message",
    "send.message.update",
    "message",
    "message.any",
    "message.ack",
    "message.reaction",
    "message.revoked",
];
/// Names of events about the connection of an account.
const ACCOUNT_EVENTS: [&str; 3] = ["connection.update", "session.status", "status.instance"];
/// Words for a connection that somebody has to look after.
const LOST: [&str; 6] = ["close", "closed", "refused", "failed", "stopped", "scan_qr_code"];

/// The events of one request.
pub(super) fn parse(source: &Source, request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let mut body: Value = json::read(&request.body)?;
    json::without_nul(&mut body);
    if !body.is_object() && !body.is_array() {
        return Err(Unreadable("the body is neither an object nor an array".to_owned()));
    }
    let name = event_name(&body, request);
    let envelope = Envelope {
        name: &name,
        account: account(&body).unwrap_or(ACCOUNT_DEFAULT),
        echo_is_human: source.settings.flag("echo_is_human"),
        request,
    };
    if ACCOUNT_EVENTS.contains(&name.as_str()) {
        return Ok(vec![envelope.account_updated(&body)]);
    }
    match items(&body).filter(|_| ITEM_EVENTS.contains(&name.as_str())) {
        None => Ok(vec![envelope.unrecognised(&body)]),
        Some(items) => read(&envelope, items),
    }
}

fn read(envelope: &Envelope<'_>, items: Vec<Value>) -> Result<Vec<NewEvent>, Unreadable> {
    let mut events = Vec::new();
    for value in items {
        let value = codechat::translated(&value).unwrap_or(value);
        // One deletion may name many messages: they are counted before they are made into events.
        let keys = value.get("keys").and_then(Value::as_array).map_or(0, Vec::len);
        if events.len() + keys > ITEMS_MAX {
            return Err(Unreadable::too_many());
        }
        events.extend(Item::new(envelope, &value).events());
        if events.len() > ITEMS_MAX {
            return Err(Unreadable::too_many());
        }
    }
    Ok(events)
}

/// The gateway's name for the account; CodeChat gives an object that holds it.
fn account(body: &Value) -> Option<&str> {
    let names = ["/instance", "/instance/name", "/instance/instanceName", "/session"];
    let told = names.iter().filter_map(|pointer| body.pointer(pointer)?.as_str());
    told.into_iter().find(|account| !account.is_empty())
}

/// What all items of one request share.
pub(super) struct Envelope<'r> {
    /// The event's name, lower case with dots.
    pub(super) name: &'r str,
    /// The gateway's name for the account.
    pub(super) account: &'r str,
    /// Whether what our side wrote elsewhere hands the conversation off.
    pub(super) echo_is_human: bool,
    /// The request.
    pub(super) request: &'r Incoming,
}

impl Envelope<'_> {
    /// An event of this envelope with nothing known of it but what it says.
    pub(super) fn event(&self, event_type: &str, content: Content) -> NewEvent {
        NewEvent {
            account: Some(self.account.to_owned()),
            ..NewEvent::of(EventType::ours(event_type), self.request.received_at, content)
        }
    }

    /// What we cannot read yet, as it came but for the API key.
    pub(super) fn unrecognised(&self, value: &Value) -> NewEvent {
        self.event(&format!("{KIND}.unrecognised"), Content::Raw(json::raw(&without_api_key(value))))
    }

    fn account_updated(&self, body: &Value) -> NewEvent {
        let said = ["data", "payload"].iter().find_map(|key| body.get(*key)).unwrap_or(body);
        let notice = AccountNotice {
            field: self.name.to_owned(),
            errors: Vec::new(),
            raw: json::raw(&without_api_key(said)),
        };
        let word = ["state", "status"].iter().find_map(|key| said.get(*key)?.as_str());
        let is_lost = word.is_some_and(|word| LOST.contains(&word.to_ascii_lowercase().as_str()));
        let name = if is_lost { "account.alert" } else { "account.updated" };
        self.event(name, Content::Account { notice: Box::new(notice) })
    }

    /// A time that can be believed: not far ahead of our clock, or it would hold a conversation's window open.
    pub(super) fn believed(&self, at: Option<Timestamp>) -> Option<Timestamp> {
        at.filter(|at| *at <= self.request.received_at.plus(AHEAD_MAX))
    }
}

/// The event's name in one spelling: `MESSAGES_UPSERT` and `messages-upsert` are `messages.upsert`. Where the body
/// names none, its shape does, or the end of the path (Evolution's "webhook by events").
fn event_name(body: &Value, request: &Incoming) -> String {
    let told = body.get("event").and_then(Value::as_str).filter(|name| !name.is_empty());
    let by_path = || request.path.rsplit('/').next().unwrap_or_default();
    let name = told.unwrap_or_else(|| by_shape(body).unwrap_or_else(by_path));
    name.to_ascii_lowercase().replace(['-', '_'], ".")
}

fn by_shape(body: &Value) -> Option<&'static str> {
    let first = body.get(0);
    let has = |name: &str| body.get(name).is_some() || first.is_some_and(|item| item.get(name).is_some());
    match () {
        () if has("messages") || has("message") => Some("messages.upsert"),
        () if has("statuses") || has("update") => Some("messages.update"),
        () => None,
    }
}

/// The items of a body, wherever this family puts them; `None` when there is no such place.
fn items(body: &Value) -> Option<Vec<Value>> {
    if let Some(items) = body.as_array() {
        return Some(items.clone());
    }
    let listed = |holder: &Value| {
        let lists: Vec<&Vec<Value>> =
            ["messages", "statuses"].iter().filter_map(|name| holder.get(*name)?.as_array()).collect();
        (!lists.is_empty()).then(|| lists.into_iter().flatten().cloned().collect::<Vec<Value>>())
    };
    let data = || match body.get("data")? {
        Value::Array(items) => Some(items.clone()),
        data => listed(data).or_else(|| data.is_object().then(|| vec![data.clone()])),
    };
    let itself = || (body.get("key").is_some() && body.get("data").is_none()).then(|| vec![body.clone()]);
    let payload = || body.get("payload").map(|payload| vec![waha::translated(payload)]);
    listed(body).or_else(payload).or_else(data).or_else(itself)
}
