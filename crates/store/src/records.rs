//! Recording: what an attempt came to, what follows, and who is next in its line.

use std::sync::Arc;
use std::time::Duration;

use model::delivery::{Attempt, DeliveryState};
use model::endpoint::OnDead;
use model::id::{DeliveryId, EndpointId};
use model::retry::Next;
use model::time::Timestamp;

use crate::Inner;
use crate::batch::{Batch, Batcher};
use crate::db::{Column, Into, Tx};
use crate::error::Error;
use crate::leases::Lease;
use crate::room::Kind;
use crate::value::Value;

pub(crate) const ATTEMPTS: Into = Into {
    table: "attempts",
    columns: &[
        Column::Int("owner"),
        Column::Int("number"),
        Column::Int("id"),
        Column::Int("status"),
        Column::Text("error"),
        Column::Text("peer"),
        Column::Int("resolve_us"),
        Column::Int("connect_us"),
        Column::Int("tls_us"),
        Column::Int("first_byte_us"),
        Column::Int("total_us"),
        Column::Text("answer_headers"),
        Column::Bytes("answer_excerpt"),
    ],
};

/// The most records that wait to be stored; the lane's own bound is far below it.
const RECORDS_MAX: usize = 4_096;

/// What one attempt came to.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The lease it was made under.
    pub lease: Lease,
    /// Which delivery.
    pub id: DeliveryId,
    /// To whom.
    pub endpoint: EndpointId,
    /// The line it stands at the head of.
    pub line: Option<i64>,
    /// What happens to the line if it dies.
    pub on_dead: OnDead,
    /// The attempt; `None` when none was made (a damaged row).
    pub attempt: Option<Attempt>,
    /// What follows.
    pub next: Next,
}

/// Whether the lease was still good.
type IsOurs = Result<(), ()>;

/// The batched way in for records.
#[derive(Clone)]
pub(crate) struct Recorder {
    batcher: Batcher<Recorded, IsOurs>,
}

impl Recorder {
    pub(crate) fn start(inner: Arc<Inner>) -> Recorder {
        let run = Arc::new(move |batch: Arc<Batch<Recorded, IsOurs>>| {
            let inner = Arc::clone(&inner);
            Box::pin(async move { record_all(&inner, batch).await }) as _
        });
        Recorder { batcher: Batcher::start(RECORDS_MAX, run) }
    }

    pub(crate) async fn record(&self, recorded: Recorded) -> Result<(), Error> {
        self.batcher.put(recorded).await?.map_err(|()| Error::LeaseLost)
    }
}

/// Records a batch of attempts in one transaction. On an embedded store the leases are checked, and given back, here.
async fn record_all(inner: &Arc<Inner>, batch: Arc<Batch<Recorded, IsOurs>>) -> Result<Vec<IsOurs>, Error> {
    let now = inner.clock.now();
    let (job, leases) = (Arc::clone(&batch), Arc::clone(inner));
    let outcome = inner
        .db
        .write(move |tx| {
            Box::pin(async move {
                let ours = job.items().iter().map(|one| pin(&leases, one)).collect();
                record(tx, job.items(), ours, now, leases.db.is_embedded()).await
            })
        })
        .await;
    for one in batch.items().iter().filter(|_| inner.db.is_embedded()) {
        match outcome {
            Ok(_) => inner.leases.release(one.id.raw(), one.lease.token),
            Err(_) => inner.leases.unpin(one.id.raw(), one.lease.token),
        }
    }
    let (recorded, due) = outcome?;
    inner.announce(&due);
    Ok(recorded.into_iter().map(|ours| if ours { Ok(()) } else { Err(()) }).collect())
}

/// Whether the lease is still good; if so it stays so while the record is written.
fn pin(inner: &Inner, one: &Recorded) -> bool {
    !inner.db.is_embedded() || inner.leases.pin(one.id.raw(), one.lease.token)
}

async fn record(
    tx: &mut Tx,
    batch: &[Recorded],
    mut ours: Vec<bool>,
    now: Timestamp,
    embedded: bool,
) -> Result<(Vec<bool>, Vec<(EndpointId, Kind)>), Error> {
    // Lines are locked before their rows are touched: an arrival that joins one must see it as we leave it.
    tx.lock(batch.iter().filter_map(|one| one.line).collect()).await?;
    let sql = "UPDATE deliveries SET state = ?2, retrying = ?3, attempts = attempts + ?4, due_at = ?5, lease = NULL,
        last_error = ?6 WHERE id = ?1 AND state <= 1 AND coalesce(lease, ?8) = ?7";
    let mine: Vec<usize> = (0..batch.len()).filter(|at| ours[*at]).collect();
    let lists = mine.iter().map(|at| update_args(&batch[*at], embedded)).collect::<Vec<_>>();
    let touched = tx.execute_many(sql, &lists).await?;
    let (mut attempts, mut ended, mut due) = (Vec::new(), Vec::new(), Vec::new());
    for (at, touched) in mine.into_iter().zip(touched) {
        ours[at] = touched == 1;
        let one = &batch[at];
        if let Some(attempt) = one.attempt.as_ref().filter(|_| touched == 1) {
            attempts.push(attempt_row(one.id.raw(), attempt));
        }
        let lets_go = match one.next {
            Next::Delivered => true,
            Next::Dead(_) | Next::Unknown(_) => one.on_dead == OnDead::Skip,
            Next::RetryAt(_) => false,
        };
        ended.extend(one.line.filter(|_| touched == 1 && lets_go).map(|line| (one.endpoint, line)));
        if matches!(one.next, Next::RetryAt(at) if at <= now) {
            due.push((one.endpoint, Kind::Retry));
        }
    }
    tx.insert_many(ATTEMPTS, attempts).await?;
    due.extend(promote(tx, &ended, now).await?.into_iter().map(|endpoint| (endpoint, Kind::First)));
    Ok((ours, due))
}

fn update_args(one: &Recorded, embedded: bool) -> Vec<Value> {
    let (state, due_at, error) = match &one.next {
        Next::Delivered => (DeliveryState::Delivered, None, None),
        Next::RetryAt(at) => (
            DeliveryState::Pending,
            Some(*at),
            one.attempt.as_ref().and_then(|attempt| attempt.error.clone()),
        ),
        // It stays at the head of its line, so that the line is held for those who come later too.
        Next::Dead(cause) | Next::Unknown(cause) if one.line.is_some() && one.on_dead == OnDead::Hold => {
            (DeliveryState::Held, None, Some(cause.clone()))
        }
        Next::Dead(cause) | Next::Unknown(cause) => (DeliveryState::Dead, None, Some(cause.clone())),
    };
    // An embedded store holds its leases in memory, where this one was found to be good.
    let stored_if_none = if embedded { one.lease.token } else { 0 };
    vec![
        one.id.into(),
        Value::Int(state.code()),
        Value::from(due_at.is_some()),
        Value::from(one.attempt.is_some()),
        Value::from(due_at),
        Value::from(error),
        Value::Int(one.lease.token),
        Value::Int(stored_if_none),
    ]
}

/// Makes the first that is waiting in each line due, and says for which endpoints there was one. It changes nothing in a
/// line whose head is due already, or held.
pub(crate) async fn promote(
    tx: &mut Tx,
    lines: &[(EndpointId, i64)],
    at: Timestamp,
) -> Result<Vec<EndpointId>, Error> {
    let sql = "UPDATE deliveries SET due_at = ?3 WHERE id = (SELECT min(id) FROM deliveries
            WHERE endpoint = ?1 AND line = ?2 AND state <= 2 AND line IS NOT NULL)
        AND state = 0 AND due_at IS NULL";
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let args = |(endpoint, line): &(EndpointId, i64)| vec![(*endpoint).into(), (*line).into(), at.into()];
    let touched = tx.execute_many(sql, &lines.iter().map(args).collect::<Vec<_>>()).await?;
    Ok(lines.iter().zip(touched).filter(|(_, touched)| *touched == 1).map(|(line, _)| line.0).collect())
}

pub(crate) fn attempt_row(owner: i64, attempt: &Attempt) -> Vec<Value> {
    let us = |span: Duration| Value::Int(i64::try_from(span.as_micros()).unwrap_or(i64::MAX));
    vec![
        owner.into(),
        Value::from(attempt.number),
        attempt.id.into(),
        Value::from(attempt.status.map(i64::from)),
        Value::from(attempt.error.clone()),
        Value::from(attempt.peer.clone()),
        us(attempt.phases.resolve),
        us(attempt.phases.connect),
        us(attempt.phases.tls),
        us(attempt.phases.first_byte),
        us(attempt.phases.total),
        attempt.answer_headers.as_str().into(),
        attempt.answer_excerpt.clone().into(),
    ]
}
