//! The names that are known, being looked up or waiting for it, and whose turn it is: an app may hold as many places
//! as are still free, so that the next app always finds one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use model::id::AppId;
use tokio::sync::watch;
use tokio::time::Instant;

/// How many names may be looked up at once, all apps together; one app alone has half of them.
pub(crate) const AT_ONCE: usize = 16;
/// How many names may wait, all apps together, each counted once for every app that waits for it.
const WAITING_MAX: usize = 512;
/// How many names are remembered, more than can be waiting or looked up.
pub(crate) const NAMES_MAX: usize = 1_000;

/// What a lookup came to, and how long it can be used.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) addresses: Result<Arc<[IpAddr]>, Arc<io::Error>>,
    pub(crate) until: Instant,
}

/// A name that somebody has asked for. Who waits for it holds a receiver; a name without any is abandoned.
#[derive(Debug)]
struct Name {
    answer: watch::Sender<Option<Found>>,
    is_under_way: bool,
}

impl Name {
    /// Until when its answer can be used, if it has one.
    fn until(&self) -> Option<Instant> {
        self.answer.borrow().as_ref().map(|found| found.until)
    }

    fn is_waiting(&self) -> bool {
        !self.is_under_way && self.answer.borrow().is_none()
    }

    fn is_abandoned(&self) -> bool {
        self.is_waiting() && self.answer.receiver_count() == 0
    }
}

/// The places that an app holds.
#[derive(Debug, Default)]
struct Places {
    waiting: VecDeque<Arc<str>>,
    under_way: usize,
}

/// A name to look up, and the app it counts for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lookup {
    pub(crate) name: Arc<str>,
    pub(crate) app: AppId,
}

/// Every name there is something to say of.
#[derive(Debug)]
pub(crate) struct Lookups {
    names: HashMap<Arc<str>, Name>,
    apps: BTreeMap<AppId, Places>,
    waiting: usize,
    under_way: usize,
    served_last: AppId,
}

impl Default for Lookups {
    fn default() -> Lookups {
        let served_last = AppId::from_raw(0);
        Lookups { names: HashMap::new(), apps: BTreeMap::new(), waiting: 0, under_way: 0, served_last }
    }
}

impl Lookups {
    /// The lookup of `name` that is waiting, under way or still fresh, or else a new one; nothing where the app has
    /// no place left.
    pub(crate) fn ask(
        &mut self,
        name: &str,
        app: AppId,
        now: Instant,
    ) -> Option<watch::Receiver<Option<Found>>> {
        if let Some(known) = self.names.get(name) {
            let answer = known.answer.subscribe();
            if known.is_under_way || known.until().is_some_and(|until| now < until) {
                return Some(answer);
            }
            if known.is_waiting() {
                // Another app waits for it already: its place will do where this app has none left.
                self.wait(name, app);
                return Some(answer);
            }
        }
        if !self.wait(name, app) {
            return None;
        }
        self.make_room(now);
        let (sender, answer) = watch::channel(None);
        self.names.insert(Arc::from(name), Name { answer: sender, is_under_way: false });
        Some(answer)
    }

    /// Whether names are waiting.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// The next name to look up, one app after another; what nobody waits for any more is forgotten.
    pub(crate) fn next(&mut self) -> Option<Lookup> {
        let idle = AT_ONCE.saturating_sub(self.under_way);
        let after = (Bound::Excluded(self.served_last), Bound::Unbounded);
        let circle: Vec<AppId> =
            self.apps.range(after).chain(self.apps.range(..=self.served_last)).map(|(app, _)| *app).collect();
        let next = circle.into_iter().find_map(|app| {
            let places = self.apps.get_mut(&app)?;
            let name = if may_take(places.under_way, idle) { self.take(app)? } else { return None };
            Some(Lookup { name, app })
        });
        if let Some(lookup) = &next {
            self.served_last = lookup.app;
        }
        self.apps.retain(|_, places| places.under_way > 0 || !places.waiting.is_empty());
        next
    }

    /// Tells everybody who waits what a lookup came to, and gives its place back.
    pub(crate) fn finish(&mut self, lookup: &Lookup, found: Found) {
        self.under_way = self.under_way.saturating_sub(1);
        if let Some(places) = self.apps.get_mut(&lookup.app) {
            places.under_way = places.under_way.saturating_sub(1);
        }
        if let Some(name) = self.names.get_mut(&lookup.name) {
            name.is_under_way = false;
            name.answer.send_replace(Some(found));
        }
    }

    /// Takes the first name of an app that is still wanted out of its queue.
    fn take(&mut self, app: AppId) -> Option<Arc<str>> {
        let places = self.apps.get_mut(&app)?;
        while let Some(waiting) = places.waiting.pop_front() {
            self.waiting -= 1;
            let Some(name) = self.names.get_mut(&waiting) else { continue };
            if name.is_abandoned() {
                self.names.remove(&waiting);
            } else if name.is_waiting() {
                name.is_under_way = true;
                places.under_way += 1;
                self.under_way += 1;
                return Some(waiting);
            }
        }
        None
    }

    /// Puts a name into an app's queue; says whether it is there.
    fn wait(&mut self, name: &str, app: AppId) -> bool {
        let held = |lookups: &Lookups| lookups.apps.get(&app).map_or(0, |places| places.waiting.len());
        if !may_take(held(self), WAITING_MAX - self.waiting) {
            self.forget_abandoned();
        }
        if self.apps.get(&app).is_some_and(|places| places.waiting.iter().any(|one| &**one == name)) {
            return true;
        }
        if !may_take(held(self), WAITING_MAX - self.waiting) {
            return false;
        }
        self.apps.entry(app).or_default().waiting.push_back(Arc::from(name));
        self.waiting += 1;
        true
    }

    /// Gives back the places of those who have gone away.
    fn forget_abandoned(&mut self) {
        let names = &mut self.names;
        for places in self.apps.values_mut() {
            places.waiting.retain(|one| names.get(one).is_some_and(|name| !name.is_abandoned()));
        }
        names.retain(|_, name| !name.is_abandoned());
        self.waiting = self.apps.values().map(|places| places.waiting.len()).sum();
    }

    /// Forgets answers that are no longer fresh when there are too many names, and then the one that is the least so.
    fn make_room(&mut self, now: Instant) {
        if self.names.len() < NAMES_MAX {
            return;
        }
        self.names.retain(|_, name| name.until().is_none_or(|until| now < until));
        if self.names.len() >= NAMES_MAX {
            let until = |(name, known): (&Arc<str>, &Name)| Some((known.until()?, Arc::clone(name)));
            let oldest = self.names.iter().filter_map(until).min_by_key(|(until, _)| *until);
            oldest.map(|(_, name)| self.names.remove(&name));
        }
    }

    /// How many names are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// Whether one more place may be taken by who holds so many while so many are free.
fn may_take(held: usize, free: usize) -> bool {
    held < free
}

#[cfg(test)]
mod tests;
