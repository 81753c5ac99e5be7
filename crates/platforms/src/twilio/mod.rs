//! Twilio: SMS and WhatsApp of a Twilio account (platforms.md section 10).

mod parse;
mod send;
#[cfg(test)]
mod tests;
mod verify;

use bytes::Bytes;
use model::event::NewEvent;
use model::message::Media;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};

use crate::fetching::{self, Fetch};
use crate::http::{Answer, Call, Incoming, Reply};
use crate::outgoing::base;
use crate::platform::{Interpreted, Pace, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{Rejection, Verified};
use crate::settings;

/// The name in the registry, and the prefix of events without a name of ours.
const KIND: &str = "twilio";
/// What stands before a number of WhatsApp's.
const WHATSAPP: &str = "whatsapp:";
/// Messages a second that a number may send, unless Twilio has raised it.
const MESSAGES_PER_SECOND: i64 = 10;

/// The adapter of Twilio.
pub struct Twilio;

impl Platform for Twilio {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        send::check(&source.settings)?;
        verify::check(&source.settings)?;
        settings::secret_needed(source, SecretRole::Signing, "the account's Auth Token")
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        verify::verify(source, request)
    }

    fn parse(&self, _source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(request.request())
    }

    /// Whatever is not TwiML makes a warning in Twilio's log; this says: send nothing back now.
    fn acknowledge(&self, _source: &Source, _request: &Verified<'_>) -> Reply {
        Reply { content_type: "text/xml", body: Bytes::from_static(b"<Response/>"), ..Reply::empty() }
    }

    fn told_in(&self) -> &'static [&'static str] {
        &["i-twilio-idempotency-token"]
    }

    /// Twilio signs the URL too, which is not known here.
    fn sign(&self, _source: &Source, _what: &ToSign<'_>) -> Vec<(String, String)> {
        Vec::new()
    }

    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        send::compose(sender, message)
    }

    fn interpret(&self, _source: &Source, answer: &Answer) -> Interpreted {
        send::interpret(answer)
    }

    fn fetch(&self, sender: &Sender<'_>, media: &Media) -> Result<Fetch, Unsupported> {
        let (_, shown) = send::credential(sender)?;
        let api = base(&sender.source.settings, send::API_BASE);
        fetching::shown(media, &[("authorization", shown)], &["twilio.com"], api).map(Fetch::File)
    }

    fn addressed_by(&self) -> &'static [&'static str] {
        &["wa_id", "phone", "bsuid"]
    }

    fn pace(&self, source: &Source) -> Option<Pace> {
        let rate = settings::messages_per_second(&source.settings, MESSAGES_PER_SECOND);
        Some(Pace::of(rate, None))
    }
}
