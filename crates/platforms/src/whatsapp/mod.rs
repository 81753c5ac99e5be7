//! WhatsApp Cloud API: webhooks of Meta's Graph, messages through it (platforms.md section 1).

pub mod errors;
mod fetch;
mod interactive;
pub(crate) mod parse;
mod register;
pub(crate) mod send;

use std::time::Duration;

use model::conversation::SERVICE_WINDOW;
use model::event::NewEvent;
use model::message::Media;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};

use crate::fetching::Fetch;
use crate::http::{Answer, Call, Incoming, Reply};
use crate::platform::{Interpreted, Narrowed, Pace, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{Rejection, Verified};
use crate::registration::{Step, Wanted};
use crate::{meta, settings};

/// The name in the registry, and the prefix of events without a name of ours.
const KIND: &str = "whatsapp";
/// Every setting there is; the guide page explains them.
const SETTINGS: [&str; 10] = [
    "unsigned",
    "allow_sha1",
    "echo_is_human",
    "api_base",
    "api_version",
    "messages_per_second",
    "app_id",
    "business_account_id",
    "register_at",
    "fields",
];
/// Messages a second that a number may exchange unless Meta has raised it (platforms.md 1.10).
const MESSAGES_PER_SECOND: i64 = 80;
/// The shortest time between two messages to one person, on average, and how many may come at once.
const PAIR: (Duration, u32) = (Duration::from_secs(6), 45);

/// The adapter of the WhatsApp Cloud API.
pub struct WhatsApp;

impl Platform for WhatsApp {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        settings::known(&source.settings, &SETTINGS)?;
        settings::flag(&source.settings, "allow_sha1")?;
        settings::flag(&source.settings, "echo_is_human")?;
        settings::number(&source.settings, "messages_per_second", 1..=1000)?;
        send::check(&source.settings)?;
        register::check(&source.settings)?;
        secrets_are_trimmed(source)?;
        if settings::flag(&source.settings, "unsigned")? == Some(true) {
            return Ok(());
        }
        settings::secret_needed(source, SecretRole::Signing, "the App Secret of the Meta app")?;
        settings::secret_needed(
            source,
            SecretRole::VerifyToken,
            "the verify token that is entered at Meta beside the callback URL",
        )
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        meta::verify(source, request)
    }

    fn handshake(&self, _source: &Source, request: &Verified<'_>) -> Option<Reply> {
        meta::handshake(request.request())
    }

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(KIND, source, request.request())
    }

    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        meta::sign(what)
    }

    fn narrow(&self, body: &[u8], keep: &dyn Fn(&str) -> bool) -> Narrowed {
        parse::narrow(body, keep)
    }

    fn registration(&self, wanted: &Wanted<'_>) -> Option<Result<Vec<Step>, Unsupported>> {
        Some(register::steps(wanted))
    }

    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        send::compose(sender, message)
    }

    fn interpret(&self, _source: &Source, answer: &Answer) -> Interpreted {
        errors::interpret(answer)
    }

    fn fetch(&self, sender: &Sender<'_>, media: &Media) -> Result<Fetch, Unsupported> {
        fetch::fetch(sender, media)
    }

    fn window(&self) -> Option<Duration> {
        Some(SERVICE_WINDOW)
    }

    fn pace(&self, source: &Source) -> Option<Pace> {
        Some(pace(source, MESSAGES_PER_SECOND))
    }
}

/// So many messages a second of a number, unless the source says otherwise, and Meta's pace for one person.
pub(crate) fn pace(source: &Source, messages_per_second: i64) -> Pace {
    let rate = settings::messages_per_second(&source.settings, messages_per_second);
    Pace::of(rate, Some(PAIR))
}

/// Pasted secrets bring a line end along so often that it is worth saying.
fn secrets_are_trimmed(source: &Source) -> Result<(), String> {
    let padded = source.secrets.iter().find(|held| {
        let text = held.key.secret.expose();
        text.trim().len() != text.len()
    });
    match padded {
        None => Ok(()),
        Some(held) => Err(format!(
            "the secret with role \"{}\" begins or ends with a space or a line end: enter it without",
            held.role.as_str()
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests;
