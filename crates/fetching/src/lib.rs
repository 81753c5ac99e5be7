//! Files in: the lane that fetches the files of messages from their platforms, and what removes them when they are old.
//!
//! Start with [`lane`]; [`fetcher`] makes the calls for one file.

pub mod age;
pub mod fetcher;
pub mod lane;
pub mod metrics;

pub use crate::fetcher::Fetcher;
pub use crate::lane::FetchingLane;
