//! The body that nearly every request has, read in as few passes as there can be: entries of changes that hold lists of
//! items, and nothing odd about them. Whatever else a body is, is read piece by piece, and comes to the same where both can
//! read it.

use std::borrow::Cow;

use model::event::NewEvent;
use model::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::place::{Change, Entry};
use super::{OBJECT, is_of_items, lists, reader};
use crate::json::{self, Object};
use crate::platform::ITEMS_MAX;

#[derive(Deserialize)]
struct Envelope<'j> {
    #[serde(borrow)]
    object: Cow<'j, str>,
    #[serde(borrow)]
    entry: Vec<UsualEntry<'j>>,
}

#[derive(Deserialize)]
struct UsualEntry<'j> {
    #[serde(borrow)]
    id: &'j RawValue,
    #[serde(borrow, default)]
    time: Option<&'j RawValue>,
    #[serde(borrow)]
    changes: Vec<UsualChange<'j>>,
}

#[derive(Deserialize)]
struct UsualChange<'j> {
    #[serde(borrow)]
    field: Cow<'j, str>,
    #[serde(borrow)]
    value: &'j RawValue,
}

/// The events of a body, if it is a usual one.
pub(super) fn parse(
    kind: &'static str,
    body: &[u8],
    received_at: Timestamp,
    echo_is_human: Option<bool>,
) -> Option<Vec<NewEvent>> {
    let envelope = read(body)?;
    let mut events = Vec::new();
    for UsualEntry { id, time, changes } in envelope.entry {
        let entry = Entry {
            id: json::text(id)?,
            changes: None,
            time: time.and_then(json::text),
            received_at,
            echo_is_human,
            kind,
        };
        for UsualChange { field, value } in changes {
            if !is_of_items(&field) {
                return None;
            }
            let object = Object::of(value).filter(is_usual)?;
            // Only of a change that is odd the whole is told.
            let change = Change::opened(&entry, field, Some(object), value, value);
            lists(&change, change.value.as_ref()?, &mut events).ok()?;
        }
    }
    (events.len() <= ITEMS_MAX).then_some(events)
}

fn read(body: &[u8]) -> Option<Envelope<'_>> {
    let text = std::str::from_utf8(body).ok()?;
    let envelope: Envelope<'_> = serde_json::from_str(text).ok().filter(|_| !json::is_deep(body))?;
    (envelope.object == OBJECT && envelope.entry.len() <= ITEMS_MAX).then_some(envelope)
}

/// Whether a value holds a list of items, and everything that should be one is one.
fn is_usual(value: &Object<'_>) -> bool {
    let is_list = |raw: &RawValue| raw.get().starts_with('[');
    let mut of_items = value.members().filter(|(name, _)| reader(name).is_some()).peekable();
    of_items.peek().is_some() && of_items.all(|(_, list)| is_list(list))
}
