//! WhatzMeAPI and its family: gateways built on Baileys (Evolution API, CodeChat, WAHA).

mod codechat;
mod content;
mod item;
mod jid;
mod parse;
mod redact;
mod send;
#[cfg(test)]
mod tests;
mod verify;
mod waha;

use bytes::Bytes;
use model::event::NewEvent;
use model::send::OutgoingMessage;
use model::source::Source;

use crate::http::{Answer, Call, Incoming, Reply};
use crate::platform::{Interpreted, Pace, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{Rejection, Verified};

/// The name in the registry, and the prefix of events without a name of ours.
const KIND: &str = "whatzme";

/// WhatzMeAPI and gateways of its family.
pub struct WhatzMe;

impl Platform for WhatzMe {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        verify::check(source)?;
        send::check(&source.settings)
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        verify::verify(source, request)
    }

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(source, request.request())
    }

    fn acknowledge(&self, _source: &Source, _request: &Verified<'_>) -> Reply {
        Reply::json(r#"{"ok":true}"#)
    }

    fn sign(&self, source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        verify::sign(source, what)
    }

    fn redact(&self, body: &[u8]) -> Option<Bytes> {
        redact::redact(body)
    }

    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        send::compose(sender, message)
    }

    fn interpret(&self, source: &Source, answer: &Answer) -> Interpreted {
        send::interpret(source, answer)
    }

    fn pace(&self, source: &Source) -> Option<Pace> {
        send::pace(&source.settings)
    }
}
