//! `Stripe-Signature`: a time, and an HMAC for each secret that is good at Stripe.

use http::Method;
use model::receipt::Reason;
use model::source::{SecretRole, Source};

use crate::header_mac::Encoding;
use crate::http::Incoming;
use crate::platform::ToSign;
use crate::proof::{self, Hash, Rejection, Verified};
use crate::settings;

const HEADER: &str = "stripe-signature";
/// The most signatures that are looked at: one for each secret while they are rotated.
const SIGNATURES_MAX: usize = 10;

/// Says what is wrong with the settings and secrets.
pub(super) fn check(source: &Source) -> Result<(), String> {
    settings::known(&source.settings, &["tolerance_s"])?;
    settings::number(&source.settings, "tolerance_s", 1..=86_400)?;
    settings::secret_needed(
        source,
        SecretRole::Signing,
        "the endpoint's signing secret, whsec_…, as it is shown",
    )
}

/// Proves a POST by its header.
pub(super) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    if request.method != Method::POST {
        return Err(Rejection(Reason::MethodNotAllowed));
    }
    let header = proof::proving_header(request, HEADER)?.ok_or(Rejection(Reason::SignatureMissing))?;
    let (time, signatures) = read(header).ok_or(Rejection(Reason::SignatureMalformed))?;
    // The secret is used as it is written, with its prefix.
    let keys = source.secrets(SecretRole::Signing, request.received_at).map(|key| key.expose());
    let signed: [&[u8]; 3] = [time.as_bytes(), b".", &request.body];
    let verified = proof::by_mac(request, Hash::Sha256, &signatures, keys, &signed)?;
    let tolerance = settings::tolerance(&source.settings);
    let signed_at = proof::seconds(time).ok_or(Rejection(Reason::SignatureMalformed))?;
    proof::near(signed_at, request.received_at, tolerance).map(|()| verified)
}

/// The time as it is signed, and the signatures of scheme `v1`; others are passed over.
fn read(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let (mut time, mut signatures) = (None, Vec::new());
    for (name, value) in header.split(',').filter_map(|part| part.trim().split_once('=')) {
        match name {
            "t" if time.is_some() => return None,
            "t" => time = Some(value),
            "v1" if signatures.len() < SIGNATURES_MAX => signatures.push(Encoding::Hex.read(value)?),
            _ => {}
        }
    }
    let is_time = |text: &&str| proof::seconds(text).is_some();
    Some((time.filter(is_time)?, signatures)).filter(|(_, signatures)| !signatures.is_empty())
}

/// The header with a signature for each key.
pub(super) fn sign(what: &ToSign<'_>) -> Vec<(String, String)> {
    if what.keys.is_empty() {
        return Vec::new();
    }
    let time = what.now.as_secs().to_string();
    let signed: [&[u8]; 3] = [time.as_bytes(), b".", what.body];
    let mut text = format!("t={time}");
    for key in what.keys {
        let mac = proof::mac(Hash::Sha256, key.expose().as_bytes(), &signed);
        text.push_str(",v1=");
        text.push_str(&Encoding::Hex.write(&mac));
    }
    vec![(HEADER.to_owned(), text)]
}
