//! What an adapter must know about its platform.

use std::time::Duration;

use model::event::NewEvent;
use model::retry::Outcome;
use model::secret::Secret;
use model::send::OutgoingMessage;
use model::source::Source;
use model::time::Timestamp;

use crate::http::{Answer, Call, Incoming, Reply};
use crate::proof::{Rejection, Verified};

/// What a platform must know how to do. Pure: same bytes, same answer.
pub trait Platform: Sync {
    /// Its name in the registry, in settings and as prefix of its own event types.
    fn kind(&self) -> &'static str;

    /// Says what is wrong with a source's settings and secrets, in words, before it is saved.
    fn check(&self, source: &Source) -> Result<(), String>;

    /// Proves the request genuine. A [`Verified`] can be made in [`crate::proof`] only; accepting an unsigned
    /// request is a proof too, one that the source must have asked for by name.
    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection>;

    /// Answers the platform's check that the URL is ours, if this request is one.
    fn handshake(&self, _source: &Source, _request: &Verified<'_>) -> Option<Reply> {
        None
    }

    /// Splits one request into the events it carries, in order. What is valid but unknown becomes an
    /// `<platform>.unrecognised` event; [`Unreadable`] is for bodies that are not the platform's at all.
    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable>;

    /// What the platform wants to hear once its events are safe.
    fn acknowledge(&self, _source: &Source, _request: &Verified<'_>) -> Reply {
        Reply::empty()
    }

    /// Signs a body in the platform's scheme with an endpoint's own key: the headers to send with it.
    fn sign(&self, _source: &Source, key: &Secret, body: &[u8], now: Timestamp) -> Vec<(String, String)>;

    /// The call that sends this message, or why the platform cannot.
    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported>;

    /// What the platform's answer to that call means.
    fn interpret(&self, source: &Source, answer: &Answer) -> Interpreted;

    /// How fast one account may send; `None` where the platform sets no limit.
    fn pace(&self, _source: &Source) -> Option<Pace> {
        None
    }
}

/// Who sends a message, and how it is known again.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'s> {
    /// The source whose access token and settings are used.
    pub source: &'s Source,
    /// The platform's own name for the account: a phone number id.
    pub account: &'s str,
    /// Our id of the send, for platforms that give it back with statuses.
    pub correlation: &'s str,
    /// The present, for secrets that retire.
    pub now: Timestamp,
}

/// What a platform's answer to a send means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interpreted {
    /// What follows for the send.
    pub outcome: Outcome,
    /// The platform's id of the message, when it took one.
    pub message_id: Option<String>,
    /// The account itself is refused (its token, its payment, a ban): nothing more should leave it.
    pub account_stopped: bool,
}

/// How fast one account may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// The shortest time between two calls of one account, on average.
    pub account_interval: Duration,
    /// How many calls of one account may come at once.
    pub account_burst: u32,
    /// The shortest time between two messages to one contact, on average.
    pub pair_interval: Duration,
    /// How many messages to one contact may come at once.
    pub pair_burst: u32,
}

/// A verified body that is not the platform's; it is kept as it came.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Why a platform cannot send a message; nothing has been queued.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub String);
