//! The words of Gancho, in reading order: what happens, where it comes from, where it goes.
//!
//! Plain values only: nothing here reads a clock, a socket or a file. The JSON of [`event::Content`] and
//! [`message`] is the product's wire format and the only family of types here that serialises.

pub mod event;
pub mod catalogue;
pub mod message;
pub mod file;
pub mod source;
pub mod watch;
pub mod receipt;
pub mod endpoint;
pub mod delivery;
pub mod retry;
pub mod pace;
pub mod send;
pub mod conversation;
pub mod access;
pub mod secret;
pub mod id;
pub mod time;
pub mod page;
