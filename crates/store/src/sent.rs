//! What becomes of sends: recorded, called off, and told.

use std::sync::Arc;

use model::delivery::Attempt;
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::id::SendId;
use model::message::{MessageState, PlatformError, Status};
use model::retry::Next;
use model::send::{OutgoingBody, OwedSend, SendState};
use model::time::Timestamp;

use crate::arrivals::{Arrival, Verdict};
use crate::audit::Trail;
use crate::db::Tx;
use crate::error::Error;
use crate::records::{ATTEMPTS, attempt_row};
use crate::sends::{COLUMNS, ClaimedSend, Sends, lock_lines, promote, send};
use crate::statuses::{lock_messages, unpark};
use crate::value::Value;
use crate::{Queue, append, routing, turns};

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
    /// Until when nothing more leaves the account, when the platform has refused the account itself; at most an hour.
    pub rest_until: Option<Timestamp>,
}

/// What came of calling a send off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CalledOff {
    /// It will not be sent.
    Done,
    /// A call is under way, which nobody can take back.
    UnderWay,
    /// It had ended already.
    Ended,
}

/// How far a change came.
enum Written<T> {
    Done(T),
    /// The configuration has changed: nothing was stored.
    Stale,
}

impl Sends<'_> {
    /// Records a call and what follows, with the event that tells of it, in one transaction. What comes after the lease
    /// ran out still says what became of the message, but does not have it called again.
    pub async fn record(&self, recorded: RecordedSend) -> Result<(), Error> {
        for _ in 0..append::STALE_TRIES_MAX {
            let (recorded, context) = (recorded.clone(), append::Context::of(&self.0.inner));
            let job = self.0.inner.db.write(move |tx| Box::pin(record(tx, recorded, context)));
            if self.settled(job.await?).await?.is_some() {
                return Ok(());
            }
        }
        Err(Error::Busy)
    }

    /// Calls off a send that waits, and lets its line go on; tells of it as of one that failed.
    pub async fn cancel(&self, id: SendId) -> Result<CalledOff, Error> {
        for _ in 0..append::STALE_TRIES_MAX {
            let (context, trail) = (append::Context::of(&self.0.inner), self.0.trail());
            let job = self.0.inner.db.write(move |tx| Box::pin(cancel(tx, id, context, trail)));
            if let Some(called_off) = self.settled(job.await?).await? {
                return Ok(called_off);
            }
        }
        Err(Error::Busy)
    }

    /// Wakes whoever may go on after a change; where there was none, reads the configuration anew.
    async fn settled<T>(&self, written: Written<T>) -> Result<Option<T>, Error> {
        let inner = &self.0.inner;
        match written {
            Written::Done(done) => {
                inner.wake(Queue::Deliveries);
                inner.wake(Queue::Sends);
                Ok(Some(done))
            }
            Written::Stale => routing::refresh(inner).await.map(|()| None),
        }
    }
}

async fn record(tx: &mut Tx, recorded: RecordedSend, context: append::Context) -> Result<Written<()>, Error> {
    if routing::is_stale(tx, &context.routing).await? {
        return Ok(Written::Stale);
    }
    let (account, now) = (recorded.claimed.send.account, context.now);
    settle(tx, &recorded, context).await?;
    if let Some(until) = recorded.rest_until {
        turns::rest(tx, account, until, now).await?;
    }
    Ok(Written::Done(()))
}

async fn settle(tx: &mut Tx, recorded: &RecordedSend, context: append::Context) -> Result<(), Error> {
    let (send, line) = (&recorded.claimed.send, recorded.claimed.line);
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
        write(tx, recorded, was_given_up).await?;
        promote(tx, line, context.now).await?;
        tell(tx, News::of(recorded), context).await?;
    } else if is_first_told && recorded.next == Next::Delivered {
        // A status was quicker than the platform's answer: the send is settled, the answer is told all the same.
        let sql = "UPDATE sends SET attempts = attempts + 1 WHERE id = ?1";
        tx.execute(sql, &[send.id.into()]).await?;
        tell(tx, News::of(recorded), context).await?;
    }
    if let (Next::Delivered, Some(message_id)) = (&recorded.next, &recorded.message_id) {
        apply_parked(tx, send, message_id).await?;
    }
    Ok(())
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

async fn cancel(
    tx: &mut Tx,
    id: SendId,
    context: append::Context,
    trail: Trail,
) -> Result<Written<CalledOff>, Error> {
    if routing::is_stale(tx, &context.routing).await? {
        return Ok(Written::Stale);
    }
    let sql = format!("SELECT {COLUMNS} FROM sends WHERE id = ?1");
    let row = tx.fetch_one(&sql, &[id.into()]).await?.ok_or(Error::NotFound("message"))?;
    let line = row.int(11)?;
    lock_lines(tx, [line].into_iter()).await?;
    // Waits for a claim of another node, and sees what it came to.
    let sql = "UPDATE sends SET state = ?2, due_at = NULL, lease = NULL WHERE id = ?1 AND state = ?3";
    let args = [id.into(), SendState::Cancelled.code().into(), SendState::Pending.code().into()];
    if tx.execute(sql, &args).await? == 0 {
        let sql = "SELECT 1 FROM sends WHERE id = ?1 AND state = ?2";
        let under_way = tx.fetch_one(sql, &[id.into(), SendState::InFlight.code().into()]).await?;
        return Ok(Written::Done(under_way.map_or(CalledOff::Ended, |_| CalledOff::UnderWay)));
    }
    promote(tx, line, context.now).await?;
    let news = News { send: &send(&row)?, message_id: None, failure: Some("called off before it was sent") };
    tell(tx, Some(news), context).await?;
    trail.write(tx).await?;
    Ok(Written::Done(CalledOff::Done))
}

/// What there is to tell of a send: that the platform took it, or why it will not be sent.
struct News<'n> {
    send: &'n OwedSend,
    message_id: Option<&'n str>,
    failure: Option<&'n str>,
}

impl News<'_> {
    /// What a record has to tell; nothing while it is not known what becomes of the message.
    fn of(recorded: &RecordedSend) -> Option<News<'_>> {
        let failure = match &recorded.next {
            Next::Delivered => None,
            Next::Dead(cause) => Some(cause.as_str()),
            Next::RetryAt(_) | Next::Unknown(_) => return None,
        };
        Some(News { send: &recorded.claimed.send, message_id: recorded.message_id.as_deref(), failure })
    }

    fn status(&self) -> Status {
        let failure = self.failure.map(str::to_owned);
        Status {
            message_id: self.message_id.map_or_else(|| self.send.id.to_string(), str::to_owned),
            state: if failure.is_some() { MessageState::Failed } else { MessageState::Accepted },
            recipient: Some(self.send.message.to.address().to_owned()),
            correlation: Some(self.send.id.to_string()),
            errors: failure
                .map(|words| PlatformError { details: Some(words), ..PlatformError::default() })
                .into_iter()
                .collect(),
            pricing: None,
            platform_conversation: None,
            extra: None,
        }
    }
}

async fn tell(tx: &mut Tx, news: Option<News<'_>>, context: append::Context) -> Result<(), Error> {
    // A read mark is not a message: nothing is told of it.
    let Some(news) = news.filter(|news| !matches!(news.send.message.body, OutgoingBody::Read { .. })) else {
        return Ok(());
    };
    let account = context.routing.account_by_id(news.send.account);
    let source = account.and_then(|account| context.routing.source(account.source));
    // Where the account was removed meanwhile, the send alone tells what became of it.
    let (Some(source), Some(account)) = (source, account) else {
        return Ok(());
    };
    let status = news.status();
    let event = NewEvent {
        event_type: EventType::from_foreign("message", status.state.as_str()),
        dedupe_key: Some(DedupeKey::of(&["send", &news.send.id.to_string(), status.state.as_str()])),
        account: Some(account.address.clone()),
        party: None,
        order_key: None,
        occurred_at: context.now,
        content: Content::Status { status: Box::new(status) },
    };
    let arrival = Arrival {
        source: Some(Arc::clone(source)),
        app: Some(news.send.app),
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
