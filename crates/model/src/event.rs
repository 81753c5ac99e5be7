//! Events: one immutable thing that happened, its type, and what it says.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::conversation::Party;
use crate::file::FileLink;
use crate::id::{AccountId, AppId, ConversationId, EventId, ReceiptId, SourceId};
use crate::message::{AccountNotice, ContactChange, Media, Message, Reaction, Status};
use crate::time::Timestamp;

/// The longest event type, in bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;

/// The dotted name of what happened: `message.received`, `stripe.charge.refunded`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventType(Box<str>);

impl EventType {
    /// Takes a name that is already well formed: dot-separated words of `[A-Za-z0-9_]` (Standard Webhooks).
    pub fn new(name: &str) -> Option<EventType> {
        let well_formed = name.len() <= EVENT_TYPE_BYTES_MAX && name.split('.').all(is_word);
        well_formed.then(|| EventType(name.into()))
    }

    /// A name of ours, as the code has it.
    ///
    /// # Panics
    ///
    /// When it is not well formed: a fault of the code, not of anything that came in.
    pub fn ours(name: &str) -> EventType {
        EventType::new(name).expect("our own names are well formed")
    }

    /// Makes an event type of any text: what is not allowed becomes `_`, too long is cut.
    pub fn from_foreign(prefix: &str, name: &str) -> EventType {
        let mut made = String::with_capacity(prefix.len() + name.len() + 1);
        for part in prefix.split('.').chain(name.split(['.', '/', ':'])).filter(|part| !part.is_empty()) {
            if made.len() >= EVENT_TYPE_BYTES_MAX {
                break;
            }
            if !made.is_empty() {
                made.push('.');
            }
            made.extend(part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
        }
        made.truncate(EVENT_TYPE_BYTES_MAX);
        let made = made.trim_end_matches('.');
        EventType(if made.is_empty() { "unnamed".into() } else { made.into() })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Which event types are meant: `*`, `message.*`, or one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventPattern(Box<str>);

impl EventPattern {
    /// Reads a pattern; `*` may stand for a whole last part only.
    pub fn new(pattern: &str) -> Option<EventPattern> {
        let stem = pattern.strip_suffix(".*").unwrap_or(pattern);
        (pattern == "*" || EventType::new(stem).is_some()).then(|| EventPattern(pattern.into()))
    }

    /// Whether an event type is meant.
    pub fn matches(&self, event_type: &str) -> bool {
        match self.0.strip_suffix(".*") {
            Some(stem) => event_type.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.')),
            None => &*self.0 == "*" || &*self.0 == event_type,
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The platform's own id of one item (not of the request), made injective by [`DedupeKey::of`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DedupeKey(Vec<u8>);

impl DedupeKey {
    /// Joins the parts, each with its length before it, so that no two lists of parts give the same key.
    pub fn of(parts: &[&str]) -> DedupeKey {
        let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
        for part in parts {
            key.extend_from_slice(&(part.len() as u32).to_be_bytes());
            key.extend_from_slice(part.as_bytes());
        }
        DedupeKey(key)
    }

    /// The key's bytes, to be hashed together with the source.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One thing that happened on a source, in our words, as an adapter read it.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its dotted name.
    pub event_type: EventType,
    /// Equal for two items exactly when they are the same fact; `None` where the platform gives nothing to know
    /// a repeat by, so that every item is a fact of its own.
    pub dedupe_key: Option<DedupeKey>,
    /// The platform's own address of the account it happened on, where the request names one.
    pub account: Option<String>,
    /// Who is at the other end; makes and touches the conversation.
    pub party: Option<Party>,
    /// What it must stay in line with when there is no conversation.
    pub order_key: Option<String>,
    /// When it happened, as the platform says; when it came, where the platform is silent.
    pub occurred_at: Timestamp,
    /// What it says.
    pub content: Content,
}

impl NewEvent {
    /// An event that is a fact of its own, on no account and of no conversation, unless more is said of it.
    pub fn of(event_type: EventType, occurred_at: Timestamp, content: Content) -> NewEvent {
        NewEvent {
            event_type,
            dedupe_key: None,
            account: None,
            party: None,
            order_key: None,
            occurred_at,
            content,
        }
    }
}

/// What an event says. Its JSON is the product: stored, delivered and shown alike.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// A message came in, was echoed, edited or deleted.
    Message {
        /// The message.
        message: Box<Message>,
    },
    /// Somebody reacted to a message, or took a reaction back.
    Reaction {
        /// The reaction.
        reaction: Reaction,
    },
    /// A message of ours came one step further.
    Status {
        /// The step.
        status: Box<Status>,
    },
    /// A contact is known by something new.
    Contact {
        /// What changed.
        change: ContactChange,
    },
    /// The platform says something about the account.
    Account {
        /// What it says.
        notice: Box<AccountNotice>,
    },
    /// The platform's own JSON, one item of a request.
    Raw(Box<RawValue>),
    /// The whole body of the request is the content; it is kept once, with the receipt.
    #[serde(skip)]
    Body,
}

impl Content {
    /// The file of the message that was received, echoed or edited, if it holds one.
    pub fn media(&self) -> Option<&Media> {
        match self {
            Content::Message { message } => message.body.media(),
            _ => None,
        }
    }

    /// The JSON that is stored and delivered; `None` when the request's own body is the content. What is told in our
    /// own words also says who is at the other end.
    pub fn to_json(&self, party: Option<&Party>) -> Option<String> {
        self.to_json_with_file(party, None)
    }

    /// The same, saying where the file in it will be.
    pub fn to_json_with_file(&self, party: Option<&Party>, file: Option<&FileLink>) -> Option<String> {
        match self {
            Content::Body => None,
            Content::Raw(raw) => Some(raw.get().to_owned()),
            told => {
                let told = Told { contact: party.map(ContactView::of), told, file };
                Some(serde_json::to_string(&told).expect("content has text keys only"))
            }
        }
    }
}

/// Content in our own words, who it is about, and its file.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<ContactView<'a>>,
    #[serde(flatten)]
    told: &'a Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a FileLink>,
}

/// A contact as an event shows them: the name, and the first identifier of each sort under its own name.
#[derive(Serialize)]
struct ContactView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(flatten)]
    identifiers: BTreeMap<&'a str, &'a str>,
}

impl ContactView<'_> {
    fn of(party: &Party) -> ContactView<'_> {
        // Strongest first: a later one of the same sort (an old number) does not replace it.
        let identifiers =
            party.identifiers.iter().rev().map(|name| (&*name.kind, name.value.as_str())).collect();
        ContactView { name: party.name.as_deref(), identifiers }
    }
}

/// One stored event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id; stable over every attempt and replay.
    pub id: EventId,
    /// Who it belongs to.
    pub app: AppId,
    /// Where it came from; `None` for events of our own making.
    pub source: Option<SourceId>,
    /// The account it happened on.
    pub account: Option<AccountId>,
    /// The conversation it belongs to.
    pub conversation: Option<ConversationId>,
    /// The request it came in.
    pub receipt: Option<ReceiptId>,
    /// Its dotted name.
    pub event_type: EventType,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Its content's JSON; `None` when the receipt's body is the content, or when the content has been erased.
    pub content: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_means_whole_parts() {
        let matches =
            |pattern: &str, name: &str| EventPattern::new(pattern).expect("a pattern").matches(name);
        assert!(matches("*", "message.received"));
        assert!(matches("message.*", "message.received"));
        assert!(matches("message.received", "message.received"));
        assert!(!matches("message.*", "messages.received"));
        assert!(!matches("message.*", "message"));
        assert_eq!(EventPattern::new("mess*"), None);
        assert_eq!(EventPattern::new(""), None);
    }

    #[test]
    fn a_foreign_name_becomes_a_dotted_one() {
        assert_eq!(EventType::from_foreign("shopify", "orders/create").as_str(), "shopify.orders.create");
        assert_eq!(EventType::from_foreign("generic", "pago realizado").as_str(), "generic.pago_realizado");
        assert_eq!(EventType::from_foreign("", "..").as_str(), "unnamed");
    }

    proptest! {
        #[test]
        fn any_foreign_name_gives_a_well_formed_type(prefix in ".{0,20}", name in ".{0,300}") {
            let made = EventType::from_foreign(&prefix, &name);
            prop_assert!(EventType::new(made.as_str()).is_some(), "{}", made);
        }

        #[test]
        fn different_parts_never_share_a_key(a in prop::collection::vec("[ab:]{0,3}", 0..4), b in prop::collection::vec("[ab:]{0,3}", 0..4)) {
            let key = |parts: &[String]| DedupeKey::of(&parts.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(a == b, key(&a) == key(&b));
        }
    }
}
