//! The conversation as the gateway has it: what the customer wrote, whether the bot took it, what the bot answered, and
//! how far that came.

use std::collections::BTreeMap;
use std::time::Duration;

use model::delivery::DeliveryState;
use model::event::Event;
use model::message::MessageState;
use model::send::{OutgoingBody, OwedSend, SendState};
use model::time::Timestamp;
use serde_json::Value;

use super::super::stage::cast::said;

/// How many messages are shown; older ones are left out.
pub(super) const SHOWN_MAX: usize = 500;

/// The conversation, oldest message first.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Thread {
    pub(super) entries: Vec<Entry>,
    /// How the bot fares: with what it does not take, or else with the last message that it was sent.
    pub(super) bot: Option<Reached>,
}

/// One message.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry {
    /// What it is called in the gateway.
    pub(super) id: String,
    pub(super) at: Timestamp,
    pub(super) said: Said,
    pub(super) side: Side,
}

/// What a message holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    Text(String),
    /// Something else, by its kind, and the words with it.
    Other(&'static str, String),
}

/// Whose a message is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Side {
    /// The customer's, by this name; and what became of it at the bot's endpoint.
    Customer(String, Option<Reached>),
    /// The bot's, and how far it came.
    Bot(Progress),
}

/// What became of an event at the bot's endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reached {
    pub(super) state: DeliveryState,
    pub(super) attempts: u32,
    pub(super) due_at: Option<Timestamp>,
    /// What the last attempt was answered.
    pub(super) status: Option<u16>,
    /// How long it took.
    pub(super) took: Duration,
    /// What was wrong with it, in words.
    pub(super) error: Option<String>,
}

/// How far an answer came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// It waits to be sent, or is being sent; with what went wrong the last time.
    OnItsWay(Option<String>),
    /// The platform may have taken it.
    Unknown,
    /// The platform took it, and told so much.
    Came(MessageState),
    /// It will not arrive, for this reason.
    Failed(String),
    /// Somebody called it off.
    Cancelled,
}

/// A message of the customer's.
pub(super) fn written(event: &Event, reached: Option<Reached>) -> Entry {
    let content = event.content.as_deref().and_then(|content| serde_json::from_str(content).ok());
    let content: Value = content.unwrap_or_default();
    let message = &content["message"];
    let text = message["text"].as_str().or(message["caption"].as_str()).unwrap_or_default();
    let said = match message["kind"].as_str() {
        Some("image") => Said::Other("image", text.to_owned()),
        _ => Said::Text(said(text).to_owned()),
    };
    let name = content["contact"]["name"].as_str().unwrap_or_default().to_owned();
    Entry { id: event.id.to_string(), at: event.id.made_at(), said, side: Side::Customer(name, reached) }
}

/// A message of the bot's; `None` for what no customer sees.
pub(super) fn answered(send: &OwedSend, reasons: &BTreeMap<String, String>) -> Option<Entry> {
    let progress = match (send.state, send.message_state) {
        (SendState::Cancelled, _) => Progress::Cancelled,
        (SendState::Dead, _) => Progress::Failed(send.last_error.clone().unwrap_or_default()),
        (_, Some(MessageState::Failed)) => {
            let told = send.platform_message_id.as_ref().and_then(|id| reasons.get(id));
            Progress::Failed(told.or(send.last_error.as_ref()).cloned().unwrap_or_default())
        }
        (_, Some(state)) => Progress::Came(state),
        (SendState::Taken, None) => Progress::Came(MessageState::Accepted),
        (SendState::Unknown, None) => Progress::Unknown,
        (SendState::Pending | SendState::InFlight, None) => Progress::OnItsWay(send.last_error.clone()),
    };
    let said = content_of(&send.message.body)?;
    Some(Entry { id: send.id.to_string(), at: send.id.made_at(), said, side: Side::Bot(progress) })
}

fn content_of(body: &OutgoingBody) -> Option<Said> {
    let file = |kind, caption: &Option<String>| Said::Other(kind, caption.clone().unwrap_or_default());
    Some(match body {
        OutgoingBody::Text { text } => Said::Text(text.body.clone()),
        OutgoingBody::Image { image } => file("image", &image.caption),
        OutgoingBody::Video { video } => file("video", &video.caption),
        OutgoingBody::Audio { audio } => file("audio", &audio.caption),
        OutgoingBody::Document { document } => {
            file("document", &document.caption.clone().or(document.filename.clone()))
        }
        OutgoingBody::Sticker { sticker } => file("sticker", &sticker.caption),
        OutgoingBody::Reaction { reaction } => {
            Said::Other("reaction", reaction.emoji.clone().unwrap_or_default())
        }
        OutgoingBody::Interactive { interactive } => {
            let words = interactive["body"]["text"].as_str().or(interactive["body"].as_str());
            Said::Other("interactive", words.unwrap_or_default().to_owned())
        }
        OutgoingBody::Template { template } => {
            Said::Other("template", template["name"].as_str().unwrap_or_default().to_owned())
        }
        OutgoingBody::Location { location } => {
            Said::Other("location", location.name.clone().unwrap_or_default())
        }
        OutgoingBody::Contacts { .. } => Said::Other("contacts", String::new()),
        OutgoingBody::Read { .. } => return None,
    })
}
