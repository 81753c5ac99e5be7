//! What an embedded store reads ahead: due deliveries under lease, before there is room for them.
//!
//! Leases live in memory there, so a look at the table costs nothing but itself. One look for many deliveries costs
//! hardly more than one look for each (ADR 6 has the measurement).

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::endpoint::Endpoint;
use model::id::{DeliveryId, EndpointId};
use model::time::Timestamp;

use crate::Inner;
use crate::claims::Claimed;
use crate::error::Error;
use crate::leases::Leases;
use crate::look::{Found, Look, Places};
use crate::room::{Kind, Room, Wish};

/// How many deliveries may be read ahead in all.
const AHEAD_MAX: usize = 1_024;
/// How many bytes of them are held, give or take what is loaded at once.
const AHEAD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many endpoints are looked at for what was announced to them.
const PLACES_MAX: usize = 256;
/// How often everything is looked at: what becomes due by the clock is announced by nobody.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The moment of a claim, by both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) steady: Duration,
}

/// What was read ahead, and where there may be more.
#[derive(Default)]
pub(crate) struct Ahead(Mutex<Known>);

struct Known {
    /// Where something has become due since the last look.
    announced: HashSet<(EndpointId, Kind)>,
    /// From when on everything is to be looked at, by the steady clock.
    look_everywhere: Duration,
    lists: BTreeMap<EndpointId, Lists>,
    count: usize,
    bytes: usize,
    looked_last: EndpointId,
    served_last: EndpointId,
}

/// What is ready for one endpoint, as it was configured then.
struct Lists {
    endpoint: Arc<Endpoint>,
    retries: List,
    firsts: List,
}

#[derive(Default)]
struct List {
    ready: VecDeque<Ready>,
    /// The table had more.
    has_more: bool,
}

/// A delivery under lease that nobody attempts yet.
pub(crate) struct Ready {
    pub(crate) claimed: Claimed,
    pub(crate) since: Timestamp,
    pub(crate) bytes: usize,
}

/// Takes due deliveries: from what was read ahead, and from the table where that is at its end.
pub(crate) async fn claim(inner: &Arc<Inner>, wish: &Wish) -> Result<Vec<Claimed>, Error> {
    let moment = Moment { now: inner.clock.now(), steady: inner.clock.steady() };
    let token = inner.ids.next::<()>(moment.now).raw();
    let mut room = Room::of(inner.routing.current(), wish);
    let until = moment.steady + wish.lease;
    let mut claimed = inner.ahead.hand_out(&mut room, &inner.leases, until);
    let Some(look) = inner.ahead.look(&room, token, moment, wish.lease) else {
        return Ok(claimed);
    };
    let holder = Arc::clone(inner);
    let found = inner
        .db
        .read(move |tx| Box::pin(async move { Ok((look.run(tx, &holder.leases, &room).await?, room)) }));
    match found.await {
        Ok((found, mut room)) => {
            inner.ahead.put(found);
            claimed.extend(inner.ahead.hand_out(&mut room, &inner.leases, until));
            Ok(claimed)
        }
        Err(error) => {
            inner.ahead.look_everywhere();
            // What was handed out is under way, whatever became of the look.
            if claimed.is_empty() { Err(error) } else { Ok(claimed) }
        }
    }
}

impl Ahead {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has become due, nobody says where.
    pub(crate) fn look_everywhere(&self) {
        self.known().look_everywhere = Duration::ZERO;
    }

    /// Something has become due for these endpoints.
    pub(crate) fn announce(&self, due: &[(EndpointId, Kind)]) {
        self.known().announced.extend(due);
    }

    /// Gives up a delivery that was read ahead and is not under way yet.
    pub(crate) fn give_up(&self, id: DeliveryId, leases: &Leases) {
        let mut known = self.known();
        let Known { lists, count, bytes, .. } = &mut *known;
        for list in lists.values_mut().flat_map(|lists| [&mut lists.retries, &mut lists.firsts]) {
            let at = list.ready.iter().position(|ready| ready.claimed.id == id);
            if let Some(ready) = at.and_then(|at| list.ready.remove(at)) {
                (*count, *bytes) = (*count - 1, *bytes - ready.bytes);
                ready.release(leases);
            }
        }
    }

    fn put(&self, found: Found) {
        let mut known = self.known();
        known.looked_last = found.looked_last.unwrap_or(known.looked_last);
        if !found.is_whole {
            known.look_everywhere = Duration::ZERO;
        }
        for stock in found.stocks {
            known.count += stock.ready.len();
            known.bytes += stock.ready.iter().map(|ready| ready.bytes).sum::<usize>();
            let lists = known.lists.entry(stock.endpoint.id).or_insert_with(|| Lists::of(stock.endpoint));
            let list = lists.list(stock.kind);
            list.ready.extend(stock.ready);
            list.has_more |= stock.has_more;
        }
    }

    /// Hands out what is ready, endpoint by endpoint, from the one after the last that was served.
    fn hand_out(&self, room: &mut Room, leases: &Leases, until: Duration) -> Vec<Claimed> {
        let mut known = self.known();
        let mut claimed = Vec::new();
        for _ in 0..known.lists.len() {
            let later = known.lists.range((Bound::Excluded(known.served_last), Bound::Unbounded)).next();
            let next = later.or(known.lists.first_key_value()).map(|(id, _)| *id);
            let Some(id) = next.filter(|_| room.left > 0) else { break };
            known.served_last = id;
            claimed.extend(known.serve(id, room, leases, until));
        }
        claimed
    }

    /// Where the table is to be looked at now, if anywhere.
    fn look(&self, room: &Room, token: i64, moment: Moment, lease: Duration) -> Option<Look> {
        let mut known = self.known();
        let places = known.places(room, moment.steady)?;
        Some(Look {
            places,
            spare: AHEAD_MAX.saturating_sub(known.count),
            spare_bytes: AHEAD_BYTES_MAX.saturating_sub(known.bytes),
            token,
            moment,
            lease,
        })
    }
}

impl Default for Known {
    fn default() -> Known {
        Known {
            announced: HashSet::new(),
            look_everywhere: Duration::ZERO,
            lists: BTreeMap::new(),
            count: 0,
            bytes: 0,
            looked_last: EndpointId::from_raw(0),
            served_last: EndpointId::from_raw(0),
        }
    }
}

impl Known {
    fn places(&mut self, room: &Room, steady: Duration) -> Option<Places> {
        if room.left == 0 {
            return None;
        }
        let has_room = |id| room.share(id).is_some_and(|share| share.free > 0);
        let Known { announced, lists, .. } = self;
        let is_wanted = |place: &(EndpointId, Kind)| !is_full(lists, place) && has_room(place.0);
        if steady >= self.look_everywhere {
            self.look_everywhere = steady + LOOK_EVERY;
            announced.retain(|place| !is_wanted(place));
            let full = lists.iter().flat_map(|(id, lists)| lists.full().map(|kind| (*id, kind))).collect();
            return Some(Places::All { after: self.looked_last, full });
        }
        // An endpoint that takes nothing now is looked at when its configuration changes.
        announced.retain(|(id, _)| room.share(*id).is_some());
        let these: Vec<_> =
            announced.iter().filter(|place| is_wanted(place)).take(PLACES_MAX).copied().collect();
        announced.retain(|place| !these.contains(place));
        (!these.is_empty()).then_some(Places::These(these))
    }

    fn serve(&mut self, id: EndpointId, room: &mut Room, leases: &Leases, until: Duration) -> Vec<Claimed> {
        let share = room.share(id);
        if share.as_ref().is_some_and(|share| share.free == 0) {
            return Vec::new();
        }
        let Some(mut lists) = self.lists.remove(&id) else { return Vec::new() };
        let Some(share) = share.filter(|share| Arc::ptr_eq(&share.endpoint, &lists.endpoint)) else {
            // Paused, removed or changed meanwhile.
            self.drop_all(lists, leases);
            return Vec::new();
        };
        let Known { count, bytes, .. } = self;
        let since = Kind::BOTH.map(|kind| lists.list(kind).ready.front().map(|ready| ready.since));
        let chosen = share.choose(since, |kind| {
            let list = lists.list(kind);
            std::iter::from_fn(|| list.ready.pop_front()).find(|ready| {
                (*count, *bytes) = (*count - 1, *bytes - ready.bytes);
                let (row, token) = (ready.claimed.id.raw(), ready.claimed.lease.token);
                leases.shorten(row, token, until) || {
                    leases.release(row, token);
                    false
                }
            })
        });
        for kind in Kind::BOTH {
            let list = lists.list(kind);
            if list.ready.is_empty() && std::mem::take(&mut list.has_more) {
                self.announced.insert((id, kind));
            }
        }
        if lists.full().next().is_some() {
            self.lists.insert(id, lists);
        }
        let taken = chosen.into_iter().map(|(kind, ready)| {
            room.take(&ready.claimed.endpoint, kind);
            ready.claimed
        });
        taken.collect()
    }

    fn drop_all(&mut self, lists: Lists, leases: &Leases) {
        self.announced.extend(Kind::BOTH.map(|kind| (lists.endpoint.id, kind)));
        for ready in lists.retries.ready.into_iter().chain(lists.firsts.ready) {
            (self.count, self.bytes) = (self.count - 1, self.bytes - ready.bytes);
            ready.release(leases);
        }
    }
}

/// Whether something of this kind is ready for this endpoint.
fn is_full(lists: &BTreeMap<EndpointId, Lists>, (id, kind): &(EndpointId, Kind)) -> bool {
    lists.get(id).is_some_and(|lists| lists.full().any(|full| full == *kind))
}

impl Lists {
    fn of(endpoint: Arc<Endpoint>) -> Lists {
        Lists { endpoint, retries: List::default(), firsts: List::default() }
    }

    fn list(&mut self, kind: Kind) -> &mut List {
        match kind {
            Kind::Retry => &mut self.retries,
            Kind::First => &mut self.firsts,
        }
    }

    /// The kinds of which something is ready.
    fn full(&self) -> impl Iterator<Item = Kind> {
        let lists = [(Kind::Retry, &self.retries), (Kind::First, &self.firsts)];
        lists.into_iter().filter(|(_, list)| !list.ready.is_empty()).map(|(kind, _)| kind)
    }
}

impl Ready {
    fn release(&self, leases: &Leases) {
        leases.release(self.claimed.id.raw(), self.claimed.lease.token);
    }
}
