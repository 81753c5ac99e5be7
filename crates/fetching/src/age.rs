//! Files that are older than they should be go: their bytes first, and what is known of them long after.

use std::time::Duration;

use store::{Error, Store};
use vault::Vault;

/// How many files one step removes.
const STEP: usize = 100;

/// Takes one bounded step; says how many files went. Nothing goes for its age while the clock is in doubt.
pub async fn step(store: &Store, vault: &Vault, bytes: Duration, metadata: Duration) -> Result<usize, Error> {
    if store.retention().doubt().await?.is_some() {
        return Ok(0);
    }
    let now = store.clock().now();
    let aged = store.files().aged(now.minus(bytes), STEP).await?;
    let mut removed = Vec::with_capacity(aged.len());
    for id in aged {
        match vault.remove(id).await {
            Ok(()) => removed.push(id),
            // It is tried again with the next step, as are those after it.
            Err(error) => {
                tracing::warn!(%error, file = %id, "an old file could not be removed; it is tried again");
                break;
            }
        }
    }
    let count = removed.len();
    store.files().removed(removed).await?;
    let forgotten = store.files().forget(now.minus(metadata), STEP).await?;
    Ok(count + usize::try_from(forgotten).unwrap_or(0))
}
