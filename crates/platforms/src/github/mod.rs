//! GitHub: webhooks of repositories, organisations and apps (platforms.md section 14).

mod parse;
#[cfg(test)]
mod tests;

use model::event::NewEvent;
use model::source::{SecretRole, Source};

use crate::header_mac::{Encoding, HeaderMac};
use crate::http::Incoming;
use crate::platform::{Platform, ToSign, Unreadable};
use crate::proof::{Hash, Rejection, Verified};
use crate::settings;

/// The name in the registry, and the prefix of its event types.
const KIND: &str = "github";
/// The older header with SHA-1 beside it proves nothing more and is not looked at.
const SIGNATURE: HeaderMac =
    HeaderMac { name: "x-hub-signature-256", prefix: "sha256=", hash: Hash::Sha256, encoding: Encoding::Hex };

/// The adapter of GitHub.
pub struct GitHub;

impl Platform for GitHub {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        settings::known(&source.settings, &[])?;
        settings::secret_needed(source, SecretRole::Signing, "the webhook's secret")
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        SIGNATURE.prove(source, request)
    }

    fn parse(&self, _source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(request.request())
    }

    fn told_in(&self) -> &'static [&'static str] {
        &["x-github-event", "x-github-delivery", "x-github-hook-id"]
    }

    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        SIGNATURE.sign(what)
    }
}
