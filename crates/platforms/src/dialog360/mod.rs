//! 360dialog Cloud: Meta's bodies, passed on (platforms.md section 3). Meta's own signature is not among what is passed on.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::conversation::SERVICE_WINDOW;
use model::event::NewEvent;
use model::message::Media;
use model::receipt::Reason;
use model::retry::Outcome;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};

use crate::fetching::{self, Fetch};
use crate::header_mac::{Encoding, HeaderMac};
use crate::http::{Answer, Call, Incoming};
use crate::outgoing::{access_token, base, check_base};
use crate::platform::{
    CredentialPlace, Interpreted, Narrowed, Pace, Platform, Sender, ToSign, Unreadable, Unsupported,
};
use crate::proof::{Hash, Rejection, Verified};
use crate::registration::{Step, Wanted};
use crate::whatsapp_onpremises::{register, send::DIALOG360_KEY};
use crate::{settings, static_proof, whatsapp};

/// The name in the registry.
const KIND: &str = "dialog360";
const API_BASE: &str = "https://waba-v2.360dialog.io";
/// Where Meta keeps files.
const LOOKASIDE: &str = "https://lookaside.fbsbx.com";
/// Partners' requests are signed; some say with the prefix, some without.
const SIGNATURE: HeaderMac =
    HeaderMac { name: "x-360dialog-signature", prefix: "", hash: Hash::Sha256, encoding: Encoding::Hex };
const PREFIXED: HeaderMac = HeaderMac { prefix: "sha256=", ..SIGNATURE };
/// Messages a second that a number may exchange unless Meta has raised it.
const MESSAGES_PER_SECOND: i64 = 80;
const SETTINGS: [&str; 5] = ["scheme", "header", "echo_is_human", "api_base", "messages_per_second"];

/// The adapter of 360dialog Cloud.
pub struct Dialog360;

impl Platform for Dialog360 {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        settings::known(&source.settings, &SETTINGS)?;
        settings::flag(&source.settings, "echo_is_human")?;
        settings::number(&source.settings, "messages_per_second", 1..=1000)?;
        check_base(&source.settings, API_BASE)?;
        match is_partner(source) {
            true => {
                settings::secret_needed(source, SecretRole::Signing, "the platform secret of the Partner Hub")
            }
            false => static_proof::check(source),
        }
    }

    /// A partner's source has a signing secret, and then nothing else will do.
    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        if !is_partner(source) {
            return static_proof::verify(source, request);
        }
        match SIGNATURE.prove(source, request) {
            Err(Rejection(Reason::SignatureMalformed)) => PREFIXED.prove(source, request),
            proven => proven,
        }
    }

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        whatsapp::parse::parse(KIND, source, request.request())
    }

    fn credential_place(&self, source: &Source) -> Option<CredentialPlace> {
        if is_partner(source) { None } else { static_proof::credential_place(source) }
    }

    fn narrow(&self, body: &[u8], keep: &dyn Fn(&str) -> bool) -> Narrowed {
        whatsapp::parse::narrow(body, keep)
    }

    fn sign(&self, source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        if is_partner(source) { SIGNATURE.sign(what) } else { static_proof::sign(source, what) }
    }

    fn registration(&self, wanted: &Wanted<'_>) -> Option<Result<Vec<Step>, Unsupported>> {
        let key = wanted.secret(SecretRole::AccessToken).map(|key| (DIALOG360_KEY, key.to_owned()));
        let api = base(&wanted.source.settings, API_BASE);
        Some(key.and_then(|key| register::steps(wanted, api, key, is_partner(wanted.source))))
    }

    /// The Cloud API's body; the key says which number it leaves from.
    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        let key = access_token(sender)?;
        let body = whatsapp::send::body(sender, message)?;
        let headers = [(DIALOG360_KEY, key), ("content-type", "application/json")];
        Ok(Call {
            method: Method::POST,
            url: format!("{}/messages", base(&sender.source.settings, API_BASE)),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: Bytes::from(body),
        })
    }

    fn interpret(&self, _source: &Source, answer: &Answer) -> Interpreted {
        whatsapp::errors::interpret(answer)
    }

    fn fetch(&self, sender: &Sender<'_>, media: &Media) -> Result<Fetch, Unsupported> {
        let headers = [(DIALOG360_KEY, access_token(sender)?.to_owned())];
        let url = format!("{}/{}", base(&sender.source.settings, API_BASE), fetching::id(media)?);
        Ok(Fetch::Place { ask: Call::get(url, &headers), read: place })
    }

    fn window(&self) -> Option<Duration> {
        Some(SERVICE_WINDOW)
    }

    fn pace(&self, source: &Source) -> Option<Pace> {
        Some(whatsapp::pace(source, MESSAGES_PER_SECOND))
    }
}

/// Where a file is: on Meta's host as the answer says, but asked for through 360dialog, with the number's key (platforms.md 3).
fn place(sender: &Sender<'_>, answer: &Answer) -> Result<Call, Outcome> {
    let url = fetching::place(answer, "url")?;
    let path = url.strip_prefix(LOOKASIDE).ok_or_else(|| {
        Outcome::Refused("the file is on a host that 360dialog does not reach for us".to_owned())
    })?;
    let headers = [(DIALOG360_KEY, access_token(sender).map_err(fetching::refused)?.to_owned())];
    Ok(Call::get(format!("{}{path}", base(&sender.source.settings, API_BASE)), &headers))
}

fn is_partner(source: &Source) -> bool {
    source.secrets.iter().any(|held| held.role == SecretRole::Signing)
}
