//! From a sender to a gateway.

use std::io;
use std::time::Duration;

use egress::{Egress, FailureKind};

use super::Request;
use crate::call;

/// The longest words of an answer that are told, in characters.
const WORDS_MAX: usize = 200;

/// What a gateway answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The status, or nothing where no answer came.
    pub status: Option<u16>,
    /// From the first byte sent to the last byte received, opening a connection included.
    pub latency: Duration,
    /// What the answer says, or why none came: the beginning, as one line.
    pub words: String,
    /// What kept an answer from coming.
    pub failure: Option<FailureKind>,
}

impl Answered {
    /// Whether a platform would take the webhook as arrived.
    pub fn is_acknowledged(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// The way of senders to gateways, wherever these are.
pub struct Way {
    egress: Egress,
}

impl Way {
    /// Opens it. Fails without threads.
    pub fn open() -> io::Result<Way> {
        Ok(Way { egress: call::way_anywhere()? })
    }

    /// Sends a request and waits for the answer.
    pub async fn send(&self, request: &Request) -> Answered {
        let Request { method, url, headers, body } = request.clone();
        let exchange = call::exchange(&self.egress, method, url, headers, body).await;
        let (status, words, failure) = match exchange.result {
            Ok(answer) => (Some(answer.status), String::from_utf8_lossy(&answer.body).into_owned(), None),
            Err(failure) => (None, failure.words, Some(failure.kind)),
        };
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
        Answered { status, latency: exchange.phases.total, words, failure }
    }
}
