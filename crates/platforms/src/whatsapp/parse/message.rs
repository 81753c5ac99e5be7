//! Items of `messages` and of `message_echoes`.

use std::borrow::Cow;

use model::conversation::{Identifier, Party, Touch};
use model::event::{Content, NewEvent};
use model::message::{Body, ContactChange, Forwarded, Message, Reaction};
use serde_json::value::RawValue;

use super::body;
use super::party::{KINDS, Person, group};
use super::place::Place;
use crate::json::{self, Object};

/// Members that have a place in [`Message`] or in the event around it.
const TOLD: [&str; 13] = [
    "from",
    "from_bsuid",
    "from_user_id",
    "from_parent_user_id",
    "to",
    "to_user_id",
    "to_parent_user_id",
    "id",
    "timestamp",
    "type",
    "group_id",
    "context",
    "referral",
];

/// The member of a message's context that names a product.
const PRODUCT: &str = "referred_product";

/// Reads a message of the contact's; `None` when it cannot be read.
pub(super) fn received(place: &Place<'_>, raw: &RawValue) -> Option<NewEvent> {
    let item = Item::of(place, raw, Side::Contact)?;
    match &*item.kind {
        "reaction" => item.reaction(),
        "edit" => item.edit(),
        "revoke" => item.revoke(),
        "system" => Some(item.contact_change().unwrap_or_else(|| item.notice())),
        _ => Some(item.message("message.received", Touch::Inbound)),
    }
}

/// Reads a message that somebody else wrote on our side; `None` when it cannot be read.
pub(super) fn echo(place: &Place<'_>, raw: &RawValue) -> Option<NewEvent> {
    let item = Item::of(place, raw, Side::Business)?;
    match &*item.kind {
        "edit" => item.edit(),
        "revoke" => item.revoke(),
        _ => Some(item.message("message.echo", place.echo())),
    }
}

/// Who wrote an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Contact,
    Business,
}

/// One item, opened.
struct Item<'p, 'j> {
    place: &'p Place<'p>,
    raw: &'j RawValue,
    object: Object<'j>,
    side: Side,
    id: Cow<'j, str>,
    kind: Cow<'j, str>,
    /// The person at the other end.
    person: Person<'j>,
}

impl<'p, 'j> Item<'p, 'j> {
    fn of(place: &'p Place<'p>, raw: &'j RawValue, side: Side) -> Option<Item<'p, 'j>> {
        let object = Object::of(raw)?;
        let person = match side {
            Side::Contact => {
                let person = Person::of(&object, "from", "from_user_id", "from_parent_user_id");
                Person { user_id: person.user_id.or_else(|| object.text("from_bsuid")), ..person }
            }
            Side::Business => Person::of(&object, "to", "to_user_id", "to_parent_user_id"),
        };
        let (id, kind) = (object.text("id")?, object.text("type").unwrap_or_default());
        Some(Item { place, raw, object, side, id, kind, person })
    }

    /// An event of this item; `key` is what its key holds besides kind and account.
    fn event(&self, name: &str, key: (&str, &[&str]), touch: Touch, content: Content) -> NewEvent {
        let event = self.place.event(name, key, content);
        let said_at = self.object.text("timestamp");
        // What another app has at the moment is not ours to move.
        let touch = if self.place.is_standby { Touch::None } else { touch };
        let party = match self.object.text("group_id") {
            Some(id) => Some(group(&id, touch)),
            None => self.place.contacts.party(&self.person, touch),
        };
        NewEvent { party, occurred_at: self.place.change.entry.time(said_at.as_deref()), ..event }
    }

    fn message(&self, name: &str, touch: Touch) -> NewEvent {
        let kind = match self.side {
            Side::Contact => "message",
            Side::Business => "echo",
        };
        let message = Box::new(self.told(&self.id, &self.object, self.raw));
        self.event(name, (kind, &[&self.id]), touch, Content::Message { message })
    }

    /// A notice of WhatsApp's inside the conversation, which the contact did not write.
    fn notice(&self) -> NewEvent {
        self.message("message.received", Touch::None)
    }

    fn reaction(&self) -> Option<NewEvent> {
        let part = self.object.object("reaction")?;
        let (message_id, emoji) = (part.string("message_id")?, part.string("emoji"));
        // Adding and taking back may carry the same id, so that the id alone would lose the second.
        let said_at = self.object.text("timestamp").unwrap_or_default();
        let key = [&*self.id, emoji.as_deref().unwrap_or("removed"), &said_at];
        let reaction = Reaction { id: Some(self.id.clone().into_owned()), message_id, emoji: emoji.clone() };
        Some(self.event("message.reaction", ("reaction", &key), Touch::None, Content::Reaction { reaction }))
    }

    fn edit(&self) -> Option<NewEvent> {
        let part = self.object.object("edit")?;
        let raw = part.get("message")?;
        let message = Box::new(self.told(&part.text("original_message_id")?, &Object::of(raw)?, raw));
        let touch = self.hand();
        Some(self.event("message.edited", ("edit", &[&self.id]), touch, Content::Message { message }))
    }

    fn revoke(&self) -> Option<NewEvent> {
        let id = self.object.object("revoke")?.string("original_message_id")?;
        let extra = self.extra("revoke", &self.object);
        let message =
            Box::new(Message { id, author: self.author(), group: self.group(), extra, ..Message::default() });
        let touch = self.hand();
        Some(self.event("message.deleted", ("revoke", &[&self.id]), touch, Content::Message { message }))
    }

    /// Changing a message opens no window, but a person of ours who does it is at work.
    fn hand(&self) -> Touch {
        match self.side {
            Side::Contact => Touch::None,
            Side::Business => self.place.echo(),
        }
    }

    /// What a message tells, in our words; `object` is the item itself or the newer text within an edit.
    fn told(&self, id: &str, object: &Object<'_>, raw: &RawValue) -> Message {
        let kind = object.text("type").unwrap_or_default();
        let context = object.object("context");
        let body = body::read(&kind, object, raw);
        let product = || context.as_ref().and_then(|context| context.get(PRODUCT));
        Message {
            id: id.to_owned(),
            author: self.author(),
            group: self.group(),
            reply_to: context.as_ref().and_then(|context| context.string("id")),
            forwarded: context.as_ref().and_then(forwarded),
            referral: object.get("referral").or_else(product).map(ToOwned::to_owned),
            // An unsupported message holds everything already.
            extra: match body {
                Body::Unsupported { .. } => None,
                _ => self.extra(&kind, object),
            },
            body,
        }
    }

    /// What has no name of ours, of the message, of its own part, of its context and of the person.
    fn extra(&self, kind: &str, object: &Object<'_>) -> Option<Box<RawValue>> {
        let mut rest = object.rest(|key| TOLD.contains(&key) || key == kind).unwrap_or_default();
        let part = body::rest(kind, object);
        rest.extend(part.as_deref().map(|part| (kind, part)));
        let is_told = |key: &str| {
            ["id", "forwarded", "frequently_forwarded"].contains(&key)
                || (key == PRODUCT && object.get("referral").is_none())
        };
        let context =
            object.object("context").and_then(|context| context.rest(is_told).map(|rest| json::raw(&rest)));
        rest.extend(context.as_deref().map(|context| ("context", context)));
        // In a group the party is the group, so that the person who speaks has no other place.
        let in_group = self.object.get("group_id").is_some();
        let contact = self.place.contacts.find(&self.person).filter(|contact| in_group || contact.has_more);
        rest.extend(contact.map(|contact| ("contact", contact.raw)));
        (!rest.is_empty()).then(|| json::raw(&rest))
    }

    /// Who wrote it, where that is not the contact of the conversation.
    fn author(&self) -> Option<String> {
        match (self.side, self.group()) {
            (Side::Business, _) => self.object.string("from"),
            (Side::Contact, Some(_)) => self.person.address().map(str::to_owned),
            (Side::Contact, None) => None,
        }
    }

    fn group(&self) -> Option<String> {
        self.object.string("group_id")
    }

    /// A new number or id of the contact's; `None` for other notices.
    fn contact_change(&self) -> Option<NewEvent> {
        let part = self.object.object("system")?;
        let reason = part.string("type")?;
        if !reason.starts_with("user_changed_") && reason != "customer_identity_changed" {
            return None;
        }
        let now = Person::of(&part, "wa_id", "user_id", "parent_user_id");
        // The older name of the same; the contacts beside it still say the number before.
        let renamed = part.text("new_wa_id");
        let now = Person { number: now.number.or_else(|| renamed.clone()), ..now };
        let (from, to) = match &*reason {
            "user_changed_user_id" => (&self.person.user_id, &now.user_id),
            _ => (&self.person.number, &now.number),
        };
        let change = ContactChange {
            from: from.as_deref().filter(|from| Some(*from) != to.as_deref()).map(str::to_owned),
            to: to.as_deref().map(str::to_owned),
            text: part.string("body"),
            extra: self.extra("system", &self.object),
            reason,
        };
        let mut event =
            self.event("contact.updated", ("message", &[&self.id]), Touch::None, Content::Contact { change });
        let known = match renamed {
            Some(number) => Some(Party {
                identifiers: vec![Identifier::new("wa_id", number)],
                name: None,
                touch: Touch::None,
            }),
            None => self.place.contacts.party(&now, Touch::None),
        };
        event.party = joined(known, event.party);
        Some(event)
    }
}

/// Every name of one person, strongest first: what is old finds the contact, what is new comes before it.
fn joined(new: Option<Party>, old: Option<Party>) -> Option<Party> {
    match (new, old) {
        (Some(mut new), Some(old)) => {
            let missing = |name: &Identifier| !new.identifiers.contains(name);
            let missing: Vec<Identifier> = old.identifiers.into_iter().filter(missing).collect();
            new.identifiers.extend(missing);
            new.identifiers.sort_by_key(|name| KINDS.iter().position(|kind| *kind == name.kind));
            Some(new)
        }
        (new, old) => new.or(old),
    }
}

fn forwarded(context: &Object<'_>) -> Option<Forwarded> {
    match (context.flag("frequently_forwarded"), context.flag("forwarded")) {
        (true, _) => Some(Forwarded::Frequently),
        (false, true) => Some(Forwarded::Once),
        (false, false) => None,
    }
}
