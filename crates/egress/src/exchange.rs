//! What goes out and what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Uri};
use http_body_util::Full;
use model::delivery::Phases;
use model::id::AppId;
use model::time::Timestamp;
use url::Url;

use crate::error::{Failure, FailureKind};

/// Headers that belong to the connection: set by hand they would make two readers see two different requests.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// One request to make.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose request it is: one app's must not take what all need.
    pub on_behalf_of: AppId,
    /// The method.
    pub method: Method,
    /// Where to: `https`, or `http` when allowed; no credentials inside.
    pub url: String,
    /// Names and values, in the order they are sent; none that belongs to the connection.
    pub headers: Vec<(String, String)>,
    /// The bytes to send.
    pub body: Bytes,
    /// Whether `http` is allowed for this endpoint.
    pub allow_http: bool,
}

/// The bounds of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may take in all, the body of the answer included.
    pub deadline: Duration,
    /// How many bytes of the answer's body are kept.
    pub body_kept_max: usize,
    /// How many bytes of the answer's body are read, so that the connection can be used again; the rest is left.
    pub body_drained_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { deadline: Duration::from_secs(15), body_kept_max: 16 * 1024, body_drained_max: 64 * 1024 }
    }
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// How long each part took; opening a connection counts for the first exchange that uses it.
    pub phases: Phases,
    /// The address that was connected, if one was.
    pub peer: Option<SocketAddr>,
    /// The answer, or why there is none.
    pub result: Result<Answer, Failure>,
}

/// What the other side answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status; a redirect is an answer like any other and is not followed.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: Bytes,
    /// Whether there was, or may have been, more body than was kept.
    pub truncated: bool,
    /// Why the body could be read neither to its end nor to the bound; nothing when it could.
    pub cut: Option<Failure>,
}

impl Answer {
    /// Whether the body was read to its end or to the bound: only then does a 2xx count.
    pub fn complete(&self) -> bool {
        self.cut.is_none()
    }
}

/// How long the answer asks us to wait, from seconds or from an HTTP date (RFC 9110, 10.2.3); a date that has
/// passed is no wait, and what cannot be read is nothing.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Timestamp::from_secs(date.as_second()).since(now))
}

impl Request {
    pub(crate) fn into_http(self) -> Result<http::Request<Full<Bytes>>, Failure> {
        let uri = checked(&self.url, self.allow_http)?;
        let mut request = http::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        request.headers_mut().reserve(self.headers.len() + 1);
        for (name, value) in &self.headers {
            let (name, value) = header(name, value)?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

/// Reads the URL as browsers do, which also turns every spelling of an IPv4 address into the plain one.
fn checked(url: &str, allow_http: bool) -> Result<Uri, Failure> {
    let invalid = |words: String| Failure::before_sending(FailureKind::InvalidUrl, words);
    let url = Url::parse(url).map_err(|error| invalid(format!("the URL cannot be read: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("the URL contains credentials; put them into a header".to_owned()));
    }
    match url.scheme() {
        "https" => {}
        "http" if allow_http => {}
        "http" => {
            let words = "http is not allowed for this endpoint; use https or allow it";
            return Err(Failure::before_sending(FailureKind::NotAllowed, words));
        }
        other => return Err(invalid(format!("the URL's scheme is {other}; use https"))),
    }
    Uri::try_from(url.as_str()).map_err(|error| invalid(format!("the URL cannot be sent: {error}")))
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let invalid = |words: String| Failure::before_sending(FailureKind::InvalidHeader, words);
    let parsed =
        HeaderName::try_from(name).map_err(|_| invalid(format!("{name:?} is not a header's name")))?;
    if RESERVED.contains(&parsed.as_str()) {
        return Err(invalid(format!("the header {name} belongs to the connection and cannot be set")));
    }
    // The value may be a credential: it is not repeated.
    let value =
        HeaderValue::try_from(value).map_err(|_| invalid(format!("the value of {name} cannot be sent")))?;
    Ok((parsed, value))
}
