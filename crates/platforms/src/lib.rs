//! Platform adapters: bytes in, values out. No clock, no network, no store.
//!
//! Start with [`platform::Platform`], what an adapter must know; [`registry`] lists the adapters there are.

mod credential;
#[cfg(test)]
mod fixture;
pub mod generic;
pub mod http;
mod json;
pub mod platform;
mod pointer;
pub mod proof;
pub mod registry;
mod settings;
pub mod standard_webhooks;
pub mod whatsapp;
pub mod whatzme;
