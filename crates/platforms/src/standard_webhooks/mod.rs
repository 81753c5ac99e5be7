//! Standard Webhooks 1.0: the scheme of Svix and of everybody who took it over.

mod parse;
#[cfg(test)]
mod tests;
mod verify;

use model::event::NewEvent;
use model::source::Source;

use crate::http::Incoming;
use crate::platform::{Platform, ToSign, Unreadable};
use crate::proof::{Rejection, Verified};

/// The name in the registry.
const KIND: &str = "standard_webhooks";

/// A sender that signs as Standard Webhooks says.
pub struct StandardWebhooks;

impl Platform for StandardWebhooks {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        verify::check(source)
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        verify::verify(source, request)
    }

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(source, request.request())
    }

    /// Signs with `v1`, once for each key.
    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        verify::sign(what)
    }
}
