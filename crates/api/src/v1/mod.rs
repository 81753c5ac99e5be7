//! Our own API, version 1: one file a noun, each with its wire types and handlers.

pub(crate) mod accounts;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod contacts;
pub(crate) mod conversations;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod messages;
pub(crate) mod outgoing;
pub(crate) mod receipts;
pub(crate) mod registrations;
pub(crate) mod sources;
pub(crate) mod stats;
pub(crate) mod tokens;
