//! One request, from its first byte to its answer.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use model::receipt::{Reason, ReceiptState};
use model::source::Source;
use model::time::{Clock, Timestamp};
use platforms::http::{Incoming, Reply};
use platforms::platform::{Platform, Unreadable};
use platforms::registry;
use store::Store;
use store::arrivals::{Appended, Arrival, Verdict};

use crate::limit::{self, Limits};
use crate::metrics::{Metrics, Result as Count};
use crate::{keep, route};

/// The bounds of what comes in (invariants Q7).
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The largest body that is read, in bytes: what the largest platform sends.
    pub body_bytes_max: usize,
    /// How long a body may take to come, at most.
    pub body_timeout: Duration,
    /// How long storing may take before the sender is asked to come back; platforms give up at three seconds.
    pub store_timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            body_bytes_max: 3 * 1024 * 1024,
            body_timeout: Duration::from_secs(15),
            store_timeout: Duration::from_millis(2_400),
        }
    }
}

/// How long the rest of a body that is too large may take before it is cut off.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The way in for webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    store: Store,
    clock: Clock,
    config: Config,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
}

/// An answer ready to go.
pub type Answer = Response<Full<Bytes>>;

impl Ingest {
    /// The way in to a store.
    pub fn new(store: Store, config: Config) -> Ingest {
        let clock = store.clock().clone();
        Ingest { store, clock, config, limits: Arc::default(), metrics: Arc::default() }
    }

    /// What came of requests so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether a path belongs to a source.
    pub fn is_ours(&self, path: &str) -> bool {
        path.starts_with("/in/") || route::find(&self.store.routing(), path).is_some()
    }

    /// Answers one request. Whatever happens inside, the sender gets an answer: a panic ends only its own request.
    pub async fn receive<B>(&self, request: Request<B>, peer: IpAddr) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match AssertUnwindSafe(self.pipeline(request, peer)).catch_unwind().await {
            Ok(Ok(answer)) => answer,
            Ok(Err(refusal)) => self.refuse(refusal),
            Err(_) => self.refuse(Refusal::Unavailable),
        }
    }

    /// find source → limits → verify → handshake → parse → append → answer.
    async fn pipeline<B>(&self, request: Request<B>, peer: IpAddr) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let now = self.clock.now();
        let routing = self.store.routing();
        let Some(source) = route::find(&routing, request.uri().path()) else {
            return self.unknown_source(request, peer, now).await;
        };
        let platform = registry::find(&source.platform).ok_or(Refusal::Unavailable)?;
        self.limits.pass(source, now).map_err(|at| Refusal::TooMany { wait: at.since(now) })?;
        let incoming = self.read(request, now).await?;
        if !limit::is_allowed(source, peer) {
            return self.rejected(source, &incoming, peer, Reason::AddressNotAllowed).await;
        }
        let verified = match platform.verify(source, &incoming) {
            Ok(verified) => verified,
            Err(rejection) => return self.rejected(source, &incoming, peer, rejection.0).await,
        };
        if let Some(reply) = platform.handshake(source, &verified) {
            self.append(source, keep::genuine(source, &incoming, &peer.to_string()), Verdict::Answered)
                .await?;
            return Ok(answer(reply));
        }
        let events = match platform.parse(source, &verified) {
            Ok(events) => events,
            Err(unreadable) => vec![unrecognised(platform, &incoming, &unreadable)],
        };
        let request = keep::genuine(source, &incoming, &peer.to_string());
        let appended = self.append(source, request, Verdict::Genuine(events.into())).await?;
        self.metrics.events(appended.items_new);
        Ok(answer(platform.acknowledge(source, &verified)))
    }

    async fn read<B>(&self, request: Request<B>, now: Timestamp) -> Result<Incoming, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let announced = body.size_hint().lower();
        if announced > self.config.body_bytes_max as u64 {
            let most = announced.min(4 * self.config.body_bytes_max as u64);
            // A sender that is cut off while it still writes may never see the answer.
            let _ = tokio::time::timeout(DRAIN_TIMEOUT, drain(body, most)).await;
            return Err(Refusal::TooLarge { max: self.config.body_bytes_max });
        }
        let reading = std::pin::pin!(Limited::new(body, self.config.body_bytes_max).collect());
        let read =
            tokio::time::timeout(self.config.body_timeout, reading).await.map_err(|_| Refusal::TooSlow)?;
        let body = read.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
            true => Refusal::TooLarge { max: self.config.body_bytes_max },
            false => Refusal::Broken,
        })?;
        Ok(Incoming {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
            body: body.to_bytes(),
            received_at: now,
        })
    }

    /// A request that is not proven genuine is kept, within bounds, and told nothing but that.
    async fn rejected(
        &self,
        source: &Arc<Source>,
        incoming: &Incoming,
        peer: IpAddr,
        reason: Reason,
    ) -> Result<Answer, Refusal> {
        if self.limits.may_keep_refused(incoming.received_at) {
            let request = keep::refused(incoming, &peer.to_string());
            self.append(source, request, Verdict::Rejected(reason)).await?;
        } else {
            self.metrics.request(Count::Rejected);
        }
        tracing::debug!(source = %source.id, reason = reason.code(), "request rejected");
        Ok(plain(StatusCode::UNAUTHORIZED, "not accepted\n"))
    }

    async fn unknown_source<B>(
        &self,
        request: Request<B>,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Answer, Refusal> {
        if self.limits.may_keep_refused(now) {
            let (head, _) = request.into_parts();
            let incoming = Incoming {
                method: head.method,
                path: head.uri.path().chars().take(500).collect(),
                query: None,
                headers: head.headers,
                body: Bytes::new(),
                received_at: now,
            };
            let arrival = Arrival {
                source: None,
                app: None,
                request: Some(keep::unknown(&incoming, &peer.to_string())),
                verdict: Verdict::Unrouted(Reason::SourceUnknown),
            };
            self.store_arrival(arrival).await?;
        } else {
            self.metrics.request(Count::Unrouted);
        }
        Ok(plain(StatusCode::NOT_FOUND, "no source has this URL\n"))
    }

    async fn append(
        &self,
        source: &Arc<Source>,
        request: store::arrivals::Request,
        verdict: Verdict,
    ) -> Result<Appended, Refusal> {
        let arrival =
            Arrival { source: Some(Arc::clone(source)), app: None, request: Some(request), verdict };
        self.store_arrival(arrival).await
    }

    /// Stores an arrival. If it is not known in time whether it was stored, the sender is asked to come back:
    /// dedupe absorbs the second copy.
    async fn store_arrival(&self, arrival: Arrival) -> Result<Appended, Refusal> {
        let stored =
            tokio::time::timeout(self.config.store_timeout, self.store.arrivals().append(arrival)).await;
        match stored {
            Ok(Ok(appended)) => {
                self.metrics.request(match appended.state {
                    ReceiptState::Accepted => Count::Accepted,
                    ReceiptState::Duplicate => Count::Duplicate,
                    ReceiptState::Answered => Count::Answered,
                    ReceiptState::Rejected => Count::Rejected,
                    ReceiptState::Unrouted => Count::Unrouted,
                });
                Ok(appended)
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "a request could not be stored; its sender was asked to come back");
                Err(Refusal::Unavailable)
            }
            Err(_) => {
                tracing::warn!("storing took too long; the sender was asked to come back");
                Err(Refusal::Unavailable)
            }
        }
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        self.metrics.request(match refusal {
            Refusal::Unavailable => Count::Unavailable,
            Refusal::TooLarge { .. } | Refusal::TooSlow | Refusal::TooMany { .. } | Refusal::Broken => {
                Count::Refused
            }
        });
        refusal.answer()
    }
}

/// Reads and forgets a body, at most so many bytes of it.
async fn drain<B: http_body::Body<Data = Bytes>>(body: B, most: u64) {
    let mut body = std::pin::pin!(body);
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
        if read >= most {
            return;
        }
    }
}

/// Why a request was answered without being stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refusal {
    /// Our own fault, or too much at once: never a 4xx, which some senders take as final.
    Unavailable,
    TooMany {
        wait: Duration,
    },
    TooLarge {
        max: usize,
    },
    TooSlow,
    Broken,
}

impl Refusal {
    fn answer(self) -> Answer {
        match self {
            Refusal::Unavailable => after(
                plain(StatusCode::SERVICE_UNAVAILABLE, "cannot store this now, send it again\n"),
                Duration::from_secs(1),
            ),
            Refusal::TooMany { wait } => {
                after(plain(StatusCode::TOO_MANY_REQUESTS, "too many requests, send it again later\n"), wait)
            }
            Refusal::TooLarge { max } => {
                plain(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {max} bytes\n"))
            }
            Refusal::TooSlow => plain(StatusCode::REQUEST_TIMEOUT, "the body took too long\n"),
            Refusal::Broken => plain(StatusCode::BAD_REQUEST, "the body ended early or cannot be read\n"),
        }
    }
}

/// A verified body that is not the platform's: stored as it came, under a name that says so.
fn unrecognised(
    platform: &dyn Platform,
    incoming: &Incoming,
    unreadable: &Unreadable,
) -> model::event::NewEvent {
    tracing::info!(platform = platform.kind(), bytes = incoming.body.len(), why = %unreadable, "unreadable body kept");
    model::event::NewEvent {
        event_type: model::event::EventType::from_foreign(platform.kind(), "unrecognised"),
        dedupe_key: None,
        account: None,
        party: None,
        order_key: None,
        occurred_at: incoming.received_at,
        content: model::event::Content::Body,
    }
}

fn answer(reply: Reply) -> Answer {
    let mut answer = Response::new(Full::new(reply.body));
    // A status that is not one would be our own adapter's mistake; the sender's events are safe all the same.
    *answer.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    if let Ok(content_type) = header::HeaderValue::from_str(reply.content_type) {
        answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    answer
}

fn plain(status: StatusCode, text: &str) -> Answer {
    answer(Reply { status: status.as_u16(), ..Reply::text(text.to_owned()) })
}

fn after(mut answer: Answer, wait: Duration) -> Answer {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    if let Ok(value) = header::HeaderValue::from_str(&seconds.to_string()) {
        answer.headers_mut().insert(header::RETRY_AFTER, value);
    }
    answer
}
