//! Cutting a body down to the changes of some accounts, its own bytes kept around and within what stays.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::place::account_of;
use crate::json::{self, Object};
use crate::platform::Narrowed;

/// Keeps the changes whose account is wanted; entries that are left without any go too.
pub(crate) fn narrow(body: &[u8], keep: &dyn Fn(&str) -> bool) -> Narrowed {
    let read = super::entries(body);
    let (Ok((list, entries)), Ok(text)) = (read, std::str::from_utf8(body)) else {
        // What cannot be read is one event, on no account.
        return if keep("") { Narrowed::Whole } else { Narrowed::Nothing };
    };
    let kept: Vec<Cow<'_, str>> = entries.iter().filter_map(|raw| entry(raw, keep)).collect();
    let is_whole = |kept: &Cow<'_, str>| matches!(kept, Cow::Borrowed(_));
    match kept.len() {
        count if count == entries.len() && kept.iter().all(is_whole) => Narrowed::Whole,
        0 => Narrowed::Nothing,
        _ => Narrowed::Part(Bytes::from(json::replaced(text, list.get(), &listed(&kept)))),
    }
}

/// What is left of an entry; borrowed where that is all of it.
fn entry<'j>(raw: &'j RawValue, keep: &dyn Fn(&str) -> bool) -> Option<Cow<'j, str>> {
    let read = Object::of(raw);
    let id = read.as_ref().and_then(|entry| entry.text("id")).unwrap_or_default();
    let list = read.as_ref().and_then(|entry| entry.get("changes"));
    let changes = list.and_then(json::items).filter(|changes| !changes.is_empty());
    let (Some(list), Some(changes)) = (list, changes) else {
        return keep(&id).then_some(Cow::Borrowed(raw.get()));
    };
    let is_kept = |change: &&&RawValue| {
        let value = Object::of(change).and_then(|change| change.object("value"));
        keep(&account_of(value.as_ref(), &id))
    };
    let kept: Vec<&str> = changes.iter().filter(is_kept).map(|change| change.get()).collect();
    match kept.len() {
        0 => None,
        count if count == changes.len() => Some(Cow::Borrowed(raw.get())),
        _ => Some(Cow::Owned(json::replaced(raw.get(), list.get(), &listed(&kept)))),
    }
}

fn listed(items: &[impl AsRef<str>]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    format!("[{}]", items.join(","))
}

#[cfg(test)]
mod tests;
