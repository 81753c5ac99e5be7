//! Watches over sources: whether their platforms still call our URL, and whether they have fallen silent.
//!
//! Start with [`lane`]; [`registrar`] makes the calls.

pub mod lane;
pub mod registrar;

pub use lane::WatchingLane;
