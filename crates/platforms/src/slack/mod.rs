//! Slack: events, interactions and commands of an app, messages to channels (platforms.md section 11).

mod form;
mod parse;
mod redact;
mod send;
#[cfg(test)]
mod tests;
mod verify;

use std::time::Duration;

use bytes::Bytes;
use model::event::NewEvent;
use model::message::Media;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};

use crate::fetching::{self, Fetch};
use crate::http::{Answer, Call, Incoming, Reply};
use crate::outgoing::{access_token, base};
use crate::platform::{Interpreted, Pace, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{Rejection, Verified};
use crate::{json, outgoing, settings};

/// The name in the registry, and the prefix of events without a name of ours.
const KIND: &str = "slack";
/// What a channel, or a direct conversation, is known by.
const CHANNEL: &str = "slack_channel";
/// Messages a second that an app may post in all, and the shortest time between two to one channel.
const MESSAGES_PER_SECOND: i64 = 20;
const CHANNEL_INTERVAL: Duration = Duration::from_secs(1);
const SETTINGS: [&str; 3] = ["tolerance_s", "api_base", "messages_per_second"];

/// The adapter of Slack.
pub struct Slack;

impl Platform for Slack {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        settings::known(&source.settings, &SETTINGS)?;
        settings::number(&source.settings, "tolerance_s", 1..=86_400)?;
        settings::number(&source.settings, "messages_per_second", 1..=1000)?;
        outgoing::check_base(&source.settings, send::API_BASE)?;
        settings::secret_needed(source, SecretRole::Signing, "the signing secret of the app")
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        verify::verify(source, request)
    }

    /// Slack asks once, when the URL is entered, and wants to hear its own word.
    fn handshake(&self, _source: &Source, request: &Verified<'_>) -> Option<Reply> {
        let body = json::object(&request.request().body).ok()?;
        let is_check = body.text("type")? == "url_verification";
        is_check.then(|| body.string("challenge")).flatten().map(Reply::text)
    }

    fn parse(&self, _source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(request.request())
    }

    fn redact(&self, body: &[u8]) -> Option<Bytes> {
        redact::redact(body)
    }

    fn told_in(&self) -> &'static [&'static str] {
        &["x-slack-retry-num", "x-slack-retry-reason"]
    }

    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        verify::sign(what)
    }

    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        send::compose(sender, message)
    }

    fn interpret(&self, _source: &Source, answer: &Answer) -> Interpreted {
        send::interpret(answer)
    }

    fn fetch(&self, sender: &Sender<'_>, media: &Media) -> Result<Fetch, Unsupported> {
        let headers = [("authorization", format!("Bearer {}", access_token(sender)?))];
        let api = base(&sender.source.settings, send::API_BASE);
        fetching::shown(media, &headers, &["slack.com"], api).map(Fetch::File)
    }

    fn addressed_by(&self) -> &'static [&'static str] {
        &[CHANNEL]
    }

    fn pace(&self, source: &Source) -> Option<Pace> {
        let rate = settings::messages_per_second(&source.settings, MESSAGES_PER_SECOND);
        Some(Pace::of(rate, Some((CHANNEL_INTERVAL, 1))))
    }
}
