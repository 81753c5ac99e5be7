//! Ids: 64 bits, ordered by time, made by us, shown as a prefix and eleven base62 digits (`evt_0Gk3…`).
//!
//! One number is the primary key, the cursor, the time index and the join key at once: 41 bits of milliseconds
//! since 2025, 10 bits of node, 12 bits of sequence.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::time::Timestamp;

const EPOCH_MS: i64 = 1_735_689_600_000; // 2025-01-01T00:00:00Z
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const WIDTH: usize = 11;

/// The number of nodes that may make ids at the same time.
pub const NODES_MAX: u16 = 1 << NODE_BITS;

/// What an id names; gives it its prefix.
pub trait Kind {
    /// What the text form starts with, without the underscore.
    const PREFIX: &'static str;
}

/// An id of one kind of thing. Sorts by the time it was made.
pub struct Id<K>(i64, PhantomData<fn() -> K>);

impl<K> Id<K> {
    /// Takes a number that is known to be an id of this kind: a column of ours.
    pub const fn from_raw(raw: i64) -> Id<K> {
        Id(raw, PhantomData)
    }

    /// The number, as stored.
    pub const fn raw(self) -> i64 {
        self.0
    }

    /// When the id was made, to the millisecond.
    pub fn made_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MS)
    }

    /// The smallest id that can be made at `at`: turns a time into a bound of a listing.
    pub fn first_at(at: Timestamp) -> Id<K> {
        let ms = at.as_millis().saturating_sub(EPOCH_MS).clamp(0, (1 << 41) - 1);
        Id::from_raw(ms << (NODE_BITS + SEQUENCE_BITS))
    }
}

/// Makes ids that never repeat and never go back, even when the clock does.
#[derive(Clone, Debug)]
pub struct Ids {
    node: i64,
    /// Milliseconds and sequence of the last id.
    last: Arc<AtomicI64>,
}

impl Ids {
    /// A maker for one node. Two running processes on the same store need different nodes.
    pub fn of_node(node: u16) -> Ids {
        Ids { node: i64::from(node % NODES_MAX), last: Arc::new(AtomicI64::new(0)) }
    }

    /// The next id. More than 4,096 in one millisecond borrow from the next.
    pub fn next<K>(&self, now: Timestamp) -> Id<K> {
        let floor = now.as_millis().saturating_sub(EPOCH_MS).max(0) << SEQUENCE_BITS;
        let step = |last: i64| floor.max(last + 1);
        let last = self.last.update(Ordering::Relaxed, Ordering::Relaxed, step);
        let tick = step(last);
        let (ms, sequence) = (tick >> SEQUENCE_BITS, tick & ((1 << SEQUENCE_BITS) - 1));
        Id::from_raw((ms << (NODE_BITS + SEQUENCE_BITS)) | (self.node << SEQUENCE_BITS) | sequence)
    }
}

/// Why a text is not an id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind: expected {prefix}_ and eleven letters or digits")]
pub struct NotAnId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

impl<K: Kind> FromStr for Id<K> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Id<K>, NotAnId> {
        let wrong = NotAnId { prefix: K::PREFIX };
        let digits = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_'));
        let Some(digits) = digits.filter(|digits| digits.len() == WIDTH) else { return Err(wrong) };
        let mut raw: i64 = 0;
        for byte in digits.bytes() {
            let Some(value) = digit_value(byte) else { return Err(wrong) };
            let Some(next) = raw.checked_mul(62).and_then(|raw| raw.checked_add(value)) else {
                return Err(wrong);
            };
            raw = next;
        }
        Ok(Id::from_raw(raw))
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'0'; WIDTH];
        let mut rest = self.0.unsigned_abs();
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[(rest % 62) as usize];
            rest /= 62;
        }
        let digits = std::str::from_utf8(&digits).map_err(|_| fmt::Error)?;
        write!(f, "{}_{digits}", K::PREFIX)
    }
}

fn digit_value(byte: u8) -> Option<i64> {
    match byte {
        b'0'..=b'9' => Some(i64::from(byte - b'0')),
        b'A'..=b'Z' => Some(i64::from(byte - b'A') + 10),
        b'a'..=b'z' => Some(i64::from(byte - b'a') + 36),
        _ => None,
    }
}

// Derives would ask the same of `K`, which is only a name.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Id<K> {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Id<K>) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Id<K>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Id<K>) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the ids of this product name.
pub mod kind {
    use super::Kind;

    /// The owner of endpoints.
    #[derive(Debug)]
    pub enum App {}
    /// A configured place webhooks come in.
    #[derive(Debug)]
    pub enum Source {}
    /// An address on a source.
    #[derive(Debug)]
    pub enum Account {}
    /// One HTTP request as it came.
    #[derive(Debug)]
    pub enum Receipt {}
    /// One thing that happened.
    #[derive(Debug)]
    pub enum Event {}
    /// Where events are delivered.
    #[derive(Debug)]
    pub enum Endpoint {}
    /// One event owed to one endpoint.
    #[derive(Debug)]
    pub enum Delivery {}
    /// One try of a delivery or a send.
    #[derive(Debug)]
    pub enum Attempt {}
    /// The line of messages with one contact on one account.
    #[derive(Debug)]
    pub enum Conversation {}
    /// A person at the other end.
    #[derive(Debug)]
    pub enum Contact {}
    /// An outgoing message owed to a platform.
    #[derive(Debug)]
    pub enum Send {}
    /// A credential for our API.
    #[derive(Debug)]
    pub enum Token {}
    /// A stored file.
    #[derive(Debug)]
    pub enum File {}
    /// One line of the audit log.
    #[derive(Debug)]
    pub enum Audit {}

    impl Kind for App {
        const PREFIX: &'static str = "app";
    }
    impl Kind for Source {
        const PREFIX: &'static str = "src";
    }
    impl Kind for Account {
        const PREFIX: &'static str = "acc";
    }
    impl Kind for Receipt {
        const PREFIX: &'static str = "rcp";
    }
    impl Kind for Event {
        const PREFIX: &'static str = "evt";
    }
    impl Kind for Endpoint {
        const PREFIX: &'static str = "ep";
    }
    impl Kind for Delivery {
        const PREFIX: &'static str = "dlv";
    }
    impl Kind for Attempt {
        const PREFIX: &'static str = "att";
    }
    impl Kind for Conversation {
        const PREFIX: &'static str = "cnv";
    }
    impl Kind for Contact {
        const PREFIX: &'static str = "ctc";
    }
    impl Kind for Send {
        const PREFIX: &'static str = "snd";
    }
    impl Kind for Token {
        const PREFIX: &'static str = "tok";
    }
    impl Kind for File {
        const PREFIX: &'static str = "file";
    }
    impl Kind for Audit {
        const PREFIX: &'static str = "aud";
    }
}

/// Names an app.
pub type AppId = Id<kind::App>;
/// Names a source.
pub type SourceId = Id<kind::Source>;
/// Names an account.
pub type AccountId = Id<kind::Account>;
/// Names a receipt.
pub type ReceiptId = Id<kind::Receipt>;
/// Names an event; stable over every attempt and replay of it.
pub type EventId = Id<kind::Event>;
/// Names an endpoint.
pub type EndpointId = Id<kind::Endpoint>;
/// Names a delivery.
pub type DeliveryId = Id<kind::Delivery>;
/// Names an attempt.
pub type AttemptId = Id<kind::Attempt>;
/// Names a conversation.
pub type ConversationId = Id<kind::Conversation>;
/// Names a contact.
pub type ContactId = Id<kind::Contact>;
/// Names a send.
pub type SendId = Id<kind::Send>;
/// Names a token.
pub type TokenId = Id<kind::Token>;
/// Names a stored file.
pub type FileId = Id<kind::File>;
/// Names a line of the audit log.
pub type AuditId = Id<kind::Audit>;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_is_read_back_from_its_text(raw in 0..=i64::MAX) {
            let id = EventId::from_raw(raw);
            prop_assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
        }

        #[test]
        fn ids_and_their_texts_sort_by_time(a in 0i64..1 << 62, b in 0i64..1 << 62) {
            let (a, b) = (EventId::from_raw(a), EventId::from_raw(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = text.parse::<EventId>();
        }
    }

    #[test]
    fn ids_never_repeat_or_go_back_when_the_clock_does() {
        let ids = Ids::of_node(3);
        let late = Timestamp::from_millis(EPOCH_MS + 5_000);
        let early = Timestamp::from_millis(EPOCH_MS + 10);
        let made: Vec<EventId> =
            (0..10_000).map(|n| ids.next(if n % 2 == 0 { late } else { early })).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(made[0].made_at(), late);
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id: EventId = Ids::of_node(0).next(Timestamp::from_millis(EPOCH_MS + 1));
        assert!(id.to_string().parse::<DeliveryId>().is_err());
    }
}
