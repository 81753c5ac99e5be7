//! What can go wrong, in words that an operator can act on.

use std::fmt;
use std::io;

/// Why the way out could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The further certificate authorities are not PEM text.
    #[error("the further certificate authorities are not readable PEM text")]
    Authorities(#[source] rustls::pki_types::pem::Error),
    /// TLS refused the settings or one of the further certificate authorities.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The system gave no threads for looking up names.
    #[error("the threads that look up names could not be started")]
    Threads(#[source] io::Error),
}

/// Why an exchange brought no answer, or not all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// Whether the other side may have got the request: true from the moment it began to be written.
    pub may_have_arrived: bool,
    /// What happened, for a person to read; lower case, no full stop.
    pub words: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// The URL cannot be used.
    InvalidUrl,
    /// A header cannot be sent.
    InvalidHeader,
    /// The guard refuses the address, the port or the scheme.
    NotAllowed,
    /// The name has no address.
    Resolve,
    /// No address accepted a connection.
    Connect,
    /// We have as many connections open as we may: a fault of ours.
    Exhausted,
    /// No secure connection could be agreed upon.
    Tls,
    /// Time ran out.
    Timeout {
        /// In which part of the exchange.
        phase: Phase,
    },
    /// The connection was closed or reset before the answer was complete.
    Closed,
    /// What came back is not HTTP, or beyond its bounds.
    Protocol,
}

/// The parts of an exchange that have a time limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Finding the address.
    Resolve,
    /// Opening a connection, or waiting for one when the deadline of the whole exchange came first.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Waiting for the head of the answer.
    Answer,
    /// Reading the body of the answer.
    Body,
}

impl Failure {
    /// A failure before anything was written.
    pub(crate) fn before_sending(kind: FailureKind, words: impl Into<String>) -> Failure {
        Failure { kind, may_have_arrived: false, words: words.into() }
    }

    /// Time that ran out in `phase`.
    pub(crate) fn timeout(phase: Phase) -> Failure {
        let may_have_arrived = matches!(phase, Phase::Answer | Phase::Body);
        Failure {
            kind: FailureKind::Timeout { phase },
            may_have_arrived,
            words: format!("time ran out {phase}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "while the name was looked up",
            Phase::Connect => "while the connection was opened",
            Phase::Tls => "during the TLS handshake",
            Phase::Answer => "while waiting for the answer",
            Phase::Body => "while reading the answer's body",
        })
    }
}
