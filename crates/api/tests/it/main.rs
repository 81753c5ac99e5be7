//! The API over a real store: every test asks the router, as a client would.

mod audit;
mod auth;
mod configuration;
mod conversations;
mod document;
mod files;
mod idempotency;
mod isolation;
mod messages;
mod paging;
mod problems;
mod receipts;
mod replays;
mod scene;
mod secrets;
