//! The lane of deliveries: claim, build, sign, post, classify, record.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dispatcher::{Lane, LaneError};
use egress::{Egress, Exchange, Limits, Request};
use http::Method;
use model::delivery::{Attempt, AttemptOf, Phases};
use model::endpoint::{Endpoint, EndpointState, Format};
use model::event::{Content, EventType, NewEvent};
use model::id::AttemptId;
use model::retry::{Jitter, Next, Outcome};
use model::time::Timestamp;
use store::arrivals::Arrival;
use store::claims::{Busy, Claimed, Wish};
use store::records::Recorded;
use store::{Error, Queue, Store};

use crate::classify::{Health, classify};
use crate::health::{Act, Failing};
use crate::metrics::Metrics;
use crate::original::PassedOn;
use crate::{envelope, original, signature};

/// How long a claim lasts: longer than any attempt, shorter than anybody wants to wait after a crash.
const LEASE: Duration = Duration::from_secs(30);
/// The longest an attempt may take, whatever the endpoint says, so that its lease outlasts it.
const TIMEOUT_MAX: Duration = Duration::from_secs(25);
/// How much of an answer's headers is kept, in bytes.
const HEADERS_KEPT_MAX: usize = 4 * 1024;
/// How much of an answer's body is kept with the attempt, in bytes.
const EXCERPT_MAX: usize = 4 * 1024;

/// Makes numbers in `0.0..1.0` that spread retries.
pub type Spread = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Events owed to endpoints.
pub struct DeliveryLane {
    store: Store,
    egress: Egress,
    spread: Spread,
    user_agent: String,
    /// How many attempts one app may have under way while there are others.
    per_app: usize,
    busy: Mutex<Busy>,
    failing: Failing,
    metrics: Metrics,
}

impl DeliveryLane {
    /// A lane over a store and the way out, with places for so many attempts at the same time.
    pub fn new(store: Store, egress: Egress, spread: Spread, version: &str, places: usize) -> DeliveryLane {
        let user_agent = format!("Gancho/{version} (webhooks)");
        DeliveryLane {
            store,
            egress,
            spread,
            user_agent,
            // One app whose endpoints all hang leaves half of the places to the others.
            per_app: places / 2,
            busy: Mutex::default(),
            failing: Failing::default(),
            metrics: Metrics::default(),
        }
    }

    /// What came of attempts so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    fn request(&self, claimed: &Claimed, now: Timestamp) -> Result<Request, String> {
        let endpoint = &claimed.endpoint;
        if claimed.event.content.is_none() && claimed.original.is_none() {
            return Err("the content of the event is no longer kept: it cannot be delivered".to_owned());
        }
        let routing = self.store.routing();
        let PassedOn { body, content_type, headers: own } = match endpoint.format {
            Format::Standard => PassedOn {
                body: Bytes::from(envelope::standard(claimed, &routing)),
                content_type: "application/json".to_owned(),
                headers: Vec::new(),
            },
            Format::Platform => original::pass_on(claimed, &routing, now)?,
            Format::Client => PassedOn {
                body: envelope::client(claimed)?,
                content_type: "application/json".to_owned(),
                headers: Vec::new(),
            },
        };
        let mut headers = endpoint.headers.clone();
        headers.push(("content-type".to_owned(), content_type));
        headers.push(("user-agent".to_owned(), self.user_agent.clone()));
        // The webhook of a number has no key: its protocol knows no signature.
        if !endpoint.keys.is_empty() {
            headers.extend(signature::headers(&endpoint.keys, &claimed.event.id.to_string(), now, &body));
        }
        Ok(Request {
            on_behalf_of: endpoint.app,
            method: Method::POST,
            url: endpoint.url.clone(),
            headers: original::with_signed(headers, own),
            body,
            allow_http: endpoint.allow_http,
        })
    }

    fn attempt_of(
        &self,
        claimed: &Claimed,
        id: AttemptId,
        exchange: &Exchange,
        outcome: &Outcome,
    ) -> Attempt {
        let answer = exchange.result.as_ref().ok();
        Attempt {
            id,
            of: AttemptOf::Delivery(claimed.id),
            number: claimed.attempts + 1,
            status: answer.map(|answer| answer.status),
            error: outcome.cause().map(str::to_owned),
            peer: exchange.peer.map(|peer| peer.to_string()),
            phases: exchange.phases,
            answer_headers: answer.map(|answer| header_lines(&answer.headers)).unwrap_or_default(),
            answer_excerpt: answer
                .map(|a| a.body[..a.body.len().min(EXCERPT_MAX)].to_vec())
                .unwrap_or_default(),
        }
    }

    fn recorded(&self, claimed: &Claimed, attempt: Option<Attempt>, next: Next) -> Recorded {
        Recorded {
            lease: claimed.lease,
            id: claimed.id,
            endpoint: claimed.endpoint.id,
            line: claimed.line,
            on_dead: claimed.endpoint.on_dead,
            attempt,
            next,
        }
    }

    fn start(&self, claimed: &Claimed) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, retries) = busy.entry(claimed.endpoint.id).or_default();
        *all += 1;
        *retries += u16::from(claimed.attempts > 0);
        self.metrics.started();
    }

    fn end(&self, claimed: &Claimed) {
        self.metrics.ended();
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((all, retries)) = busy.get_mut(&claimed.endpoint.id) {
            *all = all.saturating_sub(1);
            *retries = retries.saturating_sub(u16::from(claimed.attempts > 0));
            if *all == 0 {
                busy.remove(&claimed.endpoint.id);
            }
        }
    }

    /// Does what follows for the endpoint, and tells of it once: of those who see the same, one changes the state. A failure
    /// to write it down is logged: the next exchange says it again.
    async fn act(&self, endpoint: &Endpoint, act: Act) {
        let (endpoints, id) = (self.store.endpoints(), endpoint.id);
        let done = match act {
            Act::Nothing => return,
            Act::Remember(since) => endpoints.set_failing_since(id, Some(since), None).await,
            Act::Recovered => {
                let told = self.about(endpoint, "endpoint.recovered");
                endpoints.set_failing_since(id, None, Some(told)).await
            }
            Act::Disable => {
                let told = self.about(endpoint, "endpoint.disabled");
                endpoints.set_state(id, EndpointState::Disabled, Some(told)).await
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, endpoint = %endpoint.id, "the endpoint's health could not be written down");
        }
    }

    fn about(&self, endpoint: &Endpoint, event_type: &str) -> Arrival {
        let about = serde_json::json!({ "endpoint": endpoint.id.to_string(), "name": endpoint.name });
        self.own(endpoint, event_type, &about)
    }

    /// Says that a delivery has died. Nothing is said of a notice that died, or they would never end.
    async fn tell_dead(&self, claimed: &Claimed, cause: &str) {
        if ["delivery.dead", "endpoint.disabled", "endpoint.recovered"]
            .contains(&claimed.event.event_type.as_str())
        {
            return;
        }
        let about = serde_json::json!({
            "delivery": claimed.id.to_string(),
            "event": claimed.event.id.to_string(),
            "event_type": claimed.event.event_type.as_str(),
            "endpoint": claimed.endpoint.id.to_string(),
            "cause": cause,
        });
        let told = self.own(&claimed.endpoint, "delivery.dead", &about);
        if let Err(error) = self.store.arrivals().append(told).await {
            tracing::warn!(%error, delivery = %claimed.id, "the notice of a dead delivery could not be stored");
        }
    }

    /// An event of our own making, for the endpoint's app.
    fn own(&self, endpoint: &Endpoint, event_type: &str, about: &serde_json::Value) -> Arrival {
        let raw = serde_json::value::to_raw_value(about).expect("a map of text can be written as JSON");
        let event = NewEvent::of(EventType::ours(event_type), self.now(), Content::Raw(raw));
        Arrival::ours(endpoint.app, None, event)
    }
}

/// What one attempt came to.
pub struct Done {
    recorded: Recorded,
    health: Health,
}

impl Lane for DeliveryLane {
    type Claimed = Claimed;
    type Done = Done;

    fn name(&self) -> &'static str {
        "deliveries"
    }

    async fn woken(&self) {
        self.store.woken(Queue::Deliveries).await;
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Claimed>, LaneError> {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wish = Wish { limit, per_app: self.per_app, busy, lease: LEASE };
        let claimed = self.store.deliveries().claim(wish).await.map_err(failed)?;
        claimed.iter().for_each(|claimed| self.start(claimed));
        Ok(claimed)
    }

    async fn attempt(&self, claimed: &Claimed) -> Done {
        // Whatever happens, a panic too, the endpoint's slot is free again afterwards.
        let _slot = Slot { lane: self, claimed };
        let id = self.store.fresh_id();
        let now = self.now();
        if claimed.damaged {
            let cause =
                "the stored event differs from what was accepted: it is kept and not delivered".to_owned();
            tracing::error!(event = %claimed.event.id, "a stored event is damaged");
            return Done {
                recorded: self.recorded(claimed, None, Next::Dead(cause)),
                health: Health::Unclear,
            };
        }
        let request = match self.request(claimed, now) {
            Ok(request) => request,
            Err(cause) => {
                return Done {
                    recorded: self.recorded(claimed, None, Next::Dead(cause)),
                    health: Health::Unclear,
                };
            }
        };
        let limits = Limits { deadline: claimed.endpoint.timeout.min(TIMEOUT_MAX), ..Limits::default() };
        let exchange = self.egress.exchange(request, limits).await;
        self.metrics.exchanged(exchange.phases.total);
        let ended = self.now();
        let verdict = classify(&exchange, claimed.endpoint.format, ended);
        let attempt = self.attempt_of(claimed, id, &exchange, &verdict.outcome);
        let jitter = Jitter((self.spread)());
        let next = match verdict.endpoint {
            // The delivery waits with its endpoint: it is held, not dead.
            Health::Gone => Next::RetryAt(ended),
            Health::Works | Health::Fails | Health::Unclear => {
                claimed.endpoint.retry.next(attempt.number, &verdict.outcome, ended, jitter)
            }
        };
        Done { recorded: self.recorded(claimed, Some(attempt), next), health: verdict.endpoint }
    }

    fn panicked(&self, claimed: &Claimed) -> Done {
        let cause = "the attempt failed inside Gancho; this is a bug, please report it".to_owned();
        let outcome = Outcome::Retry { after: None, cause: cause.clone() };
        let next = claimed.endpoint.retry.next(claimed.attempts + 1, &outcome, self.now(), Jitter(0.5));
        let attempt = Attempt {
            id: self.store.fresh_id(),
            of: AttemptOf::Delivery(claimed.id),
            number: claimed.attempts + 1,
            status: None,
            error: Some(cause),
            peer: None,
            phases: Phases::default(),
            answer_headers: String::new(),
            answer_excerpt: Vec::new(),
        };
        Done { recorded: self.recorded(claimed, Some(attempt), next), health: Health::Unclear }
    }

    async fn record(&self, claimed: &Claimed, done: &Done) -> Result<(), LaneError> {
        // An endpoint that is gone is disabled before its delivery is due again.
        let act = self.failing.observe(&claimed.endpoint, done.health, self.now());
        self.act(&claimed.endpoint, act).await;
        let recorded = self.store.deliveries().record(done.recorded.clone()).await.map_err(failed);
        if recorded.is_ok() {
            let stored_at = claimed.event.id.made_at();
            self.metrics.recorded(&done.recorded.next, self.now().since(stored_at));
        }
        if let (Ok(()), Next::Dead(cause)) = (&recorded, &done.recorded.next) {
            self.tell_dead(claimed, cause).await;
        }
        recorded
    }
}

/// An attempt's place among those its endpoint allows.
struct Slot<'l> {
    lane: &'l DeliveryLane,
    claimed: &'l Claimed,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.lane.end(self.claimed);
    }
}

fn failed(error: Error) -> LaneError {
    match error {
        Error::LeaseLost => LaneError::LeaseLost,
        other => LaneError::Failed(Box::new(other)),
    }
}

fn header_lines(headers: &http::HeaderMap) -> String {
    let mut lines = String::new();
    for (name, value) in headers {
        let line = format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
        if lines.len() + line.len() > HEADERS_KEPT_MAX {
            break;
        }
        lines.push_str(&line);
    }
    lines
}
