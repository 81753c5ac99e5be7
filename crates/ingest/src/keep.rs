//! How much of a request is kept, and what never is.

use std::fmt::Write;

use bytes::Bytes;
use http::HeaderMap;
use store::arrivals::Request;

use platforms::http::Incoming;

/// Headers that show who somebody is; kept of refused requests only, where verifying again needs them.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "apikey",
    "x-telegram-bot-api-secret-token",
];

/// What is kept of a request that was proven genuine: no credential, no query (tokens live there).
pub(crate) fn genuine(incoming: &Incoming, peer: &str) -> Request {
    let headers = lines(&incoming.headers, |name| !CREDENTIALS.contains(&name));
    request(incoming, peer, incoming.path.clone(), headers, incoming.body.clone())
}

/// What is kept of a request that was refused, so that it can be verified again after its source is corrected:
/// everything.
pub(crate) fn refused(incoming: &Incoming, peer: &str) -> Request {
    let path = match &incoming.query {
        Some(query) => format!("{}?{query}", incoming.path),
        None => incoming.path.clone(),
    };
    request(incoming, peer, path, lines(&incoming.headers, |_| true), incoming.body.clone())
}

/// What is kept of a request that no source has asked for: that it came, and nothing it said.
pub(crate) fn unknown(incoming: &Incoming, peer: &str) -> Request {
    request(incoming, peer, incoming.path.clone(), String::new(), Bytes::new())
}

fn request(incoming: &Incoming, peer: &str, path: String, headers: String, body: Bytes) -> Request {
    Request { receipt: None, method: incoming.method.to_string(), path, peer: peer.to_owned(), headers, body }
}

fn lines(headers: &HeaderMap, wanted: impl Fn(&str) -> bool) -> String {
    let mut lines = String::new();
    for (name, value) in headers.iter().filter(|(name, _)| wanted(name.as_str())) {
        // A value may hold any byte but a line end; what is not text is shown as its bytes.
        let value = value.to_str().map_or_else(|_| format!("{:?}", value.as_bytes()), str::to_owned);
        let _ = writeln!(lines, "{}: {value}", name.as_str());
    }
    lines
}
