//! The on-premises client of WhatsApp, as Cbot, 360dialog v1 and Turn.io run it (platforms.md section 2). It signs nothing, and
//! a request does not say which number it is about: a source for each number.

pub(crate) mod register;
pub(crate) mod send;
pub mod tell;
#[cfg(test)]
mod tests;

use std::time::Duration;

use model::conversation::SERVICE_WINDOW;
use model::event::NewEvent;
use model::message::Media;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};

use crate::fetching::{self, Fetch};
use crate::http::{Answer, Call, Incoming};
use crate::outgoing::access_token;
use crate::platform::{
    CredentialPlace, Interpreted, Pace, Platform, Sender, ToSign, Unreadable, Unsupported,
};
use crate::proof::{Rejection, Verified};
use crate::registration::{Step, Wanted};
use crate::{settings, static_proof, whatsapp};

/// The name in the registry, and the prefix of events without a name of ours.
const KIND: &str = "whatsapp_onpremises";
/// The account, where the source names none.
const ACCOUNT_DEFAULT: &str = "default";
/// Messages a second that a client takes.
const MESSAGES_PER_SECOND: i64 = 50;
const SETTINGS: [&str; 6] = ["scheme", "header", "account", "api_base", "show_key_in", "messages_per_second"];

/// The adapter of the on-premises client.
pub struct OnPremises;

impl Platform for OnPremises {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        settings::known(&source.settings, &SETTINGS)?;
        settings::text(&source.settings, "account")?;
        settings::number(&source.settings, "messages_per_second", 1..=1000)?;
        send::check(&source.settings)?;
        static_proof::check(source)
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        static_proof::verify(source, request)
    }

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        let account = source.settings.text("account").unwrap_or(ACCOUNT_DEFAULT);
        whatsapp::parse::parse_client(KIND, account, request.request())
    }

    fn credential_place(&self, source: &Source) -> Option<CredentialPlace> {
        static_proof::credential_place(source)
    }

    fn sign(&self, source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        static_proof::sign(source, what)
    }

    fn registration(&self, wanted: &Wanted<'_>) -> Option<Result<Vec<Step>, Unsupported>> {
        Some(send::at(&wanted.source.settings).and_then(|(base, shown)| {
            let key = shown(wanted.secret(SecretRole::AccessToken)?);
            register::steps(wanted, base, key, false)
        }))
    }

    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        send::compose(sender, message)
    }

    fn interpret(&self, _source: &Source, answer: &Answer) -> Interpreted {
        send::interpret(answer)
    }

    fn fetch(&self, sender: &Sender<'_>, media: &Media) -> Result<Fetch, Unsupported> {
        let (base, show) = send::at(&sender.source.settings)?;
        let shown = show(access_token(sender)?);
        Ok(Fetch::File(Call::get(format!("{base}/v1/media/{}", fetching::id(media)?), &[shown])))
    }

    fn addressed_by(&self) -> &'static [&'static str] {
        &["wa_id", "group"]
    }

    fn window(&self) -> Option<Duration> {
        Some(SERVICE_WINDOW)
    }

    fn pace(&self, source: &Source) -> Option<Pace> {
        Some(whatsapp::pace(source, MESSAGES_PER_SECOND))
    }
}
