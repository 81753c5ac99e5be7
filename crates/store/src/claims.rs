//! Claiming: which due deliveries may be attempted now, fairly between endpoints, and what they consist of.

use std::collections::HashMap;
use std::sync::Arc;

use model::endpoint::{Endpoint, EndpointState, Format};
use model::event::{Event, EventType};
use model::id::{DeliveryId, EndpointId, EventId};
use model::time::Timestamp;

use crate::Inner;
use crate::db::Tx;
use crate::digest::check_of;
use crate::error::Error;
use crate::leases::Lease;
use crate::routing::Routing;
use crate::value::{Row, Value};

/// The most endpoints one claim looks at.
const ENDPOINTS_PER_CLAIM: i64 = 256;

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
    pub body: Vec<u8>,
}

/// What a claim may take.
pub(crate) struct Wanted {
    pub(crate) routing: Arc<Routing>,
    pub(crate) busy: Busy,
    pub(crate) now: Timestamp,
    pub(crate) until: Timestamp,
}

impl Wanted {
    /// The endpoints with something due, and how many first attempts and retries each may still take.
    async fn slots(&self, tx: &mut Tx) -> Result<Vec<(Arc<Endpoint>, u16, u16)>, Error> {
        // Walks the index from endpoint to endpoint: its cost is the number of endpoints, not of deliveries.
        let sql = "WITH RECURSIVE due (endpoint) AS (
                SELECT (SELECT min(endpoint) FROM deliveries WHERE due_at IS NOT NULL)
                UNION ALL
                SELECT (SELECT min(endpoint) FROM deliveries WHERE due_at IS NOT NULL AND endpoint > due.endpoint)
                FROM due WHERE due.endpoint IS NOT NULL)
            SELECT endpoint FROM due WHERE endpoint IS NOT NULL LIMIT ?1";
        let rows = tx.fetch_all(sql, &[Value::Int(ENDPOINTS_PER_CLAIM)]).await?;
        let mut slots = Vec::new();
        for row in &rows {
            let Some(endpoint) = self.routing.endpoint(row.id(0)?) else { continue };
            if endpoint.state != EndpointState::Enabled {
                continue;
            }
            let (all, retries) = self.busy.get(&endpoint.id).copied().unwrap_or_default();
            let free = endpoint.concurrency.saturating_sub(all);
            // First attempts have a share that retries cannot take.
            let retry_share = (endpoint.concurrency / 2).max(1);
            slots.push((Arc::clone(endpoint), free, retry_share.saturating_sub(retries).min(free)));
        }
        Ok(slots)
    }

    pub(crate) async fn take_in_memory(&self, tx: &mut Tx, inner: &Inner, limit: u32) -> Result<Vec<Claimed>, Error> {
        let sql = "SELECT id, event, line, attempts FROM deliveries
            WHERE endpoint = ?1 AND retrying = ?2 AND due_at <= ?3 AND due_at IS NOT NULL ORDER BY due_at LIMIT ?4";
        let claim = inner.leases.begin();
        let mut taken = Vec::new();
        for (endpoint, free, retries_free) in self.slots(tx).await? {
            let mut room = free.min(u16::try_from(limit as usize - taken.len()).unwrap_or(u16::MAX));
            for (retrying, share) in [(1, retries_free.min(room)), (0, room)] {
                let share = share.min(room);
                if share == 0 {
                    continue;
                }
                // Rows under way are still due in the table: look past them.
                let look = i64::from(share) + i64::from(self.busy.get(&endpoint.id).map_or(0, |busy| busy.0)) + 64;
                let args = [endpoint.id.into(), Value::Int(retrying), self.now.into(), Value::Int(look)];
                for row in tx.fetch_all(sql, &args).await? {
                    if room == 0 {
                        break;
                    }
                    let token = inner.ids.next::<()>(self.now).raw();
                    if claim.take(row.int(0)?, token, self.until, self.now) {
                        taken.push(Taken::read(&row, &endpoint, token)?);
                        room -= 1;
                    }
                }
            }
        }
        load(tx, taken).await
    }

    pub(crate) async fn take_in_rows(&self, tx: &mut Tx, token: i64, limit: u32) -> Result<Vec<Claimed>, Error> {
        let sql = "UPDATE deliveries SET state = 1, due_at = ?5, lease = ?6 WHERE id IN (
                SELECT id FROM deliveries WHERE endpoint = ?1 AND retrying = ?2 AND due_at <= ?3 AND due_at IS NOT NULL
                ORDER BY due_at LIMIT ?4 FOR UPDATE SKIP LOCKED)
            RETURNING id, event, line, attempts";
        let slots = self.slots(tx).await?;
        let mut room = i64::from(limit);
        let mut asked = Vec::new();
        let mut owners = Vec::new();
        for (endpoint, free, retries_free) in slots {
            let firsts = i64::from(free - retries_free.min(free / 2)).min(room);
            room -= firsts;
            let retries = i64::from(retries_free).min(i64::from(free) - firsts).min(room);
            room -= retries;
            for (retrying, share) in [(0, firsts), (1, retries)] {
                if share > 0 {
                    let args: Vec<Value> = vec![
                        endpoint.id.into(),
                        Value::Int(retrying),
                        self.now.into(),
                        Value::Int(share),
                        self.until.into(),
                        Value::Int(token),
                    ];
                    asked.push(args);
                    owners.push(Arc::clone(&endpoint));
                }
            }
        }
        let mut taken = Vec::new();
        for (endpoint, rows) in owners.iter().zip(tx.fetch_many(sql, &asked).await?) {
            for row in &rows {
                taken.push(Taken::read(row, endpoint, token)?);
            }
        }
        load(tx, taken).await
    }
}

/// A delivery under a lease, before its event has been read.
struct Taken {
    id: DeliveryId,
    event: EventId,
    line: Option<i64>,
    attempts: u32,
    endpoint: Arc<Endpoint>,
    token: i64,
}

impl Taken {
    fn read(row: &Row, endpoint: &Arc<Endpoint>, token: i64) -> Result<Taken, Error> {
        Ok(Taken {
            id: row.id(0)?,
            event: row.id(1)?,
            line: row.opt_int(2)?,
            attempts: u32::try_from(row.int(3)?).unwrap_or(u32::MAX),
            endpoint: Arc::clone(endpoint),
            token,
        })
    }
}

/// Reads what is owed. An event that is gone, or that differs from what was stored, is marked damaged.
async fn load(tx: &mut Tx, taken: Vec<Taken>) -> Result<Vec<Claimed>, Error> {
    let sql = "SELECT id, app, source, account, conversation, receipt, event_type, occurred_at, content, content_check
        FROM events WHERE id = ?1";
    let asked: Vec<Vec<Value>> = taken.iter().map(|one| vec![one.event.into()]).collect();
    let events = tx.fetch_many(sql, &asked).await?;
    let mut claimed = Vec::with_capacity(taken.len());
    for (one, rows) in taken.into_iter().zip(events) {
        let row = rows.first().ok_or_else(|| Error::Corrupt(format!("deliveries of {}: no event", one.id)))?;
        let (event, intact) = event(row)?;
        let wants_original = event.content.is_none() || one.endpoint.format == Format::Platform;
        let original = match event.receipt.filter(|_| wants_original) {
            Some(receipt) => original(tx, receipt.raw()).await?,
            None => None,
        };
        let intact = intact && original.as_ref().is_none_or(|(_, intact)| *intact);
        claimed.push(Claimed {
            lease: Lease { token: one.token },
            id: one.id,
            endpoint: one.endpoint,
            event,
            line: one.line,
            attempts: one.attempts,
            original: original.map(|(original, _)| original),
            damaged: !intact,
        });
    }
    Ok(claimed)
}

pub(crate) fn event(row: &Row) -> Result<(Event, bool), Error> {
    let id: EventId = row.id(0)?;
    let content = row.opt_text(8)?;
    let intact = content.as_ref().is_none_or(|content| row.int(9).is_ok_and(|check| check == check_of(content.as_bytes())));
    let event = Event {
        id,
        app: row.id(1)?,
        source: row.opt_id(2)?,
        account: row.opt_id(3)?,
        conversation: row.opt_id(4)?,
        receipt: row.opt_id(5)?,
        event_type: EventType::new(row.text(6)?).ok_or_else(|| Error::Corrupt(format!("events.event_type of {id}")))?,
        occurred_at: row.time(7)?,
        content,
    };
    Ok((event, intact))
}

async fn original(tx: &mut Tx, receipt: i64) -> Result<Option<(Original, bool)>, Error> {
    let sql = "SELECT headers, body, body_check FROM bodies WHERE id = ?1";
    let Some(row) = tx.fetch_one(sql, &[receipt.into()]).await? else { return Ok(None) };
    let headers = row.text(0)?;
    let content_type = headers
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .map(|(_, value)| value.to_owned());
    let body = row.bytes(1)?.to_vec();
    let intact = check_of(&body) == row.int(2)?;
    Ok(Some((Original { content_type, body }, intact)))
}

