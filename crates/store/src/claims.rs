//! Claiming: which due deliveries may be attempted now, fairly between endpoints, and what they consist of.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use model::endpoint::{Endpoint, Format};
use model::event::{Event, EventType};
use model::id::{AccountId, AppId, DeliveryId, EndpointId, EventId, ReceiptId};
use model::time::Timestamp;

use crate::Inner;
use crate::db::Tx;
use crate::digest::is_intact;
use crate::due::{self, Due};
use crate::error::Error;
use crate::leases::Lease;
pub use crate::room::{Busy, Wish};
use crate::room::{Kind, Room};
use crate::value::{Row, Value};

/// How many endpoints are asked for their due deliveries at a time.
const ENDPOINTS_AT_ONCE: usize = 16;

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

impl Claimed {
    /// How much memory its content takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let content = self.event.content.as_ref().map_or(0, |content| content.len());
        content + self.original.as_ref().map_or(0, |original| original.body.len() + original.headers.len())
    }
}

/// The request an event came in, byte for byte.
#[derive(Clone, Debug)]
pub struct Original {
    /// The headers that were kept, one `name: value` a line.
    pub headers: String,
    /// The body.
    pub body: Bytes,
    /// Where something of the event's app came in it. Read for endpoints of format `platform` only.
    pub places: Vec<Place>,
}

impl Original {
    /// The value of a header, if it was kept.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.headers.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Where the events of an app came in a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// On which account, if on any.
    pub account: Option<AccountId>,
    /// What the platform calls the account; empty where there is none.
    pub address: String,
}

/// With several nodes: the lease is in the row. What another node is taking at this moment is left to it.
pub(crate) async fn take_in_rows(tx: &mut Tx, inner: &Inner, wish: &Wish) -> Result<Vec<Claimed>, Error> {
    let now = inner.clock.now();
    let token = inner.ids.next::<()>(now).raw();
    let picked = pick(tx, inner, wish, now).await?;
    let sql = "UPDATE deliveries SET state = 1, due_at = ?3, lease = ?4 WHERE id =
        (SELECT id FROM deliveries WHERE id = ?1 AND due_at <= ?2 FOR UPDATE SKIP LOCKED)";
    let args = |one: &Due| vec![one.id.into(), now.into(), now.plus(wish.lease).into(), Value::Int(token)];
    let touched = tx.execute_many(sql, &picked.iter().map(args).collect::<Vec<_>>()).await?;
    let ours = picked.into_iter().zip(touched).filter(|(_, touched)| *touched == 1);
    load(tx, &ours.map(|(one, _)| one).collect::<Vec<_>>(), token).await
}

/// Chooses among what is due, endpoint by endpoint, from the one after the last that was served.
async fn pick(tx: &mut Tx, inner: &Inner, wish: &Wish, now: Timestamp) -> Result<Vec<Due>, Error> {
    let mut room = Room::of(inner.routing.current(), wish);
    let last = EndpointId::from_raw(inner.claimed_last.load(Ordering::Relaxed));
    let shares = due::round(tx, &room, last).await?.shares;
    let mut picked = Vec::new();
    for some in shares.chunks(ENDPOINTS_AT_ONCE) {
        let asked = some.iter().flat_map(|share| Kind::BOTH.map(|kind| share.asked(kind, 0)));
        let mut found = due::rows(tx, &asked.collect::<Vec<_>>(), now).await?.into_iter().map(VecDeque::from);
        for id in some.iter().map(|share| share.endpoint.id) {
            let (Some(mut retries), Some(mut firsts)) = (found.next(), found.next()) else { break };
            let Some(share) = room.share(id).filter(|_| room.left > 0) else { return Ok(picked) };
            let since = [retries.front(), firsts.front()].map(|due| Some(due?.since));
            let chosen = share.choose(since, |kind| match kind {
                Kind::Retry => retries.pop_front(),
                Kind::First => firsts.pop_front(),
            });
            chosen.iter().for_each(|(kind, _)| room.take(&share.endpoint, *kind));
            picked.extend(chosen.into_iter().map(|(_, due)| due));
            inner.claimed_last.store(id.raw(), Ordering::Relaxed);
        }
    }
    Ok(picked)
}

/// Reads what is owed. An event that is gone, or that differs from what was stored, is marked damaged: whoever claims
/// it must be able to set it aside.
pub(crate) async fn load(tx: &mut Tx, taken: &[Due], token: i64) -> Result<Vec<Claimed>, Error> {
    let sql = "SELECT id, app, source, account, conversation, receipt, event_type, occurred_at, content, content_check
        FROM events WHERE id = ?1";
    let asked: Vec<Vec<Value>> = taken.iter().map(|one| vec![one.event.into()]).collect();
    let events = tx.fetch_each(sql, &asked).await?;
    let mut claimed = Vec::with_capacity(taken.len());
    for (one, rows) in taken.iter().zip(events) {
        let read = rows.first().and_then(|row| event(row).ok());
        let (event, mut is_intact) = read.unwrap_or_else(|| (unreadable(one.event, &one.endpoint), false));
        let original = original_of(tx, &event, one.endpoint.format).await?;
        is_intact &=
            original.as_ref().is_none_or(|read| read.as_ref().is_ok_and(|(_, is_intact)| *is_intact));
        claimed.push(Claimed {
            lease: Lease { token },
            id: one.id,
            endpoint: Arc::clone(&one.endpoint),
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
        .is_none_or(|content| row.int(9).is_ok_and(|check| is_intact(content.as_bytes(), check)));
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
    let headers = row.text(0)?.to_owned();
    let body = Bytes::copy_from_slice(row.bytes(1)?);
    let is_intact = is_intact(&body, row.int(2)?);
    Ok((Original { headers, body, places }, is_intact))
}
