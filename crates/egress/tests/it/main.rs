//! The way out against real sockets on loopback, most of which misbehave.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails, in its helpers too")]

mod server;

mod addresses;
mod answers;
mod failures;
mod guard;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use egress::{Answer, Config, Egress, Exchange, Failure, Limits, Request, Roots};
use http::Method;
use model::id::AppId;

/// Settings that let the tests reach their own servers.
fn loopback() -> Config {
    let allowed = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()).to_vec();
    Config { allowed, roots: Roots::Bundled, ..Config::default() }
}

fn egress() -> Egress {
    Egress::new(&loopback()).unwrap()
}

fn post(url: impl Into<String>) -> Request {
    Request {
        on_behalf_of: AppId::from_raw(1),
        method: Method::POST,
        url: url.into(),
        headers: vec![("webhook-id".to_owned(), "evt_1".to_owned())],
        body: Bytes::from_static(br#"{"type":"message.received"}"#),
        allow_http: true,
    }
}

/// Enough time for anything on loopback, so that only what hangs runs into it.
fn limits() -> Limits {
    Limits { deadline: Duration::from_secs(30), ..Limits::default() }
}

/// So little time that a test of what hangs is over soon.
fn short() -> Limits {
    Limits { deadline: Duration::from_millis(300), ..Limits::default() }
}

async fn answered(egress: &Egress, url: &str) -> Answer {
    egress.exchange(post(url), limits()).await.result.unwrap()
}

async fn failed(egress: &Egress, url: &str) -> Failure {
    failure_of(egress.exchange(post(url), limits()).await)
}

fn failure_of(exchange: Exchange) -> Failure {
    exchange.result.unwrap_err()
}
