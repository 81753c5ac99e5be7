//! Stripe: events of an account, and of the accounts connected to it (platforms.md section 14).

mod parse;
#[cfg(test)]
mod tests;
mod verify;

use model::event::NewEvent;
use model::source::Source;

use crate::http::Incoming;
use crate::platform::{Platform, ToSign, Unreadable};
use crate::proof::{Rejection, Verified};

/// The name in the registry, and the prefix of its event types.
const KIND: &str = "stripe";

/// The adapter of Stripe.
pub struct Stripe;

impl Platform for Stripe {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        verify::check(source)
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        verify::verify(source, request)
    }

    fn parse(&self, _source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(request.request())
    }

    /// Signs with `v1`, once for each key.
    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        verify::sign(what)
    }
}
