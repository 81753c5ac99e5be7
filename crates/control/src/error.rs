//! What can keep an act from happening, by what the caller can do about it.

use model::id::DeliveryId;
use model::receipt::{Language, Reason};

/// Words for a person, in each of our languages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words {
    english: String,
    spanish: String,
}

impl Words {
    /// The same said in both languages.
    pub fn new(english: impl Into<String>, spanish: impl Into<String>) -> Words {
        Words { english: english.into(), spanish: spanish.into() }
    }

    /// Words that exist in one language only: an adapter's.
    pub fn untranslated(words: impl Into<String>) -> Words {
        let words = words.into();
        Words { spanish: words.clone(), english: words }
    }

    /// The words in a language.
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::English => &self.english,
            Language::Spanish => &self.spanish,
        }
    }
}

/// Why an act did not happen. Nothing of it was stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or it is not the actor's to see.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The actor's role does not allow it.
    #[error("the role does not allow this")]
    Forbidden,
    /// Something that was given cannot be.
    #[error("{field}: {}", .words.in_language(Language::English))]
    Invalid {
        /// Where it was given: a JSON pointer without its first slash, such as `headers/0`.
        field: String,
        /// What to give instead.
        words: Words,
    },
    /// It contradicts how things stand.
    #[error("{}", .0.in_language(Language::English))]
    Conflict(Words),
    /// It was changed since the version that the change is for.
    #[error("it was changed meanwhile")]
    Stale,
    /// The delivery was replayed before, as this one.
    #[error("it was replayed before, as {0}")]
    Replayed(DeliveryId),
    /// Retention has removed what would be delivered.
    #[error("its content is no longer kept")]
    ContentRemoved,
    /// A file has more bytes than one may have.
    #[error("a file has at most {0} bytes")]
    TooLarge(u64),
    /// What was being sent broke off, or came too slowly.
    #[error("the upload broke off or was too slow")]
    BrokenOff,
    /// The idempotency key was used with another request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// The platform cannot do it.
    #[error("{}", .0.in_language(Language::English))]
    Unsupported(Words),
    /// The contact has not written within the last 24 hours; the platform takes templates only.
    #[error("the service window is closed: send a template")]
    WindowClosed,
    /// The stored request is still not proven genuine.
    #[error("not genuine: {}", .0.code())]
    NotGenuine(Reason),
    /// Too much is waiting; it may be tried again in a moment.
    #[error("busy: try again in a moment")]
    Busy,
    /// The store cannot be written to now; it may be tried again.
    #[error("the store is not available: try again")]
    Unavailable(#[source] store::Error),
    /// Our own fault; trying again will not help.
    #[error("internal error")]
    Internal(#[source] store::Error),
}

impl Error {
    /// Something that was given cannot be.
    pub fn invalid(field: impl Into<String>, words: Words) -> Error {
        Error::Invalid { field: field.into(), words }
    }

    /// It contradicts how things stand.
    pub fn conflict(english: &str, spanish: &str) -> Error {
        Error::Conflict(Words::new(english, spanish))
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::NotFound(what) => Error::NotFound(what),
            store::Error::Conflict(words) => Error::Conflict(Words::untranslated(words)),
            store::Error::Busy => Error::Busy,
            store::Error::Stale => Error::Stale,
            transient if transient.is_transient() => Error::Unavailable(transient),
            fatal => Error::Internal(fatal),
        }
    }
}
