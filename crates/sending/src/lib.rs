//! Messages out to platforms: paced, in order, correlated with their statuses, never doubled.

pub mod lane;
pub mod pacing;
pub mod metrics;

pub use crate::lane::SendingLane;
