//! The only door out: one HTTP exchange at a time, to public addresses only, bounded in time and size.

mod client;
mod config;
mod connector;
mod download;
mod error;
mod exchange;
mod guard;
mod lookups;
mod resolve;
mod stream;
mod tls;

pub use client::Egress;
pub use config::{Config, OPEN_MAX, Roots};
pub use download::Download;
pub use error::{Error, Failure, FailureKind, Phase};
pub use exchange::{Answer, Exchange, Limits, Request, retry_after};
pub use guard::{Denied, Guard};
