//! Replays: existing events owed to endpoints again, as new deliveries in parallel to any line.

use std::collections::HashMap;

use model::delivery::DeliveryState;
use model::endpoint::Format;
use model::id::{AppId, DeliveryId, EndpointId, EventId};
use model::page::Span;
use model::time::Timestamp;

use crate::db::Tx;
use crate::deliveries::OF_APP;
use crate::error::Error;
use crate::listing::Listing;
use crate::owed::DELIVERIES;
use crate::value::{Row, Value};
use crate::{Queue, Store, endpoints, retention, routing};

/// The most dead deliveries that one transaction replays.
const STEP_MAX: usize = 1_000;

/// Replays.
pub struct Replays<'s>(&'s Store);

impl Store {
    /// Replays.
    pub fn replays(&self) -> Replays<'_> {
        Replays(self)
    }
}

/// What came of asking for one replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replayed {
    /// This delivery was made.
    Made(DeliveryId),
    /// It was replayed before, as this delivery.
    Before(DeliveryId),
    /// It has not ended.
    OnItsWay,
    /// There is nobody to deliver to.
    EndpointRemoved,
    /// Retention has removed what would be delivered.
    ContentRemoved,
}

/// Which dead deliveries are to be replayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeadFilter {
    /// Those of one app.
    pub app: Option<AppId>,
    /// Those to one endpoint.
    pub endpoint: Option<EndpointId>,
    /// Those made within a span.
    pub span: Span,
}

/// What came of one step through dead deliveries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// How many deliveries were made.
    pub made: usize,
    /// How many cannot be replayed any more: their endpoint or their content is gone.
    pub lost: usize,
    /// Where the next step goes on; `None` when none are left.
    pub next: Option<i64>,
}

/// An event and the endpoint it is to be owed to.
type Pair = (EventId, EndpointId);

impl Replays<'_> {
    /// Owes what a delivery that has ended was about to its endpoint again. The old delivery says what replaced it, and is
    /// replayed another time only where `again` says so.
    pub async fn delivery(&self, id: DeliveryId, again: bool) -> Result<Replayed, Error> {
        let inner = &self.0.inner;
        let now = inner.clock.now();
        let (fresh, trail) = (inner.ids.next(now), self.0.trail());
        let replayed = inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let replayed = replay(tx, id, again, (fresh, now)).await?;
                    if matches!(replayed, Replayed::Made(_)) {
                        trail.write(tx).await?;
                    }
                    Ok(replayed)
                })
            })
            .await?;
        inner.wake(Queue::Deliveries);
        Ok(replayed)
    }

    /// Owes an event to an endpoint, whether it was owed to it before or not.
    pub async fn event(&self, event: EventId, endpoint: EndpointId) -> Result<Replayed, Error> {
        let inner = &self.0.inner;
        let now = inner.clock.now();
        let (fresh, trail) = (inner.ids.next(now), self.0.trail());
        let replayed = inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    keep(tx).await?;
                    let replayed = owe(tx, (event, endpoint), fresh, now).await?;
                    if matches!(replayed, Replayed::Made(_)) {
                        trail.write(tx).await?;
                    }
                    Ok(replayed)
                })
            })
            .await?;
        inner.wake(Queue::Deliveries);
        Ok(replayed)
    }

    /// Replays dead deliveries that were not replayed before, newest first: at most `limit` of those older than `before`,
    /// and no more than one transaction bears.
    pub async fn dead(&self, filter: DeadFilter, before: Option<i64>, limit: usize) -> Result<Step, Error> {
        let inner = &self.0.inner;
        let (ids, now, trail) = (inner.ids.clone(), inner.clock.now(), self.0.trail());
        let step = inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    keep(tx).await?;
                    let found = filter.listing().find(tx, before, limit.min(STEP_MAX)).await?;
                    let dead = read_dead(tx, &found.rows).await?;
                    let lost = found.rows.len() - dead.len();
                    let fresh = dead.into_iter().map(|(old, pair)| (old, ids.next(now), pair)).collect();
                    let made = replace(tx, fresh, now).await?;
                    if made > 0 {
                        trail.about(|subject| format!("{made} to {subject}")).write(tx).await?;
                    }
                    Ok(Step { made, lost, next: found.next })
                })
            })
            .await?;
        inner.wake(Queue::Deliveries);
        Ok(step)
    }
}

impl DeadFilter {
    pub(crate) fn listing(self) -> Listing {
        Listing::of("deliveries", "id, event, endpoint")
            .within(self.span)
            .along("state <> 3 AND state", Some(Value::Int(DeliveryState::Dead.code())))
            .only("coalesce(replayed_by, 0)", Some(Value::Int(0)))
            .only("+endpoint", self.endpoint.map(Value::from))
            .only_such(OF_APP, self.app.map(Value::from))
    }
}

/// Keeps what a new delivery needs in place until the transaction ends.
async fn keep(tx: &mut Tx) -> Result<(), Error> {
    routing::keep(tx).await?;
    retention::keep(tx).await
}

async fn replay(
    tx: &mut Tx,
    id: DeliveryId,
    again: bool,
    (fresh, now): (DeliveryId, Timestamp),
) -> Result<Replayed, Error> {
    keep(tx).await?;
    // It changes nothing, but of two who replay it at once the second sees what the first has done.
    let sql =
        "UPDATE deliveries SET state = state WHERE id = ?1 RETURNING event, endpoint, state, replayed_by";
    let old = tx.fetch_one(sql, &[id.into()]).await?.ok_or(Error::NotFound("delivery"))?;
    if old.int(2)? < DeliveryState::Delivered.code() {
        return Ok(Replayed::OnItsWay);
    }
    if let Some(before) = old.opt_id(3)?.filter(|_| !again) {
        return Ok(Replayed::Before(before));
    }
    let replayed = owe(tx, (old.id(0)?, old.id(1)?), fresh, now).await?;
    if matches!(replayed, Replayed::Made(_)) {
        let sql = "UPDATE deliveries SET replayed_by = ?2 WHERE id = ?1";
        tx.execute(sql, &[id.into(), fresh.into()]).await?;
    }
    Ok(replayed)
}

/// Makes a delivery, unless something keeps it from being delivered.
async fn owe(tx: &mut Tx, pair: Pair, fresh: DeliveryId, now: Timestamp) -> Result<Replayed, Error> {
    if let Some(obstacle) = obstacles(tx, &[pair]).await?.into_iter().next().flatten() {
        return Ok(obstacle);
    }
    tx.insert_many(DELIVERIES, vec![row(fresh, pair, now)]).await?;
    Ok(Replayed::Made(fresh))
}

/// What keeps each pair from being delivered, if anything does.
async fn obstacles(tx: &mut Tx, pairs: &[Pair]) -> Result<Vec<Option<Replayed>>, Error> {
    let formats: HashMap<EndpointId, Format> =
        endpoints::load_all(tx).await?.into_iter().map(|endpoint| (endpoint.id, endpoint.format)).collect();
    let sql = "SELECT CASE WHEN e.content IS NOT NULL THEN e.id END,
            (SELECT max(b.id) FROM bodies b WHERE b.id = e.receipt) FROM events e WHERE e.id = ?1";
    let asked: Vec<Vec<Value>> = pairs.iter().map(|(event, _)| vec![(*event).into()]).collect();
    let kept = tx.fetch_many(sql, &asked).await?;
    let obstacle = |((_, endpoint), rows): (&Pair, Vec<Row>)| {
        let Some(format) = formats.get(endpoint) else { return Ok(Some(Replayed::EndpointRemoved)) };
        let has = |at: usize| rows.first().map_or(Ok(None), |row| row.opt_int(at));
        let (content, body) = (has(0)?, has(1)?);
        let is_kept = match format {
            Format::Standard => content.or(body).is_some(),
            Format::Client => content.is_some(),
            Format::Platform => body.is_some(),
        };
        Ok((!is_kept).then_some(Replayed::ContentRemoved))
    };
    pairs.iter().zip(kept).map(obstacle).collect()
}

/// Of dead deliveries those that can be delivered.
async fn read_dead(tx: &mut Tx, rows: &[Row]) -> Result<Vec<(DeliveryId, Pair)>, Error> {
    let dead: Result<Vec<(DeliveryId, Pair)>, Error> =
        rows.iter().map(|row| Ok((row.id(0)?, (row.id(1)?, row.id(2)?)))).collect();
    let dead = dead?;
    let pairs: Vec<Pair> = dead.iter().map(|(_, pair)| *pair).collect();
    let obstacles = obstacles(tx, &pairs).await?;
    Ok(dead
        .into_iter()
        .zip(obstacles)
        .filter(|(_, obstacle)| obstacle.is_none())
        .map(|(one, _)| one)
        .collect())
}

/// Makes the new deliveries of those that nobody else has replayed meanwhile, and says how many.
async fn replace(
    tx: &mut Tx,
    fresh: Vec<(DeliveryId, DeliveryId, Pair)>,
    now: Timestamp,
) -> Result<usize, Error> {
    let sql = "UPDATE deliveries SET replayed_by = ?2 WHERE id = ?1 AND replayed_by IS NULL";
    let marks: Vec<Vec<Value>> =
        fresh.iter().map(|(old, fresh, _)| vec![(*old).into(), (*fresh).into()]).collect();
    let marked = tx.execute_many(sql, &marks).await?;
    let ours = fresh.into_iter().zip(marked).filter(|(_, marked)| *marked == 1);
    let rows: Vec<Vec<Value>> = ours.map(|((_, fresh, pair), _)| row(fresh, pair, now)).collect();
    let made = rows.len();
    tx.insert_many(DELIVERIES, rows).await?;
    Ok(made)
}

fn row(id: DeliveryId, (event, endpoint): Pair, now: Timestamp) -> Vec<Value> {
    vec![
        id.into(),
        event.into(),
        endpoint.into(),
        Value::Null,
        Value::Int(DeliveryState::Pending.code()),
        Value::Int(0),
        Value::Int(0),
        now.into(),
        Value::Null,
    ]
}
