//! Control over REST: wire types and their translation, no rule and no query of its own.
//!
//! Start with [`router`], the one list of routes; the OpenAPI document is made from the same list.

mod auth;
mod body;
mod idempotency;
mod language;
mod members;
pub mod openapi;
mod page;
mod problem;
mod rates;
mod request_id;
mod route;
mod router;
mod v1;
mod waba;
mod version;
mod whatzme;

pub use crate::auth::Asker;
pub use crate::router::{files, router};
