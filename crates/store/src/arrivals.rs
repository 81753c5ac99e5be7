//! The way in: requests with what an adapter read in them, stored together with all they cause.

use std::sync::Arc;

use bytes::Bytes;
use model::event::NewEvent;
use model::id::{AppId, ReceiptId};
use model::receipt::{Reason, ReceiptState};
use model::source::Source;

use crate::append;
use crate::batch::{Batch, Batcher};
use crate::disk::Reserve;
use crate::error::Error;
use crate::{Inner, routing};

/// The most requests that wait to be stored; beyond it senders are asked to come back.
const QUEUE_MAX: usize = 8_192;

/// One request as it came, and what it was found to be.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The source it reached; `None` when no source has its URL, or when the events are of our own making.
    pub source: Option<Arc<Source>>,
    /// Who the events belong to where there is no source.
    pub app: Option<AppId>,
    /// The request it came in; `None` for events that did not come over the wire.
    pub request: Option<Request>,
    /// What it was found to be.
    pub verdict: Verdict,
}

impl Arrival {
    /// An event of our own making, for an app; about a source where one is named.
    pub fn ours(app: AppId, source: Option<Arc<Source>>, event: NewEvent) -> Arrival {
        Arrival { source, app: Some(app), request: None, verdict: Verdict::Genuine(Arc::from([event])) }
    }
}

/// The request, as much of it as is kept.
#[derive(Clone, Debug)]
pub struct Request {
    /// The receipt it already has, when a stored request is read once more.
    pub receipt: Option<ReceiptId>,
    /// The HTTP method.
    pub method: String,
    /// Path and query, secrets in the query removed.
    pub path: String,
    /// The sender's address.
    pub peer: String,
    /// The headers, one `name: value` a line, credentials removed.
    pub headers: String,
    /// The body, byte for byte.
    pub body: Bytes,
    /// Whether headers and body are kept; where they are not, only the body's length is.
    pub is_whole: bool,
}

/// What a request was found to be.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Genuine, with these events.
    Genuine(Arc<[NewEvent]>),
    /// The platform's check that the URL is ours; answered.
    Answered,
    /// Not proven genuine.
    Rejected(Reason),
    /// Nobody has said whose it is.
    Unrouted(Reason),
}

/// What was stored of an arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The receipt, for arrivals that came in a request.
    pub receipt: Option<ReceiptId>,
    /// What became of the request.
    pub state: ReceiptState,
    /// How many items it carried.
    pub items: u32,
    /// How many of them were new.
    pub items_new: u32,
    /// How many deliveries they caused.
    pub deliveries: u32,
}

/// The way in.
#[derive(Clone)]
pub struct Arrivals {
    batcher: Batcher<Arrival, Appended>,
    reserve: Reserve,
}

impl Arrivals {
    pub(crate) fn start(inner: Arc<Inner>) -> Arrivals {
        let reserve = inner.reserve.clone();
        let run = Arc::new(move |batch: Arc<Batch<Arrival, Appended>>| {
            let inner = Arc::clone(&inner);
            Box::pin(async move { append_fresh(&inner, batch).await }) as _
        });
        Arrivals { batcher: Batcher::start(QUEUE_MAX, run), reserve }
    }

    /// Appends one arrival: its receipt, its events, the deliveries they cause, the conversations they touch. Returns
    /// when it is on disk; whoever waits at the same time shares the commit. Duplicates are reported, not errors. What
    /// came in a request is refused when only the disk's reserve is left; what we tell ourselves is not.
    pub async fn append(&self, arrival: Arrival) -> Result<Appended, Error> {
        if arrival.request.is_some() {
            self.reserve.check()?;
        }
        self.batcher.offer(arrival).await
    }
}

/// Appends a batch under the current configuration, reading that anew when another node has changed it.
async fn append_fresh(
    inner: &Arc<Inner>,
    batch: Arc<Batch<Arrival, Appended>>,
) -> Result<Vec<Appended>, Error> {
    for _ in 0..append::STALE_TRIES_MAX {
        let context = append::Context::of(inner);
        let job = Arc::clone(&batch);
        let done = inner
            .db
            .write(move |tx| Box::pin(async move { append::run(tx, job.items(), context).await }))
            .await?;
        if done.stale {
            routing::refresh(inner).await?;
            continue;
        }
        if done.adopted
            && let Err(error) = routing::refresh(inner).await
        {
            // What arrived is stored all the same; the next batch finds the configuration changed and reads it.
            tracing::warn!(%error, "an adopted account is not known in memory yet");
        }
        inner.announce_batch(&done);
        return Ok(done.appended);
    }
    Err(Error::Busy)
}
