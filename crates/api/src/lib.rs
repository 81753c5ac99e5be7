//! Control over REST: wire types and their translation, no rule and no query of its own.
//!
//! Start with [`router`], the one list of routes; the OpenAPI document is made from the same list.

mod router;
mod route;
mod auth;
mod rates;
mod request_id;
mod problem;
mod language;
mod body;
mod page;
mod idempotency;
pub mod openapi;
mod v1;
mod whatzme;

pub use crate::router::{listed, router};
