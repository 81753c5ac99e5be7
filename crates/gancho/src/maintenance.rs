//! Work that nobody waits for: retention in small steps, and following what other nodes have configured.

use std::time::Duration;

use store::Store;
use store::retention::Keep;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long to rest when nothing is old enough.
const RETENTION_IDLE: Duration = Duration::from_secs(60);
/// How long to rest between steps, so that arrivals go first.
const RETENTION_STEP: Duration = Duration::from_millis(20);
/// How often the configuration of other nodes is looked for.
const ROUTING_INTERVAL: Duration = Duration::from_millis(500);

/// How far the wall clock may run ahead of the time that has really passed before nothing it says is removed.
const CLOCK_JUMP_MAX: Duration = Duration::from_secs(24 * 3600);

/// Removes what is older than it should be, step by step, until shutdown. A clock that jumps ahead makes everything
/// look old: then nothing is removed until it is put right.
pub async fn retain(store: Store, keep: Keep, shutdown: CancellationToken) {
    let (begun, wall) = (Instant::now(), store.clock().now());
    loop {
        let ahead = store.clock().now().since(wall.plus(begun.elapsed()));
        let step = async {
            if ahead > CLOCK_JUMP_MAX {
                tracing::warn!(?ahead, "the clock jumped ahead: nothing is removed until it is put right");
                return Ok(0);
            }
            store.retention().step(keep).await
        };
        let pause = match step.await {
            Ok(0) => RETENTION_IDLE,
            Ok(_) => RETENTION_STEP,
            Err(error) => {
                tracing::warn!(%error, "retention could not take a step; it tries again");
                RETENTION_IDLE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
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
