//! What adapters see of HTTP: a request that came, a reply to it, a call to make and the answer to that.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};
use model::time::Timestamp;

/// One request as it came: the bytes that were signed, before anything has been read into them.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The method.
    pub method: Method,
    /// The path, as sent.
    pub path: String,
    /// What followed the question mark, as sent.
    pub query: Option<String>,
    /// The headers; names compare without case.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// When it came.
    pub received_at: Timestamp,
}

impl Incoming {
    /// The value of a header, when it is there exactly once and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let only = values.next()?;
        if values.next().is_some() { None } else { only.to_str().ok() }
    }

    /// The first value of a query parameter, decoded.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref()?.as_bytes();
        form_urlencoded::parse(query).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// What a platform hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// 200 with nothing to say.
    pub fn empty() -> Reply {
        Reply { status: 200, content_type: "text/plain; charset=utf-8", body: Bytes::new() }
    }

    /// 200 with plain text: what a challenge wants.
    pub fn text(body: String) -> Reply {
        Reply { body: Bytes::from(body), ..Reply::empty() }
    }

    /// 200 with JSON.
    pub fn json(body: impl Into<Bytes>) -> Reply {
        Reply { status: 200, content_type: "application/json", body: body.into() }
    }
}

/// A call to a platform: what to send where. Its `Debug` form hides header values and paths, which hold tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Call {
    /// A GET.
    pub fn get(url: String, headers: &[(&str, String)]) -> Call {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Call { method: Method::GET, url, headers, body: Bytes::new() }
    }

    /// A POST of JSON with a bearer token.
    pub fn post_json(url: String, bearer: &str, body: String) -> Call {
        let headers = vec![
            ("authorization".to_owned(), format!("Bearer {bearer}")),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        Call { method: Method::POST, url, headers, body: Bytes::from(body) }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next());
        write!(f, "{} {} ({} bytes)", self.method, host.unwrap_or_default(), self.body.len())
    }
}

/// A platform's answer to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long it asks us to wait, in seconds.
    pub retry_after_secs: Option<u64>,
    /// The body, as far as it was read.
    pub body: Bytes,
}
