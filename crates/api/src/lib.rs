//! stub
#![allow(missing_docs)]
pub fn router(_control: control::Control) -> axum::Router { axum::Router::new() }
