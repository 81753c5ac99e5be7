//! Facebook Messenger: conversations of pages (platforms.md section 7). Instagram is told in the same shape.

mod errors;
mod item;
mod parse;
mod register;
mod send;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use model::conversation::SERVICE_WINDOW;
use model::event::NewEvent;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};

use crate::http::{Answer, Call, Incoming, Reply};
use crate::platform::{Interpreted, Narrowed, Pace, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{Rejection, Verified};
use crate::registration::{Step, Wanted};
use crate::{meta, settings};

/// What differs between Meta's products that share this shape.
pub struct Product {
    /// The name in the registry, and the prefix of events without a name of ours.
    pub(crate) kind: &'static str,
    /// What a person is known by.
    pub(crate) people: &'static [&'static str; 1],
    /// Where its API is.
    pub(crate) api_base: &'static str,
    /// Meta's name for what it tells of.
    pub(crate) object: &'static str,
    /// What of it, unless the source says otherwise.
    pub(crate) fields: &'static str,
    /// The longest text, in bytes.
    pub(crate) text_bytes_max: usize,
    /// Whether a reaction can be sent.
    pub(crate) reacts: bool,
}

/// The adapter of Messenger.
pub static MESSENGER: Product = Product {
    kind: "messenger",
    people: &["psid"],
    api_base: "https://graph.facebook.com",
    object: "page",
    fields: "messages,messaging_postbacks,messaging_optins,messaging_referrals,messaging_handovers,\
        messaging_policy_enforcement,message_deliveries,message_reads,message_echoes,message_edits,\
        message_reactions,standby",
    text_bytes_max: 2_000,
    reacts: false,
};
const SETTINGS: [&str; 5] = ["app_id", "api_base", "api_version", "fields", "messages_per_second"];
/// Above this the inbox of a page freezes.
const MESSAGES_PER_SECOND: i64 = 40;

impl Platform for Product {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        check(source)
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        meta::verify(source, request)
    }

    fn handshake(&self, _source: &Source, request: &Verified<'_>) -> Option<Reply> {
        meta::handshake(request.request())
    }

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(self, source, request.request())
    }

    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        meta::sign(what)
    }

    fn narrow(&self, body: &[u8], keep: &dyn Fn(&str) -> bool) -> Narrowed {
        parse::narrow(body, keep)
    }

    fn registration(&self, wanted: &Wanted<'_>) -> Option<Result<Vec<Step>, Unsupported>> {
        Some(register::steps(self, wanted))
    }

    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        send::compose(self, sender, message)
    }

    fn interpret(&self, _source: &Source, answer: &Answer) -> Interpreted {
        errors::interpret(answer)
    }

    fn addressed_by(&self) -> &'static [&'static str] {
        self.people
    }

    fn window(&self) -> Option<Duration> {
        Some(SERVICE_WINDOW)
    }

    fn pace(&self, source: &Source) -> Option<Pace> {
        Some(pace(source))
    }
}

/// Says what is wrong with settings and secrets.
fn check(source: &Source) -> Result<(), String> {
    settings::known(&source.settings, &SETTINGS)?;
    settings::text(&source.settings, "app_id")?;
    settings::text(&source.settings, "fields")?;
    settings::number(&source.settings, "messages_per_second", 1..=1000)?;
    send::check(&source.settings)?;
    settings::secret_needed(source, SecretRole::Signing, "the App Secret of the Meta app")?;
    settings::secret_needed(
        source,
        SecretRole::VerifyToken,
        "the verify token that is entered at Meta beside the callback URL",
    )
}

/// The pace of a page; people have none of their own.
fn pace(source: &Source) -> Pace {
    let rate = settings::messages_per_second(&source.settings, MESSAGES_PER_SECOND);
    Pace::of(rate, None)
}
