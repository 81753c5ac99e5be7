//! `X-Viber-Content-Signature`, made with the token that also sends.

use model::source::{SecretRole, Source};

use crate::header_mac::{Encoding, HeaderMac};
use crate::http::Incoming;
use crate::proof::{Hash, Rejection, Verified};
use crate::settings;

pub(super) const SIGNATURE: HeaderMac =
    HeaderMac { name: "x-viber-content-signature", prefix: "", hash: Hash::Sha256, encoding: Encoding::Hex };

/// Says what is wrong with the secrets.
pub(super) fn check(source: &Source) -> Result<(), String> {
    settings::secret_needed(source, SecretRole::AccessToken, "the bot's authentication token")
}

/// Proves a POST by its header.
pub(super) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    SIGNATURE.prove_with(source, SecretRole::AccessToken, request)
}
