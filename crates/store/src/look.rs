//! One look at the table for due deliveries, which may bring more of them than there is room for.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::endpoint::Endpoint;
use model::id::EndpointId;

use crate::ahead::{Moment, Ready};
use crate::claims;
use crate::db::Tx;
use crate::due::{self, Asked, Due};
use crate::error::Error;
use crate::leases::{ClaimUnderWay, Leases};
use crate::room::{Kind, Room, Share};

/// How many deliveries of one kind are read for an endpoint beyond those it has room for.
const AHEAD: usize = 128;
/// How many endpoints are asked at a time.
const ASKED_AT_ONCE: usize = 32;
/// How many events are read at a time.
const LOADED_AT_ONCE: usize = 8;
/// How many rows beyond those under way may be leased without the caller's knowing: claimed or recorded just now.
const LOOK_PAST: usize = 64;

/// Where to look.
pub(crate) enum Places {
    /// At all endpoints, from the one after, but for what they have plenty of.
    All { after: EndpointId, full: HashSet<(EndpointId, Kind)> },
    /// At these.
    These(Vec<(EndpointId, Kind)>),
}

/// A look to be taken.
pub(crate) struct Look {
    pub(crate) places: Places,
    /// How many deliveries it may bring beyond those there is room for, and how many bytes of them.
    pub(crate) spare: usize,
    pub(crate) spare_bytes: usize,
    pub(crate) token: i64,
    pub(crate) moment: Moment,
    pub(crate) lease: Duration,
}

/// What it has brought.
pub(crate) struct Found {
    pub(crate) stocks: Vec<Stock>,
    pub(crate) looked_last: Option<EndpointId>,
    /// Whether it went all the way round.
    pub(crate) is_whole: bool,
}

/// What was found for one endpoint of one kind.
pub(crate) struct Stock {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) kind: Kind,
    pub(crate) ready: Vec<Ready>,
    /// Whether there may be more in the table.
    pub(crate) has_more: bool,
}

impl Look {
    /// Looks, and takes leases on what it finds.
    pub(crate) async fn run(mut self, tx: &mut Tx, leases: &Leases, room: &Room) -> Result<Found, Error> {
        // Comes before the first look at the table.
        let mut claim = leases.begin();
        let mut found = Found { stocks: Vec::new(), looked_last: None, is_whole: true };
        let wanted = self.wanted(tx, room, &mut found).await?;
        for some in wanted.chunks(ASKED_AT_ONCE) {
            let asked: Vec<Asked> =
                some.iter().map(|(share, kind)| self.asked(share, *kind, leases.count())).collect();
            for ((share, kind), (asked, rows)) in
                some.iter().zip(asked.iter().zip(due::rows(tx, &asked, self.moment.now).await?))
            {
                let may_be_more = rows.len() >= asked.most;
                let mut stock = self.stock(tx, &mut claim, (share, *kind), rows).await?;
                stock.has_more |= may_be_more;
                found.stocks.push(stock);
            }
        }
        claim.keep();
        Ok(found)
    }

    /// Endpoints and kinds of which something is wanted.
    async fn wanted(
        &mut self,
        tx: &mut Tx,
        room: &Room,
        found: &mut Found,
    ) -> Result<Vec<(Share, Kind)>, Error> {
        let places = match &self.places {
            Places::These(places) => places.clone(),
            Places::All { after, full } => {
                let round = due::round(tx, room, *after).await?;
                found.is_whole = round.is_whole;
                found.looked_last = round.shares.last().map(|share| share.endpoint.id);
                let ids = round.shares.iter().map(|share| share.endpoint.id);
                ids.flat_map(|id| Kind::BOTH.map(|kind| (id, kind)))
                    .filter(|place| !full.contains(place))
                    .collect()
            }
        };
        Ok(places.into_iter().filter_map(|(id, kind)| Some((room.share(id)?, kind))).collect())
    }

    fn asked(&self, share: &Share, kind: Kind, held: usize) -> Asked {
        // What is under way is still due in the table: it is looked past.
        let past = held.min(usize::from(share.under_way) + LOOK_PAST);
        share.asked(kind, AHEAD.min(self.spare) + past)
    }

    async fn stock(
        &mut self,
        tx: &mut Tx,
        claim: &mut ClaimUnderWay<'_>,
        (share, kind): (&Share, Kind),
        rows: Vec<Due>,
    ) -> Result<Stock, Error> {
        let at_once = share.of(kind);
        let most = at_once + AHEAD.min(self.spare);
        // Those that must wait are held long enough for whoever takes them at the last moment.
        let until = self.moment.steady + self.lease * 2;
        let free =
            rows.into_iter().filter(|row| claim.take(row.id.raw(), self.token, until, self.moment.steady));
        let taken: Vec<Due> = free.take(most).collect();
        self.spare -= taken.len().saturating_sub(at_once);
        let has_more = taken.len() == most;
        let mut stock = Stock { endpoint: Arc::clone(&share.endpoint), kind, ready: Vec::new(), has_more };
        for some in taken.chunks(LOADED_AT_ONCE) {
            if stock.ready.len() >= at_once && self.spare_bytes == 0 {
                some.iter().for_each(|row| claim.give_back(row.id.raw(), self.token));
                stock.has_more = true;
                continue;
            }
            for (row, claimed) in some.iter().zip(claims::load(tx, some, self.token).await?) {
                let bytes = claimed.bytes();
                self.spare_bytes = self.spare_bytes.saturating_sub(bytes);
                stock.ready.push(Ready { claimed, since: row.since, bytes });
            }
        }
        Ok(stock)
    }
}
