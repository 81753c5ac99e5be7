//! Room: how much each endpoint, and each app, may still have under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::endpoint::{Endpoint, EndpointState};
use model::id::{AppId, EndpointId};
use model::time::Timestamp;

use crate::due::Asked;
use crate::routing::Routing;

/// How much of each endpoint is under way: attempts in all, and retries among them.
pub type Busy = HashMap<EndpointId, (u16, u16)>;

/// What a claim may take.
#[derive(Clone, Debug)]
pub struct Wish {
    /// How many deliveries at most.
    pub limit: usize,
    /// How many one app may have under way at most, while others have endpoints too.
    pub per_app: usize,
    /// What is under way.
    pub busy: Busy,
    /// How long they are the caller's.
    pub lease: Duration,
}

impl Wish {
    /// A wish for so many deliveries with nothing under way, and no bound for an app.
    pub fn new(limit: usize, lease: Duration) -> Wish {
        Wish { limit, per_app: usize::MAX, busy: Busy::new(), lease }
    }
}

/// Whether a delivery was attempted before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    Retry,
    First,
}

impl Kind {
    pub(crate) const BOTH: [Kind; 2] = [Kind::Retry, Kind::First];

    /// As the column `retrying` has it.
    pub(crate) fn code(self) -> i64 {
        i64::from(self == Kind::Retry)
    }
}

/// What is left of a wish while it is fulfilled.
pub(crate) struct Room {
    pub(crate) routing: Arc<Routing>,
    busy: Busy,
    /// What each app has under way.
    apps: HashMap<AppId, usize>,
    per_app: usize,
    /// How many deliveries may still be taken.
    pub(crate) left: usize,
}

impl Room {
    pub(crate) fn of(routing: Arc<Routing>, wish: &Wish) -> Room {
        let mut apps: HashMap<AppId, usize> = HashMap::new();
        for (id, (under_way, _)) in &wish.busy {
            if let Some(endpoint) = routing.endpoint(*id) {
                *apps.entry(endpoint.app).or_default() += usize::from(*under_way);
            }
        }
        let per_app = if routing.is_of_one_app() { usize::MAX } else { wish.per_app.max(1) };
        Room { routing, busy: wish.busy.clone(), apps, per_app, left: wish.limit }
    }

    /// What an endpoint may take now. None if it takes nothing at all: it is paused, disabled or gone.
    pub(crate) fn share(&self, id: EndpointId) -> Option<Share> {
        let endpoint = self.routing.endpoint(id).filter(|found| found.state == EndpointState::Enabled)?;
        let (under_way, retrying) = self.busy.get(&id).copied().unwrap_or_default();
        let of_app = self.apps.get(&endpoint.app).copied().unwrap_or_default();
        let free = usize::from(endpoint.concurrency.saturating_sub(under_way))
            .min(self.per_app.saturating_sub(of_app))
            .min(self.left);
        // At most half of all that is under way, so that first attempts have the rest.
        let retry_share = (endpoint.concurrency / 2).max(1);
        let retries = usize::from(retry_share.saturating_sub(retrying)).min(free);
        Some(Share { endpoint: Arc::clone(endpoint), under_way, free, retries })
    }

    /// Something of an endpoint is under way from now on.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, kind: Kind) {
        let (under_way, retrying) = self.busy.entry(endpoint.id).or_default();
        *under_way = under_way.saturating_add(1);
        *retrying = retrying.saturating_add(u16::from(kind == Kind::Retry));
        *self.apps.entry(endpoint.app).or_default() += 1;
        self.left = self.left.saturating_sub(1);
    }
}

/// How much one endpoint may still take.
pub(crate) struct Share {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) under_way: u16,
    pub(crate) free: usize,
    retries: usize,
}

impl Share {
    /// How many of a kind it may take at most.
    pub(crate) fn of(&self, kind: Kind) -> usize {
        match kind {
            Kind::Retry => self.retries,
            Kind::First => self.free,
        }
    }

    /// What is asked of the table: as much of a kind as it may take, and some more.
    pub(crate) fn asked(&self, kind: Kind, more: usize) -> Asked {
        Asked { endpoint: Arc::clone(&self.endpoint), kind, most: self.of(kind) + more }
    }

    /// Takes retries up to their share, then first attempts. Where there is one place only, who is due longest has it:
    /// `since` says from when on the first of each kind is due.
    pub(crate) fn choose<T>(
        &self,
        since: [Option<Timestamp>; 2],
        mut next: impl FnMut(Kind) -> Option<T>,
    ) -> Vec<(Kind, T)> {
        let mut kinds = Kind::BOTH;
        let [retry, first] = since.map(|due_at| due_at.unwrap_or(Timestamp::MAX));
        if self.endpoint.concurrency == 1 && first < retry {
            kinds.reverse();
        }
        let mut chosen = Vec::new();
        for kind in kinds {
            let most = self.of(kind).min(self.free - chosen.len());
            chosen.extend(std::iter::from_fn(|| next(kind)).take(most).map(|taken| (kind, taken)));
        }
        chosen
    }
}
