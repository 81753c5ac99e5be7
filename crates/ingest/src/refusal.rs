//! Answers to senders, and why a request is answered without being stored.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use platforms::http::Reply;

use crate::metrics::Result as Count;
use crate::room::NoRoom;

/// An answer ready to go.
pub type Answer = Response<Full<Bytes>>;

/// Why a request was answered without being stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// Our own fault: never a 4xx, which some senders take as final.
    Unavailable,
    /// Too much at once; no more the sender's fault than the one above.
    NoRoom,
    TooMany {
        wait: Duration,
    },
    TooLarge {
        max: usize,
    },
    TooSlow,
    Broken,
}

impl From<NoRoom> for Refusal {
    fn from(NoRoom: NoRoom) -> Refusal {
        Refusal::NoRoom
    }
}

/// When to come back after a refusal that is no fault of the sender's.
const COME_BACK: Duration = Duration::from_secs(1);

impl Refusal {
    pub(crate) fn count(self) -> Count {
        match self {
            Refusal::Unavailable => Count::Unavailable,
            Refusal::NoRoom => Count::NoRoom,
            Refusal::TooLarge { .. } | Refusal::TooSlow | Refusal::TooMany { .. } | Refusal::Broken => {
                Count::Refused
            }
        }
    }

    pub(crate) fn answer(self) -> Answer {
        match self {
            Refusal::Unavailable => after(
                plain(StatusCode::SERVICE_UNAVAILABLE, "cannot store this now, send it again\n"),
                COME_BACK,
            ),
            Refusal::NoRoom => {
                after(plain(StatusCode::SERVICE_UNAVAILABLE, "too much at once, send it again\n"), COME_BACK)
            }
            Refusal::TooMany { wait } => {
                after(plain(StatusCode::TOO_MANY_REQUESTS, "too many requests, send it again later\n"), wait)
            }
            Refusal::TooLarge { max } => {
                plain(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {max} bytes\n"))
            }
            Refusal::TooSlow => closing(plain(StatusCode::REQUEST_TIMEOUT, "the body took too long\n")),
            Refusal::Broken => plain(StatusCode::BAD_REQUEST, "the body ended early or cannot be read\n"),
        }
    }
}

/// A platform's own answer.
pub(crate) fn answer(reply: Reply) -> Answer {
    let mut answer = Response::new(Full::new(reply.body));
    // A status that is not one would be our own adapter's mistake; the sender's events are safe all the same.
    *answer.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    if let Ok(content_type) = HeaderValue::from_str(reply.content_type) {
        answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    answer
}

/// A status and a line of text.
pub(crate) fn plain(status: StatusCode, text: &str) -> Answer {
    answer(Reply { status: status.as_u16(), ..Reply::text(text.to_owned()) })
}

fn after(mut answer: Answer, wait: Duration) -> Answer {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
        answer.headers_mut().insert(header::RETRY_AFTER, value);
    }
    answer
}

/// The connection ends with this answer: what is left of the request is not waited for.
fn closing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
