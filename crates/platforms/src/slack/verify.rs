//! `X-Slack-Signature` over version, time and body.

use http::Method;
use model::receipt::Reason;
use model::source::{SecretRole, Source};

use crate::header_mac::Encoding;
use crate::http::Incoming;
use crate::platform::ToSign;
use crate::proof::{self, Hash, Rejection, Verified};
use crate::settings;

const SIGNATURE: &str = "x-slack-signature";
const TIME: &str = "x-slack-request-timestamp";
const VERSION: &str = "v0";

/// Proves a POST by its signature, made not long ago.
pub(super) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    if request.method != Method::POST {
        return Err(Rejection(Reason::MethodNotAllowed));
    }
    let missing = || Rejection(Reason::SignatureMissing);
    let text = proof::proving_header(request, SIGNATURE)?.ok_or_else(missing)?;
    let time = proof::proving_header(request, TIME)?.ok_or_else(missing)?;
    let malformed = || Rejection(Reason::SignatureMalformed);
    let shown = text.strip_prefix("v0=").and_then(|text| Encoding::Hex.read(text));
    let shown = shown.filter(|bytes| bytes.len() == Hash::Sha256.bytes()).ok_or_else(malformed)?;
    let signed_at = proof::seconds(time).ok_or_else(malformed)?;
    let keys = source.secrets(SecretRole::Signing, request.received_at).map(|key| key.expose());
    let verified = proof::by_mac(request, Hash::Sha256, &[shown], keys, &signed(time, &request.body))?;
    proof::near(signed_at, request.received_at, settings::tolerance(&source.settings)).map(|()| verified)
}

/// The headers with the current key.
pub(super) fn sign(what: &ToSign<'_>) -> Vec<(String, String)> {
    let Some(key) = what.key() else { return Vec::new() };
    let time = what.now.as_secs().to_string();
    let mac = proof::mac(Hash::Sha256, key.expose().as_bytes(), &signed(&time, what.body));
    let signature = format!("{VERSION}={}", Encoding::Hex.write(&mac));
    vec![(TIME.to_owned(), time), (SIGNATURE.to_owned(), signature)]
}

fn signed<'s>(time: &'s str, body: &'s [u8]) -> [&'s [u8]; 5] {
    [VERSION.as_bytes(), b":", time.as_bytes(), b":", body]
}
