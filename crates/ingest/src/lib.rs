//! Webhooks in: find the source, prove the request, split it into events, store them, and only then acknowledge.
//!
//! [`receive`] is the whole story in one function.

pub mod receive;
mod body;
pub mod keep;
pub mod limit;
pub mod metrics;
mod refusal;
pub mod room;
pub mod route;

pub use crate::receive::{Config, Ingest};
pub use crate::refusal::Answer;
