//! WhatzMeAPI's proof: an HMAC over the body and, where the source says so, an `Authorization` header as well.

use http::Method;
use model::receipt::Reason;
use model::secret::Secret;
use model::source::{SecretRole, Source};

use crate::credential::Credential;
use crate::http::Incoming;
use crate::platform::ToSign;
use crate::proof::{self, Hash, Rejection, Verified};
use crate::settings;

const KEYS: [&str; 11] = [
    "signature",
    "signature_style",
    "signature_header",
    "auth",
    "echo_is_human",
    "api_base",
    "send_path",
    "dialect",
    "instance",
    "message_id_pointer",
    "messages_per_second",
];

/// How a gateway writes its HMAC of the body, in hex.
#[derive(Clone, Copy)]
enum Style {
    /// `X-Signature: sha256=<hex>`.
    WhatzMe,
    /// `X-Webhook-Hmac: <hex>`, of SHA-512.
    Waha,
}

impl Style {
    const CHOICES: [(&'static str, Style); 2] = [("whatzme", Style::WhatzMe), ("waha", Style::Waha)];

    fn header(self) -> &'static str {
        match self {
            Style::WhatzMe => "x-signature",
            Style::Waha => "x-webhook-hmac",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Style::WhatzMe => "sha256=",
            Style::Waha => "",
        }
    }

    fn hash(self) -> Hash {
        match self {
            Style::WhatzMe => Hash::Sha256,
            Style::Waha => Hash::Sha512,
        }
    }
}

/// Where the HMAC stands and how it is written.
#[derive(Clone, Copy)]
struct Signature<'s> {
    header: &'s str,
    style: Style,
}

/// What a request must show: at least one of the two.
struct Demands<'s> {
    /// The HMAC, unless it is switched off.
    signature: Option<Signature<'s>>,
    /// The kind of `Authorization` header.
    credential: Option<Credential>,
}

impl Demands<'_> {
    fn read(source: &Source) -> Result<Demands<'_>, String> {
        let of = &source.settings;
        let style = settings::choice(of, "signature_style", &Style::CHOICES)?.unwrap_or(Style::WhatzMe);
        let header = settings::header(of, "signature_header")?.unwrap_or(style.header());
        let is_signed = settings::flag(of, "signature")?.unwrap_or(true);
        let signature = is_signed.then_some(Signature { header, style });
        let credential = match settings::text(of, "auth")? {
            None | Some("none") => None,
            Some(_) => settings::choice(of, "auth", &Credential::CHOICES).map_err(|refusal| {
                // "none" is a choice as well, but not a credential.
                format!("{refusal}, none")
            })?,
        };
        match (signature, credential) {
            (None, None) => {
                Err("\"signature\": false needs \"auth\": without either, anybody could send".to_owned())
            }
            _ => Ok(Demands { signature, credential }),
        }
    }
}

/// Says what is wrong with the settings for receiving and their secrets.
pub(super) fn check(source: &Source) -> Result<(), String> {
    settings::known(&source.settings, &KEYS)?;
    settings::flag(&source.settings, "echo_is_human")?;
    let demands = Demands::read(source)?;
    if demands.signature.is_some() {
        settings::secret_needed(source, SecretRole::Signing, "the shared secret of the signature")?;
    }
    demands.credential.map_or(Ok(()), |credential| credential.check(source))
}

/// Proves a request by everything the source demands.
pub(super) fn verify<'r>(source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    // Settings are checked when they are saved; should they be unreadable all the same, nothing is accepted.
    let demands = Demands::read(source).map_err(|_| Rejection(Reason::SecretNotConfigured))?;
    if request.method != Method::POST {
        return Err(Rejection(Reason::MethodNotAllowed));
    }
    let signed = demands.signature.map(|signature| signature.prove(source, request)).transpose()?;
    let shown = demands.credential.map(|credential| credential.prove(source, request)).transpose()?;
    signed.or(shown).ok_or(Rejection(Reason::SecretNotConfigured))
}

impl Signature<'_> {
    fn prove<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        let text = proof::proving_header(request, self.header)?.ok_or(Rejection(Reason::SignatureMissing))?;
        let presented = text.strip_prefix(self.style.prefix()).and_then(|hex| hex::decode(hex).ok());
        let presented = presented.ok_or(Rejection(Reason::SignatureMalformed))?;
        let keys = source.secrets(SecretRole::Signing, request.received_at).map(|key| key.expose());
        proof::by_mac(request, self.style.hash(), &[presented], keys, &[&request.body])
    }

    fn headers(&self, key: &Secret, body: &[u8]) -> Vec<(String, String)> {
        let mac = proof::mac(self.style.hash(), key.expose().as_bytes(), &[body]);
        let written = (self.header.to_owned(), format!("{}{}", self.style.prefix(), hex::encode(mac)));
        match self.style {
            Style::WhatzMe => vec![written],
            // Whoever reads WAHA's webhooks looks at this one too.
            Style::Waha => vec![written, ("x-webhook-hmac-algorithm".to_owned(), "sha512".to_owned())],
        }
    }
}

/// The headers that prove a body with the current key: the HMAC, or what stands in its place where it is switched off.
pub(super) fn sign(source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
    let (Ok(demands), Some(key)) = (Demands::read(source), what.key()) else {
        return Vec::new();
    };
    match (demands.signature, demands.credential) {
        (Some(signature), _) => signature.headers(key, what.body),
        (None, credential) => credential.and_then(|kind| kind.shown(key)).into_iter().collect(),
    }
}
