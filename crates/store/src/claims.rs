//! Claiming: which due deliveries may be attempted now, fairly between endpoints, and what they consist of.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use model::endpoint::{Endpoint, EndpointState, Format};
use model::event::{Event, EventType};
use model::id::{AccountId, AppId, DeliveryId, EndpointId, EventId, ReceiptId};
use model::time::Timestamp;

use crate::Inner;
use crate::db::Tx;
use crate::digest::check_of;
use crate::error::Error;
use crate::leases::Lease;
use crate::routing::Routing;
use crate::value::{Row, Value};

/// How many endpoints are looked up at a time.
const ENDPOINTS_A_PAGE: usize = 256;
/// The most pages one claim reads: paused endpoints with something due must not hide the others.
const PAGES_MAX: u32 = 64;
/// How many endpoints are asked for their due deliveries at a time.
const ENDPOINTS_AT_ONCE: usize = 16;
/// How many rows beyond those under way may be leased without the caller's knowing: claimed or recorded just now.
const LOOK_PAST: u16 = 64;

/// How much of each endpoint is under way: attempts in all, and retries among them.
pub type Busy = HashMap<EndpointId, (u16, u16)>;

/// One delivery that is ours to attempt.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The right to attempt it.
    pub lease: Lease,
    /// Which delivery.
    pub id: DeliveryId,
    /// To whom, as configured when it was claimed.
    pub endpoint: Arc<Endpoint>,
    /// What is owed.
    pub event: Event,
    /// The line it stands at the head of.
    pub line: Option<i64>,
    /// How many attempts were made before.
    pub attempts: u32,
    /// The request the event came in, where the content is the body or the endpoint wants the original bytes.
    pub original: Option<Original>,
    /// Why it must not be signed: a stored byte has changed.
    pub damaged: bool,
}

/// The request an event came in, byte for byte.
#[derive(Clone, Debug)]
pub struct Original {
    /// The media type it was sent with.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
    /// Where something of the event's app came in it. Read for endpoints of format `platform` only.
    pub places: Vec<Place>,
}

/// Where the events of an app came in a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// On which account, if on any.
    pub account: Option<AccountId>,
    /// What the platform calls the account; empty where there is none.
    pub address: String,
}

/// What a claim may take.
pub(crate) struct Wanted {
    pub(crate) routing: Arc<Routing>,
    pub(crate) busy: Busy,
    pub(crate) limit: usize,
    pub(crate) token: i64,
    pub(crate) now: Timestamp,
    /// The same moment by the steady clock.
    pub(crate) steady: Duration,
    pub(crate) lease: Duration,
}

impl Wanted {
    /// On an embedded store: leases in memory, nothing is written.
    pub(crate) async fn take_in_memory(&self, tx: &mut Tx, inner: &Inner) -> Result<Vec<Claimed>, Error> {
        let mut claim = inner.leases.begin();
        let taken = self
            .pick(tx, inner, |row| claim.take(row, self.token, self.steady + self.lease, self.steady))
            .await?;
        let claimed = load(tx, taken, self.token).await?;
        claim.keep();
        Ok(claimed)
    }

    /// With several nodes: the lease is in the row. What another node is taking at this moment is left to it.
    pub(crate) async fn take_in_rows(&self, tx: &mut Tx, inner: &Inner) -> Result<Vec<Claimed>, Error> {
        let picked = self.pick(tx, inner, |_| true).await?;
        let sql = "UPDATE deliveries SET state = 1, due_at = ?3, lease = ?4 WHERE id =
            (SELECT id FROM deliveries WHERE id = ?1 AND due_at <= ?2 FOR UPDATE SKIP LOCKED)";
        let args = |one: &Taken| {
            vec![one.id.into(), self.now.into(), self.now.plus(self.lease).into(), Value::Int(self.token)]
        };
        let touched = tx.execute_many(sql, &picked.iter().map(args).collect::<Vec<_>>()).await?;
        let ours = picked.into_iter().zip(touched).filter(|(_, touched)| *touched == 1);
        load(tx, ours.map(|(one, _)| one).collect(), self.token).await
    }

    /// Chooses among what is due, endpoint by endpoint, from the one after the last that was served.
    async fn pick(
        &self,
        tx: &mut Tx,
        inner: &Inner,
        mut take: impl FnMut(i64) -> bool,
    ) -> Result<Vec<Taken>, Error> {
        let sql = "SELECT id, event, line, attempts, due_at FROM deliveries
            WHERE endpoint = ?1 AND retrying = ?2 AND due_at <= ?3 AND due_at IS NOT NULL
            ORDER BY due_at, id LIMIT ?4";
        let shares = self.shares(tx, inner.claimed_last.load(Ordering::Relaxed)).await?;
        let mut taken = Vec::new();
        for some in shares.chunks(ENDPOINTS_AT_ONCE) {
            let asked: Vec<Vec<Value>> = some.iter().flat_map(|share| self.asked(share, inner)).collect();
            let found = tx.fetch_many(sql, &asked).await?;
            for (share, lists) in some.iter().zip(found.chunks(2)) {
                if taken.len() == self.limit {
                    return Ok(taken);
                }
                let [retries, firsts] = lists else { continue };
                share.choose([retries, firsts], self.limit, &mut taken, &mut take)?;
                inner.claimed_last.store(share.endpoint.id.raw(), Ordering::Relaxed);
            }
        }
        Ok(taken)
    }

    fn asked(&self, share: &Share, inner: &Inner) -> [Vec<Value>; 2] {
        // On an embedded store what is under way is still due in the table: look past it.
        let under_way = if inner.db.is_embedded() {
            inner.leases.count().min(usize::from(share.under_way + LOOK_PAST)) as i64
        } else {
            0
        };
        let list = |retrying: i64, most: u16| {
            let look = i64::from(most) + under_way;
            vec![share.endpoint.id.into(), Value::Int(retrying), self.now.into(), Value::Int(look)]
        };
        [list(1, share.retries), list(0, share.free)]
    }

    /// The enabled endpoints with something due and room for it, once round the circle of ids.
    async fn shares(&self, tx: &mut Tx, last: i64) -> Result<Vec<Share>, Error> {
        let mut shares = Vec::new();
        let (mut after, mut has_wrapped) = (last, false);
        for _ in 0..PAGES_MAX {
            let page = due_endpoints(tx, after).await?;
            for id in page.iter().filter(|id| !has_wrapped || id.raw() <= last) {
                let enabled =
                    self.routing.endpoint(*id).filter(|found| found.state == EndpointState::Enabled);
                shares
                    .extend(enabled.map(|found| Share::of(found, &self.busy)).filter(|share| share.free > 0));
            }
            after = page.last().map_or(i64::MAX, |id| id.raw());
            let is_last_page = page.len() < ENDPOINTS_A_PAGE;
            if shares.len() >= ENDPOINTS_A_PAGE || (has_wrapped && (is_last_page || after > last)) {
                break;
            }
            if is_last_page {
                (after, has_wrapped) = (i64::MIN, true);
            }
        }
        Ok(shares)
    }
}

/// The next endpoints with something due. Walks the index from endpoint to endpoint: its cost is their number, not
/// that of deliveries.
async fn due_endpoints(tx: &mut Tx, after: i64) -> Result<Vec<EndpointId>, Error> {
    let sql = "WITH RECURSIVE due (endpoint) AS (
            SELECT (SELECT min(endpoint) FROM deliveries WHERE due_at IS NOT NULL AND endpoint > ?1)
            UNION ALL
            SELECT (SELECT min(endpoint) FROM deliveries WHERE due_at IS NOT NULL AND endpoint > due.endpoint)
            FROM due WHERE due.endpoint IS NOT NULL)
        SELECT endpoint FROM due WHERE endpoint IS NOT NULL LIMIT ?2";
    let rows = tx.fetch_all(sql, &[Value::Int(after), Value::Int(ENDPOINTS_A_PAGE as i64)]).await?;
    rows.iter().map(|row| row.id(0)).collect()
}

/// How much one endpoint may still take.
struct Share {
    endpoint: Arc<Endpoint>,
    under_way: u16,
    free: u16,
    /// How much of it retries may take: at most half of all that is under way, so that first attempts have the rest.
    retries: u16,
}

impl Share {
    fn of(endpoint: &Arc<Endpoint>, busy: &Busy) -> Share {
        let (under_way, retries) = busy.get(&endpoint.id).copied().unwrap_or_default();
        let free = endpoint.concurrency.saturating_sub(under_way);
        let retry_share = (endpoint.concurrency / 2).max(1);
        let retries = retry_share.saturating_sub(retries).min(free);
        Share { endpoint: Arc::clone(endpoint), under_way, free, retries }
    }

    /// Takes retries up to their share, then first attempts. Where there is one place only, who is due longest has it.
    fn choose(
        &self,
        [retries, firsts]: [&[Row]; 2],
        limit: usize,
        taken: &mut Vec<Taken>,
        take: &mut impl FnMut(i64) -> bool,
    ) -> Result<(), Error> {
        let due = |rows: &[Row]| rows.first().map_or(Ok(i64::MAX), |row| row.int(4));
        let mut lists = [(retries, self.retries), (firsts, self.free)];
        if self.endpoint.concurrency == 1 && due(firsts)? < due(retries)? {
            lists.reverse();
        }
        let mut room = usize::from(self.free).min(limit - taken.len());
        for (rows, share) in lists {
            let mut share = usize::from(share).min(room);
            for row in rows {
                if share > 0 && take(row.int(0)?) {
                    taken.push(Taken::read(row, &self.endpoint)?);
                    (share, room) = (share - 1, room - 1);
                }
            }
        }
        Ok(())
    }
}

/// A delivery under a lease, before its event has been read.
struct Taken {
    id: DeliveryId,
    event: EventId,
    line: Option<i64>,
    attempts: u32,
    endpoint: Arc<Endpoint>,
}

impl Taken {
    fn read(row: &Row, endpoint: &Arc<Endpoint>) -> Result<Taken, Error> {
        Ok(Taken {
            id: row.id(0)?,
            event: row.id(1)?,
            line: row.opt_int(2)?,
            attempts: u32::try_from(row.int(3)?).unwrap_or(u32::MAX),
            endpoint: Arc::clone(endpoint),
        })
    }
}

/// Reads what is owed. An event that is gone, or that differs from what was stored, is marked damaged: whoever claims
/// it must be able to set it aside.
async fn load(tx: &mut Tx, taken: Vec<Taken>, token: i64) -> Result<Vec<Claimed>, Error> {
    let sql = "SELECT id, app, source, account, conversation, receipt, event_type, occurred_at, content, content_check
        FROM events WHERE id = ?1";
    let asked: Vec<Vec<Value>> = taken.iter().map(|one| vec![one.event.into()]).collect();
    let events = tx.fetch_many(sql, &asked).await?;
    let mut claimed = Vec::with_capacity(taken.len());
    for (one, rows) in taken.into_iter().zip(events) {
        let read = rows.first().and_then(|row| event(row).ok());
        let (event, mut is_intact) = read.unwrap_or_else(|| (unreadable(one.event, &one.endpoint), false));
        let original = original_of(tx, &event, one.endpoint.format).await?;
        is_intact &=
            original.as_ref().is_none_or(|read| read.as_ref().is_ok_and(|(_, is_intact)| *is_intact));
        claimed.push(Claimed {
            lease: Lease { token },
            id: one.id,
            endpoint: one.endpoint,
            event,
            line: one.line,
            attempts: one.attempts,
            original: original.and_then(Result::ok).map(|(original, _)| original),
            damaged: !is_intact,
        });
    }
    Ok(claimed)
}

/// Stands for an event that cannot be read.
fn unreadable(id: EventId, endpoint: &Endpoint) -> Event {
    Event {
        id,
        app: endpoint.app,
        source: None,
        account: None,
        conversation: None,
        receipt: None,
        event_type: EventType::from_foreign("unreadable", ""),
        occurred_at: id.made_at(),
        content: None,
    }
}

pub(crate) fn event(row: &Row) -> Result<(Event, bool), Error> {
    let id: EventId = row.id(0)?;
    let content = row.opt_text(8)?;
    let intact = content
        .as_ref()
        .is_none_or(|content| row.int(9).is_ok_and(|check| check == check_of(content.as_bytes())));
    let event = Event {
        id,
        app: row.id(1)?,
        source: row.opt_id(2)?,
        account: row.opt_id(3)?,
        conversation: row.opt_id(4)?,
        receipt: row.opt_id(5)?,
        event_type: EventType::new(row.text(6)?)
            .ok_or_else(|| Error::Corrupt(format!("events.event_type of {id}")))?,
        occurred_at: row.time(7)?,
        content,
    };
    Ok((event, intact))
}

/// The request an event came in, where it is wanted and still kept.
async fn original_of(
    tx: &mut Tx,
    event: &Event,
    format: Format,
) -> Result<Option<Result<(Original, bool), Error>>, Error> {
    let is_passed_on = format == Format::Platform;
    let Some(receipt) = event.receipt.filter(|_| is_passed_on || event.content.is_none()) else {
        return Ok(None);
    };
    let sql = "SELECT headers, body, body_check FROM bodies WHERE id = ?1";
    let Some(row) = tx.fetch_one(sql, &[receipt.into()]).await? else {
        return Ok(None);
    };
    let places = if is_passed_on { places_of(tx, receipt, event.app).await? } else { Vec::new() };
    Ok(Some(original(&row, places)))
}

/// Reads the addresses too: the configuration in memory may not know an account yet that this very request has brought.
async fn places_of(tx: &mut Tx, receipt: ReceiptId, app: AppId) -> Result<Vec<Place>, Error> {
    let sql = "SELECT account, (SELECT address FROM accounts WHERE id = came.account)
        FROM (SELECT DISTINCT account FROM events WHERE receipt = ?1 AND app = ?2) AS came";
    let rows = tx.fetch_all(sql, &[receipt.into(), app.into()]).await?;
    let place =
        |row: &Row| Ok(Place { account: row.opt_id(0)?, address: row.opt_text(1)?.unwrap_or_default() });
    rows.iter().map(place).collect()
}

fn original(row: &Row, places: Vec<Place>) -> Result<(Original, bool), Error> {
    let headers = row.text(0)?;
    let content_type = headers
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .map(|(_, value)| value.to_owned());
    let body = Bytes::copy_from_slice(row.bytes(1)?);
    let is_intact = check_of(&body) == row.int(2)?;
    Ok((Original { content_type, body, places }, is_intact))
}
