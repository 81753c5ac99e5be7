//! The lane of sends: claim, compose, call, interpret, record.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatcher::{Lane, LaneError};
use egress::{Egress, Exchange, Failure, Limits, Request, retry_after};
use model::delivery::{Attempt, AttemptOf};
use model::id::{AccountId, AttemptId};
use model::retry::{Jitter, Next, Outcome, RetryPolicy};
use model::source::Source;
use model::time::Timestamp;
use platforms::http::{Answer, Call};
use platforms::platform::{Interpreted, Platform, Sender};
use platforms::registry;
use store::sends::{ClaimedSend, PacingOf, RecordedSend, WantedSends};
use store::{Error, Queue, Store};
use tokio::time::sleep;

use crate::metrics::Metrics;
use crate::pacing;

/// How long a claim lasts: longer than any call and its record, because a send whose lease ran out is not called again.
const LEASE: Duration = Duration::from_secs(60);
/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long an account is left alone after the platform refused it: its token, its payment, a ban.
const REST: Duration = Duration::from_secs(300);
/// The shortest wait for a turn: a fast account then has several at once.
const TURN_WAIT_MIN: Duration = Duration::from_millis(20);
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
    busy: Busy,
    /// When the next turn comes, as far as the last claim knew.
    next_turn: Mutex<Option<Timestamp>>,
    /// Whether platforms may be called over plain http: for simulators on this machine.
    allow_http: bool,
    metrics: Metrics,
}

impl SendingLane {
    /// A lane over a store and the way out.
    pub fn new(store: Store, egress: Egress, spread: Spread, allow_http: bool) -> SendingLane {
        let waits = [2, 10, 60, 300, 1800].map(Duration::from_secs);
        let retry = RetryPolicy { waits: waits.into() };
        let (busy, next_turn, metrics) = (Busy::default(), Mutex::default(), Metrics::default());
        SendingLane { store, egress, spread, retry, busy, next_turn, allow_http, metrics }
    }

    /// What came of calls so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
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
            on_behalf_of: claimed.send.app,
            method: call.method,
            url: call.url,
            headers: call.headers,
            body: call.body,
            allow_http: self.allow_http,
        };
        let exchange =
            self.egress.exchange(request, Limits { deadline: DEADLINE, ..Limits::default() }).await;
        self.metrics.called(exchange.phases.total);
        let now = self.now();
        let known_until = platform.knows_repeats_for().map(|lasts| claimed.send.id.made_at().plus(lasts));
        let interpreted = match &exchange.result {
            Ok(answer) => platform.interpret(source, &read(answer, now)),
            Err(failure) => unanswered(failure, known_until.is_some()),
        };
        let number = claimed.send.attempts + 1;
        let next = self.retry.next(number, &interpreted.outcome, now, Jitter((self.spread)()));
        let is_unclear = claimed.send.attempts > 0 || may_have_been_taken(&exchange);
        let next = match known_until.filter(|_| is_unclear) {
            Some(until) => while_known(next, &interpreted.outcome, until),
            None => next,
        };
        let attempt = attempt(claimed, id, &exchange, &interpreted.outcome);
        let rest_until = interpreted.account_stopped.then(|| now.plus(REST));
        Done { attempt: Some(attempt), next, message_id: interpreted.message_id, rest_until }
    }

    /// Resolves when the next turn has come; never where none is known to come.
    async fn turn(&self) {
        let at = *locked(&self.next_turn);
        match at {
            Some(at) => sleep(at.since(self.now()).max(TURN_WAIT_MIN)).await,
            None => std::future::pending().await,
        }
    }
}

/// A send that is ours to attempt, and its place among those of its account.
pub struct Owed {
    claimed: ClaimedSend,
    _place: Place,
}

/// What an attempt came to, or why there was none.
pub struct Done {
    attempt: Option<Attempt>,
    next: Next,
    message_id: Option<String>,
    rest_until: Option<Timestamp>,
}

impl Done {
    /// No call was made, or nobody knows whether one was.
    fn without_attempt(next: Next) -> Done {
        Done { attempt: None, next, message_id: None, rest_until: None }
    }
}

/// How many sends of each account are under way.
#[derive(Clone, Default)]
struct Busy(Arc<Mutex<HashMap<AccountId, usize>>>);

impl Busy {
    fn start(&self, account: AccountId) -> Place {
        *locked(&self.0).entry(account).or_default() += 1;
        Place { busy: self.clone(), account }
    }
}

/// One send under way; whatever becomes of it, a panic too, its place is free again afterwards.
struct Place {
    busy: Busy,
    account: AccountId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut busy = locked(&self.busy.0);
        if let Some(count) = busy.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.account);
            }
        }
    }
}

/// What a lock guards here stays whole when its holder panics: each change is a single one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane for SendingLane {
    type Claimed = Owed;
    type Done = Done;

    fn name(&self) -> &'static str {
        "sends"
    }

    async fn woken(&self) {
        tokio::select! {
            () = self.store.woken(Queue::Sends) => {}
            () = self.turn() => {}
        }
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Owed>, LaneError> {
        let routing = self.store.routing();
        let pacing: PacingOf = Arc::new(move |account| pacing::of_account(&routing, account));
        let busy = locked(&self.busy.0).clone();
        let wanted = WantedSends { limit, lease: LEASE, busy, pacing };
        let turns = self.store.sends().claim(wanted).await.map_err(failed)?;
        *locked(&self.next_turn) = turns.next_at;
        let owed = |claimed: ClaimedSend| Owed { _place: self.busy.start(claimed.send.account), claimed };
        Ok(turns.sends.into_iter().map(owed).collect())
    }

    async fn attempt(&self, Owed { claimed, .. }: &Owed) -> Done {
        let (source, platform, address) = match self.sender(claimed) {
            Ok(sender) => sender,
            Err(cause) => return Done::without_attempt(Next::Dead(cause)),
        };
        let correlation = claimed.send.id.to_string();
        let sender =
            Sender { source: &source, account: &address, correlation: &correlation, now: self.now() };
        match platform.compose(&sender, &self.store.linked(&claimed.send.message)) {
            Ok(call) => self.call(claimed, &source, platform, call).await,
            Err(unsupported) => Done::without_attempt(Next::Dead(unsupported.to_string())),
        }
    }

    /// A panic may have come after the call: nobody knows whether the platform took the message.
    fn panicked(&self, _owed: &Owed) -> Done {
        let cause = "the call failed inside Gancho; this is a bug, please report it".to_owned();
        Done::without_attempt(Next::Unknown(cause))
    }

    async fn record(&self, owed: &Owed, done: &Done) -> Result<(), LaneError> {
        let recorded = RecordedSend {
            claimed: owed.claimed.clone(),
            attempt: done.attempt.clone(),
            next: done.next.clone(),
            message_id: done.message_id.clone(),
            rest_until: done.rest_until,
        };
        self.store.sends().record(recorded).await.map_err(failed)?;
        self.metrics.recorded(&done.next);
        Ok(())
    }
}

/// An answer as adapters see it.
fn read(answer: &egress::Answer, now: Timestamp) -> Answer {
    Answer {
        status: answer.status,
        retry_after_secs: retry_after(&answer.headers, now).map(|wait| wait.as_secs()),
        body: answer.body.clone(),
    }
}

/// What follows without an answer. When the call may have arrived, then only a status or a person can say, and nothing is
/// sent twice, unless the platform knows a repeat by a key.
fn unanswered(failure: &Failure, knows_repeats: bool) -> Interpreted {
    let cause = failure.words.clone();
    let outcome = match failure.may_have_arrived && !knows_repeats {
        true => Outcome::Unknown(cause),
        false => Outcome::Retry { after: None, cause },
    };
    Interpreted { outcome, message_id: None, account_stopped: false }
}

/// Whether the platform may have taken the message although nothing says so.
fn may_have_been_taken(exchange: &Exchange) -> bool {
    match &exchange.result {
        Ok(answer) => answer.status >= 500,
        Err(failure) => failure.may_have_arrived,
    }
}

/// A message that may have been taken is called again only as long as the platform knows a repeat, and is never told as one
/// that was not taken, but where the platform itself says so.
fn while_known(next: Next, outcome: &Outcome, until: Timestamp) -> Next {
    match (next, outcome) {
        (Next::RetryAt(at), Outcome::Retry { cause, .. }) if at >= until => Next::Unknown(cause.clone()),
        (Next::Dead(cause), Outcome::Retry { .. }) => Next::Unknown(cause),
        (next, _) => next,
    }
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
