//! Work that nobody waits for: retention in small steps, and following what other nodes have configured.

use std::time::Duration;

use store::Store;
use store::retention::Keep;
use tokio_util::sync::CancellationToken;

/// How long to rest when nothing is old enough.
const RETENTION_IDLE: Duration = Duration::from_secs(60);
/// How long to rest between steps, so that arrivals go first.
const RETENTION_STEP: Duration = Duration::from_millis(20);
/// How often the configuration of other nodes is looked for.
const ROUTING_INTERVAL: Duration = Duration::from_millis(500);

/// Removes what is older than it should be, step by step, until shutdown.
pub async fn retain(store: Store, keep: Keep, shutdown: CancellationToken) {
    loop {
        let pause = match store.retention().step(keep).await {
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
