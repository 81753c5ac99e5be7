//! Messages as every platform's are told: what people exchange, the reactions to it, and how far it came.
//!
//! This JSON is delivered to endpoints: fields are only ever added. Absent means unknown, never empty.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::time::Timestamp;

/// One message, in either direction.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Message {
    /// The platform's id of the message.
    pub id: String,
    /// Who wrote it, where that is not simply the contact: a participant of a group, a colleague.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The group it was written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What it holds.
    #[serde(flatten)]
    pub body: Body,
    /// The id of the message it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Whether it was forwarded, and how often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Forwarded>,
    /// The advertisement or product that led to it, as the platform tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referral: Option<Box<RawValue>>,
    /// What the platform says that has no name of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Box<RawValue>>,
}

/// How often a message has been passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Forwarded {
    /// At least once.
    Once,
    /// Many times.
    Frequently,
}

/// What a message holds.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// Written words.
    Text {
        /// The words.
        text: String,
    },
    /// A picture.
    Image(Media),
    /// A film.
    Video(Media),
    /// A sound, or a voice note.
    Audio(Media),
    /// A file.
    Document(Media),
    /// A sticker.
    Sticker(Media),
    /// A place.
    Location(Location),
    /// Cards of people, as the platform tells them.
    Contacts {
        /// The cards.
        contacts: Box<RawValue>,
    },
    /// An answer chosen from buttons or a list.
    Choice {
        /// Which control it was chosen from.
        from: ChoiceControl,
        /// The id we gave the answer; `choice_id` beside the message's own `id`.
        #[serde(rename = "choice_id", skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// What the person saw.
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// The line below it, in a list.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    /// A filled-in form.
    Form {
        /// The form's name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What was filled in, as the platform's text.
        #[serde(skip_serializing_if = "Option::is_none")]
        response: Option<String>,
    },
    /// An order from a catalogue, as the platform tells it.
    Order {
        /// The order.
        order: Box<RawValue>,
    },
    /// A notice of the platform inside the conversation.
    System {
        /// What the platform calls it.
        #[serde(skip_serializing_if = "Option::is_none")]
        notice: Option<String>,
        /// Its words.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// The message was taken back by its author.
    #[default]
    Deleted,
    /// A message the platform or we cannot show; the raw item is with it.
    Unsupported {
        /// What the platform calls it.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The item as it came.
        raw: Box<RawValue>,
    },
}

impl Body {
    /// A file as what its media type says that it is; a document where that says nothing.
    pub fn of_file(media: Media) -> Body {
        match media.mime_type.as_deref().and_then(|kind| kind.split('/').next()) {
            Some("image") => Body::Image(media),
            Some("video") => Body::Video(media),
            Some("audio") => Body::Audio(media),
            _ => Body::Document(media),
        }
    }

    /// The file in it, if it is one.
    pub fn media(&self) -> Option<&Media> {
        match self {
            Body::Image(media)
            | Body::Video(media)
            | Body::Audio(media)
            | Body::Document(media)
            | Body::Sticker(media) => Some(media),
            _ => None,
        }
    }
}

/// The control an answer was chosen from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChoiceControl {
    /// A reply button under an interactive message.
    Button,
    /// A row of a list.
    List,
    /// A quick reply of a template.
    QuickReply,
}

/// A file of a message: named, never held. What is stored of it is a [`crate::file::File`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Media {
    /// The platform's id, with which the file is fetched; `media_id` beside the message's own `id`.
    #[serde(rename = "media_id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it is, when the platform says; often for minutes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its SHA-256, in the platform's encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The words under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Whether a sound is a voice note.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub voice: bool,
    /// Whether a sticker moves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub animated: bool,
}

/// A place on Earth.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What the place is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// A page about the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A reaction to a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reaction {
    /// The platform's id of the reaction itself, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The message reacted to.
    pub message_id: String,
    /// The emoji; `null` when the reaction was taken back.
    pub emoji: Option<String>,
}

/// How far a message of ours came. The order is the rank of platforms.md 0.4: a state never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// The platform has taken it.
    Accepted,
    /// It has left the platform.
    Sent,
    /// It is on the contact's device.
    Delivered,
    /// It was opened.
    Read,
    /// The voice note was listened to.
    Played,
    /// It will not arrive.
    Failed,
}

impl MessageState {
    /// Every state, by rank; `Failed` last.
    pub const ALL: [MessageState; 6] = [
        MessageState::Accepted,
        MessageState::Sent,
        MessageState::Delivered,
        MessageState::Read,
        MessageState::Played,
        MessageState::Failed,
    ];

    /// The last part of the event type that tells it: `sent` of `message.sent`.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageState::Accepted => "accepted",
            MessageState::Sent => "sent",
            MessageState::Delivered => "delivered",
            MessageState::Read => "read",
            MessageState::Played => "played",
            MessageState::Failed => "failed",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<MessageState> {
        MessageState::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The state after `news` arrived in whatever order: ranks only rise, and a failure stands unless the
    /// message turns out to have reached one of several devices.
    pub fn after(self, news: MessageState) -> MessageState {
        use MessageState::{Accepted, Failed, Sent};
        match (self, news) {
            (Failed, Accepted | Sent | Failed) => Failed,
            (Failed, arrived) => arrived,
            (Accepted | Sent, Failed) => Failed,
            (arrived, Failed) => arrived,
            (held, news) => held.max(news),
        }
    }
}

/// One step of a message of ours.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The platform's id of the message.
    pub message_id: String,
    /// The step.
    pub state: MessageState,
    /// Who it is about; one step each in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// What we sent along to know it again: the id of the send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PlatformError>,
    /// What it costs, as the platform tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Box<RawValue>>,
    /// The platform's own conversation, by which it counts, as the platform tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_conversation: Option<Box<RawValue>>,
    /// What the platform says that has no name of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Box<RawValue>>,
}

/// An error in the platform's words.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PlatformError {
    /// The platform's number for it.
    pub code: i64,
    /// The platform's short name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What exactly was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

/// What became known of a contact.
#[derive(Clone, Debug, Serialize)]
pub struct ContactChange {
    /// What the platform calls it: `user_changed_number`.
    pub reason: String,
    /// What the contact was known by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What the contact is known by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The platform's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What the platform says that has no name of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Box<RawValue>>,
}

/// What a platform says about an account: a quality rating, a template's fate, an error.
#[derive(Clone, Debug, Serialize)]
pub struct AccountNotice {
    /// The platform's name for the notice.
    pub field: String,
    /// Errors, where the notice is one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PlatformError>,
    /// The notice as it came.
    pub raw: Box<RawValue>,
}

/// A time of the platform's own reckoning, in the units platforms use.
pub fn seconds_text(text: &str) -> Option<Timestamp> {
    text.trim().parse::<i64>().ok().filter(|secs| *secs >= 0).map(Timestamp::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_state() -> impl Strategy<Value = MessageState> {
        (0..MessageState::ALL.len()).prop_map(|n| MessageState::ALL[n])
    }

    #[test]
    fn a_late_delivery_undoes_a_failure_and_nothing_else_does() {
        use MessageState::{Delivered, Failed, Read, Sent};
        assert_eq!(Sent.after(Failed), Failed);
        assert_eq!(Failed.after(Sent), Failed);
        assert_eq!(Failed.after(Delivered), Delivered);
        assert_eq!(Read.after(Failed), Read);
    }

    proptest! {
        #[test]
        fn the_final_state_does_not_depend_on_repeats(states in prop::collection::vec(any_state(), 1..12)) {
            let fold = |states: &[MessageState]| states.iter().skip(1).fold(states[0], |held, news| held.after(*news));
            let doubled: Vec<MessageState> = states.iter().flat_map(|state| [*state, *state]).collect();
            prop_assert_eq!(fold(&states), fold(&doubled));
        }

        #[test]
        fn a_message_that_was_read_stays_read(states in prop::collection::vec(any_state(), 0..12)) {
            let end = states.iter().fold(MessageState::Read, |held, news| held.after(*news));
            prop_assert!(matches!(end, MessageState::Read | MessageState::Played));
        }
    }
}
