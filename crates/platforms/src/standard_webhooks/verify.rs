//! Standard Webhooks signatures: `v1` (HMAC-SHA256) and `v1a` (Ed25519) over id, time and body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use model::receipt::Reason;
use model::secret::Secret;
use model::source::{SecretRole, Source};
use model::time::Timestamp;

use super::KIND;
use crate::http::Incoming;
use crate::platform::ToSign;
use crate::proof::{self, Hash, Rejection, Verified};
use crate::settings;

const KEYS: [&str; 2] = ["tolerance_s", "event_prefix"];

/// The headers of one request, by either family of names.
pub(super) struct Signed<'r> {
    /// The id, the same on every attempt.
    pub(super) id: &'r str,
    timestamp: &'r str,
    signatures: &'r str,
}

impl<'r> Signed<'r> {
    /// Reads `webhook-*`, or else Svix's own `svix-*`; the two are never mixed. An id with a dot in it is none,
    /// because the dot also ends it in what is signed.
    pub(super) fn of(request: &'r Incoming) -> Result<Signed<'r>, Rejection> {
        let family = |names: [&str; 3]| -> Result<Option<Signed<'r>>, Rejection> {
            let [id, timestamp, signatures] = names.map(|name| proof::proving_header(request, name));
            let id = id?.filter(|id| !id.is_empty() && !id.contains('.'));
            let found = id.zip(timestamp?).zip(signatures?);
            Ok(found.map(|((id, timestamp), signatures)| Signed { id, timestamp, signatures }))
        };
        let own = family(["webhook-id", "webhook-timestamp", "webhook-signature"])?;
        let svix = || family(["svix-id", "svix-timestamp", "svix-signature"]);
        own.map_or_else(svix, |own| Ok(Some(own)))?.ok_or(Rejection(Reason::SignatureMissing))
    }

    /// The signatures of one version; those of others are passed over.
    fn of_version(&self, version: &str) -> Vec<Vec<u8>> {
        let texts = self.signatures.split(' ').filter_map(|one| one.split_once(','));
        texts.filter(|(name, _)| *name == version).filter_map(|(_, text)| BASE64.decode(text).ok()).collect()
    }
}

/// The most signatures of one version that are tried: a sender that rotates has two.
const SIGNATURES_MAX: usize = 4;

/// A signing secret of a source.
enum Key {
    /// Shared, for `v1`.
    Shared(Vec<u8>),
    /// Public, for `v1a`.
    Public(Vec<u8>),
}

impl Key {
    fn of(secret: &Secret) -> Option<Key> {
        let text = secret.expose();
        if let Some(public) = text.strip_prefix("whpk_") {
            return BASE64.decode(public).ok().filter(|key| key.len() == 32).map(Key::Public);
        }
        let shared = BASE64.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?;
        (!shared.is_empty()).then_some(Key::Shared(shared))
    }
}

/// Says what is wrong with a source's settings and secrets.
pub(super) fn check(source: &Source) -> Result<(), String> {
    settings::known(&source.settings, &KEYS)?;
    settings::number(&source.settings, "tolerance_s", 1..=86_400)?;
    settings::event_prefix(&source.settings, KIND)?;
    settings::secret_needed(source, SecretRole::Signing, "the sender's secret, whsec_… or whpk_…")?;
    for held in source.secrets.iter().filter(|held| held.role == SecretRole::Signing) {
        let text = held.key.secret.expose();
        if text.starts_with("whsk_") {
            return Err(
                "a signing secret is the sender's private key: enter the public one, whpk_…".to_owned()
            );
        }
        if Key::of(&held.key.secret).is_none() {
            return Err(
                "a signing secret cannot be read: enter whsec_… or whpk_… and base64 after it".to_owned()
            );
        }
    }
    Ok(())
}

/// Proves a request.
pub(super) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    if request.method != Method::POST {
        return Err(Rejection(Reason::MethodNotAllowed));
    }
    let signed = Signed::of(request)?;
    let seconds = signed.timestamp.parse().map_err(|_| Rejection(Reason::SignatureMalformed))?;
    let tolerance = settings::tolerance(&source.settings);
    // What is old is not worth the signatures, each of which costs the whole body.
    proof::near(Timestamp::from_secs(seconds), request.received_at, tolerance)?;
    by_any_key(source, request, &signed)
}

fn by_any_key<'r>(
    source: &Source,
    request: &'r Incoming,
    signed: &Signed<'r>,
) -> Result<Verified<'r>, Rejection> {
    let (mut shared, mut public) = (Vec::new(), Vec::new());
    for key in source.secrets(SecretRole::Signing, request.received_at).filter_map(Key::of) {
        match key {
            Key::Shared(key) => shared.push(key),
            Key::Public(key) => public.push(key),
        }
    }
    let (v1, v1a) = (signed.of_version("v1"), signed.of_version("v1a"));
    match (shared.is_empty() && public.is_empty(), v1.is_empty() && v1a.is_empty()) {
        (true, _) => return Err(Rejection(Reason::SecretNotConfigured)),
        (false, true) => return Err(Rejection(Reason::SignatureMalformed)),
        _ if v1.len().max(v1a.len()) > SIGNATURES_MAX => return Err(Rejection(Reason::SignatureMalformed)),
        (false, false) => {}
    }
    let content = content(signed.id, signed.timestamp, &request.body);
    proof::by_mac(request, Hash::Sha256, &v1, shared, &content)
        .or_else(|_| proof::by_ed25519(request, &v1a, public, &content.concat()))
        .map_err(|_| Rejection(Reason::SignatureWrong))
}

/// The `v1` headers that sign a body with an endpoint's own keys; none where no key is a shared one.
pub(super) fn sign(what: &ToSign<'_>) -> Vec<(String, String)> {
    let timestamp = what.now.as_secs().to_string();
    let signature = |key: &&Secret| match Key::of(key)? {
        Key::Shared(key) => {
            let mac = proof::mac(Hash::Sha256, &key, &content(what.id, &timestamp, what.body));
            Some(format!("v1,{}", BASE64.encode(mac)))
        }
        Key::Public(_) => None,
    };
    let signatures: Vec<String> = what.keys.iter().filter_map(signature).collect();
    if signatures.is_empty() {
        return Vec::new();
    }
    vec![
        ("webhook-id".to_owned(), what.id.to_owned()),
        ("webhook-timestamp".to_owned(), timestamp),
        ("webhook-signature".to_owned(), signatures.join(" ")),
    ]
}

fn content<'b>(id: &'b str, timestamp: &'b str, body: &'b [u8]) -> [&'b [u8]; 5] {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body]
}
