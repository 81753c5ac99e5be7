//! The loop that runs all durable work: claim what is due, attempt it under a lease, record what happened.

mod lane;
mod run;

pub use lane::{Lane, LaneError};
pub use run::{Limits, run};
