//! What can be made to go wrong: how the platform misbehaves towards the gateway, and how a bot does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the platform misbehaves. Every clone turns the same switches; all are off at first.
#[derive(Clone, Default)]
pub struct Switches(Arc<Mutex<Turned>>);

/// What every switch stands at.
#[derive(Clone)]
struct Turned {
    duplicates: bool,
    wrong_signature: bool,
    early: bool,
    statuses: Vec<Step>,
    statuses_per_webhook: usize,
    answer_delay: Duration,
    faults: Script<Fault>,
}

impl Default for Turned {
    fn default() -> Turned {
        Turned {
            duplicates: false,
            wrong_signature: false,
            early: false,
            statuses: vec![Step::Sent, Step::Delivered, Step::Read],
            statuses_per_webhook: 1,
            answer_delay: Duration::ZERO,
            faults: Script::default(),
        }
    }
}

/// A step of a message that a status tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It left the platform.
    Sent,
    /// It reached the phone.
    Delivered,
    /// It was read.
    Read,
    /// It will not arrive, for the reason that this code of Meta's names.
    Failed(i64),
}

/// What becomes of a send instead of an answer that says it was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Too many to one person: 429 with error 131056. Not taken.
    PairLimit,
    /// 500 without a body. Not taken, though nobody can tell.
    ServerError,
    /// Taken, and the connection closed without an answer; its statuses follow.
    TakenThenClosed,
    /// The connection reset once the request was read. Not taken, though nobody can tell.
    Reset,
}

impl Switches {
    /// Whether every webhook is sent twice, both at the same time.
    pub fn duplicates(&self, on: bool) {
        self.lock().duplicates = on;
    }

    /// Whether webhooks are signed with a key that is not the App Secret. Each try is signed anew, so that retries
    /// are genuine again once it is off.
    pub fn wrong_signature(&self, on: bool) {
        self.lock().wrong_signature = on;
    }

    /// Whether a send is answered only after its statuses have been acknowledged or dropped.
    pub fn early_statuses(&self, on: bool) {
        self.lock().early = on;
    }

    /// Which statuses follow a send, in the order they are sent; sent, delivered, read at first.
    pub fn statuses(&self, steps: &[Step]) {
        self.lock().statuses = steps.to_vec();
    }

    /// How many statuses of one send are put into one webhook, at least 1, which it is at first.
    pub fn statuses_per_webhook(&self, count: usize) {
        self.lock().statuses_per_webhook = count.max(1);
    }

    /// How long a send is kept waiting for its answer once it has been taken.
    pub fn answers_after(&self, delay: Duration) {
        self.lock().answer_delay = delay;
    }

    /// Lets this many of the next sends end in a fault; what was asked for before comes first.
    pub fn fails_next(&self, count: usize, fault: Fault) {
        self.lock().faults.next(count, fault);
    }

    /// Turns every switch off.
    pub fn reset(&self) {
        *self.lock() = Turned::default();
    }

    pub(crate) fn is_doubling(&self) -> bool {
        self.lock().duplicates
    }

    pub(crate) fn is_signing_wrongly(&self) -> bool {
        self.lock().wrong_signature
    }

    pub(crate) fn is_early(&self) -> bool {
        self.lock().early
    }

    /// The statuses of one send, as each webhook carries them.
    pub(crate) fn status_webhooks(&self) -> Vec<Vec<Step>> {
        let turned = self.lock();
        turned.statuses.chunks(turned.statuses_per_webhook).map(<[Step]>::to_vec).collect()
    }

    pub(crate) fn answer_delay(&self) -> Duration {
        self.lock().answer_delay
    }

    pub(crate) fn take_fault(&self) -> Option<Fault> {
        self.lock().faults.take()
    }

    fn lock(&self) -> MutexGuard<'_, Turned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a bot does with an attempt instead of taking it at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Conduct {
    /// Answers this status; 410 says that it wants no more.
    Status(u16),
    /// Answers this status and asks to wait so many seconds.
    RetryAfter(u16, u64),
    /// Answers 302 to this address.
    Redirect(String),
    /// Takes it, but answers only after this long.
    Slow(Duration),
    /// Says nothing for this long and then closes the connection.
    Hang(Duration),
}

/// What to do next, so many times, and after that.
#[derive(Clone, Debug)]
pub(crate) struct Script<T> {
    next: VecDeque<(usize, T)>,
    always: Option<T>,
}

impl<T> Default for Script<T> {
    fn default() -> Script<T> {
        Script { next: VecDeque::new(), always: None }
    }
}

impl<T: Clone> Script<T> {
    /// Adds this to what is done next.
    pub(crate) fn next(&mut self, count: usize, what: T) {
        if count > 0 {
            self.next.push_back((count, what));
        }
    }

    /// Does this whenever nothing else is to be done next.
    pub(crate) fn always(&mut self, what: Option<T>) {
        self.always = what;
    }

    /// Takes what is to be done now.
    pub(crate) fn take(&mut self) -> Option<T> {
        let Some((left, what)) = self.next.front_mut() else {
            return self.always.clone();
        };
        *left -= 1;
        let (is_last, what) = (*left == 0, what.clone());
        if is_last {
            self.next.pop_front();
        }
        Some(what)
    }
}
