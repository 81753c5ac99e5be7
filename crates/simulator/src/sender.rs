//! Signed senders of every platform: a sample of a webhook, filled and signed as the platform would, on its way to a source.

mod fill;
mod sample;
mod samples;
mod scheme;
mod way;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use model::id::{AppId, SourceId};
use model::receipt::Language;
use model::secret::{Key, Secret};
use model::source::{SecretRole, Settings, Source, SourceSecret};
use model::time::Timestamp;
use platforms::http::Incoming;
use platforms::platform::Platform;
use platforms::proof::{Hash, mac};
use platforms::registry;

pub use self::fill::Filling;
pub use self::sample::Sample;
pub use self::way::{Answered, Way};

/// The roles of a secret that proves requests. A text that is shown comes first: where it will do, it is what most have.
const PROVING: [SecretRole; 3] = [SecretRole::Credential, SecretRole::Signing, SecretRole::AccessToken];

/// Why nothing can be sent: a setting, a secret, a path or a value that does not fit, in words.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub String);

/// One request, ready to go; sent twice, it is a duplicate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL, with a token in it where the platform shows one there.
    pub url: String,
    /// The headers, the proof among them.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte as it was signed.
    pub body: Bytes,
}

/// Whoever sends the webhooks of one platform to one source.
#[derive(Clone)]
pub struct Sender {
    platform: &'static dyn Platform,
    /// The source as the gateway must have it.
    source: Source,
    role: SecretRole,
    secret: Secret,
}

impl Sender {
    /// A sender that proves itself with a secret of a source with these settings. For Discord it is the seed of the key
    /// pair, 64 characters of 0-9 and a-f, of which the source holds the public key. Without a role the secret is the
    /// one that the platform proves itself with.
    pub fn of(
        platform: &str,
        secret: Secret,
        settings: Settings,
        role: Option<SecretRole>,
    ) -> Result<Sender, Unfit> {
        let known = registry::find(platform);
        let platform = known.ok_or_else(|| Unfit(format!("there is no platform {platform}")))?;
        let held = scheme::held(platform.kind(), &secret)?;
        let settings = scheme::settings(platform.kind(), settings);
        let mut refusals = Vec::new();
        for role in role.map_or_else(|| PROVING.to_vec(), |role| vec![role]) {
            let source = source(platform.kind(), role, &held, settings.clone());
            match platform.check(&source) {
                Ok(()) => return Ok(Sender { platform, source, role, secret }),
                Err(words) => refusals.push(words),
            }
        }
        // Under a role that is not the secret's, nothing is said but that one is missing.
        let is_about_it = |words: &&String| !words.starts_with("add a secret");
        let refusal = refusals.iter().find(is_about_it).or(refusals.first());
        Err(Unfit(refusal.cloned().unwrap_or_default()))
    }

    /// The platform's name in the registry.
    pub fn platform(&self) -> &'static str {
        self.platform.kind()
    }

    /// What the secret is for, as the source calls it.
    pub fn role(&self) -> SecretRole {
        self.role
    }

    /// The public half of the secret, where only that is for the source.
    pub fn public_key(&self) -> Option<&Secret> {
        let mut held = self.source.secrets.iter().filter(|_| scheme::has_a_public_key(self.platform.kind()));
        held.find(|held| held.role == self.role).map(|held| &held.key.secret)
    }

    /// The same sender with a secret that is not the source's.
    pub fn with_a_wrong_secret(&self) -> Sender {
        let wrong = mac(Hash::Sha256, self.secret.expose().as_bytes(), &[b"not the secret"]);
        // Hexadecimal can be read as every kind of key.
        Sender { secret: Secret::new(hex::encode(wrong)), ..self.clone() }
    }

    /// The request that tells a source, by its URL, of a sample.
    pub fn request(&self, sample: &Sample, filling: &Filling, url: &str) -> Result<Request, Unfit> {
        let written = fill::written(sample, filling)?;
        let url = scheme::shown_in(self, url);
        let mut headers = vec![(CONTENT_TYPE.as_str().to_owned(), written.content_type.to_owned())];
        headers.extend(written.headers);
        headers.extend(scheme::headers(self, &url, filling, &written.body)?);
        Ok(Request { method: Method::POST, url, headers, body: written.body })
    }

    /// What a gateway makes of a request that comes now: the types of its events.
    pub fn becomes(&self, request: &Request, now: Timestamp) -> Result<Vec<String>, Unfit> {
        let incoming = incoming(request, now)?;
        let verified = self.platform.verify(&self.source, &incoming);
        let verified =
            verified.map_err(|rejection| Unfit(rejection.0.words(Language::English).to_owned()))?;
        let events = self.platform.parse(&self.source, &verified);
        let events = events.map_err(|unreadable| Unfit(unreadable.0))?;
        Ok(events.iter().map(|event| event.event_type.as_str().to_owned()).collect())
    }
}

fn source(platform: &str, role: SecretRole, held: &Secret, settings: Settings) -> Source {
    let secret = |role, text: &Secret| SourceSecret { role, key: Key::current(text.clone()) };
    Source {
        name: String::new(),
        secrets: vec![secret(role, held), secret(SecretRole::VerifyToken, held)],
        settings,
        ..Source::new(SourceId::from_raw(1), AppId::from_raw(1), platform)
    }
}

/// A request as it comes in at a gateway that is called directly.
fn incoming(request: &Request, now: Timestamp) -> Result<Incoming, Unfit> {
    let unfit = |what: &str| Unfit(format!("{what} cannot be sent"));
    let uri: Uri = request.url.parse().map_err(|_| unfit(&request.url))?;
    let mut headers = HeaderMap::new();
    let host = uri.authority().map(|host| (HOST.as_str().to_owned(), host.as_str().to_owned()));
    for (name, value) in host.iter().chain(&request.headers) {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
        let (parsed, value) = parsed.ok_or_else(|| unfit(name))?;
        headers.append(parsed, value);
    }
    Ok(Incoming {
        method: request.method.clone(),
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
        headers,
        body: request.body.clone(),
        received_at: now,
    })
}
