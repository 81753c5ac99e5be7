//! What WhatsApp, Messenger and Instagram have in common: how Meta proves a request, checks our URL, and signs.

pub(crate) mod register;

use http::Method;
use model::receipt::Reason;
use model::source::{SecretRole, Source};

use crate::http::{Incoming, Reply};
use crate::platform::ToSign;
use crate::proof::{self, Hash, Rejection, Unsigned, Verified};

const HEADER: &str = "x-hub-signature-256";
const HEADER_SHA1: &str = "x-hub-signature";

/// Proves a POST by its signature and a GET by its verify token.
pub(crate) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    match request.method {
        Method::POST => delivery(source, request),
        Method::GET => subscription(source, request),
        _ => Err(Rejection(Reason::MethodNotAllowed)),
    }
}

fn delivery<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    if source.settings.flag("unsigned") {
        return Ok(proof::by_nothing(request, Unsigned::SettingSaysSo));
    }
    let (hash, signature) = match proof::proving_header(request, HEADER)? {
        Some(text) => (Hash::Sha256, decode("sha256=", Hash::Sha256, text)),
        None if source.settings.flag("allow_sha1") => {
            let legacy = proof::proving_header(request, HEADER_SHA1)?;
            let text = legacy.ok_or(Rejection(Reason::SignatureMissing))?;
            (Hash::Sha1, decode("sha1=", Hash::Sha1, text))
        }
        None => return Err(Rejection(Reason::SignatureMissing)),
    };
    let signature = signature.ok_or(Rejection(Reason::SignatureMalformed))?;
    let secrets = source.secrets(SecretRole::Signing, request.received_at);
    let keys = secrets.map(|secret| secret.expose().as_bytes());
    proof::by_mac(request, hash, &[signature], keys, &[&request.body])
}

/// The prefix and the full length in lower-case hex, exactly as Meta writes it.
fn decode(prefix: &str, hash: Hash, text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(prefix)?;
    let lower = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = vec![0; hash.bytes()];
    hex::decode_to_slice(digits, &mut bytes).ok().filter(|()| lower).map(|()| bytes)
}

fn subscription<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    // Meta sends no other GET; a browser that opens the URL ends here.
    if request.query_value("hub.mode").as_deref() != Some("subscribe") {
        return Err(Rejection(Reason::MethodNotAllowed));
    }
    let shown = request.query_value("hub.verify_token");
    let proven = proof::by_token(
        request,
        shown.as_deref(),
        source.secrets(SecretRole::VerifyToken, request.received_at),
    );
    proven.or_else(|rejection| match rejection.0 {
        Reason::SecretNotConfigured if source.settings.flag("unsigned") => {
            Ok(proof::by_nothing(request, Unsigned::SettingSaysSo))
        }
        Reason::SecretNotConfigured => Err(rejection),
        _ => Err(Rejection(Reason::VerifyTokenWrong)),
    })
}

/// Echoes the challenge of a GET as text; Meta calls it a number on one page and a text on another.
pub(crate) fn handshake(request: &Incoming) -> Option<Reply> {
    let is_check = request.method == Method::GET;
    is_check.then(|| Reply::text(request.query_value("hub.challenge").unwrap_or_default()))
}

/// The header that proves a body with the current key, as Meta would send it: Meta has one signature a request.
pub(crate) fn sign(what: &ToSign<'_>) -> Vec<(String, String)> {
    let mac = what.key().map(|key| proof::mac(Hash::Sha256, key.expose().as_bytes(), &[what.body]));
    let header = mac.map(|mac| (HEADER.to_owned(), format!("sha256={}", hex::encode(mac))));
    header.into_iter().collect()
}

#[cfg(test)]
pub(crate) mod tests;
