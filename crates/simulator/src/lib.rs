//! Plays the platforms, their customers and a bot over real HTTP on loopback, so that the gateway between them can be
//! shown, tested and measured with no account anywhere.
//!
//! [`WhatsApp`] is the platform: customers who write, and the API that takes the answers; [`Chats`] are the APIs of others.
//! [`Bot`] is the endpoint that one of the gateway's users would run. A [`Sender`] sends samples of every platform's webhooks.

pub mod bot;
mod call;
pub mod chats;
mod log;
mod owed;
mod reply;
pub mod sender;
mod server;
pub mod switches;
pub mod whatsapp;

pub use bot::Bot;
pub use chats::Chats;
pub use log::TooFew;
pub use reply::{Replied, Replies};
pub use sender::Sender;
pub use whatsapp::WhatsApp;
