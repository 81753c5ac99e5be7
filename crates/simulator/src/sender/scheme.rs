//! How each platform proves itself: as its adapter signs, and what only the platform itself can do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL};
use http::Uri;
use model::secret::Secret;
use model::source::Settings;
use model::time::Timestamp;
use platforms::platform::ToSign;
use platforms::proof::{Hash, mac};
use serde_json::{Value, json};

use super::{Filling, Sender, Unfit};

/// Platforms that prove themselves with what no adapter has: a private key, or the URL.
const DISCORD: &str = "discord";
const TWILIO: &str = "twilio";
const WATI: &str = "wati";
/// How long a JWT is good for: as long as those of Evolution API.
const JWT_LASTS: Duration = Duration::from_secs(600);

/// How a sender that may be anybody proves itself where the source's settings do not say: as the guide's first example.
const GENERIC: [(&str, &str); 4] =
    [("scheme", "hmac"), ("header", "X-Signature"), ("prefix", "sha256="), ("dedupe_pointer", "/id")];

/// The settings of a source, with a scheme where one is needed.
pub(super) fn settings(platform: &str, told: Settings) -> Settings {
    if platform != "generic" || told.text("scheme").is_some() {
        return told;
    }
    let usual = GENERIC.map(|(name, value)| (name.to_owned(), Value::from(value)));
    let told = told.object().clone();
    Settings::new(usual.into_iter().chain(told).collect())
}

/// Whether a source holds the public half of the secret only.
pub(super) fn has_a_public_key(platform: &str) -> bool {
    platform == DISCORD
}

/// What a source must hold of a secret: all of it, or the public half of a key pair.
pub(super) fn held(platform: &str, secret: &Secret) -> Result<Secret, Unfit> {
    match has_a_public_key(platform) {
        true => Ok(Secret::new(hex::encode(pair(secret)?.public_key().as_ref()))),
        false => Ok(secret.clone()),
    }
}

fn pair(secret: &Secret) -> Result<Ed25519KeyPair, Unfit> {
    let seed = hex::decode(secret.expose()).ok();
    let pair = seed.and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok());
    pair.ok_or_else(|| Unfit("the secret is the seed of a key pair: 64 characters of 0-9 and a-f".to_owned()))
}

/// The URL, with the secret in it where the platform shows it there.
pub(super) fn shown_in(sender: &Sender, url: &str) -> String {
    let settings = &sender.source.settings;
    let is_in_url = sender.source.platform == WATI || settings.text("scheme") == Some("url_token");
    if !is_in_url {
        return url.to_owned();
    }
    let secret = sender.secret.expose();
    if settings.flag("in_path") {
        return format!("{}/{secret}", url.trim_end_matches('/'));
    }
    let usual = if sender.source.platform == "generic" { "token" } else { "key" };
    let parameter = settings.text("parameter").unwrap_or(usual);
    let (before, query) = url.split_once('?').unwrap_or((url, ""));
    let others = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != parameter);
    let mut shown = form_urlencoded::Serializer::new(String::new());
    let query = shown.extend_pairs(others).append_pair(parameter, secret).finish();
    format!("{before}?{query}")
}

/// The headers that prove a body on its way to a URL.
pub(super) fn headers(
    sender: &Sender,
    url: &str,
    filling: &Filling,
    body: &[u8],
) -> Result<Vec<(String, String)>, Unfit> {
    match sender.source.platform.as_str() {
        DISCORD => {
            let time = filling.now.as_secs().to_string();
            let signature = pair(&sender.secret)?.sign(&[time.as_bytes(), body].concat());
            let signature = hex::encode(signature.as_ref());
            Ok(named([("x-signature-ed25519", signature), ("x-signature-timestamp", time)]))
        }
        TWILIO => {
            let signed = format!("{}{}", called(sender, url)?, sorted(body));
            let mac = mac(Hash::Sha1, sender.secret.expose().as_bytes(), &[signed.as_bytes()]);
            Ok(named([("x-twilio-signature", BASE64.encode(mac))]))
        }
        _ => {
            let id = format!("msg_{}", filling.id());
            let what = ToSign { keys: &[&sender.secret], id: &id, body, now: filling.now };
            let mut headers = sender.platform.sign(&sender.source, &what);
            headers.extend(jwt(sender, filling.now)?);
            Ok(headers)
        }
    }
}

/// The token of a sender that shows one of its own, which no adapter makes: with the shared key, for ten minutes.
fn jwt(sender: &Sender, now: Timestamp) -> Result<Option<(String, String)>, Unfit> {
    let settings = &sender.source.settings;
    match settings.text("scheme").or(settings.text("auth")) {
        Some("jwt_hs256") => {
            let claims = json!({ "iat": now.as_secs(), "exp": now.plus(JWT_LASTS).as_secs() });
            let parts = [json!({ "alg": "HS256", "typ": "JWT" }), claims];
            let signed = parts.map(|part| BASE64URL.encode(part.to_string())).join(".");
            let key = sender.secret.expose().as_bytes();
            let mac = BASE64URL.encode(mac(Hash::Sha256, key, &[signed.as_bytes()]));
            Ok(Some(("authorization".to_owned(), format!("Bearer {signed}.{mac}"))))
        }
        Some("jwt_rs256") => Err(Unfit("a JWT under RS256 cannot be made: only HS256".to_owned())),
        _ => Ok(None),
    }
}

fn named<const N: usize>(headers: [(&str, String); N]) -> Vec<(String, String)> {
    headers.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// The URL as Twilio calls it: a gateway that is not told its address takes itself to be behind a proxy with TLS.
fn called(sender: &Sender, url: &str) -> Result<String, Unfit> {
    let uri = url.parse::<Uri>().ok();
    let parts = uri.as_ref().and_then(|uri| Some((uri.authority()?, uri.path_and_query()?)));
    let (host, path) = parts.ok_or_else(|| Unfit(format!("{url} is not a URL")))?;
    Ok(match sender.source.settings.text("public_url") {
        Some(origin) => format!("{}{path}", origin.trim_end_matches('/')),
        None => format!("https://{host}{path}"),
    })
}

/// Each field in order, with nothing between them.
fn sorted(body: &[u8]) -> String {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body).into_owned() {
        named.entry(name).or_default().insert(value);
    }
    let pairs = named.iter().flat_map(|(name, values)| values.iter().map(move |value| [name, value]));
    pairs.flatten().map(String::as_str).collect()
}
