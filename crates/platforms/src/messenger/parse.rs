//! The envelope: entries of pages, and the items in them.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::source::Source;
use model::time::Timestamp;
use serde_json::value::RawValue;

use super::Product;
use super::item::Item;
use crate::http::Incoming;
use crate::json::{self, Object, raw};
use crate::platform::{ITEMS_MAX, Narrowed, Unreadable};

/// The events of one request, in order.
pub(crate) fn parse(
    product: &Product,
    source: &Source,
    request: &Incoming,
) -> Result<Vec<NewEvent>, Unreadable> {
    let body = json::object(&request.body)?;
    let entries = body.items("entry").ok_or_else(|| Unreadable("there is no list of entries".to_owned()))?;
    let mut events = Vec::new();
    for value in entries {
        let entry = Entry::of(product, source, request, value);
        events.extend(entry.events(value));
        if events.len() > ITEMS_MAX {
            return Err(Unreadable::too_many());
        }
    }
    Ok(events)
}

/// Keeps the entries of pages that are wanted. What cannot be read is one event, on no account.
pub(crate) fn narrow(body: &[u8], keep: &dyn Fn(&str) -> bool) -> Narrowed {
    let read = json::object(body).ok();
    let list = read.as_ref().and_then(|read| read.get("entry"));
    let (Some(list), Some(entries), Ok(text)) = (list, list.and_then(json::items), std::str::from_utf8(body))
    else {
        return if keep("") { Narrowed::Whole } else { Narrowed::Nothing };
    };
    let is_kept = |entry: &&&RawValue| {
        let id = Object::of(entry).and_then(|entry| entry.string("id"));
        keep(id.as_deref().unwrap_or_default())
    };
    let kept: Vec<&str> = entries.iter().filter(is_kept).map(|entry| entry.get()).collect();
    match kept.len() {
        count if count == entries.len() => Narrowed::Whole,
        0 => Narrowed::Nothing,
        _ => Narrowed::Part(Bytes::from(json::replaced(text, list.get(), &format!("[{}]", kept.join(","))))),
    }
}

/// One entry: whose it is, and what all its items share.
pub(super) struct Entry<'r> {
    pub(super) product: &'r Product,
    /// The page, or the account of Instagram.
    pub(super) id: String,
    /// Our own app at Meta, where the source says which it is: its echoes are no person's.
    pub(super) app_id: Option<&'r str>,
    time: Option<Timestamp>,
    received_at: Timestamp,
}

impl<'r> Entry<'r> {
    fn of(product: &'r Product, source: &'r Source, request: &Incoming, value: &RawValue) -> Entry<'r> {
        let read = Object::of(value);
        let text = |name: &str| read.as_ref().and_then(|entry| entry.string(name));
        Entry {
            product,
            id: text("id").unwrap_or_default(),
            app_id: source.settings.text("app_id"),
            time: text("time").as_deref().and_then(millis),
            received_at: request.received_at,
        }
    }

    /// `standby` is what another app answers at the moment: it is told the same way, and opens nothing.
    fn events(&self, value: &RawValue) -> Vec<NewEvent> {
        let Some(entry) = Object::of(value) else { return vec![self.unrecognised(value)] };
        let mut events = Vec::new();
        for (list, is_standby) in [("messaging", false), ("standby", true)] {
            for item in entry.items(list).unwrap_or_default() {
                events.extend(Item::events(self, item, is_standby));
            }
        }
        for change in entry.items("changes").unwrap_or_default() {
            events.extend(self.changed(change));
        }
        if events.is_empty() { vec![self.unrecognised(value)] } else { events }
    }

    /// Some messages of Instagram come as a change of a field; others are of the page's feed.
    fn changed(&self, value: &RawValue) -> Vec<NewEvent> {
        let change = Object::of(value);
        let field = change.as_ref().and_then(|change| change.text("field"));
        let told = change.as_ref().and_then(|change| change.get("value"));
        match (field.as_deref(), told) {
            (
                Some("messages" | "message_reactions" | "messaging_postbacks" | "messaging_seen"),
                Some(item),
            ) => Item::events(self, item, false),
            (Some(field), Some(_)) => vec![self.raw(field, value)],
            _ => vec![self.unrecognised(value)],
        }
    }

    /// An event of this entry with nothing known of it but what it says.
    pub(super) fn event(&self, event_type: EventType, content: Content) -> NewEvent {
        NewEvent {
            account: (!self.id.is_empty()).then(|| self.id.clone()),
            ..NewEvent::of(event_type, self.time.unwrap_or(self.received_at), content)
        }
    }

    /// What the platform has a name for and we have none.
    pub(super) fn raw(&self, name: &str, value: &RawValue) -> NewEvent {
        self.event(EventType::from_foreign(self.product.kind, name), Content::Raw(value.to_owned()))
    }

    pub(super) fn unrecognised(&self, value: &RawValue) -> NewEvent {
        self.raw("unrecognised", value)
    }

    /// The key of an item of this entry.
    pub(super) fn key(&self, parts: &[&str]) -> DedupeKey {
        DedupeKey::of(&[&[self.id.as_str()], parts].concat())
    }

    /// A time in milliseconds, or the entry's own.
    pub(super) fn time(&self, text: Option<&str>) -> Timestamp {
        text.and_then(millis).or(self.time).unwrap_or(self.received_at)
    }
}

/// Milliseconds since the epoch; a few deliveries have seconds.
fn millis(text: &str) -> Option<Timestamp> {
    let number: i64 = text.parse().ok().filter(|number| *number > 0)?;
    Some(if number < 100_000_000_000 { Timestamp::from_secs(number) } else { Timestamp::from_millis(number) })
}

/// Members of an object, as they came.
pub(super) fn whole(object: &Object<'_>) -> Box<RawValue> {
    let members: BTreeMap<&str, &RawValue> = object.members().collect();
    raw(&members)
}
