//! One request, from its first byte to its answer.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, StatusCode, request};
use model::receipt::{Reason, ReceiptState};
use model::source::Source;
use model::time::{Clock, Timestamp};
use platforms::http::Incoming;
use platforms::platform::{ITEMS_MAX, Platform, Unreadable};
use platforms::registry;
use store::Store;
use store::arrivals::{Appended, Arrival, Verdict};
use tokio::time::Instant;

use crate::body::{self, Bounds};
use crate::keep;
use crate::limit::{self, Limits};
use crate::metrics::{Metrics, Result as Count};
use crate::refusal::{Answer, Refusal, answer, plain};
use crate::room::{Room, Share};
use crate::route::{self, Route};

/// What an event takes beside its own words when it was read, in bytes: many small ones are larger than their body.
const EVENT_BYTES: usize = 1024;
/// More than the head of a request has, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The bounds of what comes in (invariants Q7).
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The largest body that is read, in bytes: what the largest platform sends.
    pub body_bytes_max: usize,
    /// How many bytes of requests may be in hand at once: being read, or waiting to be stored. At least
    /// [`Config::least_in_hand`]. Memory takes about three times as much while they wait, five while they are stored.
    pub in_hand_bytes_max: usize,
    /// How long a body may take to come, at most.
    pub body_timeout: Duration,
    /// How long storing may take before the sender is asked to come back; platforms give up at three seconds.
    pub store_timeout: Duration,
}

impl Config {
    /// The least that `in_hand_bytes_max` can be, in bytes: with less, the largest body would never be accepted.
    pub const fn least_in_hand(body_bytes_max: usize) -> usize {
        Room::least_for(body_bytes_max.saturating_add(HEAD_BYTES_MAX + ITEMS_MAX * EVENT_BYTES))
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            body_bytes_max: 3 * 1024 * 1024,
            in_hand_bytes_max: 128 * 1024 * 1024,
            body_timeout: Duration::from_secs(15),
            store_timeout: Duration::from_millis(2_400),
        }
    }
}

/// The way in for webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    store: Store,
    clock: Clock,
    config: Config,
    room: Arc<Room>,
    limits: Arc<Limits>,
    metrics: Metrics,
}

/// A request that was read, and what it has taken of the room.
struct Came {
    source: Arc<Source>,
    incoming: Incoming,
    peer: String,
    share: Share,
}

impl Ingest {
    /// The way in to a store.
    pub fn new(store: Store, config: Config) -> Ingest {
        let clock = store.clock().clone();
        let request_bytes = config.body_bytes_max.saturating_add(HEAD_BYTES_MAX);
        let room = Arc::new(Room::of(config.in_hand_bytes_max, request_bytes));
        Ingest { store, clock, config, room, limits: Arc::default(), metrics: Metrics::default() }
    }

    /// What came of requests so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How many bytes of requests are in hand now.
    pub fn in_hand_bytes(&self) -> usize {
        self.room.taken()
    }

    /// Where a path leads; `None` where it is no webhook's.
    pub fn route(&self, path: &str) -> Option<Route> {
        route::find(&self.store.routing(), path)
    }

    /// Answers one request. Whatever happens inside, the sender gets an answer: a panic ends only its own request.
    pub async fn receive<B>(&self, route: Route, request: Request<B>, peer: IpAddr) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        let began = Instant::now();
        let answered = match route {
            Route::To(source) => AssertUnwindSafe(self.pipeline(source, request, peer)).catch_unwind().await,
            Route::Nowhere => AssertUnwindSafe(self.unrouted(request, peer)).catch_unwind().await,
        };
        self.metrics.answered_after(began.elapsed());
        let refusal = match answered {
            Ok(Ok(answer)) => return answer,
            Ok(Err(refusal)) => refusal,
            Err(_) => Refusal::Unavailable,
        };
        self.metrics.request(refusal.count());
        refusal.answer()
    }

    /// read → verify → limits → handshake → parse → append → answer.
    async fn pipeline<B>(
        &self,
        source: Arc<Source>,
        request: Request<B>,
        peer: IpAddr,
    ) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        let now = self.clock.now();
        let platform = registry::find(&source.platform).ok_or(Refusal::Unavailable)?;
        let share = Share::of(&self.room, limit::network_of(peer));
        let (incoming, share) = self.read(request, share, now).await?;
        let mut came = Came { source, incoming, peer: peer.to_string(), share };
        if !limit::is_allowed(&came.source, peer) {
            return self.rejected(came, Reason::AddressNotAllowed).await;
        }
        let verified = match platform.verify(&came.source, &came.incoming) {
            Ok(verified) => verified,
            Err(rejection) => return self.rejected(came, rejection.0).await,
        };
        came.share.prove();
        // What proves nothing takes no turn: nobody else can use up a source's rate.
        self.limits.pass(&came.source, now).map_err(|at| Refusal::TooMany { wait: at.since(now) })?;
        let request = keep::genuine(&came.source, &came.incoming, &came.peer);
        if let Some(reply) = platform.handshake(&came.source, &verified) {
            self.append(&came.source, request, Verdict::Answered, came.share).await?;
            return Ok(answer(reply));
        }
        let events = match platform.parse(&came.source, &verified) {
            Ok(events) => events,
            Err(unreadable) => vec![unrecognised(platform, &came.incoming, &unreadable)],
        };
        came.share.grow(events.len() * EVENT_BYTES)?;
        let verdict = Verdict::Genuine(events.into());
        let appended = self.append(&came.source, request, verdict, came.share).await?;
        self.metrics.events(appended.items_new);
        Ok(answer(platform.acknowledge(&came.source, &verified)))
    }

    async fn read<B>(
        &self,
        request: Request<B>,
        share: Share,
        now: Timestamp,
    ) -> Result<(Incoming, Share), Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        let (head, body) = request.into_parts();
        let bounds = Bounds { bytes_max: self.config.body_bytes_max, time_max: self.config.body_timeout };
        let (body, share) = body::read(body, head_bytes(&head), bounds, share).await?;
        let incoming = Incoming {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
            body,
            received_at: now,
        };
        Ok((incoming, share))
    }

    /// A request that is not proven genuine is kept, within bounds, and told nothing but that.
    async fn rejected(&self, came: Came, reason: Reason) -> Result<Answer, Refusal> {
        let Came { source, incoming, peer, share } = came;
        let now = incoming.received_at;
        if self.limits.may_keep_refused(Some(source.id), now) {
            let whole = keep::refused(&incoming, &peer);
            let bytes = whole.path.len() + whole.headers.len() + whole.body.len();
            let is_room_for_all = self.limits.may_keep_whole(Some(source.id), bytes, now);
            let request = if is_room_for_all { whole } else { keep::noted(&incoming, &peer) };
            self.append(&source, request, Verdict::Rejected(reason), share).await?;
        } else {
            self.metrics.request(Count::Rejected);
        }
        tracing::debug!(source = %source.id, reason = reason.code(), "request rejected");
        Ok(plain(StatusCode::UNAUTHORIZED, "not accepted\n"))
    }

    /// A request that no source has asked for; nothing of its body is looked at. So few of them are kept, and so little of
    /// each, that they need no room.
    async fn unrouted<B>(&self, request: Request<B>, peer: IpAddr) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        let now = self.clock.now();
        let (head, body) = request.into_parts();
        body::forget(body, self.config.body_bytes_max).await;
        if self.limits.may_keep_refused(None, now) {
            let incoming = Incoming {
                method: head.method,
                path: head.uri.path().to_owned(),
                query: None,
                headers: head.headers,
                body: Bytes::new(),
                received_at: now,
            };
            let arrival = Arrival {
                source: None,
                app: None,
                request: Some(keep::noted(&incoming, &peer.to_string())),
                verdict: Verdict::Unrouted(Reason::SourceUnknown),
            };
            self.store_arrival(arrival).await?;
        } else {
            self.metrics.request(Count::Unrouted);
        }
        Ok(plain(StatusCode::NOT_FOUND, "no source has this URL\n"))
    }

    /// Stores what came to a source. Its share goes with the body: as long as the store has it, it is in hand.
    async fn append(
        &self,
        source: &Arc<Source>,
        request: store::arrivals::Request,
        verdict: Verdict,
        share: Share,
    ) -> Result<Appended, Refusal> {
        let request = store::arrivals::Request { body: share.hold(request.body), ..request };
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
}

/// How many bytes the head of a request has, as far as they are the sender's choice.
fn head_bytes(head: &request::Parts) -> usize {
    let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.sum::<usize>() + head.uri.path_and_query().map_or(0, |path| path.as_str().len())
}

/// A verified body that is not the platform's: stored as it came, under a name that says so.
fn unrecognised(
    platform: &dyn Platform,
    incoming: &Incoming,
    unreadable: &Unreadable,
) -> model::event::NewEvent {
    tracing::info!(platform = platform.kind(), bytes = incoming.body.len(), why = %unreadable, "unreadable body kept");
    model::event::NewEvent::of(
        model::event::EventType::from_foreign(platform.kind(), "unrecognised"),
        incoming.received_at,
        model::event::Content::Body,
    )
}
