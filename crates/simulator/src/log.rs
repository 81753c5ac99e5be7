//! A bounded list of what was seen, which can be waited on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// The last things seen, oldest first.
pub(crate) struct Log<T> {
    held: Mutex<Held<T>>,
    changed: Notify,
    kept_max: usize,
}

struct Held<T> {
    kept: VecDeque<Arc<T>>,
    seen: usize,
}

/// What was waited for did not come in time.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("after {deadline:?} only {seen} had come")]
pub struct TooFew {
    /// How many had come by then.
    pub seen: usize,
    /// How long was waited.
    pub deadline: Duration,
}

impl<T> Log<T> {
    /// An empty list that keeps at most this many.
    pub(crate) fn keeping(kept_max: usize) -> Log<T> {
        let kept = VecDeque::new();
        Log { held: Mutex::new(Held { kept, seen: 0 }), changed: Notify::new(), kept_max }
    }

    /// Adds what `make` says of its number, which counts from 1; the oldest is forgotten when there is no room.
    pub(crate) fn push(&self, make: impl FnOnce(usize) -> T) -> Arc<T> {
        let mut held = self.lock();
        held.seen += 1;
        let made = Arc::new(make(held.seen));
        if held.kept.len() == self.kept_max {
            held.kept.pop_front();
        }
        held.kept.push_back(Arc::clone(&made));
        drop(held);
        self.changed.notify_waiters();
        made
    }

    /// What is kept.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.lock().kept.iter().cloned().collect()
    }

    /// Waits until this many have been seen, forgotten ones included, and gives what is kept.
    pub(crate) async fn wait_for(&self, count: usize, deadline: Duration) -> Result<Vec<Arc<T>>, TooFew> {
        self.wait(deadline, |held| held.seen >= count).await
    }

    /// Waits until what is kept satisfies `enough`, and gives it.
    pub(crate) async fn wait_until(
        &self,
        deadline: Duration,
        enough: impl Fn(&[Arc<T>]) -> bool,
    ) -> Result<Vec<Arc<T>>, TooFew> {
        self.wait(deadline, |held| enough(held.kept.make_contiguous())).await
    }

    async fn wait(
        &self,
        deadline: Duration,
        enough: impl Fn(&mut Held<T>) -> bool,
    ) -> Result<Vec<Arc<T>>, TooFew> {
        let waiting = async {
            loop {
                // Asked for before the look, so that nothing is missed between the two.
                let changed = self.changed.notified();
                if enough(&mut self.lock()) {
                    return;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(deadline, waiting).await {
            Ok(()) => Ok(self.all()),
            Err(_) => Err(TooFew { seen: self.lock().seen, deadline }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
