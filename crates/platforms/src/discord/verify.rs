//! Ed25519 over the time and the body, under the application's public key. Discord tries now and then whether wrong
//! signatures are refused.

use http::Method;
use model::receipt::Reason;
use model::source::{SecretRole, Source};

use crate::header_mac::Encoding;
use crate::http::Incoming;
use crate::proof::{self, Rejection, Verified};
use crate::settings;

const SIGNATURE: &str = "x-signature-ed25519";
const TIMESTAMP: &str = "x-signature-timestamp";
const SIGNATURE_BYTES: usize = 64;
const KEY_BYTES: usize = 32;

/// Says what is wrong with settings and secrets.
pub(super) fn check(source: &Source) -> Result<(), String> {
    settings::number(&source.settings, "tolerance_s", 1..=86_400)?;
    let what = "the public key of the application, 64 characters of 0-9 and a-f";
    settings::secret_needed(source, SecretRole::Signing, what)?;
    let mut keys = source.secrets.iter().filter(|held| held.role == SecretRole::Signing);
    match keys.all(|held| key(held.key.secret.expose()).is_some()) {
        true => Ok(()),
        false => Err(format!("a secret with role \"signing\" cannot be read: enter {what}")),
    }
}

fn key(text: &str) -> Option<Vec<u8>> {
    Encoding::Hex.read(text).filter(|bytes| bytes.len() == KEY_BYTES)
}

/// Proves a POST by its signature.
pub(super) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    if request.method != Method::POST {
        return Err(Rejection(Reason::MethodNotAllowed));
    }
    let header = |name| proof::proving_header(request, name)?.ok_or(Rejection(Reason::SignatureMissing));
    let (signature, time) = (header(SIGNATURE)?, header(TIMESTAMP)?);
    let signature = Encoding::Hex.read(signature).filter(|bytes| bytes.len() == SIGNATURE_BYTES);
    let signature = signature.ok_or(Rejection(Reason::SignatureMalformed))?;
    let keys = source.secrets(SecretRole::Signing, request.received_at).filter_map(|text| key(text.expose()));
    let signed = [time.as_bytes(), &request.body].concat();
    let verified = proof::by_ed25519(request, &[signature], keys, &signed)?;
    let tolerance = settings::tolerance(&source.settings);
    let signed_at = proof::seconds(time).ok_or(Rejection(Reason::SignatureMalformed))?;
    proof::near(signed_at, request.received_at, tolerance).map(|()| verified)
}
