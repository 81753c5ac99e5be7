//! WhatzMeAPI's proof: an HMAC over the body and, where the source says so, an `Authorization` header as well.

use http::Method;
use model::receipt::Reason;
use model::secret::Secret;
use model::source::{SecretRole, Source};

use crate::credential::Credential;
use crate::http::Incoming;
use crate::proof::{self, Hash, Rejection, Verified};
use crate::settings;

const KEYS: [&str; 10] = [
    "signature",
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
const SIGNATURE_HEADER: &str = "x-signature";
const PREFIX: &str = "sha256=";

/// What a request must show: at least one of the two.
struct Demands<'s> {
    /// The header of the HMAC, unless it is switched off.
    signature: Option<&'s str>,
    /// The kind of `Authorization` header.
    credential: Option<Credential>,
}

impl Demands<'_> {
    fn read(source: &Source) -> Result<Demands<'_>, String> {
        let of = &source.settings;
        let header = settings::header(of, "signature_header")?.unwrap_or(SIGNATURE_HEADER);
        let signature = settings::flag(of, "signature")?.unwrap_or(true).then_some(header);
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
        settings::secret_needed(source, SecretRole::Signing, "the shared secret of the X-Signature header")?;
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
    let signed = demands.signature.map(|header| by_signature(header, source, request)).transpose()?;
    let shown = demands.credential.map(|credential| credential.prove(source, request)).transpose()?;
    signed.or(shown).ok_or(Rejection(Reason::SecretNotConfigured))
}

fn by_signature<'r>(header: &str, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
    let header = request.header(header).ok_or(Rejection(Reason::SignatureMissing))?;
    let presented = header.strip_prefix(PREFIX).and_then(|hex| hex::decode(hex).ok());
    let presented = presented.ok_or(Rejection(Reason::SignatureMalformed))?;
    let keys = source.secrets(SecretRole::Signing, request.received_at);
    proof::by_mac(request, Hash::Sha256, &[presented], keys.map(|key| key.expose()), &[&request.body])
}

/// The header that signs a body with a key.
pub(super) fn signature(source: &Source, key: &Secret, body: &[u8]) -> (String, String) {
    let header = source.settings.text("signature_header").unwrap_or(SIGNATURE_HEADER);
    let mac = proof::mac(Hash::Sha256, key.expose().as_bytes(), &[body]);
    (header.to_owned(), format!("{PREFIX}{}", hex::encode(mac)))
}
