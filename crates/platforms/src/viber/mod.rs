//! Viber: callbacks of a bot, messages through its REST API (platforms.md section 13). One token proves and sends.

mod parse;
mod register;
mod send;
#[cfg(test)]
mod tests;
mod verify;

use model::event::NewEvent;
use model::send::OutgoingMessage;
use model::source::Source;

use crate::http::{Answer, Call, Incoming, Reply};
use crate::platform::{Interpreted, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{Rejection, Verified};
use crate::registration::{Step, Wanted};
use crate::{json, settings};

/// The name in the registry, and the prefix of events without a name of ours.
const KIND: &str = "viber";
/// What a person is known by.
const PERSON: &str = "viber_user";
const SETTINGS: [&str; 3] = ["account", "sender_name", "api_base"];

/// The adapter of Viber.
pub struct Viber;

impl Platform for Viber {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        settings::known(&source.settings, &SETTINGS)?;
        settings::text(&source.settings, "account")?;
        send::check(&source.settings)?;
        verify::check(source)
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        verify::verify(source, request)
    }

    /// Viber calls the URL while it is being set, and wants to see it answer.
    fn handshake(&self, _source: &Source, request: &Verified<'_>) -> Option<Reply> {
        let body = json::object(&request.request().body).ok()?;
        (body.text("event")? == "webhook").then(Reply::empty)
    }

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(source, request.request())
    }

    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        verify::SIGNATURE.sign(what)
    }

    fn registration(&self, wanted: &Wanted<'_>) -> Option<Result<Vec<Step>, Unsupported>> {
        Some(register::steps(wanted))
    }

    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        send::compose(sender, message)
    }

    fn interpret(&self, _source: &Source, answer: &Answer) -> Interpreted {
        send::interpret(answer)
    }

    fn addressed_by(&self) -> &'static [&'static str] {
        &[PERSON]
    }
}
