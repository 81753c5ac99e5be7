//! Where an item was found: its entry, change and value, and what every event takes over from them.

use std::borrow::Cow;
use std::time::Duration;

use aws_lc_rs::digest;
use model::conversation::Touch;
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::message::seconds_text;
use model::time::Timestamp;
use serde_json::value::RawValue;

use super::party::Contacts;
use crate::json::Object;

/// How far ahead of our clock a platform's time may lie before it is not believed.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 3600);
/// The field of what is typed on the phone of the business (platforms.md 1.8).
const TYPED_ON_THE_PHONE: &str = "smb_message_echoes";

/// One entry: a WhatsApp Business account and when it spoke.
pub(super) struct Entry<'j> {
    /// The id of the WhatsApp Business account; empty where the entry has none.
    pub(super) id: Cow<'j, str>,
    /// What it says; `None` where that is no list.
    pub(super) changes: Option<Vec<&'j RawValue>>,
    /// When it says to have spoken, in seconds; only account fields come with it.
    pub(super) time: Option<Cow<'j, str>>,
    /// When the request came.
    pub(super) received_at: Timestamp,
    /// What the source says of every echo, where it says anything.
    pub(super) echo_is_human: Option<bool>,
    /// The platform's name, which stands before events without a name of ours.
    pub(super) kind: &'static str,
}

impl<'j> Entry<'j> {
    /// What the client of one number says, whose requests have no entries: all of it is about the account.
    pub(super) fn of_client(kind: &'static str, account: &'j str, received_at: Timestamp) -> Entry<'j> {
        let id = Cow::Borrowed(account);
        Entry { id, changes: None, time: None, received_at, echo_is_human: None, kind }
    }

    /// Opens an entry; `echo_is_human` is what the source says of every echo, where it says anything.
    pub(super) fn of(
        (kind, raw): (&'static str, &'j RawValue),
        received_at: Timestamp,
        echo_is_human: Option<bool>,
    ) -> Entry<'j> {
        let read = Object::of(raw);
        let text = |name| read.as_ref().and_then(|entry| entry.text(name));
        Entry {
            id: text("id").unwrap_or_default(),
            changes: read.as_ref().and_then(|entry| entry.items("changes")),
            time: text("time"),
            received_at,
            echo_is_human,
            kind,
        }
    }

    /// The time a text in seconds says, or when the request came where it says none that can be believed.
    pub(super) fn time(&self, seconds: Option<&str>) -> Timestamp {
        let said = seconds.and_then(seconds_text);
        said.filter(|at| *at <= self.received_at.plus(AHEAD_MAX)).unwrap_or(self.received_at)
    }
}

/// One change of an entry.
pub(super) struct Change<'j> {
    /// The entry it is in.
    pub(super) entry: &'j Entry<'j>,
    /// What it is about; empty where it does not say.
    pub(super) field: Cow<'j, str>,
    /// What it says; `None` where that is no object.
    pub(super) value: Option<Object<'j>>,
    /// What it says, as it came; the whole change where it says nothing.
    pub(super) said: &'j RawValue,
    /// The address of the account it is about.
    pub(super) account: Cow<'j, str>,
    /// The change as it came.
    pub(super) raw: &'j RawValue,
}

impl<'j> Change<'j> {
    /// Opens a change.
    pub(super) fn of(entry: &'j Entry<'j>, raw: &'j RawValue) -> Change<'j> {
        let read = Object::of(raw);
        let field = read.as_ref().and_then(|change| change.text("field")).unwrap_or_default();
        let said = read.as_ref().and_then(|change| change.get("value"));
        Change::opened(entry, field, said.and_then(Object::of), said.unwrap_or(raw), raw)
    }

    /// A change whose members are read already.
    pub(super) fn opened(
        entry: &'j Entry<'j>,
        field: Cow<'j, str>,
        value: Option<Object<'j>>,
        said: &'j RawValue,
        raw: &'j RawValue,
    ) -> Change<'j> {
        let account = account_of(value.as_ref(), &entry.id);
        Change { entry, field, value, said, account, raw }
    }

    /// All that the client of one number says in a request, as if it were a change of its messages.
    pub(super) fn of_client(entry: &'j Entry<'j>, said: &'j RawValue) -> Change<'j> {
        let field = Cow::Borrowed("messages");
        Change { entry, field, account: entry.id.clone(), value: Object::of(said), said, raw: said }
    }

    /// An event of the whole change. The entry's time is in its key, because two notices may read the same.
    pub(super) fn event(&self, name: &str, content: Content) -> NewEvent {
        let digest = digest_of(self.raw);
        let key = ["change", &self.entry.id, &self.field, self.said_at(), &digest];
        NewEvent {
            dedupe_key: Some(DedupeKey::of(&key)),
            account: known(&self.account),
            ..NewEvent::of(
                EventType::from_foreign("", name),
                self.entry.time(self.entry.time.as_deref()),
                content,
            )
        }
    }

    /// The whole change as an event, because it cannot be read.
    pub(super) fn unrecognised(&self) -> NewEvent {
        let name = format!("{}.unrecognised", self.entry.kind);
        self.event(&name, Content::Raw(self.raw.to_owned()))
    }

    /// When the entry says to have spoken, as written.
    pub(super) fn said_at(&self) -> &str {
        self.entry.time.as_deref().unwrap_or_default()
    }
}

/// The value of a change that holds lists of items.
pub(super) struct Place<'j> {
    /// The change.
    pub(super) change: &'j Change<'j>,
    /// The people the value tells of.
    pub(super) contacts: Contacts<'j>,
    /// Whether another app has the conversation at the moment and we only listen.
    pub(super) is_standby: bool,
}

impl<'j> Place<'j> {
    /// Opens a value that holds so many items.
    pub(super) fn of(change: &'j Change<'j>, value: &Object<'j>, items: usize) -> Place<'j> {
        Place { contacts: Contacts::of(value, items), is_standby: change.field == "standby", change }
    }

    /// An event of one item, known by the kind of the item, the account and the rest of its key.
    pub(super) fn event(&self, name: &str, (kind, key): (&str, &[&str]), content: Content) -> NewEvent {
        let standby = self.is_standby && name.starts_with("message.");
        let mut parts = Vec::with_capacity(key.len() + 3);
        // The same message is another fact once the conversation has come to us.
        parts.extend(standby.then_some("standby"));
        parts.extend([kind, &*self.change.account]);
        parts.extend(key);
        NewEvent {
            event_type: match standby {
                true => EventType::from_foreign(&format!("{}.standby", self.change.entry.kind), name),
                false => EventType::from_foreign("", name),
            },
            dedupe_key: Some(DedupeKey::of(&parts)),
            account: known(&self.change.account),
            party: None,
            order_key: None,
            occurred_at: self.change.entry.time(self.change.entry.time.as_deref()),
            content,
        }
    }

    /// What an echo means: a person types on the phone of the business, and another app may be a bot as well, unless the
    /// source says otherwise.
    pub(super) fn echo(&self) -> Touch {
        let is_typed = self.change.field == TYPED_ON_THE_PHONE;
        match self.change.entry.echo_is_human.unwrap_or(is_typed) {
            true if is_typed => Touch::HumanEcho,
            true => Touch::UnclearEcho,
            false => Touch::None,
        }
    }

    /// The item alone as an event, because it cannot be read.
    pub(super) fn unrecognised(&self, item: &RawValue) -> NewEvent {
        let digest = digest_of(item);
        let key = ("item", &[&*self.change.field, self.change.said_at(), &digest][..]);
        let name = format!("{}.unrecognised", self.change.entry.kind);
        self.event(&name, key, Content::Raw(item.to_owned()))
    }
}

/// The address of the account a value is about: the phone number id it names, or else the id of its entry, which is
/// the WhatsApp Business account; empty where neither is there.
pub(super) fn account_of<'j>(value: Option<&Object<'j>>, entry_id: &Cow<'j, str>) -> Cow<'j, str> {
    let metadata = value.and_then(|value| value.object("metadata"));
    metadata.and_then(|metadata| metadata.text("phone_number_id")).unwrap_or_else(|| entry_id.clone())
}

/// The SHA-256 of a piece of JSON as it came, in hex.
pub(super) fn digest_of(raw: &RawValue) -> String {
    hex::encode(digest::digest(&digest::SHA256, raw.get().as_bytes()))
}

fn known(account: &str) -> Option<String> {
    (!account.is_empty()).then(|| account.to_owned())
}
