//! Discord: interactions and webhook events of an application, messages to channels (platforms.md section 9).

mod parse;
mod send;
#[cfg(test)]
mod tests;
mod verify;

use std::time::Duration;

use bytes::Bytes;
use model::event::NewEvent;
use model::send::OutgoingMessage;
use model::source::Source;

use self::parse::Kind;
use crate::http::{Answer, Call, Incoming, Reply};
use crate::platform::{Interpreted, Pace, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{Rejection, Verified};
use crate::settings;

/// The name in the registry, and the prefix of events without a name of ours.
const KIND: &str = "discord";
/// What a channel is known by, a person's own one too.
const CHANNEL: &str = "discord_channel";
/// Calls a second that a bot may make, and messages that may come into one channel at once.
const CALLS_PER_SECOND: i64 = 50;
const CHANNEL_PACE: (Duration, u32) = (Duration::from_secs(1), 5);

/// The adapter of Discord.
pub struct Discord;

impl Platform for Discord {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, source: &Source) -> Result<(), String> {
        verify::check(source)?;
        send::check(&source.settings)
    }

    fn verify<'r>(&self, source: &Source, request: &'r Incoming) -> Result<Verified<'r>, Rejection> {
        verify::verify(source, request)
    }

    /// Both kinds of webhook begin with a ping, each with an answer of its own.
    fn handshake(&self, _source: &Source, request: &Verified<'_>) -> Option<Reply> {
        match Kind::of(&request.request().body) {
            Some(Kind::Ping) => Some(Reply::json(r#"{"type":1}"#)),
            Some(Kind::EventPing) => Some(nothing()),
            _ => None,
        }
    }

    fn parse(&self, _source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(request.request())
    }

    /// An interaction must be answered within three seconds, in the answer: the bot's own words follow later.
    fn acknowledge(&self, source: &Source, request: &Verified<'_>) -> Reply {
        let later = if source.settings.flag("ephemeral") {
            r#"{"type":5,"data":{"flags":64}}"#
        } else {
            r#"{"type":5}"#
        };
        match Kind::of(&request.request().body) {
            Some(Kind::Component) => Reply::json(r#"{"type":6}"#),
            Some(Kind::Autocomplete) => Reply::json(r#"{"type":8,"data":{"choices":[]}}"#),
            Some(Kind::Command | Kind::Modal) => Reply::json(later),
            _ => nothing(),
        }
    }

    fn sign(&self, _source: &Source, _what: &ToSign<'_>) -> Vec<(String, String)> {
        // Only Discord has the private key.
        Vec::new()
    }

    fn compose(&self, sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
        send::compose(sender, message)
    }

    fn interpret(&self, _source: &Source, answer: &Answer) -> Interpreted {
        send::interpret(answer)
    }

    fn knows_repeats_for(&self) -> Option<Duration> {
        Some(send::NONCE_LASTS)
    }

    fn addressed_by(&self) -> &'static [&'static str] {
        &[CHANNEL]
    }

    fn pace(&self, source: &Source) -> Option<Pace> {
        let rate = settings::messages_per_second(&source.settings, CALLS_PER_SECOND);
        Some(Pace::of(rate, Some(CHANNEL_PACE)))
    }
}

/// 204, which Discord wants to have a media type all the same.
fn nothing() -> Reply {
    Reply { status: 204, content_type: "application/json", body: Bytes::new() }
}
