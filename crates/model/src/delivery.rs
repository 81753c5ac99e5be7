//! Deliveries and attempts: what is owed, and each try.

use std::time::Duration;

use crate::id::{AttemptId, DeliveryId, EndpointId, EventId, SendId};
use crate::time::Timestamp;

/// Where a delivery stands. The counts of all states together are always the number created.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DeliveryState {
    /// Due, now or later, or waiting in its line.
    Pending,
    /// An attempt is under way.
    InFlight,
    /// Paused by a person or a policy.
    Held,
    /// A 2xx was read completely.
    Delivered,
    /// No attempts left; can be replayed.
    Dead,
    /// Called off by a person.
    Cancelled,
}

impl DeliveryState {
    /// Every state, in the order of their stored numbers.
    pub const ALL: [DeliveryState; 6] = [
        DeliveryState::Pending,
        DeliveryState::InFlight,
        DeliveryState::Held,
        DeliveryState::Delivered,
        DeliveryState::Dead,
        DeliveryState::Cancelled,
    ];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::InFlight => "in_flight",
            DeliveryState::Held => "held",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Dead => "dead",
            DeliveryState::Cancelled => "cancelled",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<DeliveryState> {
        DeliveryState::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The number it is stored as.
    pub fn code(self) -> i64 {
        DeliveryState::ALL.iter().position(|state| *state == self).map_or(0, |at| at as i64)
    }

    /// Reads the stored number.
    pub fn from_code(code: i64) -> Option<DeliveryState> {
        usize::try_from(code).ok().and_then(|at| DeliveryState::ALL.get(at)).copied()
    }
}

/// One event owed to one endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// What is owed.
    pub event: EventId,
    /// To whom.
    pub endpoint: EndpointId,
    /// Where it stands.
    pub state: DeliveryState,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the next attempt is due, if one is.
    pub due_at: Option<Timestamp>,
    /// What the last attempt came to, in words.
    pub last_error: Option<String>,
    /// The delivery that was made when this one was replayed.
    pub replayed_by: Option<DeliveryId>,
}

/// How long each part of an exchange took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Phases {
    /// Finding the address.
    pub resolve: Duration,
    /// Opening the connection; zero when one was at hand.
    pub connect: Duration,
    /// The TLS handshake; zero without one.
    pub tls: Duration,
    /// From the request's end to the answer's first byte.
    pub first_byte: Duration,
    /// The whole exchange, body included.
    pub total: Duration,
}

/// One try of a delivery or a send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Its id, which is also when it started.
    pub id: AttemptId,
    /// What was tried.
    pub of: AttemptOf,
    /// Which attempt of it this was; the first is 1.
    pub number: u32,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// The address that was connected.
    pub peer: Option<String>,
    /// How long each part took.
    pub phases: Phases,
    /// The answer's headers, one `name: value` a line, bounded.
    pub answer_headers: String,
    /// The beginning of the answer's body.
    pub answer_excerpt: Vec<u8>,
}

/// What an attempt was of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttemptOf {
    /// A delivery.
    Delivery(DeliveryId),
    /// A send.
    Send(SendId),
}
