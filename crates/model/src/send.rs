//! Sends: outgoing messages owed to a platform.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{AccountId, AppId, ConversationId, SendId};
use crate::message::{Location, MessageState};
use crate::time::Timestamp;

/// A message as a caller wants it sent, whatever the platform. One shape for every platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutgoingMessage {
    /// Who gets it.
    pub to: Recipient,
    /// The id of the message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// What it holds.
    #[serde(flatten)]
    pub body: OutgoingBody,
}

/// Who gets a message: one of the contact's identifiers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Recipient {
    /// A phone number, chat id or jid, as the platform calls its people.
    Address(String),
    /// A name of a certain sort: `{"bsuid": "US.1349"}`.
    Bsuid {
        /// WhatsApp's business-scoped user id.
        bsuid: String,
    },
}

impl Recipient {
    /// The name itself.
    pub fn address(&self) -> &str {
        match self {
            Recipient::Address(address) => address,
            Recipient::Bsuid { bsuid } => bsuid,
        }
    }
}

/// What an outgoing message holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutgoingBody {
    /// Written words.
    Text {
        /// The words.
        text: TextBody,
    },
    /// A picture.
    Image {
        /// The file.
        image: OutgoingMedia,
    },
    /// A film.
    Video {
        /// The file.
        video: OutgoingMedia,
    },
    /// A sound.
    Audio {
        /// The file.
        audio: OutgoingMedia,
    },
    /// A file.
    Document {
        /// The file.
        document: OutgoingMedia,
    },
    /// A sticker.
    Sticker {
        /// The file.
        sticker: OutgoingMedia,
    },
    /// A template the platform has approved, in the platform's shape.
    Template {
        /// The template.
        template: Value,
    },
    /// Buttons or a list, in the platform's shape.
    Interactive {
        /// The controls.
        interactive: Value,
    },
    /// A reaction to a message; an absent or empty emoji takes it back.
    Reaction {
        /// The reaction.
        reaction: OutgoingReaction,
    },
    /// A place.
    Location {
        /// The place.
        location: Location,
    },
    /// Cards of people, in the platform's shape.
    Contacts {
        /// The cards.
        contacts: Value,
    },
    /// Not a message: marks one of the contact's as read.
    Read {
        /// Which, and whether to show that we are typing.
        read: ReadMark,
    },
}

impl OutgoingBody {
    /// The file in it, if it is one.
    pub fn media(&self) -> Option<&OutgoingMedia> {
        match self {
            OutgoingBody::Image { image: media }
            | OutgoingBody::Video { video: media }
            | OutgoingBody::Audio { audio: media }
            | OutgoingBody::Document { document: media }
            | OutgoingBody::Sticker { sticker: media } => Some(media),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn media_mut(&mut self) -> Option<&mut OutgoingMedia> {
        match self {
            OutgoingBody::Image { image: media }
            | OutgoingBody::Video { video: media }
            | OutgoingBody::Audio { audio: media }
            | OutgoingBody::Document { document: media }
            | OutgoingBody::Sticker { sticker: media } => Some(media),
            _ => None,
        }
    }
}

/// Written words and how links in them are shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TextBody {
    /// The words.
    pub body: String,
    /// Whether the first link is previewed.
    #[serde(default)]
    pub preview_url: bool,
}

/// A file to send: by the platform's id, by a public link, or one that is stored here.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OutgoingMedia {
    /// The platform's id of an uploaded file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where the platform can fetch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Our id of a stored file; the platform is given a link to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The words under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Its name, for documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// A reaction to send.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutgoingReaction {
    /// The message reacted to.
    pub message_id: String,
    /// The emoji; absent or empty takes the reaction back.
    #[serde(default)]
    pub emoji: Option<String>,
}

/// Marks a message of the contact's as read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadMark {
    /// The message that was read.
    pub message_id: String,
    /// Whether to show that we are typing.
    #[serde(default)]
    pub typing: bool,
}

/// Where a send stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SendState {
    /// Due, now or later, or waiting in its line.
    Pending,
    /// A call is under way.
    InFlight,
    /// The platform has taken it; how far it came is the message's state.
    Taken,
    /// The platform may have taken it; a status settles it, or a person.
    Unknown,
    /// It will not be taken.
    Dead,
    /// Called off by a person.
    Cancelled,
}

impl SendState {
    /// Every state, in the order of their stored numbers.
    pub const ALL: [SendState; 6] = [
        SendState::Pending,
        SendState::InFlight,
        SendState::Taken,
        SendState::Unknown,
        SendState::Dead,
        SendState::Cancelled,
    ];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            SendState::Pending => "pending",
            SendState::InFlight => "in_flight",
            SendState::Taken => "taken",
            SendState::Unknown => "unknown",
            SendState::Dead => "dead",
            SendState::Cancelled => "cancelled",
        }
    }

    /// The number it is stored as.
    pub fn code(self) -> i64 {
        SendState::ALL.iter().position(|state| *state == self).map_or(0, |at| at as i64)
    }

    /// Reads the stored number.
    pub fn from_code(code: i64) -> Option<SendState> {
        usize::try_from(code).ok().and_then(|at| SendState::ALL.get(at)).copied()
    }
}

/// An outgoing message owed to a platform.
#[derive(Clone, Debug)]
pub struct OwedSend {
    /// Its id, which we send along as correlation.
    pub id: SendId,
    /// Who asked for it.
    pub app: AppId,
    /// The account it leaves from.
    pub account: AccountId,
    /// The conversation it belongs to.
    pub conversation: Option<ConversationId>,
    /// Where it stands with the platform.
    pub state: SendState,
    /// How far the message itself came.
    pub message_state: Option<MessageState>,
    /// The platform's id of the message, once it has one.
    pub platform_message_id: Option<String>,
    /// How many calls were made.
    pub attempts: u32,
    /// When the next call is due, if one is.
    pub due_at: Option<Timestamp>,
    /// What the last call came to, in words.
    pub last_error: Option<String>,
    /// The message.
    pub message: OutgoingMessage,
}
