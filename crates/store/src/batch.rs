//! Gathers what arrives at the same time into one transaction, so that all of it shares one commit.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::error::Error;

/// The most items of one transaction.
const ITEMS_MAX: usize = 256;
/// How many batches may be under way at once: one tells its callers, one commits, one waits for its turn.
const UNDER_WAY_MAX: usize = 3;

/// What a batch comes to: one outcome for each item, in order.
pub(crate) type Outcomes<O> = Result<Vec<O>, Error>;
/// Runs one batch as one transaction.
pub(crate) type Run<I, O> = dyn Fn(Arc<Batch<I, O>>) -> BoxFuture<'static, Outcomes<O>> + Send + Sync;

type Waiting<I, O> = (I, Tell<O>);
type Tell<O> = oneshot::Sender<Result<O, Error>>;
type Queue<I, O> = Arc<Mutex<mpsc::Receiver<Waiting<I, O>>>>;

/// The queue before a batched operation.
pub(crate) struct Batcher<I, O> {
    queue: mpsc::Sender<Waiting<I, O>>,
    /// Rings after the queue was let go: whoever gathers must see that it was the last.
    bell: Bell,
}

/// Tells whoever gathers that something has come, or that nothing will.
#[derive(Clone)]
struct Bell(Arc<Notify>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl<I, O> Clone for Batcher<I, O> {
    fn clone(&self) -> Batcher<I, O> {
        Batcher { queue: self.queue.clone(), bell: self.bell.clone() }
    }
}

impl<I: Clone + Send + Sync + 'static, O: Send + 'static> Batcher<I, O> {
    /// Starts gathering; at most `queue_max` items wait. It ends when the last clone is dropped.
    pub(crate) fn start(queue_max: usize, run: Arc<Run<I, O>>) -> Batcher<I, O> {
        let (queue, waiting) = mpsc::channel(queue_max);
        let has_come = Arc::new(Notify::new());
        tokio::spawn(gather(Arc::new(Mutex::new(waiting)), Arc::clone(&has_come), run));
        Batcher { queue, bell: Bell(has_come) }
    }

    /// Runs an item with whatever else is waiting; `Busy` when the queue is full.
    pub(crate) async fn offer(&self, item: I) -> Result<O, Error> {
        let (tell, answer) = oneshot::channel();
        self.queue.try_send((item, tell)).map_err(|_| Error::Busy)?;
        self.bell.0.notify_one();
        answer.await.map_err(|_| Error::Busy)?
    }

    /// Runs an item, waiting for room in the queue: for work that is already bounded elsewhere.
    pub(crate) async fn put(&self, item: I) -> Result<O, Error> {
        let (tell, answer) = oneshot::channel();
        self.queue.send((item, tell)).await.map_err(|_| Error::Busy)?;
        self.bell.0.notify_one();
        answer.await.map_err(|_| Error::Busy)?
    }
}

/// What is run as one transaction. Its items are taken from the queue when they are first asked for, which is best
/// done inside the transaction: then all that came while the one before was under way is in it.
pub(crate) struct Batch<I, O> {
    from: Mutex<Option<From<I, O>>>,
    gathered: OnceLock<Gathered<I, O>>,
}

/// Where a batch takes its items from, and the turn to be the next that does.
struct From<I, O> {
    waiting: Queue<I, O>,
    _turn: OwnedSemaphorePermit,
}

struct Gathered<I, O> {
    items: Vec<I>,
    tells: Mutex<Vec<Tell<O>>>,
}

impl<I, O> Batch<I, O> {
    fn to_gather(from: From<I, O>) -> Batch<I, O> {
        Batch { from: Mutex::new(Some(from)), gathered: OnceLock::new() }
    }

    fn alone(item: I) -> Batch<I, O> {
        let gathered = Gathered { items: vec![item], tells: Mutex::default() };
        Batch { from: Mutex::new(None), gathered: OnceLock::from(gathered) }
    }

    /// The items, the same at each call.
    pub(crate) fn items(&self) -> &[I] {
        &self.gathered().items
    }

    fn gathered(&self) -> &Gathered<I, O> {
        self.gathered.get_or_init(|| {
            let from = self.from.lock().unwrap_or_else(PoisonError::into_inner).take();
            let taken: Vec<Waiting<I, O>> = from.map(|from| take(&from.waiting)).unwrap_or_default();
            let (items, tells) = taken.into_iter().unzip();
            Gathered { items, tells: Mutex::new(tells) }
        })
    }

    fn tells(&self) -> Vec<Tell<O>> {
        std::mem::take(&mut self.gathered().tells.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn take<I, O>(waiting: &Queue<I, O>) -> Vec<Waiting<I, O>> {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    std::iter::from_fn(|| waiting.try_recv().ok()).take(ITEMS_MAX).collect()
}

/// Whether nothing waits, and whether nothing will come any more.
fn is_idle<I, O>(waiting: &Queue<I, O>) -> (bool, bool) {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    (waiting.is_empty(), waiting.is_closed())
}

async fn gather<I, O>(waiting: Queue<I, O>, has_come: Arc<Notify>, run: Arc<Run<I, O>>)
where
    I: Clone + Send + Sync + 'static,
    O: Send + 'static,
{
    let slots = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let turns = Arc::new(Semaphore::new(1));
    loop {
        // A batch is asked for when the one before has its items: until then everything goes into that one.
        let permits = (Arc::clone(&slots).acquire_owned().await, Arc::clone(&turns).acquire_owned().await);
        let (Ok(slot), Ok(turn)) = permits else { return };
        loop {
            match is_idle(&waiting) {
                (false, _) => break,
                (true, true) => return,
                (true, false) => has_come.notified().await,
            }
        }
        let batch = Arc::new(Batch::to_gather(From { waiting: Arc::clone(&waiting), _turn: turn }));
        let run = Arc::clone(&run);
        tokio::spawn(async move {
            run_batch(&batch, &*run).await;
            drop(slot);
        });
    }
}

/// Runs a batch; if it fails as a whole, each item alone, so that one item's failure is its own. What no item is to
/// blame for is not tried again: the callers are waiting, and it would fail for each of them in turn.
async fn run_batch<I: Clone, O>(batch: &Arc<Batch<I, O>>, run: &Run<I, O>) {
    match run(Arc::clone(batch)).await {
        Ok(outcomes) => {
            for (tell, outcome) in batch.tells().into_iter().zip(outcomes) {
                let _ = tell.send(Ok(outcome));
            }
        }
        Err(error) if error.is_everybodys() => refuse(batch.tells(), error),
        Err(_) => {
            let mut waiting = batch.items().iter().zip(batch.tells());
            while let Some((item, tell)) = waiting.next() {
                let alone = run(Arc::new(Batch::alone(item.clone()))).await;
                match alone.and_then(|outcomes| outcomes.into_iter().next().ok_or(Error::Busy)) {
                    Err(error) if error.is_everybodys() => {
                        let others = waiting.map(|(_, tell)| tell);
                        return refuse(std::iter::once(tell).chain(others).collect(), error);
                    }
                    outcome => drop(tell.send(outcome)),
                }
            }
        }
    }
}

/// The first caller hears the error itself, the others its kind.
fn refuse<O>(tells: Vec<Tell<O>>, error: Error) {
    let kind = error.kind();
    let mut error = Some(error);
    for tell in tells {
        let _ = tell.send(Err(error.take().unwrap_or_else(kind)));
    }
}
