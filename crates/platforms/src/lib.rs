//! Platform adapters: bytes in, values out. No clock, no network, no store.
//!
//! Start with [`platform::Platform`], what an adapter must know; [`registry`] lists the adapters there are.

pub mod platform;
pub mod registry;
pub mod http;
pub mod proof;
mod json;
