//! Platform adapters: bytes in, values out. No clock, no network, no store.
//!
//! Start with [`platform::Platform`], what an adapter must know; [`registry`] lists the adapters there are.

mod choices;
mod credential;
pub mod dialog360;
pub mod discord;
#[cfg(test)]
mod fixture;
pub mod fetching;
pub mod generic;
pub mod github;
mod header_mac;
pub mod http;
pub mod instagram;
mod json;
pub mod line;
pub mod messenger;
mod meta;
mod outgoing;
pub mod platform;
mod pointer;
pub mod proof;
pub mod registration;
pub mod registry;
mod settings;
mod static_proof;
pub mod shopify;
pub mod slack;
pub mod standard_webhooks;
pub mod stripe;
pub mod telegram;
pub mod twilio;
pub mod viber;
pub mod wati;
pub mod whatsapp;
pub mod whatsapp_onpremises;
pub mod whatzme;
