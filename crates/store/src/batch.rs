//! Gathers what arrives at the same time into one transaction, so that all of it shares one commit.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::error::Error;

/// The most items of one transaction.
const ITEMS_MAX: usize = 256;
/// How many transactions may be under way at once: one commits while the next is gathered and run.
const UNDER_WAY_MAX: usize = 3;

/// What a batch comes to: one outcome for each item, in order.
pub(crate) type Outcomes<O> = Result<Vec<O>, Error>;
/// Runs one batch as one transaction.
pub(crate) type Run<I, O> = dyn Fn(Arc<[I]>) -> BoxFuture<'static, Outcomes<O>> + Send + Sync;

type Waiting<I, O> = (I, oneshot::Sender<Result<O, Error>>);

/// The queue before a batched operation.
pub(crate) struct Batcher<I, O> {
    queue: mpsc::Sender<Waiting<I, O>>,
}

impl<I, O> Clone for Batcher<I, O> {
    fn clone(&self) -> Batcher<I, O> {
        Batcher { queue: self.queue.clone() }
    }
}

impl<I: Clone + Send + Sync + 'static, O: Send + 'static> Batcher<I, O> {
    /// Starts gathering; at most `queue_max` items wait. It ends when the last clone is dropped.
    pub(crate) fn start(queue_max: usize, run: Arc<Run<I, O>>) -> Batcher<I, O> {
        let (queue, waiting) = mpsc::channel(queue_max);
        tokio::spawn(gather(waiting, run));
        Batcher { queue }
    }

    /// Runs an item with whatever else is waiting; `Busy` when the queue is full.
    pub(crate) async fn offer(&self, item: I) -> Result<O, Error> {
        let (tell, answer) = oneshot::channel();
        self.queue.try_send((item, tell)).map_err(|_| Error::Busy)?;
        answer.await.map_err(|_| Error::Busy)?
    }

    /// Runs an item, waiting for room in the queue: for work that is already bounded elsewhere.
    pub(crate) async fn put(&self, item: I) -> Result<O, Error> {
        let (tell, answer) = oneshot::channel();
        self.queue.send((item, tell)).await.map_err(|_| Error::Busy)?;
        answer.await.map_err(|_| Error::Busy)?
    }
}

async fn gather<I, O>(mut waiting: mpsc::Receiver<Waiting<I, O>>, run: Arc<Run<I, O>>)
where
    I: Clone + Send + Sync + 'static,
    O: Send + 'static,
{
    let slots = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    loop {
        // The slot comes first: what arrives while all are taken makes the next batch larger.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let mut batch = Vec::new();
        if waiting.recv_many(&mut batch, ITEMS_MAX).await == 0 {
            return;
        }
        let run = Arc::clone(&run);
        tokio::spawn(async move {
            run_batch(batch, &*run).await;
            drop(slot);
        });
    }
}

/// Runs a batch; if it fails as a whole, each item alone, so that one item's failure is its own. What no item is to
/// blame for is not tried again: the callers are waiting, and it would fail for each of them in turn.
async fn run_batch<I: Clone, O>(batch: Vec<Waiting<I, O>>, run: &Run<I, O>) {
    let (items, tells): (Vec<I>, Vec<_>) = batch.into_iter().unzip();
    let items: Arc<[I]> = items.into();
    match run(Arc::clone(&items)).await {
        Ok(outcomes) => {
            for (tell, outcome) in tells.into_iter().zip(outcomes) {
                let _ = tell.send(Ok(outcome));
            }
        }
        Err(error) if error.is_everybodys() => refuse(tells, error),
        Err(_) => {
            for (item, tell) in items.iter().zip(tells) {
                let alone = run(Arc::from([item.clone()])).await;
                let outcome = alone.and_then(|outcomes| outcomes.into_iter().next().ok_or(Error::Busy));
                let _ = tell.send(outcome);
            }
        }
    }
}

/// The first caller hears the error itself, the others its kind.
fn refuse<O>(tells: Vec<oneshot::Sender<Result<O, Error>>>, error: Error) {
    let kind = error.kind();
    let mut error = Some(error);
    for tell in tells {
        let _ = tell.send(Err(error.take().unwrap_or_else(kind)));
    }
}
