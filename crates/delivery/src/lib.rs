//! Events out to endpoints: signed, in order, retried, and every attempt recorded.

pub mod lane;
pub mod envelope;
mod original;
pub mod signature;
pub mod classify;
pub mod health;
pub mod metrics;

pub use crate::lane::DeliveryLane;
