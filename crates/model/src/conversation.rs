//! Conversations and contacts: who is at the other end, and where the talk stands.

use std::borrow::Cow;
use std::time::Duration;

use crate::id::{AccountId, AppId, ContactId, ConversationId};
use crate::time::Timestamp;

/// How long after a contact's last message WhatsApp lets us answer freely.
pub const SERVICE_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// One thing a contact is known by.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identifier {
    /// What sort of name it is: `wa_id`, `bsuid`, `username`, `jid`.
    pub kind: Cow<'static, str>,
    /// The name.
    pub value: String,
}

impl Identifier {
    /// A name of one sort.
    pub fn new(kind: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Identifier {
        Identifier { kind: kind.into(), value: value.into() }
    }
}

/// Who is at the other end of an event, as far as the request says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Party {
    /// Every identifier the request gives; any of them finds the contact. Strongest first.
    pub identifiers: Vec<Identifier>,
    /// The name the contact shows.
    pub name: Option<String>,
    /// What the event means for the conversation.
    pub touch: Touch,
}

/// What an event means for its conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Touch {
    /// The contact wrote: the service window opens anew, a resolved conversation reopens.
    Inbound,
    /// A person on our side wrote: the conversation is handed off.
    HumanEcho,
    /// A person on our side wrote, or what we sent ourselves comes back: handed off unless it is known to be ours.
    UnclearEcho,
    /// Nothing but belonging to it.
    #[default]
    None,
}

/// Where a conversation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConversationState {
    /// The bot has it.
    Open,
    /// A person has it.
    HandedOff,
    /// It is done, until the contact writes again.
    Resolved,
}

impl ConversationState {
    /// Every state.
    pub const ALL: [ConversationState; 3] =
        [ConversationState::Open, ConversationState::HandedOff, ConversationState::Resolved];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            ConversationState::Open => "open",
            ConversationState::HandedOff => "handed_off",
            ConversationState::Resolved => "resolved",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<ConversationState> {
        ConversationState::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The state after a touch, and the event type that tells of it, if anything changed.
    pub fn touched(self, touch: Touch) -> (ConversationState, Option<&'static str>) {
        match (self, touch) {
            (ConversationState::Resolved, Touch::Inbound) => {
                (ConversationState::Open, Some("conversation.reopened"))
            }
            (
                ConversationState::Open | ConversationState::Resolved,
                Touch::HumanEcho | Touch::UnclearEcho,
            ) => (ConversationState::HandedOff, Some("conversation.handoff")),
            (state, _) => (state, None),
        }
    }
}

/// The line of messages with one contact on one account.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Whose it is.
    pub app: AppId,
    /// The account it is on.
    pub account: AccountId,
    /// The person at the other end.
    pub contact: ContactId,
    /// Where it stands.
    pub state: ConversationState,
    /// When the contact last wrote.
    pub last_inbound_at: Option<Timestamp>,
    /// When anything last happened.
    pub touched_at: Timestamp,
}

impl Conversation {
    /// Until when the platform lets us answer freely; `None` when the contact never wrote.
    pub fn window_ends_at(&self) -> Option<Timestamp> {
        self.last_inbound_at.map(|at| at.plus(SERVICE_WINDOW))
    }
}

/// A person at the other end.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Their id.
    pub id: ContactId,
    /// Whose contact they are.
    pub app: AppId,
    /// The name they show.
    pub name: Option<String>,
    /// What they are known by: pairs of sort and name.
    pub identifiers: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_human_echo_hands_off_and_a_new_message_reopens() {
        use ConversationState::{HandedOff, Open, Resolved};
        assert_eq!(Open.touched(Touch::HumanEcho), (HandedOff, Some("conversation.handoff")));
        assert_eq!(Resolved.touched(Touch::Inbound), (Open, Some("conversation.reopened")));
        assert_eq!(HandedOff.touched(Touch::Inbound), (HandedOff, None));
        assert_eq!(HandedOff.touched(Touch::HumanEcho), (HandedOff, None));
    }
}
