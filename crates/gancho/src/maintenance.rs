//! Work that nobody waits for: retention in small steps, blocks for lists, an eye on the disk, and following what other
//! nodes have configured.

use std::time::Duration;

use store::Store;
use store::disk::Disk;
use store::retention::{Doubt, Keep};
use tokio_util::sync::CancellationToken;
use vault::Vault;

/// How long to rest when nothing is old enough.
const RETENTION_IDLE: Duration = Duration::from_secs(60);
/// How often it is looked for files that were left half-written.
const SWEEP_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// How long to rest between steps, so that arrivals go first: steps take a tenth of the writer's time, and remove more
/// than 8,000 events a second.
const RETENTION_STEP: Duration = Duration::from_millis(50);
/// How long to rest when no block is complete.
const BLOCKS_IDLE: Duration = Duration::from_secs(5);
/// How long to rest between blocks: some 50,000 rows of each table a second, while arrivals have nearly all of the time.
const BLOCKS_STEP: Duration = Duration::from_millis(20);
/// How often the configuration of other nodes is looked for.
const ROUTING_INTERVAL: Duration = Duration::from_millis(500);
/// How often it is looked how much of the disk is left.
const DISK_INTERVAL: Duration = Duration::from_secs(1);
/// How long the write-ahead log may become before it is said aloud, in bytes. It begins anew long before, unless somebody
/// reads for so long that it cannot.
const LOG_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Removes what is older than it should be, step by step, until shutdown.
pub async fn retain(store: Store, keep: Keep, shutdown: CancellationToken) {
    let mut doubt = None;
    loop {
        let pause = match store.retention().step(keep).await {
            Ok(0) => RETENTION_IDLE,
            Ok(_) => RETENTION_STEP,
            Err(error) => {
                tracing::warn!(%error, "retention could not take a step; it tries again");
                RETENTION_IDLE
            }
        };
        if pause == RETENTION_IDLE {
            tell_of_doubt(&store, &mut doubt).await;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Removes the bytes of files with those of requests, until shutdown.
pub async fn age_files(store: Store, vault: Vault, keep: Keep, shutdown: CancellationToken) {
    let mut swept_at = None;
    loop {
        let now = store.clock().now();
        if swept_at.is_none_or(|at| now.since(at) >= SWEEP_INTERVAL) {
            swept_at = Some(now);
            if let Err(error) = fetching::age::sweep(&store, &vault).await {
                tracing::warn!(%error, "what was left half-written could not be removed");
            }
        }
        let pause = match fetching::age::step(&store, &vault, keep.bodies, keep.metadata).await {
            Ok(0) => RETENTION_IDLE,
            Ok(_) => RETENTION_STEP,
            Err(error) => {
                tracing::warn!(%error, "old files could not be removed; it is tried again");
                RETENTION_IDLE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Says when the clock comes to be in doubt, and when it no longer is.
async fn tell_of_doubt(store: &Store, known: &mut Option<Doubt>) {
    // What cannot be read keeps the step from being taken too, which is said there.
    let Ok(doubt) = store.retention().doubt().await else { return };
    match doubt {
        Some(Doubt { believed, until }) if *known != doubt => tracing::warn!(
            %believed, %until,
            "the clock is far ahead of what it was last: nothing is removed for its age until it has held, or was put right"
        ),
        None if known.is_some() => tracing::info!("the clock is believed again: what is old is removed"),
        Some(_) | None => {}
    }
    *known = doubt;
}

/// Says of each block of rows which values occur in it, so that lists of rare ones are quick, until shutdown.
pub async fn summarise(store: Store, shutdown: CancellationToken) {
    loop {
        let pause = match store.blocks().step().await {
            Ok(0) => BLOCKS_IDLE,
            Ok(_) => BLOCKS_STEP,
            Err(error) => {
                tracing::debug!(%error, "a block could not be written; it is tried again");
                BLOCKS_IDLE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Looks how much of the disk is left, and says when that is not enough to take what is new, until shutdown.
pub async fn watch_disk(store: Store, shutdown: CancellationToken) {
    let mut last = None;
    loop {
        match store.look_at_disk().await {
            Ok(Some(disk)) => tell_of_disk(last.replace(disk), disk),
            // PostgreSQL's server has the disk.
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the disk could not be looked at; it is tried again"),
        }
        tokio::select! {
            () = tokio::time::sleep(DISK_INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

fn tell_of_disk(before: Option<Disk>, now: Disk) {
    let Disk { free_bytes, reserve_bytes, log_bytes, .. } = now;
    match (before.is_some_and(|disk| disk.is_short()), now.is_short()) {
        (false, true) => tracing::warn!(
            free_bytes,
            reserve_bytes,
            "the disk is nearly full: webhooks and messages are refused until there is room; deliveries go on"
        ),
        (true, false) => tracing::info!(free_bytes, "there is room on the disk again"),
        (true, true) | (false, false) => {}
    }
    if log_bytes > LOG_BYTES_MAX && before.is_none_or(|disk| disk.log_bytes <= LOG_BYTES_MAX) {
        tracing::warn!(log_bytes, "the write-ahead log grows: somebody reads the database for very long");
    }
}

/// Reads the configuration anew when another node has changed it, until shutdown.
pub async fn follow_routing(store: Store, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUTING_INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = store.refresh_routing().await {
            tracing::debug!(%error, "the configuration could not be read; it is tried again");
        }
    }
}
