//! A lane in memory that notes all it is asked, and does as the test says.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dispatcher::{Lane, LaneError};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

/// One due item, with what will happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Item {
    Plain(u32),
    Panics(u32),
    LeaseLost(u32),
}

impl Item {
    fn number(self) -> u32 {
        match self {
            Item::Plain(number) | Item::Panics(number) | Item::LeaseLost(number) => number,
        }
    }
}

/// One call of `claim`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) at: Duration,
    pub(crate) limit: usize,
    pub(crate) taken: usize,
}

/// What the lane was asked so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) claims: Vec<Claim>,
    pub(crate) attempts: usize,
    pub(crate) under_way: usize,
    pub(crate) under_way_max: usize,
    pub(crate) records: usize,
    pub(crate) recorded: Vec<(u32, &'static str)>,
}

pub(crate) struct Memory {
    started: Instant,
    due: Mutex<VecDeque<Item>>,
    seen: watch::Sender<Seen>,
    wake_up: Notify,
    gate: Semaphore,
    claims_to_fail: AtomicU32,
    claims_to_panic: AtomicU32,
    records_to_fail: AtomicU32,
}

impl Memory {
    /// A lane with the items 1 to `count`, whose attempts end at once.
    pub(crate) fn with(count: u32) -> Memory {
        Memory {
            started: Instant::now(),
            due: Mutex::new((1..=count).map(Item::Plain).collect()),
            seen: watch::Sender::default(),
            wake_up: Notify::new(),
            gate: Semaphore::new(1_000),
            claims_to_fail: AtomicU32::new(0),
            claims_to_panic: AtomicU32::new(0),
            records_to_fail: AtomicU32::new(0),
        }
    }

    /// Attempts wait until the test opens the gate for them.
    pub(crate) fn gated(self) -> Memory {
        Memory { gate: Semaphore::new(0), ..self }
    }

    pub(crate) fn failing_claims(self, count: u32) -> Memory {
        Memory { claims_to_fail: AtomicU32::new(count), ..self }
    }

    pub(crate) fn panicking_claims(self, count: u32) -> Memory {
        Memory { claims_to_panic: AtomicU32::new(count), ..self }
    }

    pub(crate) fn failing_records(self, count: u32) -> Memory {
        Memory { records_to_fail: AtomicU32::new(count), ..self }
    }

    pub(crate) fn fail_claims(&self, count: u32) {
        self.claims_to_fail.store(count, Ordering::SeqCst);
    }

    /// Makes items due without telling anyone.
    pub(crate) fn add<const N: usize>(&self, items: [Item; N]) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).extend(items);
    }

    pub(crate) fn wake(&self) {
        self.wake_up.notify_one();
    }

    /// Lets `count` attempts end.
    pub(crate) fn open(&self, count: usize) {
        self.gate.add_permits(count);
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until what was seen is as said.
    pub(crate) async fn until(&self, mut as_said: impl FnMut(&Seen) -> bool) -> Seen {
        let mut watching = self.seen.subscribe();
        watching.wait_for(|seen| as_said(seen)).await.expect("the sender lives in self").clone()
    }
}

/// Counts one down, if there is one left.
fn one_of(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn failed() -> LaneError {
    LaneError::Failed("the store is away".into())
}

impl Lane for Memory {
    type Claimed = Item;
    type Done = &'static str;

    fn name(&self) -> &'static str {
        "memory"
    }

    async fn woken(&self) {
        self.wake_up.notified().await;
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Item>, LaneError> {
        let fails = one_of(&self.claims_to_fail);
        let panics = one_of(&self.claims_to_panic);
        let mut taken = Vec::new();
        if !fails && !panics {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let count = limit.min(due.len());
            taken.extend(due.drain(..count));
        }
        let claim = Claim { at: self.started.elapsed(), limit, taken: taken.len() };
        self.seen.send_modify(|seen| seen.claims.push(claim));
        assert!(!panics, "the claim was told to panic");
        if fails { Err(failed()) } else { Ok(taken) }
    }

    async fn attempt(&self, item: &Item) -> &'static str {
        self.seen.send_modify(|seen| {
            seen.attempts += 1;
            seen.under_way += 1;
            seen.under_way_max = seen.under_way_max.max(seen.under_way);
        });
        self.gate.acquire().await.expect("the gate is never closed").forget();
        self.seen.send_modify(|seen| seen.under_way -= 1);
        assert!(!matches!(item, Item::Panics(_)), "the attempt was told to panic");
        "tried"
    }

    fn panicked(&self, _: &Item) -> &'static str {
        "panicked"
    }

    async fn record(&self, item: &Item, done: &&'static str) -> Result<(), LaneError> {
        let result = match item {
            Item::LeaseLost(_) => Err(LaneError::LeaseLost),
            Item::Plain(_) | Item::Panics(_) if one_of(&self.records_to_fail) => Err(failed()),
            Item::Plain(_) | Item::Panics(_) => Ok(()),
        };
        self.seen.send_modify(|seen| {
            seen.records += 1;
            if result.is_ok() {
                seen.recorded.push((item.number(), done));
            }
        });
        result
    }
}
