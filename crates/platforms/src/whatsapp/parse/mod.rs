//! From a verified body to events: every entry, change, list and item, in order, and nothing dropped.
//!
//! Items are opened one by one, so that one that cannot be read spoils no other. What cannot be read becomes a
//! `whatsapp.unrecognised` event that holds the smallest piece of JSON around it.

mod body;
mod message;
mod notice;
mod party;
mod place;
mod status;

use model::event::NewEvent;
use serde_json::value::RawValue;

use self::place::{Change, Entry, Place};
use crate::http::Incoming;
use crate::json::{self, Object};
use crate::platform::Unreadable;

const OBJECT: &str = "whatsapp_business_account";

/// Splits one body into its events.
pub(super) fn parse(request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let envelope = json::object(&request.body)?;
    let object = envelope.text("object").unwrap_or_default();
    if object != OBJECT {
        return Err(Unreadable(format!("\"object\" is \"{object}\", not \"{OBJECT}\"")));
    }
    let entries = envelope.items("entry").ok_or_else(|| Unreadable("\"entry\" is not a list".to_owned()))?;
    let mut events = Vec::with_capacity(entries.len());
    for raw in entries {
        entry(&Entry::of(raw, request.received_at), raw, &mut events);
    }
    Ok(events)
}

fn entry(entry: &Entry<'_>, raw: &RawValue, events: &mut Vec<NewEvent>) {
    match &entry.changes {
        Some(changes) => changes.iter().for_each(|raw| change(&Change::of(entry, raw), events)),
        None => events.push(Change::of(entry, raw).unrecognised()),
    }
}

fn change(change: &Change<'_>, events: &mut Vec<NewEvent>) {
    let Some(value) = change.value.and_then(Object::of) else {
        return events.push(change.unrecognised());
    };
    match &*change.field {
        "messages" | "standby" | "smb_message_echoes" | "message_echoes" => lists(change, &value, events),
        field if notice::is_about_account(field) => events.push(notice::event(change, &value)),
        _ => events.push(change.unrecognised()),
    }
}

/// Reads one item of a list, or says that it cannot.
type Read = fn(&Place<'_>, &RawValue) -> Option<NewEvent>;

fn lists(change: &Change<'_>, value: &Object<'_>, events: &mut Vec<NewEvent>) {
    let mut lists: Vec<(Read, Vec<&RawValue>)> = Vec::with_capacity(2);
    let mut odd = false;
    for (name, list) in value.members().filter(|(name, _)| *name != "contacts") {
        match (reader(name), json::items(list)) {
            (read, Some(items)) => lists.push((read.unwrap_or(|_, _| None), items)),
            (Some(_), None) => odd = true,
            (None, None) => {}
        }
    }
    let count = lists.iter().map(|(_, items)| items.len()).sum();
    let place = Place::of(change, value, count);
    for (read, items) in &lists {
        let item = |raw: &&RawValue| read(&place, raw).unwrap_or_else(|| place.unrecognised(raw));
        events.extend(items.iter().map(item));
    }
    if odd || lists.is_empty() {
        events.push(change.unrecognised());
    }
}

/// How the items of a list are read. A list Meta may add one day holds items too, which nobody can read yet;
/// members that are no lists describe the items.
fn reader(list: &str) -> Option<Read> {
    match list {
        "messages" => Some(message::received),
        "message_echoes" => Some(message::echo),
        "statuses" => Some(status::event),
        "errors" => Some(notice::error),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
