//! Finds the addresses of a name with the system's own resolver, on threads of its own: slow lookups must not hold
//! up the store, which lives on the runtime's blocking threads, nor one app's the lookups of another.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use model::id::AppId;
use tokio::time::{Instant, timeout};

use crate::error::{Failure, FailureKind, Phase};
use crate::lookups::{AT_ONCE, Found, Lookup, Lookups};

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

impl Lifetimes {
    fn keep(self, addresses: io::Result<Vec<IpAddr>>) -> Found {
        let keep = if addresses.is_ok() { self.found } else { self.missing };
        Found { addresses: addresses.map(Arc::from).map_err(Arc::new), until: Instant::now() + keep }
    }
}

/// Looks up names; whoever asks for the same name shares one lookup.
#[derive(Debug)]
pub(crate) struct Resolver {
    lifetimes: Lifetimes,
    shared: Arc<Shared>,
}

/// What the resolver and its threads share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lookups: Lookups,
    has_ended: bool,
}

impl Shared {
    /// What a lock guards here stays whole when its holder panics: nothing between its changes can.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a name to look up; nothing once the resolver has ended.
    fn next(&self) -> Option<Lookup> {
        let mut state = self.state();
        loop {
            if state.has_ended {
                return None;
            }
            if let Some(next) = state.lookups.next() {
                // One name that was asked for, or one place given back, may let more than one thread go on.
                if state.lookups.has_waiting() {
                    self.changed.notify_one();
                }
                return Some(next);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Resolver {
    /// Starts the threads; they end when the resolver is dropped.
    pub(crate) fn start<F>(lookup: F, lifetimes: Lifetimes) -> io::Result<Resolver>
    where
        F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    {
        let resolver = Resolver { lifetimes, shared: Arc::default() };
        let lookup = Arc::new(lookup);
        for _ in 0..AT_ONCE {
            let (shared, lookup) = (Arc::clone(&resolver.shared), Arc::clone(&lookup));
            thread::Builder::new().name("resolve".to_owned()).spawn(move || {
                while let Some(next) = shared.next() {
                    let found = lifetimes.keep(lookup(&next.name));
                    shared.state().lookups.finish(&next, found);
                }
            })?;
        }
        Ok(resolver)
    }

    /// The addresses of `name`, at least one, in the system's order of preference; the lookup counts for `app`.
    pub(crate) async fn resolve(&self, name: &str, app: AppId) -> Result<Arc<[IpAddr]>, Failure> {
        let asked = self.shared.state().lookups.ask(name, app, Instant::now());
        self.shared.changed.notify_one();
        let Some(mut answer) = asked else {
            return Err(unresolved(name, "too many names are being looked up at once"));
        };
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
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.shared.state().has_ended = true;
        self.shared.changed.notify_all();
    }
}

fn unresolved(name: &str, cause: &str) -> Failure {
    Failure::before_sending(FailureKind::Resolve, format!("the name {name} could not be looked up: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicU8, Ordering};
    use std::sync::mpsc;
    use std::task::Poll;

    use super::*;

    const APP: AppId = AppId::from_raw(1);
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
        let first = resolver.resolve("hook.example", APP).await.unwrap();
        assert_eq!(resolver.resolve("hook.example", APP).await.unwrap(), first);
        assert_ne!(resolver.resolve("other.example", APP).await.unwrap(), first);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_again_when_its_time_is_over() {
        let resolver = counting(Duration::ZERO);
        let first = resolver.resolve("hook.example", APP).await.unwrap();
        assert_ne!(resolver.resolve("hook.example", APP).await.unwrap(), first);
    }

    #[tokio::test]
    async fn lookups_of_one_name_at_the_same_time_are_one_lookup() {
        let resolver = counting(LONG);
        let (a, b) =
            tokio::join!(resolver.resolve("hook.example", APP), resolver.resolve("hook.example", APP));
        assert_eq!(a, b);
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_said_in_words() {
        let lifetimes = Lifetimes { timeout: LONG, found: LONG, missing: LONG };
        let missing = Resolver::start(|_: &str| Err(io::Error::other("no such name")), lifetimes).unwrap();
        let failure = missing.resolve("nowhere.example", APP).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Resolve);
        assert_eq!(failure.words, "the name nowhere.example could not be looked up: no such name");
        let empty = Resolver::start(|_: &str| Ok(Vec::new()), lifetimes).unwrap();
        assert!(
            empty.resolve("nowhere.example", APP).await.unwrap_err().words.ends_with("it has no address")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_hangs_is_given_up() {
        let (_keep_hanging, lookup) = hanging();
        let lifetimes = Lifetimes { timeout: Duration::from_secs(5), found: LONG, missing: LONG };
        let resolver = Resolver::start(lookup, lifetimes).unwrap();
        let failure = resolver.resolve("hang.example", APP).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout { phase: Phase::Resolve });
        assert!(!failure.may_have_arrived);
    }

    /// A lookup that never ends for names that begin with `hang`, as long as the sender is kept.
    fn hanging() -> (mpsc::Sender<()>, impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) {
        let (keep, hangs) = mpsc::channel::<()>();
        let hangs = Mutex::new(hangs);
        let lookup = move |name: &str| {
            if name.starts_with("hang") {
                let _ = hangs.lock().unwrap().recv();
            }
            Ok(vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))])
        };
        (keep, lookup)
    }

    #[tokio::test]
    async fn names_of_one_app_that_hang_keep_no_other_app_waiting() {
        let (_keep_hanging, lookup) = hanging();
        let lifetimes = Lifetimes { timeout: LONG, found: LONG, missing: LONG };
        let resolver = Resolver::start(lookup, lifetimes).unwrap();
        let names: Vec<String> = (0..100).map(|n| format!("hang{n}.example")).collect();
        let hung = futures_of(&resolver, &names);
        let other = resolver.resolve("works.example", AppId::from_raw(2));
        tokio::select! {
            biased;
            () = hung => panic!("what hangs does not end"),
            found = other => assert!(found.is_ok()),
        }
    }

    /// Waits for every one of the names, all asked for at once.
    async fn futures_of(resolver: &Resolver, names: &[String]) {
        let mut waits: Vec<_> = names.iter().map(|name| Box::pin(resolver.resolve(name, APP))).collect();
        std::future::poll_fn(|cx| {
            waits.retain_mut(|wait| wait.as_mut().poll(cx).is_pending());
            if waits.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
