//! The client: one exchange from its URL to the last byte of the answer.

use std::error::Error as StdError;
use std::io;
use std::iter;
use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, Sleep, sleep};

use crate::config::Config;
use crate::connector::{Connector, NotOpened, ON_BEHALF_OF};
use crate::error::{Error, Failure, FailureKind, Phase};
use crate::exchange::{Answer, Exchange, Limits, Request};
use crate::stream::{Opened, Opening};
use crate::tls;

const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;

/// The only door out; its clones share one pool of connections.
#[derive(Clone)]
pub struct Egress {
    pub(crate) client: Client<Connector, Full<Bytes>>,
}

impl Egress {
    /// Sets up the door: reads the trusted authorities and starts the threads that look up names.
    pub fn new(config: &Config) -> Result<Egress, Error> {
        Ok(Egress::over(Connector::new(config)?, config))
    }

    fn over(connector: Connector, config: &Config) -> Egress {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.idle_timeout)
            .pool_max_idle_per_host(config.idle_per_host_max)
            .http1_title_case_headers(true)
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_max_buf_size(ANSWER_HEAD_BYTES_MAX)
            .build(connector);
        Egress { client }
    }

    /// Makes one request and reads its answer within the limits; follows no redirect and retries nothing that may
    /// have arrived.
    pub async fn exchange(&self, request: Request, limits: Limits) -> Exchange {
        let started = Instant::now();
        let app = request.on_behalf_of;
        let mut exchange = match request.into_http() {
            Ok(request) => ON_BEHALF_OF.scope(app, self.send(request, &limits)).await,
            Err(failure) => exchanged(Opening::default(), Err(failure)),
        };
        exchange.phases.total = started.elapsed();
        exchange
    }

    async fn send(&self, mut request: http::Request<Full<Bytes>>, limits: &Limits) -> Exchange {
        let started = Instant::now();
        let mut deadline = pin!(sleep(limits.deadline));
        let connection = capture_connection(&mut request);
        let head = tokio::select! {
            biased;
            head = self.client.request(request) => Some(head),
            () = &mut deadline => None,
        };
        let waited = started.elapsed();
        // The client names the connection right before it writes the request to it.
        let opened = connection.connection_metadata().as_ref().and_then(Opened::of);
        let opening = opened.as_ref().map(Opened::tell).unwrap_or_default();
        match head {
            Some(Ok(response)) => {
                let answer = read(response, limits, deadline).await;
                let mut exchange = exchanged(opening, Ok(answer));
                exchange.phases.first_byte =
                    waited.saturating_sub(opening.resolve + opening.connect + opening.tls);
                exchange
            }
            Some(Err(error)) => match not_opened(&error) {
                Some(not_opened) => exchanged(not_opened.opening, Err(not_opened.failure.clone())),
                None => exchanged(opening, Err(broken(&error, opened.is_some()))),
            },
            None if opened.is_some() => exchanged(opening, Err(Failure::timeout(Phase::Answer))),
            None => exchanged(opening, Err(Failure::timeout(Phase::Connect))),
        }
    }
}

fn exchanged(opening: Opening, result: Result<Answer, Failure>) -> Exchange {
    Exchange { phases: opening.phases(), peer: opening.peer, result }
}

async fn read(response: Response<Incoming>, limits: &Limits, deadline: Pin<&mut Sleep>) -> Answer {
    let (head, body) = response.into_parts();
    let body = read_body(body, limits, deadline).await;
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        truncated: body.seen_bytes > body.kept.len() || !body.ended,
        body: body.kept.freeze(),
        cut: body.cut,
    }
}

/// What was read of an answer's body.
#[derive(Default)]
struct Body {
    kept: BytesMut,
    seen_bytes: usize,
    ended: bool,
    cut: Option<Failure>,
}

async fn read_body(mut incoming: Incoming, limits: &Limits, mut deadline: Pin<&mut Sleep>) -> Body {
    let mut body = Body::default();
    loop {
        let frame = tokio::select! {
            biased;
            frame = incoming.frame() => frame,
            () = &mut deadline => {
                body.cut = Some(Failure::timeout(Phase::Body));
                return body;
            }
        };
        match frame {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                let room = limits.body_kept_max.saturating_sub(body.kept.len());
                body.kept.extend_from_slice(&data[..data.len().min(room)]);
                body.seen_bytes += data.len();
            }
            Some(Err(error)) => {
                body.cut = Some(broken(&error, true));
                return body;
            }
            None => {
                body.ended = true;
                return body;
            }
        }
        // Dropping the rest closes the connection, which is cheaper than reading on.
        if body.seen_bytes >= limits.body_drained_max {
            body.ended = incoming.is_end_stream();
            return body;
        }
    }
}

/// Why there is no answer, where it does not matter how far the request came.
pub(crate) fn failure(error: &legacy::Error) -> Failure {
    not_opened(error).map_or_else(|| broken(error, true), |not_opened| not_opened.failure.clone())
}

fn not_opened(error: &legacy::Error) -> Option<&NotOpened> {
    error.source()?.downcast_ref()
}

/// Says what broke an exchange on an open connection; `sent` tells whether the request was being written to it.
pub(crate) fn broken(error: &(dyn StdError + 'static), sent: bool) -> Failure {
    let causes = || iter::successors(Some(error), |error| (*error).source());
    let mut of_http = causes().filter_map(|cause| cause.downcast_ref::<hyper::Error>());
    // The client gives a request back as canceled only when none of it was written.
    let canceled = of_http.any(hyper::Error::is_canceled);
    let (kind, words) = causes()
        .find_map(|cause| broken_http(cause).or_else(|| broken_transport(cause)))
        .unwrap_or_else(|| (FailureKind::Protocol, format!("the exchange broke off: {error}")));
    Failure { kind, may_have_arrived: sent && !canceled, words }
}

fn broken_http(cause: &(dyn StdError + 'static)) -> Option<(FailureKind, String)> {
    let error = cause.downcast_ref::<hyper::Error>()?;
    let (kind, words) = if error.is_canceled() {
        (FailureKind::Closed, "the connection was closed before the request was sent".to_owned())
    } else if error.is_incomplete_message() {
        (FailureKind::Closed, "the connection was closed before the answer was complete".to_owned())
    } else if error.is_parse_too_large() {
        (FailureKind::Protocol, "the head of the answer is too large (over 64 KiB or 100 headers)".to_owned())
    } else if error.is_parse() {
        (FailureKind::Protocol, format!("the answer is not HTTP/1.1: {error}"))
    } else {
        return None;
    };
    Some((kind, words))
}

fn broken_transport(cause: &(dyn StdError + 'static)) -> Option<(FailureKind, String)> {
    let error = cause.downcast_ref::<io::Error>()?;
    if let Some(error) = tls::tls_error(error) {
        return Some((FailureKind::Tls, tls::words_of(error, "the other side")));
    }
    Some(match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            (FailureKind::Protocol, format!("the answer's body cannot be read: {error}"))
        }
        _ => (FailureKind::Closed, format!("the connection broke before the answer was complete: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::{Arc, Condvar, Mutex};

    use http::Method;
    use model::id::AppId;

    use super::*;

    fn post(app: i64, host: &str) -> Request {
        Request {
            on_behalf_of: AppId::from_raw(app),
            method: Method::POST,
            url: format!("https://{host}/"),
            headers: Vec::new(),
            body: Bytes::new(),
            allow_http: false,
        }
    }

    #[tokio::test]
    async fn a_lookup_counts_for_the_app_whose_request_it_is() {
        let gate = Arc::new((Mutex::new(true), Condvar::new()));
        let hangs = Arc::clone(&gate);
        let lookup = move |name: &str| {
            if name.starts_with("hang") {
                let held = hangs.0.lock().unwrap();
                drop(hangs.1.wait_while(held, |is_shut| *is_shut).unwrap());
            }
            Ok(vec![IpAddr::from([10, 0, 0, 1])])
        };
        let config = Config { roots: crate::config::Roots::Bundled, ..Config::default() };
        let egress = Egress::over(Connector::with_lookup(&config, lookup).unwrap(), &config);
        let hung: Vec<_> = (0..100)
            .map(|n| {
                let egress = egress.clone();
                tokio::spawn(async move {
                    egress.exchange(post(1, &format!("hang{n}.example")), Limits::default()).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let exchange = egress.exchange(post(2, "works.example"), Limits::default()).await;
        assert_eq!(exchange.result.unwrap_err().kind, FailureKind::NotAllowed, "its name was looked up");
        assert!(hung.iter().all(|one| !one.is_finished()));
        *gate.0.lock().unwrap() = false;
        gate.1.notify_all();
    }
}
