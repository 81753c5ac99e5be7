//! What an adapter must know about its platform.

use std::time::Duration;

use bytes::Bytes;
use model::event::NewEvent;
use model::message::Media;
use model::retry::Outcome;
use model::secret::Secret;
use model::send::OutgoingMessage;
use model::source::Source;
use model::time::Timestamp;

use crate::fetching::{self, Fetch};
use crate::http::{Answer, Call, Incoming, Reply};
use crate::proof::{Rejection, Verified};
use crate::registration::{Step, Wanted};

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

    /// A body with the credentials masked that the platform puts into it, the rest byte for byte; `None` where it
    /// holds none.
    fn redact(&self, _body: &[u8]) -> Option<Bytes> {
        None
    }

    /// Where a request of this source shows a credential besides the headers that always do; people are never shown it.
    fn credential_place(&self, _source: &Source) -> Option<CredentialPlace> {
        None
    }

    /// Cuts a body down to the items on some accounts, told by the addresses [`Platform::parse`] gives them; items on
    /// no account have the empty one. What is left keeps the platform's shape and its own bytes. A platform whose
    /// requests are each about one account has nothing to cut.
    fn narrow(&self, _body: &[u8], _keep: &dyn Fn(&str) -> bool) -> Narrowed {
        Narrowed::Whole
    }

    /// Headers in which the platform says what a request is about: an endpoint of format `platform` gets them as they came.
    fn told_in(&self) -> &'static [&'static str] {
        &[]
    }

    /// Signs a body in the platform's scheme for an endpoint: the headers to send with it.
    fn sign(&self, source: &Source, what: &ToSign<'_>) -> Vec<(String, String)>;

    /// What has to be registered so that the platform calls our URL, or what is missing for it; `None` where its API cannot
    /// be told, and a person enters the URL.
    fn registration(&self, _wanted: &Wanted<'_>) -> Option<Result<Vec<Step>, Unsupported>> {
        None
    }

    /// The call that sends this message, or why the platform cannot.
    fn compose(&self, _sender: &Sender<'_>, _message: &OutgoingMessage) -> Result<Call, Unsupported> {
        Err(Unsupported(format!("a {} source cannot send messages", self.kind())))
    }

    /// What the platform's answer to that call means.
    fn interpret(&self, _source: &Source, _answer: &Answer) -> Interpreted {
        Interpreted::of(Outcome::Refused(format!("a {} source cannot send messages", self.kind())))
    }

    /// How the file of a message is fetched with what the source has, or why it cannot be.
    fn fetch(&self, _sender: &Sender<'_>, media: &Media) -> Result<Fetch, Unsupported> {
        fetching::direct(media)
    }

    /// How long after a message was first asked for the platform still takes a repeat of its call for the same message;
    /// `None` where it knows no repeats, and a second call would be a second message.
    fn knows_repeats_for(&self) -> Option<Duration> {
        None
    }

    /// Which sorts of identifier a contact can be written to by, the surest first.
    fn addressed_by(&self) -> &'static [&'static str] {
        &["group", "wa_id", "phone", "jid", "lid"]
    }

    /// How long after a contact's last message the platform takes free ones; `None` where it sets no such window.
    fn window(&self) -> Option<Duration> {
        None
    }

    /// How fast one account may send; `None` where the platform sets no limit.
    fn pace(&self, _source: &Source) -> Option<Pace> {
        None
    }
}

/// Where a request shows a credential.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CredentialPlace {
    /// In a header of this name.
    Header(String),
    /// At the end of the path.
    LastOfPath,
}

/// What is left of a body when items are cut out of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Narrowed {
    /// All of it.
    Whole,
    /// A part, as a body of the platform's.
    Part(Bytes),
    /// Nothing.
    Nothing,
}

/// What is signed for an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct ToSign<'s> {
    /// The endpoint's active keys, the current one first; one is enough where a scheme has room for one signature.
    pub keys: &'s [&'s Secret],
    /// The id of the event, the same in every attempt; letters, digits and `_`.
    pub id: &'s str,
    /// The body.
    pub body: &'s [u8],
    /// The present.
    pub now: Timestamp,
}

impl<'s> ToSign<'s> {
    /// The current key.
    pub fn key(&self) -> Option<&'s Secret> {
        self.keys.first().copied()
    }
}

/// Who sends a message, and how it is known again; or who fetches a file.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'s> {
    /// The source whose access token and settings are used.
    pub source: &'s Source,
    /// The platform's own name for the account: a phone number id.
    pub account: &'s str,
    /// Our id of the send, for platforms that give it back with statuses; empty where nothing is sent.
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

impl Interpreted {
    /// An outcome that names no message, and says nothing of the account.
    pub(crate) fn of(outcome: Outcome) -> Interpreted {
        Interpreted { outcome, message_id: None, account_stopped: false }
    }
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

impl Pace {
    /// So many calls of one account a second, a tenth of them at once: a burst of a whole second's worth would double the
    /// first second. A contact has the interval and burst given, or the account's own where the platform sets none.
    pub(crate) fn of(rate: u32, pair: Option<(Duration, u32)>) -> Pace {
        let (account_interval, account_burst) = (Duration::from_secs(1) / rate, (rate / 10).max(1));
        let (pair_interval, pair_burst) = pair.unwrap_or((account_interval, account_burst));
        Pace { account_interval, account_burst, pair_interval, pair_burst }
    }
}

/// The most events that are made of one request: ten times what the largest platform sends.
pub const ITEMS_MAX: usize = 10_000;

/// A verified body that is not the platform's; it is kept as it came. The words say where it stops being readable, and
/// nothing of what it says: they are logged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Unreadable {
    /// Says that a request holds more than [`ITEMS_MAX`] items.
    pub(crate) fn too_many() -> Unreadable {
        Unreadable(format!("too many items in one request: at most {ITEMS_MAX} are read"))
    }
}

/// Why a platform cannot send a message; nothing has been queued.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub String);
