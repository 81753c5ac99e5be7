//! Finds the addresses of a name with the system's own resolver, on threads of its own: slow lookups must not hold
//! up the store, which lives on the runtime's blocking threads.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::error::{Failure, FailureKind, Phase};

const THREADS: usize = 8;
const WAITING_MAX: usize = 256;
const NAMES_MAX: usize = 1_000;

/// Asks the system for the addresses of a name.
pub(crate) fn system_lookup(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|found| found.ip()).collect())
}

/// How long to wait for an answer, and how long to keep it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) timeout: Duration,
    pub(crate) found: Duration,
    pub(crate) missing: Duration,
}

/// Looks up names; whoever asks for the same name shares one lookup.
#[derive(Debug)]
pub(crate) struct Resolver {
    lifetimes: Lifetimes,
    jobs: SyncSender<Job>,
    known: Mutex<HashMap<String, watch::Receiver<Option<Found>>>>,
}

#[derive(Debug)]
struct Job {
    name: String,
    answer: watch::Sender<Option<Found>>,
}

#[derive(Clone, Debug)]
struct Found {
    addresses: Result<Arc<[IpAddr]>, Arc<io::Error>>,
    until: Instant,
}

impl Found {
    fn new(addresses: io::Result<Vec<IpAddr>>, lifetimes: Lifetimes) -> Found {
        let keep = if addresses.is_ok() { lifetimes.found } else { lifetimes.missing };
        Found { addresses: addresses.map(Arc::from).map_err(Arc::new), until: Instant::now() + keep }
    }
}

impl Resolver {
    /// Starts the threads; they end when the resolver is dropped.
    pub(crate) fn start<F>(lookup: F, lifetimes: Lifetimes) -> io::Result<Resolver>
    where
        F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    {
        let (jobs, queue) = mpsc::sync_channel::<Job>(WAITING_MAX);
        let (queue, lookup) = (Arc::new(Mutex::new(queue)), Arc::new(lookup));
        for _ in 0..THREADS {
            let (queue, lookup) = (Arc::clone(&queue), Arc::clone(&lookup));
            thread::Builder::new().name("resolve".to_owned()).spawn(move || {
                loop {
                    // Bound to a name of its own, so that the lock is let go before the lookup.
                    let next = locked(&queue).recv();
                    let Ok(job) = next else { return };
                    job.answer.send_replace(Some(Found::new(lookup(&job.name), lifetimes)));
                }
            })?;
        }
        Ok(Resolver { lifetimes, jobs, known: Mutex::new(HashMap::new()) })
    }

    /// The addresses of `name`, at least one, in the system's order of preference.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Arc<[IpAddr]>, Failure> {
        let mut answer = self.ask(name)?;
        let found = match timeout(self.lifetimes.timeout, answer.wait_for(Option::is_some)).await {
            Err(_) => return Err(Failure::timeout(Phase::Resolve)),
            Ok(Ok(found)) => found.clone(),
            Ok(Err(_)) => None,
        };
        match found.map(|found| found.addresses) {
            Some(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Some(Err(error)) => Err(unresolved(name, &error.to_string())),
            Some(Ok(_)) | None => Err(unresolved(name, "it has no address")),
        }
    }

    /// The lookup of `name` that is under way or still fresh, or else a new one.
    fn ask(&self, name: &str) -> Result<watch::Receiver<Option<Found>>, Failure> {
        let mut known = locked(&self.known);
        let now = Instant::now();
        if let Some(answer) = known.get(name)
            && is_fresh(answer, now)
        {
            return Ok(answer.clone());
        }
        let (sender, answer) = watch::channel(None);
        let job = Job { name: name.to_owned(), answer: sender };
        self.jobs
            .try_send(job)
            .map_err(|_| unresolved(name, "too many names are being looked up at once"))?;
        if known.len() >= NAMES_MAX {
            known.retain(|_, answer| is_fresh(answer, now));
        }
        if known.len() < NAMES_MAX {
            known.insert(name.to_owned(), answer.clone());
        }
        Ok(answer)
    }
}

/// Whether a lookup is under way, or its answer can still be used.
fn is_fresh(answer: &watch::Receiver<Option<Found>>, now: Instant) -> bool {
    match &*answer.borrow() {
        Some(found) => now < found.until,
        None => answer.has_changed().is_ok(),
    }
}

fn unresolved(name: &str, cause: &str) -> Failure {
    Failure::before_sending(FailureKind::Resolve, format!("the name {name} could not be looked up: {cause}"))
}

/// What a lock guards here stays whole when its holder panics: each change is a single insert or removal.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    /// A resolver whose every lookup finds a different address: 192.0.2.1, 192.0.2.2, …
    fn counting(found: Duration) -> Resolver {
        let count = AtomicU8::new(0);
        let lookup = move |_: &str| {
            let last = count.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))])
        };
        Resolver::start(lookup, Lifetimes { timeout: LONG, found, missing: LONG }).unwrap()
    }

    #[tokio::test]
    async fn a_name_that_was_found_is_not_looked_up_again() {
        let resolver = counting(LONG);
        let first = resolver.resolve("hook.example").await.unwrap();
        assert_eq!(resolver.resolve("hook.example").await.unwrap(), first);
        assert_ne!(resolver.resolve("other.example").await.unwrap(), first);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_again_when_its_time_is_over() {
        let resolver = counting(Duration::ZERO);
        let first = resolver.resolve("hook.example").await.unwrap();
        assert_ne!(resolver.resolve("hook.example").await.unwrap(), first);
    }

    #[tokio::test]
    async fn lookups_of_one_name_at_the_same_time_are_one_lookup() {
        let resolver = counting(LONG);
        let (a, b) = tokio::join!(resolver.resolve("hook.example"), resolver.resolve("hook.example"));
        assert_eq!(a, b);
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_said_in_words() {
        let lifetimes = Lifetimes { timeout: LONG, found: LONG, missing: LONG };
        let missing = Resolver::start(|_: &str| Err(io::Error::other("no such name")), lifetimes).unwrap();
        let failure = missing.resolve("nowhere.example").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Resolve);
        assert_eq!(failure.words, "the name nowhere.example could not be looked up: no such name");
        let empty = Resolver::start(|_: &str| Ok(Vec::new()), lifetimes).unwrap();
        assert!(empty.resolve("nowhere.example").await.unwrap_err().words.ends_with("it has no address"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_hangs_is_given_up() {
        let (_keep_open, hangs) = mpsc::channel::<()>();
        let hangs = Mutex::new(hangs);
        let lookup = move |_: &str| {
            let _ = locked(&hangs).recv();
            Ok(Vec::new())
        };
        let lifetimes = Lifetimes { timeout: Duration::from_secs(5), found: LONG, missing: LONG };
        let resolver = Resolver::start(lookup, lifetimes).unwrap();
        let failure = resolver.resolve("slow.example").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout { phase: Phase::Resolve });
        assert!(!failure.may_have_arrived);
    }

    #[tokio::test]
    async fn the_names_kept_are_bounded() {
        let resolver = counting(LONG);
        for n in 0..NAMES_MAX + 50 {
            resolver.resolve(&format!("{n}.example")).await.ok();
        }
        assert_eq!(locked(&resolver.known).len(), NAMES_MAX);
    }
}
