//! Telegram: updates of a bot, messages through the Bot API (platforms.md section 6).

mod content;
mod fetch;
mod parse;
mod register;
mod send;
#[cfg(test)]
mod tests;
mod verify;

use std::time::Duration;

use model::event::NewEvent;
use model::message::Media;
use model::send::OutgoingMessage;
use model::source::{SecretRole, Source};
use model::time::Timestamp;

use crate::fetching::Fetch;
use crate::http::{Answer, Call, Incoming};
use crate::platform::{Interpreted, Pace, Platform, Sender, ToSign, Unreadable, Unsupported};
use crate::proof::{Rejection, Verified};
use crate::registration::{Step, Wanted};
use crate::settings;

/// The name in the registry, and the prefix of events without a name of ours.
const KIND: &str = "telegram";
/// What a chat is known by: a person's, a group's or a channel's number.
const CHAT: &str = "telegram_chat";
/// Messages a second that a bot may send, and the shortest time between two to one chat.
const MESSAGES_PER_SECOND: i64 = 30;
const CHAT_INTERVAL: Duration = Duration::from_secs(1);

/// The adapter of Telegram.
pub struct Telegram;

impl Platform for Telegram {
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

    fn parse(&self, source: &Source, request: &Verified<'_>) -> Result<Vec<NewEvent>, Unreadable> {
        parse::parse(source, request.request())
    }

    fn sign(&self, _source: &Source, what: &ToSign<'_>) -> Vec<(String, String)> {
        verify::sign(what)
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
        fetch::fetch(sender, media)
    }

    fn addressed_by(&self) -> &'static [&'static str] {
        &[CHAT]
    }

    fn pace(&self, source: &Source) -> Option<Pace> {
        let rate = settings::messages_per_second(&source.settings, MESSAGES_PER_SECOND);
        Some(Pace::of(rate, Some((CHAT_INTERVAL, 1))))
    }
}

/// The bot's number, which its token begins with: updates do not name the bot they are for.
fn bot(source: &Source, now: Timestamp) -> Option<String> {
    let named = source.settings.text("bot").map(str::to_owned);
    named.or_else(|| {
        let token = source.secrets(SecretRole::AccessToken, now).next()?.expose();
        let (bot, _) = token.split_once(':')?;
        (!bot.is_empty() && bot.bytes().all(|byte| byte.is_ascii_digit())).then(|| bot.to_owned())
    })
}
