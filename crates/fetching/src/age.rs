//! Files that are older than they should be go: their bytes first, and what is known of them long after.

use std::time::Duration;

use model::id::FileId;
use model::time::Timestamp;
use store::files::FileOutcome;
use store::{Error, Store};
use vault::Vault;

/// How many files of each kind one step sees to.
const STEP: usize = 100;
/// How long an upload that has not come to an end is waited for: longer than any may take.
const UPLOAD_LASTS: Duration = Duration::from_secs(3600);

/// Removes what fetches and uploads have left half-written when their process ended.
pub async fn sweep(store: &Store, vault: &Vault) -> Result<usize, vault::Error> {
    vault.sweep(store.clock().now().minus(UPLOAD_LASTS)).await
}

/// Takes one bounded step; says how many files it saw to. Nothing goes for its age while the clock is in doubt.
pub async fn step(store: &Store, vault: &Vault, bytes: Duration, metadata: Duration) -> Result<usize, Error> {
    if store.retention().doubt().await?.is_some() {
        return Ok(0);
    }
    let now = store.clock().now();
    let given_up = give_up(store, now).await?;
    let aged = store.files().aged(now.minus(bytes), STEP).await?;
    let removed = without_bytes(vault, aged).await;
    // Whoever was still writing when a file was removed may have written it once more.
    let forgettable = store.files().forgettable(now.minus(metadata), STEP).await?;
    let forgotten = without_bytes(vault, forgettable).await;
    let count = given_up + removed.len() + forgotten.len();
    store.files().removed(removed).await?;
    store.files().forget(forgotten).await?;
    Ok(count)
}

/// Says of uploads whose process has ended that they failed.
async fn give_up(store: &Store, now: Timestamp) -> Result<usize, Error> {
    let abandoned = store.files().abandoned(now.minus(UPLOAD_LASTS), STEP).await?;
    for id in &abandoned {
        let words = "the upload did not come to its end".to_owned();
        store.files().finish(*id, FileOutcome::Failed(words)).await?;
    }
    Ok(abandoned.len())
}

/// Removes bytes; gives those files of which none are left.
async fn without_bytes(vault: &Vault, files: Vec<FileId>) -> Vec<FileId> {
    let mut gone = Vec::with_capacity(files.len());
    for id in files {
        match vault.remove(id).await {
            Ok(()) => gone.push(id),
            // It is tried again with the next step, as are those after it.
            Err(error) => {
                tracing::warn!(%error, file = %id, "an old file could not be removed; it is tried again");
                break;
            }
        }
    }
    gone
}
