//! Deliveries: what is owed, where it stands, and what a person can do about it.

use std::sync::Arc;
use std::time::Duration;

use model::delivery::{Attempt, AttemptOf, Delivery, DeliveryState, Phases};
use model::id::{AppId, DeliveryId, EndpointId, EventId};
use model::page::{Page, PageRequest, Span};
use model::time::Timestamp;

use crate::ahead;
use crate::blocks::By;
use crate::claims::{self, Claimed, Wish};
use crate::db::Tx;
use crate::error::Error;
use crate::listing::{self, Listing};
use crate::records::{Recorded, promote};
use crate::value::{Row, Value};
use crate::{Queue, Store};

const COLUMNS: &str = "id, event, endpoint, state, attempts, due_at, last_error, replayed_by";
/// How long a cancellation keeps a delivery from being claimed: longer than any write, and not for ever if the caller
/// goes away.
const CANCEL_LEASE: Duration = Duration::from_secs(30);

/// Deliveries.
pub struct Deliveries<'s>(&'s Store);

impl Store {
    /// Deliveries.
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(self)
    }
}

impl Deliveries<'_> {
    /// Takes due deliveries until the lease that is wished for runs out; then they are due again by themselves. No
    /// endpoint gets more than its concurrency, counting what is under way, and retries at most half of it.
    pub async fn claim(&self, wish: Wish) -> Result<Vec<Claimed>, Error> {
        let inner = &self.0.inner;
        if inner.db.is_embedded() {
            return ahead::claim(inner, &wish).await;
        }
        let holder = Arc::clone(inner);
        // Time is asked for inside the transaction: only then is it known what time it is.
        inner
            .db
            .write(move |tx| Box::pin(async move { claims::take_in_rows(tx, &holder, &wish).await }))
            .await
    }

    /// Records one attempt and what follows, together with whatever else is waiting. Fails with
    /// [`Error::LeaseLost`] if the lease has passed to someone else.
    pub async fn record(&self, recorded: Recorded) -> Result<(), Error> {
        self.0.recorder.record(recorded).await
    }

    /// One delivery.
    pub async fn get(&self, id: DeliveryId) -> Result<Delivery, Error> {
        let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE id = ?1");
        let row =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_one(&sql, &[id.into()]).await }));
        delivery(&row.await?.ok_or(Error::NotFound("delivery"))?)
    }

    /// Deliveries, newest first.
    pub async fn list(&self, filter: DeliveryFilter, page: PageRequest) -> Result<Page<Delivery>, Error> {
        let listings = filter.listings();
        self.0
            .inner
            .db
            .read(move |tx| Box::pin(async move { listing::page_of(tx, &listings, page, delivery).await }))
            .await
    }

    /// The attempts of a delivery or a send, oldest first.
    pub async fn attempts(&self, of: AttemptOf) -> Result<Vec<Attempt>, Error> {
        let owner = match of {
            AttemptOf::Delivery(id) => id.raw(),
            AttemptOf::Send(id) => id.raw(),
        };
        let sql =
            "SELECT number, id, status, error, peer, resolve_us, connect_us, tls_us, first_byte_us, total_us,
            answer_headers, answer_excerpt FROM attempts WHERE owner = ?1 ORDER BY number";
        let rows =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_all(sql, &[owner.into()]).await }));
        rows.await?.iter().map(|row| attempt(row, of)).collect()
    }

    /// Calls off a delivery that has not arrived, and lets its line go on: at once, or, where an attempt is under way,
    /// when that attempt's lease has run out.
    pub async fn cancel(&self, id: DeliveryId) -> Result<(), Error> {
        let inner = &self.0.inner;
        let now = inner.clock.now();
        // On an embedded store the lease is taken, so that no claim comes between, or the one that is held is heeded.
        let token = inner.ids.next::<()>(now).raw();
        inner.ahead.give_up(id, &inner.leases);
        let mut lease = inner.leases.begin();
        let steady = inner.clock.steady();
        let is_free = lease.take(id.raw(), token, steady + CANCEL_LEASE, steady);
        lease.keep();
        let end = if is_free { None } else { inner.leases.end(id.raw()) };
        let under_way_until = end.map(|end| now.plus(end.saturating_sub(steady)));
        let trail = self.0.trail();
        let outcome = inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    cancel(tx, id, under_way_until, now).await?;
                    trail.write(tx).await
                })
            })
            .await;
        inner.leases.release(id.raw(), token);
        inner.wake(Queue::Deliveries);
        outcome
    }

    /// Has a delivery attempted now that is held, or that waits for its next attempt. Says whether it was one of these.
    pub async fn retry(&self, id: DeliveryId) -> Result<bool, Error> {
        let inner = &self.0.inner;
        let (now, trail) = (inner.clock.now(), self.0.trail());
        let is_due = inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let is_due = retry(tx, id, now).await?;
                    if is_due {
                        trail.write(tx).await?;
                    }
                    Ok(is_due)
                })
            })
            .await?;
        inner.wake(Queue::Deliveries);
        Ok(is_due)
    }
}

async fn cancel(
    tx: &mut Tx,
    id: DeliveryId,
    under_way_until: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Error> {
    let (endpoint, line) = lock_line_of(tx, id).await?;
    // Changes nothing but keeps a claim of another node from coming between.
    let sql = "UPDATE deliveries SET state = state WHERE id = ?1 AND state <= 2 RETURNING state, due_at";
    let row = tx.fetch_one(sql, &[id.into()]).await?.ok_or(Error::NotFound("delivery to cancel"))?;
    let leased_until = row.opt_time(1)?.filter(|_| row.int(0).is_ok_and(|state| state == 1));
    let sql = "UPDATE deliveries SET state = 5, due_at = NULL, lease = NULL WHERE id = ?1";
    tx.execute(sql, &[id.into()]).await?;
    let at = under_way_until.or(leased_until).unwrap_or(now).max(now);
    promote(tx, line.map(|line| (endpoint, line)).as_slice(), at).await.map(|_| ())
}

async fn retry(tx: &mut Tx, id: DeliveryId, now: Timestamp) -> Result<bool, Error> {
    lock_line_of(tx, id).await?;
    // What is held stands at the head of its line, or in none; what waits behind another has no due time.
    let sql =
        "UPDATE deliveries SET state = 0, due_at = ?2, retrying = CASE WHEN attempts > 0 THEN 1 ELSE 0 END
        WHERE id = ?1 AND (state = 2 OR (state = 0 AND due_at IS NOT NULL))";
    Ok(tx.execute(sql, &[id.into(), now.into()]).await? == 1)
}

/// The endpoint and the line of a delivery, which nobody joins or leaves until the transaction ends.
async fn lock_line_of(tx: &mut Tx, id: DeliveryId) -> Result<(EndpointId, Option<i64>), Error> {
    let sql = "SELECT endpoint, line FROM deliveries WHERE id = ?1";
    let row = tx.fetch_one(sql, &[id.into()]).await?.ok_or(Error::NotFound("delivery"))?;
    let (endpoint, line) = (row.id(0)?, row.opt_int(1)?);
    tx.lock(line.into_iter().collect()).await?;
    Ok((endpoint, line))
}

/// Which deliveries are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeliveryFilter {
    /// Those of one app.
    pub app: Option<AppId>,
    /// Those of one event.
    pub event: Option<EventId>,
    /// Those to one endpoint.
    pub endpoint: Option<EndpointId>,
    /// Those in one state, as people see it: what an endpoint holds is stored as pending (ADR 13).
    pub state: Option<DeliveryState>,
    /// Those made within a span.
    pub span: Span,
}

/// Whose a delivery is: its endpoint's app, or, when that was removed, its event's.
pub(crate) const APP: &str = "coalesce((SELECT p.app FROM endpoints p WHERE p.id = deliveries.endpoint),
    (SELECT e.app FROM events e WHERE e.id = deliveries.event))";
/// Whether [`APP`] is a certain one, with a look for each row only where an endpoint was removed.
pub(crate) const OF_APP: &str = "(+endpoint IN (SELECT p.id FROM endpoints p WHERE p.app = {})
    OR (+endpoint NOT IN (SELECT p.id FROM endpoints p)
        AND (SELECT e.app FROM events e WHERE e.id = deliveries.event) = {}))";
/// How a delivery that is stored as pending is seen.
const SEEN: &str =
    "CASE coalesce((SELECT p.state FROM endpoints p WHERE p.id = deliveries.endpoint), 'enabled')
    WHEN 'enabled' THEN 'pending' ELSE 'held' END";

impl DeliveryFilter {
    /// What is held by a person or a policy is stored so, and what an endpoint holds is stored as pending.
    pub(crate) fn listings(self) -> Vec<Listing> {
        let seen_as = |name: &'static str| self.stored(DeliveryState::Pending).only(SEEN, Some(name.into()));
        match self.state {
            None => vec![self.any()],
            Some(DeliveryState::Pending) => vec![seen_as("pending")],
            Some(DeliveryState::Held) => vec![self.stored(DeliveryState::Held), seen_as("held")],
            Some(state) => vec![self.stored(state)],
        }
    }

    fn any(self) -> Listing {
        Listing::of("deliveries", COLUMNS)
            .within(self.span)
            .along("event", self.event.map(Value::from))
            .by(By::DeliveryEndpoint, "+endpoint", self.endpoint.map(Value::from))
            .by_such(By::DeliveryApp, OF_APP, self.app.map(Value::from))
    }

    fn stored(self, state: DeliveryState) -> Listing {
        let code = Some(Value::Int(state.code()));
        if self.event.is_some() || state == DeliveryState::Delivered {
            return self.any().only("+state", code);
        }
        // All but what has arrived has an index, and the engine must be told that this is none of that.
        self.any().along("state <> 3 AND state", code)
    }
}

fn attempt(row: &Row, of: AttemptOf) -> Result<Attempt, Error> {
    let us = |at: usize| row.int(at).map(|us| Duration::from_micros(u64::try_from(us).unwrap_or(0)));
    Ok(Attempt {
        of,
        number: u32::try_from(row.int(0)?).unwrap_or(u32::MAX),
        id: row.id(1)?,
        status: row.opt_int(2)?.and_then(|status| u16::try_from(status).ok()),
        error: row.opt_text(3)?,
        peer: row.opt_text(4)?,
        phases: Phases { resolve: us(5)?, connect: us(6)?, tls: us(7)?, first_byte: us(8)?, total: us(9)? },
        answer_headers: row.text(10)?.to_owned(),
        answer_excerpt: row.bytes(11)?.to_vec(),
    })
}

fn delivery(row: &Row) -> Result<Delivery, Error> {
    let id: DeliveryId = row.id(0)?;
    let state = DeliveryState::from_code(row.int(3)?);
    Ok(Delivery {
        id,
        event: row.id(1)?,
        endpoint: row.id(2)?,
        state: state.ok_or_else(|| Error::Corrupt(format!("deliveries.state of {id}")))?,
        attempts: u32::try_from(row.int(4)?).unwrap_or(u32::MAX),
        due_at: row.opt_time(5)?,
        last_error: row.opt_text(6)?,
        replayed_by: row.opt_id(7)?,
    })
}
