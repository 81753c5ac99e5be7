//! The only place where a request becomes [`Verified`]: every scheme of platforms.md 0.1 as a function.
//!
//! All comparisons take constant time and are over the exact bytes received. Each function tries every active
//! secret, so that rotation works the same everywhere. An empty secret is no secret: anybody could sign with it.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{hmac, signature};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use model::receipt::Reason;
use model::secret::Secret;
use model::time::Timestamp;

use crate::http::Incoming;

/// How far a signed time may be from ours, both ways, unless the source says otherwise.
pub const TOLERANCE_DEFAULT: Duration = Duration::from_secs(300);

/// A request that has been proven genuine.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'r> {
    request: &'r Incoming,
}

impl<'r> Verified<'r> {
    /// The request, which may now be read.
    pub fn request(&self) -> &'r Incoming {
        self.request
    }
}

/// Why a request was not proven genuine. The sender is told nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.code())]
pub struct Rejection(pub Reason);

/// The hash of an HMAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hash {
    /// Legacy senders only.
    Sha1,
    /// What nearly everybody uses.
    Sha256,
    /// A few senders.
    Sha512,
}

impl Hash {
    fn algorithm(self) -> hmac::Algorithm {
        match self {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    /// How many bytes a full signature has; shorter ones are never accepted.
    pub fn bytes(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
            Hash::Sha512 => 64,
        }
    }
}

/// The HMAC of several pieces one after the other.
pub fn mac(hash: Hash, key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hash.algorithm(), key));
    for piece in pieces {
        context.update(piece);
    }
    context.sign().as_ref().to_vec()
}

/// Proves a request by an HMAC that was decoded from its header: full length, under any of the keys.
pub fn by_mac<'r, K: AsRef<[u8]>>(
    request: &'r Incoming,
    hash: Hash,
    presented: &[Vec<u8>],
    keys: impl IntoIterator<Item = K>,
    signed: &[&[u8]],
) -> Result<Verified<'r>, Rejection> {
    let mut any_key = false;
    let mut genuine = false;
    for key in keys.into_iter().filter(|key| !key.as_ref().is_empty()) {
        any_key = true;
        let expected = mac(hash, key.as_ref(), signed);
        // Every pair is compared, so that time does not tell which key matched.
        for candidate in presented {
            genuine |= verify_slices_are_equal(&expected, candidate).is_ok();
        }
    }
    match (any_key, genuine) {
        (_, true) => Ok(Verified { request }),
        (true, false) => Err(Rejection(Reason::SignatureWrong)),
        (false, false) => Err(Rejection(Reason::SecretNotConfigured)),
    }
}

/// Proves a request by an Ed25519 signature under any of the public keys.
pub fn by_ed25519<'r>(
    request: &'r Incoming,
    presented: &[Vec<u8>],
    public_keys: impl IntoIterator<Item = Vec<u8>>,
    signed: &[u8],
) -> Result<Verified<'r>, Rejection> {
    let mut any_key = false;
    for key in public_keys {
        any_key = true;
        let key = signature::UnparsedPublicKey::new(&signature::ED25519, key);
        if presented.iter().any(|candidate| key.verify(signed, candidate).is_ok()) {
            return Ok(Verified { request });
        }
    }
    Err(Rejection(if any_key { Reason::SignatureWrong } else { Reason::SecretNotConfigured }))
}

/// Proves a request by a text it must show: a static header, a token in the URL, a bearer token, a password.
pub fn by_token<'r, 's>(
    request: &'r Incoming,
    presented: Option<&str>,
    secrets: impl IntoIterator<Item = &'s Secret>,
) -> Result<Verified<'r>, Rejection> {
    let mut any_secret = false;
    let mut genuine = false;
    for secret in secrets.into_iter().filter(|secret| !secret.expose().is_empty()) {
        any_secret = true;
        // Comparing MACs under a fixed key hides the secret's length too.
        let expected = mac(Hash::Sha256, b"gancho token", &[secret.expose().as_bytes()]);
        let shown = mac(Hash::Sha256, b"gancho token", &[presented.unwrap_or_default().as_bytes()]);
        genuine |= presented.is_some() && verify_slices_are_equal(&expected, &shown).is_ok();
    }
    match (any_secret, genuine, presented) {
        (_, true, _) => Ok(Verified { request }),
        (false, ..) => Err(Rejection(Reason::SecretNotConfigured)),
        (true, false, None) => Err(Rejection(Reason::CredentialMissing)),
        (true, false, Some(_)) => Err(Rejection(Reason::CredentialWrong)),
    }
}

/// Proves a request by a JWT under any of the secrets: HS256 with a shared key, RS256 with a public key in PEM.
/// The algorithm is the source's, never the token's own word. `exp` and `nbf` are checked against the time the
/// request came, give or take [`TOLERANCE_DEFAULT`]; a token without `exp` is accepted, one with a `crit` header
/// is not, because nothing critical is understood here (RFC 7515 4.1.11).
pub fn by_jwt<'r, 's>(
    request: &'r Incoming,
    token: Option<&str>,
    algorithm: JwtAlgorithm,
    secrets: impl IntoIterator<Item = &'s Secret>,
) -> Result<Verified<'r>, Rejection> {
    let mut validation = Validation::new(algorithm.to_library());
    // The library reads the system clock; the request's own time is used instead, below.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let mut reason = Reason::SecretNotConfigured;
    for key in secrets.into_iter().filter_map(|secret| algorithm.key(secret)) {
        let token = token.ok_or(Rejection(Reason::CredentialMissing))?;
        reason = Reason::CredentialWrong;
        match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
            Ok(data) if data.header.crit.is_none() => {
                return in_time(&data.claims, request.received_at).map(|()| Verified { request });
            }
            _ => {}
        }
    }
    Err(Rejection(reason))
}

/// How a JWT is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JwtAlgorithm {
    /// HMAC-SHA256 with a shared key.
    Hs256,
    /// RSA PKCS#1 with SHA-256; the secret is the public key in PEM.
    Rs256,
}

impl JwtAlgorithm {
    fn to_library(self) -> Algorithm {
        match self {
            JwtAlgorithm::Hs256 => Algorithm::HS256,
            JwtAlgorithm::Rs256 => Algorithm::RS256,
        }
    }

    /// Whether a secret can be the key of such a token: an RSA public key in PEM, or a shared key that is not PEM.
    pub fn takes(self, secret: &Secret) -> bool {
        self.key(secret).is_some()
    }

    fn key(self, secret: &Secret) -> Option<DecodingKey> {
        let text = secret.expose().trim();
        match self {
            // Whoever knows a public key could sign HS256 with it, so PEM is never a shared key.
            JwtAlgorithm::Hs256 if text.is_empty() || text.starts_with("-----BEGIN") => None,
            JwtAlgorithm::Hs256 => Some(DecodingKey::from_secret(secret.expose().as_bytes())),
            JwtAlgorithm::Rs256 if text.contains("PRIVATE KEY") => None,
            JwtAlgorithm::Rs256 => DecodingKey::from_rsa_pem(text.as_bytes()).ok(),
        }
    }
}

/// The times of a token, in seconds since the epoch. A time that is not a number makes the token unreadable.
#[derive(serde::Deserialize)]
struct Claims {
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    nbf: Option<f64>,
}

fn in_time(claims: &Claims, now: Timestamp) -> Result<(), Rejection> {
    // The conversion saturates, so that no number overflows.
    let at = |secs: f64| Timestamp::from_secs(secs as i64);
    let slack = TOLERANCE_DEFAULT;
    let expired = claims.exp.is_some_and(|end| at(end).plus(slack) < now);
    let early = claims.nbf.is_some_and(|start| at(start) > now.plus(slack));
    if expired || early { Err(Rejection(Reason::CredentialExpired)) } else { Ok(()) }
}

/// Accepts a request that proves nothing by itself, for a reason that the caller has to name.
pub fn by_nothing<'r>(request: &'r Incoming, _because: Unsigned) -> Verified<'r> {
    Verified { request }
}

/// The reasons for which a request that proves nothing by itself is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsigned {
    /// The source's settings say `"unsigned": true` or `"scheme": "unsigned"`.
    SettingSaysSo,
    /// A challenge, which carries no event, and the source's settings say `"challenge_open": true`.
    ChallengeOpen,
    /// A stored request that is read once more: it was accepted as genuine when it came, and what proved it was not
    /// kept.
    ProvenBefore,
    /// A stored request that was refused, and that an admin takes for genuine in so many words.
    AdminSaysSo,
}

/// The time that a platform signs as seconds since the epoch: up to twelve digits and nothing else.
pub fn seconds(text: &str) -> Option<Timestamp> {
    let is_time = text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_time).map(Timestamp::from_secs)
}

/// Checks that a signed time is near ours.
pub fn near(signed_at: Timestamp, now: Timestamp, tolerance: Duration) -> Result<(), Rejection> {
    let apart = now.since(signed_at).max(signed_at.since(now));
    if apart > tolerance { Err(Rejection(Reason::TimestampOutside)) } else { Ok(()) }
}

/// The value of a header that proves something; `None` where it is absent. Several copies are refused, because
/// whoever reads the request before or after us may take another one. What is not text reads as empty, which fits
/// nothing.
pub fn proving_header<'r>(request: &'r Incoming, name: &str) -> Result<Option<&'r str>, Rejection> {
    let mut values = request.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Rejection(Reason::HeaderRepeated)),
        (only, None) => Ok(only.map(|value| value.to_str().unwrap_or_default())),
    }
}

/// The password and user of a Basic `Authorization` header, as `user:password`.
pub fn basic_credential(request: &Incoming) -> Result<Option<String>, Rejection> {
    let encoded = authorization(request, "basic")?;
    let decoded = encoded.and_then(|encoded| BASE64.decode(encoded).ok());
    Ok(decoded.and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// The token of a Bearer `Authorization` header.
pub fn bearer_token(request: &Incoming) -> Result<Option<&str>, Rejection> {
    authorization(request, "bearer")
}

fn authorization<'r>(request: &'r Incoming, scheme: &str) -> Result<Option<&'r str>, Rejection> {
    let shown = proving_header(request, "authorization")?.and_then(|value| value.split_once(' '));
    Ok(shown.filter(|(name, _)| name.eq_ignore_ascii_case(scheme)).map(|(_, value)| value.trim()))
}

#[cfg(test)]
mod tests;
