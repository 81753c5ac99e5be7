//! Any system that sends webhooks: how it signs, what it calls things and what it wants to hear are settings.
//!
//! What a person can write into the settings is read once, in `settings`, into a plan; everything else follows
//! the plan. `docs/guides/generic.md` lists the settings.

mod challenge;
mod hmac;
mod parse;
mod settings;
mod template;
#[cfg(test)]
mod tests;
mod verify;

use bytes::Bytes;
use model::event::NewEvent;
use model::source::Source;

use self::settings::{Plan, Scheme, UrlToken};
use crate::http::{Incoming, Reply};
use crate::platform::{CredentialPlace, Platform, ToSign, Unreadable};
use crate::proof::{Rejection, Verified};

/// The name in the registry.
const KIND: &str = "generic";

/// A source that can express any HMAC, token, Basic or JWT scheme.
pub struct Generic;

impl Platform for Generic {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        settings::check(source)
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        verify::verify(source, request)
    }

    fn handshake(&self, source: &Source, request: &Verified<'_>) -> Option<Reply> {
        let plan = Plan::read(&source.settings).ok()?;
        challenge::answer(&plan.challenge, request.request())
    }

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        let plan = Plan::read(&source.settings).map_err(Unreadable)?;
        parse::parse(&plan.reading, request.request())
    }

    fn acknowledge(&self, source: &Source, _request: &Verified<'_>) -> Reply {
        let Ok(plan) = Plan::read(&source.settings) else {
            return Reply::empty();
        };
        let response = plan.response;
        Reply {
            status: response.status,
            content_type: response.content_type,
            body: Bytes::copy_from_slice(response.body.as_bytes()),
        }
    }

    fn credential_place(&self, source: &Source) -> Option<CredentialPlace> {
        match Plan::read(&source.settings).ok()?.scheme {
            Scheme::Header { name, .. } => Some(CredentialPlace::Header(name.to_owned())),
            Scheme::UrlToken(UrlToken::LastOfPath) => Some(CredentialPlace::LastOfPath),
            _ => None,
        }
    }

    /// Signs as the source's sender does. A scheme that signs the URL, which is not known here, a JWT and a token
    /// in the URL add no header.
    fn sign(&self, source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        let (Ok(plan), Some(key)) = (Plan::read(&source.settings), what.key()) else {
            return Vec::new();
        };
        match plan.scheme {
            Scheme::Hmac(hmac) => hmac.sign(what).unwrap_or_default(),
            Scheme::Header { name, prefix } => vec![(name.to_owned(), format!("{prefix}{}", key.expose()))],
            Scheme::Authorization(credential) => credential.shown(key).into_iter().collect(),
            Scheme::UrlToken(_) | Scheme::Unsigned => Vec::new(),
        }
    }
}
