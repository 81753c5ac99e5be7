//! The loop with a lane in memory, on tokio's paused clock: time moves only when nothing else can.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails, in its helpers too")]

mod memory;

use std::sync::Arc;
use std::time::Duration;

use dispatcher::{Limits, run};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use memory::{Item, Memory};

const HOUR: Duration = Duration::from_secs(3_600);
const INSTANTLY: Duration = Duration::from_millis(2);

/// A loop under way, with a poll interval so long that a test which waits for it notices.
struct Running {
    lane: Arc<Memory>,
    shutdown: CancellationToken,
    ended: JoinHandle<()>,
    started: Instant,
}

impl Running {
    fn start(lane: Memory, limits: Limits) -> Running {
        let (lane, shutdown) = (Arc::new(lane), CancellationToken::new());
        let ended = tokio::spawn(run(Arc::clone(&lane), limits, shutdown.clone()));
        Running { lane, shutdown, ended, started: Instant::now() }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.ended.await.unwrap();
    }
}

fn limits(in_flight: usize) -> Limits {
    Limits { in_flight, poll_interval: HOUR, ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_run_than_the_limit_allows() {
    let running = Running::start(Memory::with(10).gated(), limits(4));
    running.lane.until(|seen| seen.under_way == 4).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    running.lane.open(10);
    let seen = running.lane.until(|seen| seen.recorded.len() == 10).await;
    assert_eq!(seen.under_way_max, 4);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_panics_is_recorded_and_stops_nothing_else() {
    let lane = Memory::with(0);
    lane.add([Item::Plain(1), Item::Panics(2), Item::Plain(3)]);
    let running = Running::start(lane, limits(1));
    let seen = running.lane.until(|seen| seen.recorded.len() == 3).await;
    assert_eq!(seen.recorded, [(1, "tried"), (2, "panicked"), (3, "tried")]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_fails_is_repeated_after_growing_bounded_pauses() {
    let limits = Limits { claim_pause_max: Duration::from_millis(500), ..limits(4) };
    let running = Running::start(Memory::with(1).failing_claims(5), limits);
    let seen = running.lane.until(|seen| seen.recorded.len() == 1).await;
    let pauses: Vec<u128> =
        seen.claims.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis() / 10 * 10).take(5).collect();
    assert_eq!(pauses, [100, 200, 400, 500, 500]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_panics_counts_as_one_that_failed() {
    let running = Running::start(Memory::with(1).panicking_claims(1), limits(4));
    let seen = running.lane.until(|seen| seen.recorded.len() == 1).await;
    assert_eq!((seen.claims[0].taken, seen.claims[1].taken), (0, 1));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_pauses_start_anew_after_a_claim_that_worked() {
    let running = Running::start(Memory::with(0).failing_claims(3), limits(4));
    running.lane.until(|seen| seen.claims.len() == 4).await;
    running.lane.fail_claims(1);
    running.lane.add([Item::Plain(1)]);
    running.lane.wake();
    let seen = running.lane.until(|seen| seen.recorded.len() == 1).await;
    let pause = seen.claims[5].at - seen.claims[4].at;
    assert!(pause < Duration::from_millis(110), "{pause:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_claims_nothing_more_and_finishes_what_was_started() {
    let running = Running::start(Memory::with(5).gated(), limits(2));
    running.lane.until(|seen| seen.under_way == 2).await;
    running.shutdown.cancel();
    running.lane.open(5);
    let lane = Arc::clone(&running.lane);
    running.stop().await;
    assert_eq!(lane.seen().recorded.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_no_longer_than_the_drain_for_an_attempt_that_hangs() {
    let drain = Duration::from_secs(7);
    let running = Running::start(Memory::with(1).gated(), Limits { drain, ..limits(2) });
    running.lane.until(|seen| seen.under_way == 1).await;
    let (lane, asked) = (Arc::clone(&running.lane), Instant::now());
    running.stop().await;
    let took = asked.elapsed();
    assert!(took >= drain && took < drain + Duration::from_millis(10), "{took:?}");
    assert!(lane.seen().recorded.is_empty());
}

#[tokio::test(start_paused = true)]
async fn shutdown_of_an_idle_loop_is_immediate() {
    let running = Running::start(Memory::with(0), limits(2));
    running.lane.until(|seen| seen.claims.len() == 1).await;
    let asked = Instant::now();
    running.stop().await;
    assert!(asked.elapsed() < INSTANTLY);
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_is_followed_by_a_claim_without_waiting_for_the_poll_interval() {
    let running = Running::start(Memory::with(0), limits(4));
    running.lane.until(|seen| seen.claims.len() == 1).await;
    running.lane.add([Item::Plain(1)]);
    running.lane.wake();
    running.lane.until(|seen| seen.recorded.len() == 1).await;
    assert!(running.started.elapsed() < INSTANTLY);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_announced_is_claimed_at_the_poll_interval() {
    let running = Running::start(Memory::with(0), limits(4));
    running.lane.until(|seen| seen.claims.len() == 1).await;
    running.lane.add([Item::Plain(1)]);
    running.lane.until(|seen| seen.recorded.len() == 1).await;
    let waited = running.started.elapsed();
    assert!(waited >= HOUR && waited < HOUR + Duration::from_millis(10), "{waited:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_claim_is_followed_by_another_at_once() {
    let running = Running::start(Memory::with(7).gated(), Limits { claim_max: 3, ..limits(100) });
    let seen = running.lane.until(|seen| seen.claims.len() == 3).await;
    assert_eq!(seen.claims.iter().map(|claim| claim.taken).collect::<Vec<_>>(), [3, 3, 1]);
    assert!(running.started.elapsed() < INSTANTLY);
    running.lane.open(7);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_finished_attempt_is_followed_by_a_claim() {
    let running = Running::start(Memory::with(1).gated(), limits(4));
    running.lane.until(|seen| seen.under_way == 1).await;
    // The next of a line becomes due by the record of the one before it, which nobody announces.
    running.lane.add([Item::Plain(2)]);
    running.lane.open(2);
    running.lane.until(|seen| seen.recorded.len() == 2).await;
    assert!(running.started.elapsed() < INSTANTLY);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_is_followed_by_a_claim_too() {
    let running = Running::start(Memory::with(1).failing_records(1), limits(4));
    // The claim after the attempt finds nothing: its record is still under way.
    running.lane.until(|seen| seen.records == 1 && seen.claims.len() == 2).await;
    running.lane.add([Item::Plain(2)]);
    running.lane.until(|seen| seen.recorded.len() == 2).await;
    assert!(running.started.elapsed() < Duration::from_secs(1));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_nearly_full_loop_gathers_room_before_it_claims() {
    let running = Running::start(Memory::with(20).gated(), limits(8));
    running.lane.until(|seen| seen.under_way == 8).await;
    running.lane.open(1);
    running.lane.until(|seen| seen.records == 1).await;
    running.lane.open(1);
    let seen = running.lane.until(|seen| seen.claims.len() == 2).await;
    assert_eq!(seen.claims[1].limit, 2);
    running.lane.open(20);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn attempts_that_hang_do_not_keep_the_free_slots_from_others() {
    let running = Running::start(Memory::with(20).gated(), limits(8));
    running.lane.until(|seen| seen.under_way == 8).await;
    running.lane.open(1);
    let seen = running.lane.until(|seen| seen.claims.len() == 2).await;
    assert_eq!(seen.claims[1].limit, 1);
    assert!(running.started.elapsed() < Duration::from_millis(20));
    running.lane.open(20);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_is_tried_again_without_another_attempt() {
    let running = Running::start(Memory::with(1).failing_records(2), limits(4));
    let seen = running.lane.until(|seen| seen.recorded.len() == 1).await;
    assert_eq!((seen.records, seen.attempts), (3, 1));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_keeps_failing_is_left_to_its_lease() {
    let running =
        Running::start(Memory::with(1).failing_records(3), Limits { record_retries: 2, ..limits(1) });
    running.lane.until(|seen| seen.records == 3).await;
    running.lane.add([Item::Plain(2)]);
    let seen = running.lane.until(|seen| seen.recorded.len() == 1).await;
    assert_eq!((seen.recorded, seen.records), (vec![(2, "tried")], 4));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_not_recorded_again() {
    let lane = Memory::with(0);
    lane.add([Item::LeaseLost(1), Item::Plain(2)]);
    let running = Running::start(lane, limits(1));
    let seen = running.lane.until(|seen| seen.recorded.len() == 1).await;
    assert_eq!((seen.recorded, seen.records), (vec![(2, "tried")], 2));
    running.stop().await;
}
