//! LINE: events of a channel, messages pushed to a chat (platforms.md section 12).

mod parse;
mod register;
mod send;
#[cfg(test)]
mod tests;

use std::time::Duration;

use model::event::NewEvent;
use model::message::Media;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};

use crate::fetching::{self, Fetch};
use crate::header_mac::{Encoding, HeaderMac};
use crate::http::{Answer, Call, Incoming};
use crate::outgoing::{access_token, base};
use crate::platform::{Interpreted, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{Hash, Rejection, Verified};
use crate::registration::{Step, Wanted};
use crate::{outgoing, settings};

/// The name in the registry, and the prefix of events without a name of ours.
const KIND: &str = "line";
/// What a chat is known by: a person's, a group's or a room's id.
const CHAT: &str = "line_chat";
/// Where files are, which have a host of their own.
const FILES_BASE: &str = "https://api-data.line.me";
const SIGNATURE: HeaderMac =
    HeaderMac { name: "x-line-signature", prefix: "", hash: Hash::Sha256, encoding: Encoding::Base64 };

/// The adapter of LINE.
pub struct Line;

impl Platform for Line {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        settings::known(&source.settings, &["api_base"])?;
        outgoing::check_base(&source.settings, send::API_BASE)?;
        settings::secret_needed(source, SecretRole::Signing, "the channel secret")
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        SIGNATURE.prove(source, request)
    }

    fn parse(&self, _source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(request.request())
    }

    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        SIGNATURE.sign(what)
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
        if media.url.is_some() {
            return fetching::direct(media);
        }
        let base = base(&sender.source.settings, FILES_BASE);
        let headers = [("authorization", format!("Bearer {}", access_token(sender)?))];
        Ok(Fetch::File(Call::get(
            format!("{base}/v2/bot/message/{}/content", fetching::id(media)?),
            &headers,
        )))
    }

    fn knows_repeats_for(&self) -> Option<Duration> {
        Some(send::RETRY_KEY_LASTS)
    }

    fn addressed_by(&self) -> &'static [&'static str] {
        &[CHAT]
    }
}
