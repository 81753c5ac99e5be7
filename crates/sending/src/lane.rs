//! The lane of sends: claim, pace, compose, call, interpret, record.

use std::sync::Arc;
use std::time::Duration;

use dispatcher::{Lane, LaneError};
use egress::{Egress, Exchange, Limits, Request, retry_after};
use model::delivery::{Attempt, AttemptOf};
use model::id::AttemptId;
use model::retry::{Jitter, Next, Outcome, RetryPolicy};
use model::source::Source;
use model::time::Timestamp;
use platforms::http::{Answer, Call};
use platforms::platform::{Interpreted, Platform, Sender};
use platforms::registry;
use store::sends::{ClaimedSend, RecordedSend};
use store::{Error, Queue, Store};

use crate::pacing::Paces;

/// How long a claim lasts: longer than any call. A send whose lease ran out is tried again only if its call was
/// surely never made, so it is generous.
const LEASE: Duration = Duration::from_secs(60);
/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long an account is left alone after the platform refused it: its token, its payment, a ban.
const REST: Duration = Duration::from_secs(300);
/// How much of an answer's body is kept with the attempt, in bytes.
const EXCERPT_MAX: usize = 4 * 1024;

/// Makes numbers in `0.0..1.0` that spread retries.
pub type Spread = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Messages owed to platforms.
pub struct SendingLane {
    store: Store,
    egress: Egress,
    spread: Spread,
    retry: RetryPolicy,
    paces: Paces,
    /// Whether platforms may be called over plain http: for simulators on this machine.
    allow_http: bool,
}

impl SendingLane {
    /// A lane over a store and the way out.
    pub fn new(store: Store, egress: Egress, spread: Spread, allow_http: bool) -> SendingLane {
        let waits = [2, 10, 60, 300, 1800].map(Duration::from_secs);
        let retry = RetryPolicy { waits: waits.into() };
        SendingLane { store, egress, spread, retry, paces: Paces::default(), allow_http }
    }

    fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    /// Who sends: the source, its adapter, and the platform's name for the account.
    fn sender(&self, claimed: &ClaimedSend) -> Result<(Arc<Source>, &'static dyn Platform, String), String> {
        let routing = self.store.routing();
        let account = routing.account_by_id(claimed.send.account).ok_or("its account was removed")?;
        let source = routing.source(account.source).ok_or("its source was removed")?;
        let platform = registry::find(&source.platform).ok_or("its platform is not known")?;
        Ok((Arc::clone(source), platform, account.address.clone()))
    }

    async fn call(
        &self,
        claimed: &ClaimedSend,
        source: &Source,
        platform: &dyn Platform,
        call: Call,
    ) -> Done {
        let id = self.store.fresh_id();
        let request = Request {
            method: call.method,
            url: call.url,
            headers: call.headers,
            body: call.body,
            allow_http: self.allow_http,
        };
        let exchange =
            self.egress.exchange(request, Limits { deadline: DEADLINE, ..Limits::default() }).await;
        let now = self.now();
        let interpreted = interpret(source, platform, &exchange, now);
        if interpreted.account_stopped {
            self.paces.rest(claimed.send.account, now.plus(REST));
        }
        let number = claimed.send.attempts + 1;
        let next = self.retry.next(number, &interpreted.outcome, now, Jitter((self.spread)()));
        let attempt = attempt(claimed, id, &exchange, &interpreted.outcome);
        Done::Tried(Box::new(Tried { attempt: Some(attempt), next, message_id: interpreted.message_id }))
    }
}

/// What became of a claimed send.
pub enum Done {
    /// It was tried, or it can never be.
    Tried(Box<Tried>),
    /// It must not be tried before.
    NotBefore(Timestamp),
}

/// A send that was tried, or can never be.
pub struct Tried {
    attempt: Option<Attempt>,
    next: Next,
    message_id: Option<String>,
}

impl Done {
    fn dead(cause: String) -> Done {
        Done::Tried(Box::new(Tried { attempt: None, next: Next::Dead(cause), message_id: None }))
    }
}

impl Lane for SendingLane {
    type Claimed = ClaimedSend;
    type Done = Done;

    fn name(&self) -> &'static str {
        "sends"
    }

    async fn woken(&self) {
        self.store.woken(Queue::Sends).await;
    }

    async fn claim(&self, limit: usize) -> Result<Vec<ClaimedSend>, LaneError> {
        self.store.sends().claim(u32::try_from(limit).unwrap_or(u32::MAX), LEASE).await.map_err(failed)
    }

    async fn attempt(&self, claimed: &ClaimedSend) -> Done {
        let now = self.now();
        let (source, platform, address) = match self.sender(claimed) {
            Ok(sender) => sender,
            Err(cause) => return Done::dead(cause),
        };
        if let Some(until) = self.paces.resting(claimed.send.account, now) {
            return Done::NotBefore(until);
        }
        if let Some(pace) = platform.pace(&source)
            && let Err(at) = self.paces.take(claimed.send.account, claimed.line, pace, now)
        {
            return Done::NotBefore(at);
        }
        let correlation = claimed.send.id.to_string();
        let sender = Sender { source: &source, account: &address, correlation: &correlation, now };
        match platform.compose(&sender, &claimed.send.message) {
            Ok(call) => self.call(claimed, &source, platform, call).await,
            Err(unsupported) => Done::dead(unsupported.to_string()),
        }
    }

    /// A panic may have come after the call: nobody knows whether the platform took the message.
    fn panicked(&self, _claimed: &ClaimedSend) -> Done {
        let cause = "the call failed inside Gancho; this is a bug, please report it".to_owned();
        Done::Tried(Box::new(Tried { attempt: None, next: Next::Unknown(cause), message_id: None }))
    }

    async fn record(&self, claimed: &ClaimedSend, done: &Done) -> Result<(), LaneError> {
        match done {
            Done::NotBefore(at) => self.store.sends().postpone(claimed, *at).await.map_err(failed),
            Done::Tried(tried) => {
                let source = self.sender(claimed).ok().map(|(source, ..)| source);
                let recorded = RecordedSend {
                    claimed: claimed.clone(),
                    attempt: tried.attempt.clone(),
                    next: tried.next.clone(),
                    message_id: tried.message_id.clone(),
                    source,
                };
                self.store.sends().record(recorded).await.map_err(failed)
            }
        }
    }
}

/// What an exchange with a platform means. Without an answer it depends on whether the request may have arrived:
/// then only a status or a person can say, and nothing is sent twice.
fn interpret(source: &Source, platform: &dyn Platform, exchange: &Exchange, now: Timestamp) -> Interpreted {
    let outcome = match &exchange.result {
        Ok(answer) => {
            let answer = Answer {
                status: answer.status,
                retry_after_secs: retry_after(&answer.headers, now).map(|wait| wait.as_secs()),
                body: answer.body.clone(),
            };
            return platform.interpret(source, &answer);
        }
        Err(failure) if failure.may_have_arrived => Outcome::Unknown(failure.words.clone()),
        Err(failure) => Outcome::Retry { after: None, cause: failure.words.clone() },
    };
    Interpreted { outcome, message_id: None, account_stopped: false }
}

fn attempt(claimed: &ClaimedSend, id: AttemptId, exchange: &Exchange, outcome: &Outcome) -> Attempt {
    let answer = exchange.result.as_ref().ok();
    Attempt {
        id,
        of: AttemptOf::Send(claimed.send.id),
        number: claimed.send.attempts + 1,
        status: answer.map(|answer| answer.status),
        error: outcome.cause().map(str::to_owned),
        peer: exchange.peer.map(|peer| peer.to_string()),
        phases: exchange.phases,
        answer_headers: String::new(),
        answer_excerpt: answer.map(|a| a.body[..a.body.len().min(EXCERPT_MAX)].to_vec()).unwrap_or_default(),
    }
}

fn failed(error: Error) -> LaneError {
    match error {
        Error::LeaseLost => LaneError::LeaseLost,
        other => LaneError::Failed(Box::new(other)),
    }
}
