//! Items of `statuses`: how far a message of ours came (platforms.md 1.6).

use std::borrow::Cow;

use model::conversation::{Party, Touch};
use model::event::{Content, NewEvent};
use model::message::{MessageState, Status};
use serde_json::value::RawValue;

use super::notice::platform_errors;
use super::party::{Person, group};
use super::place::Place;
use crate::json::{self, Object};

/// Members that have a place in [`Status`] or in the event around it.
const TOLD: [&str; 13] = [
    "id",
    "type",
    "message",
    "status",
    "timestamp",
    "recipient_type",
    "recipient_id",
    "recipient_user_id",
    "recipient_parent_user_id",
    "biz_opaque_callback_data",
    "errors",
    "pricing",
    "conversation",
];
/// How a group's participant is named.
const PARTICIPANT: [&str; 2] = ["recipient_participant_id", "recipient_participant_user_id"];

/// Reads a status; `None` when it cannot be read or its word is not one we know.
pub(super) fn event(place: &Place<'_>, raw: &RawValue) -> Option<NewEvent> {
    let item = Object::of(raw)?;
    let (id, word) = (item.text("id")?, item.text("status")?);
    let state = MessageState::parse(&word)?;
    let about = about(&item).unwrap_or_default();
    // Clients of one number have moved the recipient into the message that the status is about.
    let inner = item.object("message").filter(|_| item.get("recipient_id").is_none());
    let named = inner.as_ref().unwrap_or(&item);
    let person = Person::of(named, "recipient_id", "recipient_user_id", "recipient_parent_user_id");
    let about = if about.is_empty() { person.number.clone().unwrap_or_default() } else { about };
    let status = Box::new(Status {
        message_id: id.clone().into_owned(),
        state,
        recipient: (!about.is_empty()).then(|| about.clone().into_owned()),
        correlation: item.string("biz_opaque_callback_data"),
        errors: platform_errors(item.items("errors").unwrap_or_default()),
        pricing: item.get("pricing").map(ToOwned::to_owned),
        platform_conversation: item.get("conversation").map(ToOwned::to_owned),
        extra: extra(place, &item, &person, &about),
    });
    let key = ("status", &[&*id, &*word, &*about][..]);
    let event = place.event(&format!("message.{word}"), key, Content::Status { status });
    let party = party(place, &item, &person);
    Some(NewEvent {
        // Without a conversation the steps of one message still belong in line.
        order_key: party.is_none().then(|| id.into_owned()),
        party,
        occurred_at: place.change.entry.time(item.text("timestamp").as_deref()),
        ..event
    })
}

/// Whom the step is about: in a group each participant has steps of their own.
fn about<'j>(item: &Object<'j>) -> Option<Cow<'j, str>> {
    let names =
        ["recipient_participant_id", "recipient_participant_user_id", "recipient_id", "recipient_user_id"];
    names.into_iter().find_map(|name| item.text(name))
}

fn party(place: &Place<'_>, item: &Object<'_>, person: &Person<'_>) -> Option<Party> {
    match (item.text("recipient_type").as_deref(), &person.number) {
        (Some("group"), Some(id)) => Some(group(id, Touch::None)),
        _ => place.contacts.party(person, Touch::None),
    }
}

/// What has no name of ours, such as the second id of a group's participant.
fn extra(place: &Place<'_>, item: &Object<'_>, person: &Person<'_>, about: &str) -> Option<Box<RawValue>> {
    let told = |key: &str| {
        TOLD.contains(&key) || (PARTICIPANT.contains(&key) && item.text(key).as_deref() == Some(about))
    };
    let mut rest = item.rest(told).unwrap_or_default();
    let contact = place.contacts.find(person).filter(|contact| contact.has_more);
    rest.extend(contact.map(|contact| ("contact", contact.raw)));
    (!rest.is_empty()).then(|| json::raw(&rest))
}
