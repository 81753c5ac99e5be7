//! Instagram messaging, through a page or by Instagram Login (platforms.md section 8). The shape is Messenger's.

#[cfg(test)]
mod tests;

use std::time::Duration;

use model::conversation::SERVICE_WINDOW;
use model::event::NewEvent;
use model::send::OutgoingMessage;
use model::source::Source;

use crate::http::{Answer, Call, Incoming, Reply};
use crate::messenger::{self, Product, errors, parse, send};
use crate::meta;
use crate::platform::{Interpreted, Narrowed, Pace, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{Rejection, Verified};

const INSTAGRAM: Product = Product {
    kind: "instagram",
    person: "igsid",
    api_base: "https://graph.instagram.com",
    text_bytes_max: 1_000,
    reacts: true,
};

/// The adapter of Instagram.
pub struct Instagram;

impl Platform for Instagram {
    fn kind(&self) -> &'static str {
        INSTAGRAM.kind
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        messenger::check(source)
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        meta::verify(source, request)
    }

    fn handshake(&self, _source: &Source, request: &Verified<'_>) -> Option<Reply> {
        meta::handshake(request.request())
    }

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(&INSTAGRAM, source, request.request())
    }

    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        meta::sign(what)
    }

    fn narrow(&self, body: &[u8], keep: &dyn Fn(&str) -> bool) -> Narrowed {
        parse::narrow(body, keep)
    }

    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        send::compose(&INSTAGRAM, sender, message)
    }

    fn interpret(&self, _source: &Source, answer: &Answer) -> Interpreted {
        errors::interpret(answer)
    }

    fn addressed_by(&self) -> &'static [&'static str] {
        &["igsid"]
    }

    fn window(&self) -> Option<Duration> {
        Some(SERVICE_WINDOW)
    }

    fn pace(&self, source: &Source) -> Option<Pace> {
        Some(messenger::pace(source))
    }
}
