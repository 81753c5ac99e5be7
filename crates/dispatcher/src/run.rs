//! The loop itself: claims while there is room, runs each attempt in a task of its own, and ends in good order.

use std::any::Any;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::lane::{Lane, LaneError};

/// How long a nearly full loop lets attempts finish, so that it does not claim one item at a time.
const GATHER: Duration = Duration::from_millis(5);
const CLAIM_PAUSE_MIN: Duration = Duration::from_millis(100);
const RECORD_PAUSE_MIN: Duration = Duration::from_millis(50);
const RECORD_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The bounds of one lane's loop.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many attempts may run at the same time; at least 1.
    pub in_flight: usize,
    /// How many items one claim may take; at least 1.
    pub claim_max: usize,
    /// How long to wait for a wake-up before claiming all the same.
    pub poll_interval: Duration,
    /// The longest pause between claims while they fail; it starts at 100 ms and doubles.
    pub claim_pause_max: Duration,
    /// How often a record that failed is tried again before its item is left to its lease.
    pub record_retries: u32,
    /// How long attempts under way may take to finish once shutdown was asked for; then they are dropped.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            in_flight: 256,
            claim_max: 256,
            poll_interval: Duration::from_secs(1),
            claim_pause_max: Duration::from_secs(5),
            record_retries: 5,
            drain: Duration::from_secs(20),
        }
    }
}

/// Runs one lane until `shutdown`: never more than `limits.in_flight` attempts, finishing what it started.
///
/// Returns at the latest `limits.drain` after `shutdown`; what was dropped then is due again when its lease ends.
pub async fn run<L: Lane>(lane: Arc<L>, limits: Limits, shutdown: CancellationToken) {
    let mut work = JoinSet::new();
    let overdue = async {
        shutdown.cancelled().await;
        sleep(limits.drain).await;
    };
    tokio::select! {
        biased;
        () = claim_and_drain(&lane, &limits, &shutdown, &mut work) => {}
        () = overdue => {
            warn!(lane = lane.name(), dropped = work.len(), "attempts did not finish in time; their leases will end");
        }
    }
    work.shutdown().await;
}

async fn claim_and_drain<L: Lane>(
    lane: &Arc<L>,
    limits: &Limits,
    shutdown: &CancellationToken,
    work: &mut JoinSet<()>,
) {
    let ended = Arc::new(Notify::new());
    let mut streak = Streak { lane: lane.name(), failures: 0, pause_max: limits.claim_pause_max };
    // A claim that has begun is never dropped: the items it takes would lie idle until their leases end.
    while room(limits, shutdown, work).await {
        let limit = (limits.in_flight.max(1) - work.len()).min(limits.claim_max.max(1));
        match contained(async { lane.claim(limit).await }).await {
            Ok(claimed) => {
                streak.end();
                let full = claimed.len() >= limit;
                for item in claimed {
                    let ended = Arc::clone(&ended);
                    work.spawn(attempt_and_record(Arc::clone(lane), item, limits.record_retries, ended));
                }
                if !full {
                    idle(lane.as_ref(), limits, shutdown, &ended).await;
                }
            }
            Err(error) => {
                let pause = streak.failed(&error);
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = sleep(pause) => {}
                }
            }
        }
    }
    while work.join_next().await.is_some() {}
}

/// Waits until a claim is worth making, or says no when shutdown was asked for.
///
/// A quarter of the slots free is room at once. With fewer free it gathers a little, and no longer: hung attempts
/// must not keep the free slots from everyone else.
async fn room(limits: &Limits, shutdown: &CancellationToken, work: &mut JoinSet<()>) -> bool {
    let slots = limits.in_flight.max(1);
    while work.try_join_next().is_some() {}
    while !shutdown.is_cancelled() && work.len() >= slots {
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = work.join_next() => {}
        }
    }
    let mut gathered = pin!(sleep(GATHER));
    while !shutdown.is_cancelled() && (slots - work.len()) * 4 < slots {
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = work.join_next() => {}
            () = &mut gathered => break,
        }
    }
    !shutdown.is_cancelled()
}

/// Waits for whatever may have made something due, or room for it: a wake-up, an attempt that ended, the poll interval.
async fn idle<L: Lane>(lane: &L, limits: &Limits, shutdown: &CancellationToken, ended: &Notify) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = lane.woken() => {}
        () = ended.notified() => {}
        () = sleep(limits.poll_interval) => {}
    }
}

async fn attempt_and_record<L: Lane>(lane: Arc<L>, claimed: L::Claimed, retries: u32, ended: Arc<Notify>) {
    let attempt = AssertUnwindSafe(async { lane.attempt(&claimed).await });
    let done = attempt.catch_unwind().await.unwrap_or_else(|panic| {
        error!(lane = lane.name(), "an attempt panicked: {}", words_of(panic.as_ref()));
        lane.panicked(&claimed)
    });
    // Its place is free before its record is on the disk.
    ended.notify_one();
    record(lane.as_ref(), &claimed, &done, retries).await;
    drop(claimed);
    // Until now a claim may have seen nothing but what was waiting to be recorded.
    ended.notify_one();
}

async fn record<L: Lane>(lane: &L, claimed: &L::Claimed, done: &L::Done, retries: u32) {
    let mut pause = RECORD_PAUSE_MIN;
    for retries_left in (0..=retries).rev() {
        match contained(async { lane.record(claimed, done).await }).await {
            Ok(()) => return,
            Err(LaneError::Failed(_)) if retries_left > 0 => sleep(pause).await,
            Err(error) => {
                let error: &(dyn Error + 'static) = &error;
                warn!(
                    lane = lane.name(),
                    error, "an attempt could not be recorded; it is due again when its lease ends"
                );
                return;
            }
        }
        pause = (pause * 2).min(RECORD_PAUSE_MAX);
    }
}

/// Turns a panic inside the lane into an ordinary failure, so that it ends neither the loop nor a record.
async fn contained<T>(work: impl Future<Output = Result<T, LaneError>>) -> Result<T, LaneError> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
        Err(LaneError::Failed(format!("panicked: {}", words_of(panic.as_ref())).into()))
    })
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let fixed = panic.downcast_ref::<&'static str>().copied();
    fixed.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words given")
}

/// Claims that failed one after another: the first is logged, each pause is twice the last.
struct Streak {
    lane: &'static str,
    failures: u32,
    pause_max: Duration,
}

impl Streak {
    fn failed(&mut self, error: &LaneError) -> Duration {
        if self.failures == 0 {
            let error: &(dyn Error + 'static) = error;
            warn!(lane = self.lane, error, "nothing can be claimed; trying again until it can");
        }
        let pause = CLAIM_PAUSE_MIN.saturating_mul(1 << self.failures.min(16)).min(self.pause_max);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    fn end(&mut self) {
        if self.failures > 0 {
            info!(lane = self.lane, failures = self.failures, "claiming works again");
        }
        self.failures = 0;
    }
}
