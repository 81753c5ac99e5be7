//! The lane of files: claim, fetch, record, and tell of what could not be had.

use std::sync::Arc;
use std::time::Duration;

use dispatcher::{Lane, LaneError};
use model::event::{Content, EventType, NewEvent};
use model::file::File;
use model::retry::{Jitter, Next, Outcome, RetryPolicy};
use model::source::{Account, Source};
use serde_json::{json, value::to_raw_value};
use store::arrivals::Arrival;
use store::files::{ClaimedFile, FileOutcome};
use store::{Error, Queue, Store};
use tokio::time::timeout;

use crate::fetcher::{self, Fetcher, Of};
use crate::metrics::Metrics;

/// How long all of it may take: being told where a file is, being sent on, and writing it.
const FETCH_MAX: Duration = Duration::from_secs(fetcher::DEADLINE.as_secs() + 60);
/// How long a claim lasts: longer than that.
const LEASE: Duration = Duration::from_secs(FETCH_MAX.as_secs() + 60);
/// The waits between tries, in seconds. Platforms keep files for a week at least.
const WAITS: [u64; 7] = [2, 10, 60, 300, 1_800, 7_200, 21_600];

/// Makes numbers in `0.0..1.0` that spread retries.
pub type Spread = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Files to be fetched.
pub struct FetchingLane {
    store: Store,
    fetcher: Fetcher,
    spread: Spread,
    retry: RetryPolicy,
    metrics: Metrics,
}

impl FetchingLane {
    /// A lane over a store and who makes the calls.
    pub fn new(store: Store, fetcher: Fetcher, spread: Spread) -> FetchingLane {
        let waits = WAITS.map(Duration::from_secs).into();
        FetchingLane { store, fetcher, spread, retry: RetryPolicy { waits }, metrics: Metrics::default() }
    }

    /// What came of fetching so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn place(&self, file: &File) -> Option<(Arc<Source>, Account)> {
        let routing = self.store.routing();
        let account = routing.account_by_id(file.account?)?;
        Some((Arc::clone(routing.source(account.source)?), account.clone()))
    }

    fn follows(&self, file: &File, outcome: &Outcome) -> FileOutcome {
        let now = self.store.clock().now();
        let cause = outcome.cause().unwrap_or_default().to_owned();
        match self.retry.next(file.attempts + 1, outcome, now, Jitter((self.spread)())) {
            Next::RetryAt(at) => FileOutcome::RetryAt(at, cause),
            Next::Dead(cause) | Next::Unknown(cause) => FileOutcome::Failed(cause),
            Next::Delivered => FileOutcome::Failed("nothing was fetched".to_owned()),
        }
    }

    /// The event that tells of a file that could not be had.
    fn failed(&self, file: &File, words: &str) -> Arrival {
        let about = json!({
            "file": file.id.to_string(),
            "event": file.event.map(|event| event.to_string()),
            "words": words,
        });
        let raw = to_raw_value(&about).expect("a map of text can be written as JSON");
        let event = NewEvent::of(EventType::ours("file.failed"), self.store.clock().now(), Content::Raw(raw));
        match self.place(file) {
            Some((source, account)) => {
                let event = NewEvent { account: Some(account.address), ..event };
                Arrival::ours(file.app, Some(source), event)
            }
            None => Arrival::ours(file.app, None, event),
        }
    }
}

impl Lane for FetchingLane {
    type Claimed = ClaimedFile;
    type Done = FileOutcome;

    fn name(&self) -> &'static str {
        "files"
    }

    async fn woken(&self) {
        self.store.woken(Queue::Files).await;
    }

    async fn claim(&self, limit: usize) -> Result<Vec<ClaimedFile>, LaneError> {
        self.store.files().claim(limit, LEASE).await.map_err(failed)
    }

    async fn attempt(&self, claimed: &ClaimedFile) -> FileOutcome {
        let file = &claimed.file;
        let Some((source, account)) = self.place(file) else {
            return FileOutcome::Failed("its source or its account was removed".to_owned());
        };
        let of = Of { source: &source, account: &account.address, id: file.id, media: &file.media };
        let late = || Outcome::Retry { after: None, cause: "the platform took too long".to_owned() };
        match timeout(FETCH_MAX, self.fetcher.fetch(of)).await.unwrap_or_else(|_| Err(late())) {
            Ok(content) => FileOutcome::Stored(content),
            Err(outcome) => {
                tracing::debug!(file = %file.id, cause = outcome.cause(), "a file was not fetched");
                self.follows(file, &outcome)
            }
        }
    }

    fn panicked(&self, claimed: &ClaimedFile) -> FileOutcome {
        let cause = "the fetch failed inside Gancho; this is a bug, please report it".to_owned();
        self.follows(&claimed.file, &Outcome::Retry { after: None, cause })
    }

    async fn record(&self, claimed: &ClaimedFile, done: &FileOutcome) -> Result<(), LaneError> {
        let told = match done {
            FileOutcome::Failed(words) => Some(self.failed(&claimed.file, words)),
            FileOutcome::Stored(_) | FileOutcome::RetryAt(..) => None,
        };
        self.store.files().record(claimed.clone(), done.clone(), told).await.map_err(failed)?;
        self.metrics.recorded(done);
        Ok(())
    }
}

fn failed(error: Error) -> LaneError {
    match error {
        Error::LeaseLost => LaneError::LeaseLost,
        other => LaneError::Failed(Box::new(other)),
    }
}
