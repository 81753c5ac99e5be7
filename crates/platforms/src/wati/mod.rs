//! WATI: WhatsApp through its team inbox (platforms.md section 5). It signs nothing: a token in the URL proves a request.

mod parse;
mod register;
mod send;
#[cfg(test)]
mod tests;

use http::Method;
use model::event::NewEvent;
use model::message::Media;
use model::receipt::Reason;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};

use crate::fetching::{self, Fetch};
use crate::http::{Answer, Call, Incoming, Reply};
use crate::platform::{Interpreted, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{self, Rejection, Verified};
use crate::registration::{Step, Wanted};
use crate::settings;

/// The name in the registry, and the prefix of events without a name of ours.
const KIND: &str = "wati";
/// The parameter of the URL that holds the token, unless the source says otherwise.
const PARAMETER: &str = "key";
const SETTINGS: [&str; 3] = ["parameter", "account", "api_base"];

/// The adapter of WATI.
pub struct Wati;

impl Platform for Wati {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        settings::known(&source.settings, &SETTINGS)?;
        settings::text(&source.settings, "parameter")?;
        settings::text(&source.settings, "account")?;
        send::check(&source.settings)?;
        let what = "a long random text, which also stands in the URL that is entered at WATI: …?key=<it>";
        settings::secret_needed(source, SecretRole::Credential, what)
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        if request.method != Method::POST {
            return Err(Rejection(Reason::MethodNotAllowed));
        }
        let shown = request.query_value(source.settings.text("parameter").unwrap_or(PARAMETER));
        let secrets = source.secrets(SecretRole::Credential, request.received_at);
        proof::by_token(request, shown.as_deref(), secrets)
    }

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(source, request.request())
    }

    fn acknowledge(&self, _source: &Source, _request: &Verified<'_>) -> Reply {
        Reply::json(r#"{"status":"success"}"#)
    }

    /// WATI's requests prove themselves by their URL, which is the endpoint's own.
    fn sign(&self, _source: &Source, _what: &ToSign<'_>) -> Vec<(String, String)> {
        Vec::new()
    }

    fn registration(&self, wanted: &Wanted<'_>) -> Option<Result<Vec<Step>, Unsupported>> {
        Some(register::steps(wanted))
    }

    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        send::compose(sender, message)
    }

    fn interpret(&self, _source: &Source, answer: &Answer) -> Interpreted {
        send::interpret(answer)
    }

    fn fetch(&self, sender: &Sender<'_>, media: &Media) -> Result<Fetch, Unsupported> {
        let api = send::api(&sender.source.settings)?;
        let token = send::token(sender.source.secrets(SecretRole::AccessToken, sender.now).next())?;
        let headers = [("authorization", format!("Bearer {token}"))];
        fetching::shown(media, &headers, &["wati.io"], api).map(Fetch::File)
    }

    fn addressed_by(&self) -> &'static [&'static str] {
        &["wa_id"]
    }

    fn window(&self) -> Option<std::time::Duration> {
        Some(model::conversation::SERVICE_WINDOW)
    }
}
