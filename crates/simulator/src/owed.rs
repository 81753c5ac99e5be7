//! Work that is owed to the gateway behind everybody's back: bounded, awaited, and given up at the end.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;

/// How much may be owed at once; whoever wants to owe more waits.
const OWED_MAX: usize = 10_000;

/// Resolves when its other half is dropped.
pub(crate) type Ended = oneshot::Receiver<Infallible>;

/// What is owed.
pub(crate) struct Owed {
    owed: watch::Sender<usize>,
    places: Arc<Semaphore>,
    under_way: Mutex<JoinSet<()>>,
}

impl Default for Owed {
    fn default() -> Owed {
        Owed {
            owed: watch::Sender::new(0),
            places: Arc::new(Semaphore::new(OWED_MAX)),
            under_way: Mutex::default(),
        }
    }
}

impl Owed {
    /// Waits until nothing is owed.
    pub(crate) async fn settled(&self) {
        // The sender lives as long as this borrow, so that the wait ends by the count alone.
        let _ = self.owed.subscribe().wait_for(|owed| *owed == 0).await;
    }

    /// Gives up everything that is owed.
    pub(crate) fn stop(&self) {
        self.lock().abort_all();
    }

    /// Waits for room to owe something.
    pub(crate) async fn place(&self) -> Place {
        self.owed.send_modify(|owed| *owed += 1);
        let counted = Counted(self.owed.clone());
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        Place { _counted: counted, _permit: permit }
    }

    /// Does the work, which is owed until it ends.
    pub(crate) fn spawn(&self, place: Place, work: impl Future<Output = ()> + Send + 'static) {
        let mut under_way = self.lock();
        while under_way.try_join_next().is_some() {}
        under_way.spawn(async move {
            work.await;
            drop(place);
        });
    }

    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one thing that is owed; given back when it is dropped, however the work ends.
pub(crate) struct Place {
    _counted: Counted,
    _permit: Option<OwnedSemaphorePermit>,
}

struct Counted(watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|owed| *owed -= 1);
    }
}
