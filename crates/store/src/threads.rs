//! The threads of an embedded store: how they are started, asked to end, and waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::error::Error;

/// All threads that answer jobs.
#[derive(Default)]
pub(crate) struct Threads {
    is_to_end: Arc<AtomicBool>,
    alive: watch::Sender<()>,
}

/// What one of them holds as long as it has the database open.
pub(crate) struct Thread {
    is_to_end: Arc<AtomicBool>,
    _alive: watch::Receiver<()>,
}

impl Threads {
    /// One more.
    pub(crate) fn one(&self) -> Thread {
        Thread { is_to_end: Arc::clone(&self.is_to_end), _alive: self.alive.subscribe() }
    }

    /// Each is to end after the job it is at, and those that wait.
    pub(crate) fn ask_to_end(&self) {
        self.is_to_end.store(true, Ordering::Release);
    }

    /// Resolves when all have ended.
    pub(crate) async fn ended(&self) {
        self.alive.closed().await;
    }
}

impl Thread {
    /// Whether it was asked to end.
    pub(crate) fn is_to_end(&self) -> bool {
        self.is_to_end.load(Ordering::Acquire)
    }
}

pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(|error| Error::Config(format!("cannot start the {name} thread: {error}")))
}
