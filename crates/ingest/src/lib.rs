//! Webhooks in: find the source, prove the request, split it into events, store them, and only then acknowledge.
//!
//! [`receive`] is the whole story in one function.

pub mod receive;
pub mod route;
pub mod limit;
pub mod keep;
pub mod metrics;

pub use crate::receive::{Config, Ingest};
