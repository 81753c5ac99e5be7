//! How much of a request is kept, and what never is.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use model::source::Source;
use store::arrivals::Request;

use platforms::http::Incoming;
use platforms::registry;

/// Headers that show who somebody is; kept of refused requests only, where verifying again needs them.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "apikey",
    "x-telegram-bot-api-secret-token",
];

/// How much of the path is kept of a request that is not.
const PATH_CHARS_MAX: usize = 500;

/// What is kept of a request that was proven genuine: no credential, in headers or body, no query (tokens live there),
/// and no header or part of the path that holds one of the source's own secrets, wherever the sender shows it.
pub(crate) fn genuine(source: &Source, incoming: &Incoming, peer: &str) -> Request {
    let secrets: Vec<&str> = source
        .secrets
        .iter()
        .map(|held| held.key.secret.expose())
        .filter(|secret| !secret.is_empty())
        .collect();
    let shows_secret = |text: &str| secrets.iter().any(|secret| text.contains(secret));
    let headers =
        lines(&incoming.headers, |name, value| !CREDENTIALS.contains(&name) && !shows_secret(value));
    let path = match shows_secret(&incoming.path) {
        false => incoming.path.clone(),
        true => {
            let parts = incoming.path.split('/').map(|part| if shows_secret(part) { "***" } else { part });
            parts.collect::<Vec<_>>().join("/")
        }
    };
    let body = registry::redacted(Some(&source.platform), incoming.body.clone());
    request(incoming, peer, path, headers, body)
}

/// What is kept of a request that was refused, so that it can be verified again after its source is corrected:
/// everything, as long as there is room for it.
pub(crate) fn refused(incoming: &Incoming, peer: &str) -> Request {
    let path = match &incoming.query {
        Some(query) => format!("{}?{query}", incoming.path),
        None => incoming.path.clone(),
    };
    request(incoming, peer, path, lines(&incoming.headers, |_, _| true), incoming.body.clone())
}

/// What is kept of a request that was refused when there is no room for more, and of one that no source has asked for:
/// that it came, and how long the body was that was read of it.
pub(crate) fn noted(incoming: &Incoming, peer: &str) -> Request {
    let path = incoming.path.chars().take(PATH_CHARS_MAX).collect();
    let whole = request(incoming, peer, path, String::new(), incoming.body.clone());
    Request { is_whole: false, ..whole }
}

fn request(incoming: &Incoming, peer: &str, path: String, headers: String, body: Bytes) -> Request {
    Request {
        receipt: None,
        method: incoming.method.to_string(),
        path,
        peer: peer.to_owned(),
        headers,
        body,
        is_whole: true,
    }
}

fn lines(headers: &HeaderMap, wanted: impl Fn(&str, &str) -> bool) -> String {
    let mut lines = String::new();
    for (name, value) in headers {
        // A value may hold any byte but a line end; what is not text is shown as its bytes.
        let value = match value.to_str() {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(format!("{:?}", value.as_bytes())),
        };
        if wanted(name.as_str(), &value) {
            lines.extend([name.as_str(), ": ", &value, "\n"]);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Method};
    use model::id::{AppId, SourceId};
    use model::secret::{Key, Secret};
    use model::source::{SecretRole, SourceSecret};
    use model::time::Timestamp;

    fn source(platform: &str, secret: &str) -> Source {
        let key = Key::current(Secret::new(secret));
        Source {
            name: "test".to_owned(),
            secrets: vec![SourceSecret { role: SecretRole::Credential, key }],
            ..Source::new(SourceId::from_raw(1), AppId::from_raw(1), platform)
        }
    }

    #[test]
    fn no_secret_of_the_source_is_kept_of_a_genuine_request() {
        let mut headers = HeaderMap::new();
        headers.insert("x-any-token", HeaderValue::from_static("Token hush-hush"));
        headers.insert("authorization", HeaderValue::from_static("Bearer something"));
        headers.insert("x-kept", HeaderValue::from_static("kept"));
        let incoming = Incoming {
            method: Method::POST,
            path: "/in/src_1/hush-hush".to_owned(),
            query: Some("token=hush-hush".to_owned()),
            headers,
            body: Bytes::new(),
            received_at: Timestamp::from_secs(1),
        };
        let kept = genuine(&source("generic", "hush-hush"), &incoming, "192.0.2.1");
        assert_eq!(kept.headers, "x-kept: kept\n");
        assert_eq!(kept.path, "/in/src_1/***");
    }

    #[test]
    fn a_credential_in_the_body_is_kept_of_a_refused_request_only_which_must_be_verified_again() {
        let body = Bytes::from_static(br#"{"event":"messages.upsert", "apikey":"hush"}"#);
        let incoming = Incoming {
            method: Method::POST,
            path: "/in/src_1".to_owned(),
            query: None,
            headers: HeaderMap::new(),
            body: body.clone(),
            received_at: Timestamp::from_secs(1),
        };
        let kept = |platform| genuine(&source(platform, "key"), &incoming, "192.0.2.1").body;
        assert_eq!(kept("whatzme"), r#"{"event":"messages.upsert", "apikey":"***"}"#);
        assert_eq!(kept("generic"), body, "what a platform does not put there itself is not looked for");
        assert_eq!(refused(&incoming, "192.0.2.1").body, body);
    }
}
