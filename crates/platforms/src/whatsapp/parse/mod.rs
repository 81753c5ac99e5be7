//! From a verified body to events: every entry, change, list and item, in order, and nothing dropped.
//!
//! Items are opened one by one, so that one that cannot be read spoils no other. What cannot be read becomes a
//! `whatsapp.unrecognised` event that holds the smallest piece of JSON around it.

mod body;
mod message;
mod narrow;
mod notice;
mod party;
mod place;
mod status;
mod usual;

use model::event::NewEvent;
use model::source::Source;
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) use self::narrow::narrow;
use self::place::{Change, Entry, Place};
use crate::http::Incoming;
use crate::json::{self, Object};
use crate::platform::{ITEMS_MAX, Unreadable};

const OBJECT: &str = "whatsapp_business_account";

/// Splits one body into its events, for a platform that speaks so.
pub(crate) fn parse(
    kind: &'static str,
    source: &Source,
    request: &Incoming,
) -> Result<Vec<NewEvent>, Unreadable> {
    let echo_is_human = source.settings.object().get("echo_is_human").and_then(Value::as_bool);
    match usual::parse(kind, &request.body, request.received_at, echo_is_human) {
        Some(events) => Ok(events),
        None => piece_by_piece(kind, request, echo_is_human),
    }
}

fn piece_by_piece(
    kind: &'static str,
    request: &Incoming,
    echo_is_human: Option<bool>,
) -> Result<Vec<NewEvent>, Unreadable> {
    let (_, entries) = entries(&request.body)?;
    let mut events = Vec::new();
    for raw in entries {
        let entry = Entry::of((kind, raw), request.received_at, echo_is_human);
        match &entry.changes {
            Some(changes) => {
                for raw in changes {
                    change(&Change::of(&entry, raw), &mut events)?;
                }
            }
            None => events.push(Change::of(&entry, raw).unrecognised()),
        }
    }
    Ok(events)
}

/// Splits what the client of one number sends: the value of a change alone, without an envelope (platforms.md 2.3).
pub(crate) fn parse_client(
    kind: &'static str,
    account: &str,
    request: &Incoming,
) -> Result<Vec<NewEvent>, Unreadable> {
    let value = json::object(&request.body)?;
    let said: &RawValue = serde_json::from_slice(&request.body).map_err(|error| json::unreadable(&error))?;
    let entry = Entry::of_client(kind, account, request.received_at);
    let mut events = Vec::new();
    lists(&Change::of_client(&entry, said), &value, &mut events)?;
    Ok(events)
}

/// The list of entries, as it stands in the body and item by item.
fn entries(body: &[u8]) -> Result<(&RawValue, Vec<&RawValue>), Unreadable> {
    let envelope = json::object(body)?;
    let object = envelope.text("object").unwrap_or_default();
    if object != OBJECT {
        return Err(Unreadable(format!("\"object\" is not \"{OBJECT}\"")));
    }
    let list = envelope.get("entry").and_then(|list| Some((list, json::items(list)?)));
    let (list, entries) = list.ok_or_else(|| Unreadable("\"entry\" is not a list".to_owned()))?;
    if entries.len() > ITEMS_MAX { Err(Unreadable::too_many()) } else { Ok((list, entries)) }
}

fn change(change: &Change<'_>, events: &mut Vec<NewEvent>) -> Result<(), Unreadable> {
    match (&*change.field, &change.value) {
        (field, Some(value)) if is_of_items(field) => lists(change, value, events)?,
        (field, Some(value)) if notice::is_about_account(field) => events.push(notice::event(change, value)),
        _ => events.push(change.unrecognised()),
    }
    if events.len() > ITEMS_MAX { Err(Unreadable::too_many()) } else { Ok(()) }
}

/// Whether the value of a change of this field holds lists of items.
fn is_of_items(field: &str) -> bool {
    matches!(field, "messages" | "standby" | "smb_message_echoes" | "message_echoes")
}

/// Reads one item of a list, or says that it cannot.
type Read = fn(&Place<'_>, &RawValue) -> Option<NewEvent>;

fn lists(change: &Change<'_>, value: &Object<'_>, events: &mut Vec<NewEvent>) -> Result<(), Unreadable> {
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
    if count > ITEMS_MAX {
        return Err(Unreadable::too_many());
    }
    let place = Place::of(change, value, count);
    for (read, items) in &lists {
        let item = |raw: &&RawValue| read(&place, raw).unwrap_or_else(|| place.unrecognised(raw));
        events.extend(items.iter().map(item));
    }
    if odd || lists.is_empty() {
        events.push(change.unrecognised());
    }
    Ok(())
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
