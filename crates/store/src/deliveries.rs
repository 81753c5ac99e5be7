//! Deliveries: what is owed, where it stands, and what a person can do about it.

use std::sync::Arc;
use std::time::Duration;

use model::delivery::{Attempt, AttemptOf, Delivery, DeliveryState, Phases};
use model::id::{DeliveryId, EndpointId, EventId};
use model::page::{Page, PageRequest};
use model::time::Timestamp;

use crate::claims::{Busy, Claimed, Wanted};
use crate::db::Tx;
use crate::error::Error;
use crate::owed::DELIVERIES;
use crate::records::{Recorded, promote};
use crate::value::{Row, Value};
use crate::{Queue, Store, retention, routing};

/// Deliveries.
pub struct Deliveries<'s>(&'s Store);

impl Store {
    /// Deliveries.
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(self)
    }
}

impl Deliveries<'_> {
    /// Takes up to `limit` due deliveries until `lease` runs out; then they are due again by themselves. No endpoint
    /// gets more than its concurrency, counting what `busy` says is under way, and retries at most half of it.
    pub async fn claim(&self, limit: u32, busy: Busy, lease: Duration) -> Result<Vec<Claimed>, Error> {
        let inner = Arc::clone(&self.0.inner);
        let now = inner.clock.now();
        let token = inner.ids.next::<()>(now).raw();
        let (routing, limit) = (inner.routing.current(), limit as usize);
        let wanted = Wanted { routing, busy, limit, token, now, until: now.plus(lease) };
        let holder = Arc::clone(&inner);
        if inner.db.is_embedded() {
            return inner
                .db
                .read(move |tx| Box::pin(async move { wanted.take_in_memory(tx, &holder).await }))
                .await;
        }
        inner.db.write(move |tx| Box::pin(async move { wanted.take_in_rows(tx, &holder).await })).await
    }

    /// Records one attempt and what follows, together with whatever else is waiting. Fails with
    /// [`Error::LeaseLost`] if the lease has passed to someone else.
    pub async fn record(&self, recorded: Recorded) -> Result<(), Error> {
        self.0.recorder.record(recorded).await
    }

    /// One delivery.
    pub async fn get(&self, id: DeliveryId) -> Result<Delivery, Error> {
        let sql =
            "SELECT id, event, endpoint, state, attempts, due_at, last_error FROM deliveries WHERE id = ?1";
        let row =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_one(sql, &[id.into()]).await }));
        delivery(&row.await?.ok_or(Error::NotFound("delivery"))?)
    }

    /// Deliveries, newest first, of one endpoint, event or state.
    pub async fn list(&self, filter: DeliveryFilter, page: PageRequest) -> Result<Page<Delivery>, Error> {
        let mut sql =
            "SELECT id, event, endpoint, state, attempts, due_at, last_error FROM deliveries WHERE id < ?1"
                .to_owned();
        let mut args = vec![Value::Int(page.before.unwrap_or(i64::MAX))];
        let filters = [
            ("event", filter.event.map(|id| id.raw())),
            ("endpoint", filter.endpoint.map(|id| id.raw())),
            ("state", filter.state.map(DeliveryState::code)),
        ];
        for (column, value) in filters {
            let Some(value) = value else { continue };
            args.push(Value::Int(value));
            sql.push_str(&format!(" AND {column} = ?{}", args.len()));
        }
        if filter.state.is_some_and(|state| state.code() >= 2 && state != DeliveryState::Delivered) {
            // What was set aside has an index of its own, and the engine must be told so.
            sql.push_str(" AND state >= 2 AND state <> 3");
        }
        args.push(Value::Int(page.fetch_limit()));
        sql.push_str(&format!(" ORDER BY id DESC LIMIT ?{}", args.len()));
        let rows =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_all(&sql, &args).await })).await?;
        let found: Result<Vec<Delivery>, Error> = rows.iter().map(delivery).collect();
        Ok(Page::cut(found?, page, |delivery| delivery.id.raw()))
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

    /// Owes existing events to an endpoint again, as new deliveries in parallel to any line: a replay.
    pub async fn replay(&self, event: EventId, endpoint: EndpointId) -> Result<DeliveryId, Error> {
        let inner = &self.0.inner;
        let (id, now) = (inner.ids.next(inner.clock.now()), inner.clock.now());
        inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    routing::keep(tx).await?;
                    retention::keep(tx).await?;
                    let found = tx.fetch_one("SELECT 1 FROM events WHERE id = ?1", &[event.into()]).await?;
                    found.ok_or(Error::NotFound("event"))?;
                    let found =
                        tx.fetch_one("SELECT 1 FROM endpoints WHERE id = ?1", &[endpoint.into()]).await?;
                    found.ok_or(Error::NotFound("endpoint"))?;
                    let row = vec![
                        DeliveryId::into(id),
                        event.into(),
                        endpoint.into(),
                        Value::Null,
                        Value::Int(0),
                        Value::Int(0),
                        Value::Int(0),
                        now.into(),
                        Value::Null,
                    ];
                    tx.insert_many(DELIVERIES, vec![row]).await
                })
            })
            .await?;
        inner.wake(Queue::Deliveries);
        Ok(id)
    }

    /// Calls off a delivery that has not arrived, and lets its line go on: at once, or, where an attempt is under way,
    /// when that attempt's lease has run out.
    pub async fn cancel(&self, id: DeliveryId) -> Result<(), Error> {
        let inner = &self.0.inner;
        let now = inner.clock.now();
        // On an embedded store the lease is taken, so that no claim comes between, or the one that is held is heeded.
        let token = inner.ids.next::<()>(now).raw();
        let mut lease = inner.leases.begin();
        let is_free = lease.take(id.raw(), token, Timestamp::MAX, now);
        lease.keep();
        let under_way_until = if is_free { None } else { inner.leases.end(id.raw()) };
        let outcome = inner
            .db
            .write(move |tx| Box::pin(async move { cancel(tx, id, under_way_until, now).await }))
            .await;
        inner.leases.release(id.raw(), token);
        inner.wake(Queue::Deliveries);
        outcome
    }
}

async fn cancel(
    tx: &mut Tx,
    id: DeliveryId,
    under_way_until: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "SELECT endpoint, line FROM deliveries WHERE id = ?1";
    let row = tx.fetch_one(sql, &[id.into()]).await?.ok_or(Error::NotFound("delivery to cancel"))?;
    let (endpoint, line) = (row.int(0)?, row.opt_int(1)?);
    tx.lock(line.into_iter().collect()).await?;
    // Changes nothing but keeps a claim of another node from coming between.
    let sql = "UPDATE deliveries SET state = state WHERE id = ?1 AND state <= 2 RETURNING state, due_at";
    let row = tx.fetch_one(sql, &[id.into()]).await?.ok_or(Error::NotFound("delivery to cancel"))?;
    let leased_until = row.opt_time(1)?.filter(|_| row.int(0).is_ok_and(|state| state == 1));
    let sql = "UPDATE deliveries SET state = 5, due_at = NULL, lease = NULL WHERE id = ?1";
    tx.execute(sql, &[id.into()]).await?;
    let at = under_way_until.or(leased_until).unwrap_or(now).max(now);
    promote(tx, line.map(|line| (endpoint, line)).into_iter().collect(), at).await.map(|_| ())
}

/// Which deliveries are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeliveryFilter {
    /// Those of one event.
    pub event: Option<EventId>,
    /// Those to one endpoint.
    pub endpoint: Option<EndpointId>,
    /// Those in one state.
    pub state: Option<DeliveryState>,
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
        replayed_by: None,
    })
}
