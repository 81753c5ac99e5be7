//! Sends: outgoing messages owed to a platform, from the request to the platform's answer.

use std::sync::Arc;
use std::time::Duration;

use model::delivery::Attempt;
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::id::{AccountId, AppId, ConversationId, Ids, SendId};
use model::message::{MessageState, PlatformError, Status};
use model::page::{Page, PageRequest};
use model::retry::Next;
use model::send::{OutgoingBody, OutgoingMessage, OwedSend, SendState};
use model::source::Source;
use model::time::Timestamp;

use crate::append;
use crate::arrivals::{Arrival, Verdict};
use crate::db::{Column, Into, Tx};
use crate::digest::{check_of, fingerprint};
use crate::error::Error;
use crate::leases::Lease;
use crate::records::{ATTEMPTS, attempt_row};
use crate::statuses::{lock_messages, unpark};
use crate::value::{Row, Value};
use crate::{Queue, Store, order, routing};

const SENDS: Into = Into {
    table: "sends",
    columns: &[
        Column::Int("id"),
        Column::Int("app"),
        Column::Int("account"),
        Column::Int("conversation"),
        Column::Int("line"),
        Column::Int("state"),
        Column::Int("attempts"),
        Column::Int("due_at"),
        Column::Text("doc"),
    ],
};
const COLUMNS: &str = "id, app, account, conversation, state, attempts, due_at, message_state, message_id, last_error, doc, line";

/// A message to send, as asked for.
#[derive(Clone, Debug)]
pub struct NewSend {
    /// Who asks.
    pub app: AppId,
    /// The account it leaves from.
    pub account: AccountId,
    /// The conversation it belongs to, where there is one.
    pub conversation: Option<ConversationId>,
    /// The message.
    pub message: OutgoingMessage,
    /// The caller and its idempotency key: the same key makes at most one send.
    pub key: Option<(i64, String)>,
}

/// What came of asking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queued {
    /// It is owed from now on.
    New(SendId),
    /// It was asked for before under the same key.
    Before(SendId),
    /// The key was used for another message.
    KeyReused,
}

/// One send that is ours to attempt.
#[derive(Clone, Debug)]
pub struct ClaimedSend {
    /// The right to attempt it.
    pub lease: Lease,
    /// What is owed.
    pub send: OwedSend,
    /// Its line, which the next may leave by only when this one has ended.
    pub line: i64,
}

/// What one call to the platform came to.
#[derive(Clone, Debug)]
pub struct RecordedSend {
    /// The send and its lease.
    pub claimed: ClaimedSend,
    /// The attempt; `None` when no call was made.
    pub attempt: Option<Attempt>,
    /// What follows.
    pub next: Next,
    /// The platform's id of the message, when it took one.
    pub message_id: Option<String>,
    /// The source it left by, for the events that tell of it; `None` when it was removed.
    pub source: Option<Arc<Source>>,
}

/// Sends.
pub struct Sends<'s>(&'s Store);

impl Store {
    /// Sends.
    pub fn sends(&self) -> Sends<'_> {
        Sends(self)
    }
}

impl Sends<'_> {
    /// Owes a message to a platform; with a key, once. It is on disk when this returns.
    pub async fn queue(&self, new: NewSend) -> Result<Queued, Error> {
        let inner = &self.0.inner;
        let now = inner.clock.now();
        let ids = inner.ids.clone();
        let queued =
            inner.db.write(move |tx| Box::pin(async move { queue(tx, &ids, new, now).await })).await?;
        inner.wake(Queue::Sends);
        Ok(queued)
    }

    /// Takes up to `limit` due sends until `lease` runs out.
    pub async fn claim(&self, limit: u32, lease: Duration) -> Result<Vec<ClaimedSend>, Error> {
        let inner = Arc::clone(&self.0.inner);
        let now = inner.clock.now();
        let token = inner.ids.next::<()>(now).raw();
        let args = [now.into(), Value::Int(i64::from(limit)), now.plus(lease).into(), Value::Int(token)];
        // Sends are few beside events, and a doubled one is dear: the lease is in the row on both engines.
        let sql = format!(
            "UPDATE sends SET state = 1, due_at = ?3, lease = ?4 WHERE id IN
                (SELECT id FROM sends WHERE due_at <= ?1 AND due_at IS NOT NULL AND state = 0
                ORDER BY due_at LIMIT ?2{})
            RETURNING {COLUMNS}",
            if inner.db.is_embedded() { "" } else { " FOR UPDATE SKIP LOCKED" }
        );
        let rows =
            inner.db.write(move |tx| Box::pin(async move { claim(tx, &sql, &args, now).await })).await?;
        let claimed = rows
            .iter()
            .map(|row| Ok(ClaimedSend { lease: Lease { token }, send: send(row)?, line: row.int(11)? }));
        claimed.collect()
    }

    /// Records a call and what follows, with the event that tells of it, in one transaction. What comes after the lease
    /// ran out still says what became of the message, but does not have it called again.
    pub async fn record(&self, recorded: RecordedSend) -> Result<(), Error> {
        let inner = &self.0.inner;
        for _ in 0..append::STALE_TRIES_MAX {
            let context = append::Context {
                routing: inner.routing.current(),
                ids: inner.ids.clone(),
                now: inner.clock.now(),
            };
            let recorded = recorded.clone();
            let outcome = inner
                .db
                .write(move |tx| Box::pin(async move { record(tx, recorded, context).await }))
                .await?;
            if outcome == Recording::Done {
                inner.wake(Queue::Deliveries);
                inner.wake(Queue::Sends);
                return Ok(());
            }
            routing::refresh(inner).await?;
        }
        Err(Error::Busy)
    }

    /// Gives a send back until `at`, without an attempt: its account or contact must not be written to before.
    pub async fn postpone(&self, claimed: &ClaimedSend, at: Timestamp) -> Result<(), Error> {
        let sql = "UPDATE sends SET state = 0, due_at = ?3, lease = NULL WHERE id = ?1 AND lease = ?2";
        let args = [claimed.send.id.into(), Value::Int(claimed.lease.token), at.into()];
        let touched =
            self.0.inner.db.write(move |tx| Box::pin(async move { tx.execute(sql, &args).await })).await?;
        if touched == 1 { Ok(()) } else { Err(Error::LeaseLost) }
    }

    /// One send.
    pub async fn get(&self, id: SendId) -> Result<OwedSend, Error> {
        let sql = format!("SELECT {COLUMNS} FROM sends WHERE id = ?1");
        let row =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_one(&sql, &[id.into()]).await }));
        send(&row.await?.ok_or(Error::NotFound("message"))?)
    }

    /// Sends, newest first; of one conversation where one is named.
    pub async fn list(
        &self,
        conversation: Option<ConversationId>,
        page: PageRequest,
    ) -> Result<Page<OwedSend>, Error> {
        let narrowed = if conversation.is_some() { " AND conversation = ?3" } else { "" };
        let sql = format!("SELECT {COLUMNS} FROM sends WHERE id < ?1{narrowed} ORDER BY id DESC LIMIT ?2");
        let mut args = vec![Value::Int(page.before.unwrap_or(i64::MAX)), Value::Int(page.fetch_limit())];
        args.extend(conversation.map(Value::from));
        let rows =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_all(&sql, &args).await })).await?;
        let found: Result<Vec<OwedSend>, Error> = rows.iter().map(send).collect();
        Ok(Page::cut(found?, page, |send| send.id.raw()))
    }
}

async fn queue(tx: &mut Tx, ids: &Ids, new: NewSend, now: Timestamp) -> Result<Queued, Error> {
    let line = line_of(&new);
    lock_lines(tx, [line].into_iter()).await?;
    let newest =
        tx.fetch_one("SELECT max(id) FROM sends WHERE line = ?1 AND state <= 1", &[line.into()]).await?;
    let newest = newest.map_or(Ok(None), |row| row.opt_int(0))?;
    order::pass(ids, newest, now);
    let id = ids.next(now);
    let doc = serde_json::to_string(&new.message).expect("a message has text keys only");
    if let Some((caller, key)) = &new.key {
        let print = fingerprint(*caller, &[b"send", key.as_bytes()]);
        let bound = check_of(format!("{} {doc}", new.account).as_bytes());
        if let Some(before) = take_key(tx, (print.key1, print.key2), bound, id, now).await? {
            return Ok(before);
        }
    }
    let due_at = newest.is_none().then_some(now);
    let row = vec![
        id.into(),
        new.app.into(),
        new.account.into(),
        Value::from(new.conversation),
        Value::Int(line),
        Value::Int(SendState::Pending.code()),
        Value::Int(0),
        Value::from(due_at),
        doc.into(),
    ];
    tx.insert_many(SENDS, vec![row]).await?;
    Ok(Queued::New(id))
}

/// The line a send must stay in: that of its conversation, else one of its account and recipient.
fn line_of(new: &NewSend) -> i64 {
    let to = new.message.to.address();
    new.conversation.map_or_else(
        || fingerprint(new.account.raw(), &[b"send line", to.as_bytes()]).key1 | i64::MIN,
        |conversation| conversation.raw(),
    )
}

/// Locks lines of sends. A conversation's deliveries have the same number for a line, and another lock.
pub(crate) async fn lock_lines(tx: &mut Tx, lines: impl Iterator<Item = i64>) -> Result<(), Error> {
    tx.lock(lines.map(|line| fingerprint(line, &[b"sends"]).key1).collect()).await
}

/// Takes a key in the same transaction as its send; says what it stands for when it was taken before.
async fn take_key(
    tx: &mut Tx,
    (key1, key2): (i64, i64),
    bound: i64,
    id: SendId,
    now: Timestamp,
) -> Result<Option<Queued>, Error> {
    let insert =
        "INSERT INTO idempotency (key1, key2, body_hash, made_at, answer) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO NOTHING";
    let args = [Value::Int(key1), Value::Int(key2), Value::Int(bound), now.into(), id.to_string().into()];
    if tx.execute(insert, &args).await? == 1 {
        return Ok(None);
    }
    let sql = "SELECT body_hash, answer FROM idempotency WHERE key1 = ?1 AND key2 = ?2";
    let row = tx.fetch_one(sql, &args[..2]).await?.ok_or(Error::Busy)?;
    if row.int(0)? != bound {
        return Ok(Some(Queued::KeyReused));
    }
    let before = row.opt_text(1)?.and_then(|text| text.parse().ok());
    Ok(Some(Queued::Before(before.ok_or_else(|| Error::Corrupt("idempotency.answer of a send".to_owned()))?)))
}

/// How far a record came.
#[derive(PartialEq, Eq)]
enum Recording {
    Done,
    /// The configuration has changed: nothing was stored.
    Stale,
}

async fn record(tx: &mut Tx, recorded: RecordedSend, context: append::Context) -> Result<Recording, Error> {
    if routing::is_stale(tx, &context.routing).await? {
        return Ok(Recording::Stale);
    }
    let (send, line, now) = (&recorded.claimed.send, recorded.claimed.line, context.now);
    let message = recorded.message_id.clone().map(|id| (send.account, id));
    lock_messages(tx, message.iter()).await?;
    lock_lines(tx, [line].into_iter()).await?;
    // What was tried is kept even when a status has settled the send meanwhile, and once when told twice.
    let row = recorded.attempt.as_ref().map(|attempt| attempt_row(send.id.raw(), attempt));
    let is_first_told = tx.insert_new(ATTEMPTS, row.into_iter().collect()).await?.contains(&true);
    let sql = "SELECT state FROM sends WHERE id = ?1 AND lease = ?2";
    let held = tx.fetch_one(sql, &[send.id.into(), Value::Int(recorded.claimed.lease.token)]).await?;
    if let Some(row) = held {
        let was_given_up = row.int(0)? == SendState::Unknown.code();
        write(tx, &recorded, was_given_up).await?;
        promote(tx, line, now).await?;
        if tells(&recorded) {
            tell(tx, &recorded, context).await?;
        }
    } else if is_first_told && recorded.next == Next::Delivered {
        // A status was quicker than the platform's answer: the send is settled, the answer is told all the same.
        let sql = "UPDATE sends SET attempts = attempts + 1 WHERE id = ?1";
        tx.execute(sql, &[send.id.into()]).await?;
        if tells(&recorded) {
            tell(tx, &recorded, context).await?;
        }
    }
    if let (Next::Delivered, Some(message_id)) = (&recorded.next, &recorded.message_id) {
        apply_parked(tx, send, message_id).await?;
    }
    Ok(Recording::Done)
}

async fn write(tx: &mut Tx, recorded: &RecordedSend, was_given_up: bool) -> Result<(), Error> {
    let cause = || recorded.attempt.as_ref().and_then(|attempt| attempt.error.clone());
    let (state, due_at, error) = match &recorded.next {
        Next::Delivered => (SendState::Taken, None, None),
        // Its line has gone on without it.
        Next::RetryAt(_) if was_given_up => (SendState::Dead, None, cause()),
        Next::RetryAt(at) => (SendState::Pending, Some(*at), cause()),
        Next::Dead(cause) => (SendState::Dead, None, Some(cause.clone())),
        Next::Unknown(cause) => (SendState::Unknown, None, Some(cause.clone())),
    };
    let sql =
        "UPDATE sends SET state = ?2, due_at = ?3, lease = NULL, attempts = attempts + ?4, last_error = ?5,
        message_id = coalesce(?6, message_id) WHERE id = ?1";
    let args = [
        recorded.claimed.send.id.into(),
        Value::Int(state.code()),
        Value::from(due_at),
        Value::from(recorded.attempt.is_some()),
        Value::from(error),
        Value::from(recorded.message_id.clone()),
    ];
    tx.execute(sql, &args).await.map(|_| ())
}

/// Takes what is due. A send whose lease ran out was perhaps taken by the platform just before its worker died: it is
/// never called again by itself; a status, a person, or the worker after all settles it.
async fn claim(tx: &mut Tx, sql: &str, args: &[Value], now: Timestamp) -> Result<Vec<Row>, Error> {
    let lapsed = "SELECT DISTINCT line FROM sends WHERE due_at <= ?1 AND due_at IS NOT NULL AND state = 1";
    let lines: Result<Vec<i64>, Error> =
        tx.fetch_all(lapsed, &[now.into()]).await?.iter().map(|row| row.int(0)).collect();
    let lines = lines?;
    if !lines.is_empty() {
        lock_lines(tx, lines.iter().copied()).await?;
        let give_up = "UPDATE sends SET state = 3, due_at = NULL, last_error =
                'the process ended during the call: the platform may have taken the message'
            WHERE due_at <= ?1 AND due_at IS NOT NULL AND state = 1 AND line = ?2";
        let lists: Vec<Vec<Value>> = lines.iter().map(|line| vec![now.into(), Value::Int(*line)]).collect();
        tx.execute_many(give_up, &lists).await?;
        for line in lines {
            promote(tx, line, now).await?;
        }
    }
    tx.fetch_all(sql, args).await
}

/// Makes the first that is waiting in a line due, unless somebody is under way in it.
pub(crate) async fn promote(tx: &mut Tx, line: i64, now: Timestamp) -> Result<(), Error> {
    let sql =
        "UPDATE sends SET due_at = ?2 WHERE id = (SELECT min(id) FROM sends WHERE line = ?1 AND state <= 1)
        AND state = 0 AND due_at IS NULL";
    tx.execute(sql, &[line.into(), now.into()]).await.map(|_| ())
}

/// A read mark is not a message: nothing is told of it.
fn tells(recorded: &RecordedSend) -> bool {
    let is_message = !matches!(recorded.claimed.send.message.body, OutgoingBody::Read { .. });
    is_message && matches!(recorded.next, Next::Delivered | Next::Dead(_))
}

async fn tell(tx: &mut Tx, recorded: &RecordedSend, context: append::Context) -> Result<(), Error> {
    let send = &recorded.claimed.send;
    let (state, error) = match &recorded.next {
        Next::Dead(cause) => (MessageState::Failed, Some(cause.clone())),
        Next::Delivered | Next::RetryAt(_) | Next::Unknown(_) => (MessageState::Accepted, None),
    };
    // Where the account was removed meanwhile, the send alone tells what became of it.
    let (Some(source), Some(account)) = (&recorded.source, context.routing.account_by_id(send.account))
    else {
        return Ok(());
    };
    let status = Status {
        message_id: recorded.message_id.clone().unwrap_or_else(|| send.id.to_string()),
        state,
        recipient: Some(send.message.to.address().to_owned()),
        correlation: Some(send.id.to_string()),
        errors: error
            .map(|words| PlatformError { details: Some(words), ..PlatformError::default() })
            .into_iter()
            .collect(),
        pricing: None,
        platform_conversation: None,
    };
    let event = NewEvent {
        event_type: EventType::from_foreign("message", state.as_str()),
        dedupe_key: Some(DedupeKey::of(&["send", &send.id.to_string(), state.as_str()])),
        account: Some(account.address.clone()),
        party: None,
        order_key: None,
        occurred_at: context.now,
        content: Content::Status { status: Box::new(status) },
    };
    let arrival = Arrival {
        source: Some(Arc::clone(source)),
        app: Some(send.app),
        request: None,
        verdict: Verdict::Genuine(Arc::from([event])),
    };
    append::append(tx, &[arrival], context).await.map(|_| ())
}

async fn apply_parked(tx: &mut Tx, send: &OwedSend, message_id: &str) -> Result<(), Error> {
    let Some(parked) = unpark(tx, send.account, message_id).await? else {
        return Ok(());
    };
    let row = tx.fetch_one("SELECT message_state FROM sends WHERE id = ?1", &[send.id.into()]).await?;
    let held = row.map(|row| row.opt_text(0)).transpose()?.flatten();
    let state = held.as_deref().and_then(MessageState::parse).map_or(parked, |held| held.after(parked));
    tx.execute("UPDATE sends SET message_state = ?2 WHERE id = ?1", &[send.id.into(), state.as_str().into()])
        .await
        .map(|_| ())
}

fn send(row: &Row) -> Result<OwedSend, Error> {
    let id: SendId = row.id(0)?;
    let corrupt = |column: &str| Error::Corrupt(format!("sends.{column} of {id}"));
    Ok(OwedSend {
        id,
        app: row.id(1)?,
        account: row.id(2)?,
        conversation: row.opt_id(3)?,
        state: SendState::from_code(row.int(4)?).ok_or_else(|| corrupt("state"))?,
        attempts: u32::try_from(row.int(5)?).unwrap_or(u32::MAX),
        due_at: row.opt_time(6)?,
        message_state: row.opt_text(7)?.as_deref().and_then(MessageState::parse),
        platform_message_id: row.opt_text(8)?,
        last_error: row.opt_text(9)?,
        message: serde_json::from_str(row.text(10)?).map_err(|_| corrupt("doc"))?,
    })
}
