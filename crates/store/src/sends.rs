//! Sends: outgoing messages owed to a platform, from the request to the platform's answer.

use model::id::{AccountId, AppId, ConversationId, Ids, SendId};
use model::message::MessageState;
use model::page::{Page, PageRequest, Span};
use model::send::{OutgoingMessage, OwedSend, SendState};
use model::time::Timestamp;

use crate::blocks::By;
use crate::db::{Column, Into, Tx};
use crate::digest::{fingerprint, short_of};
use crate::error::Error;
use crate::leases::Lease;
use crate::listing::Listing;
pub use crate::sent::{CalledOff, RecordedSend};
pub use crate::turns::{PacingOf, SendPacing, Turns, WantedSends};
use crate::value::{Row, Value};
use crate::waiting::check_line;
use crate::{Queue, Store, order};

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
pub(crate) const COLUMNS: &str = "id, app, account, conversation, state, attempts, due_at, message_state, message_id, last_error, doc, line";

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

/// Sends.
pub struct Sends<'s>(pub(crate) &'s Store);

impl Store {
    /// Sends.
    pub fn sends(&self) -> Sends<'_> {
        Sends(self)
    }
}

impl Sends<'_> {
    /// Owes a message to a platform; with a key, once. It is on disk when this returns. Refused when only the disk's
    /// reserve is left; `Busy` when as much waits as may.
    pub async fn queue(&self, new: NewSend) -> Result<Queued, Error> {
        let inner = &self.0.inner;
        inner.reserve.check()?;
        let now = inner.clock.now();
        inner.waiting.check(&inner.db, new.account, now).await?;
        let (ids, trail) = (inner.ids.clone(), self.0.trail());
        let queued = inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let queued = queue(tx, &ids, new, now).await?;
                    if let Queued::New(id) = queued {
                        trail.about(|_| id.to_string()).write(tx).await?;
                    }
                    Ok(queued)
                })
            })
            .await?;
        inner.wake(Queue::Sends);
        Ok(queued)
    }

    /// One send.
    pub async fn get(&self, id: SendId) -> Result<OwedSend, Error> {
        let sql = format!("SELECT {COLUMNS} FROM sends WHERE id = ?1");
        let row =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_one(&sql, &[id.into()]).await }));
        send(&row.await?.ok_or(Error::NotFound("message"))?)
    }

    /// Sends, newest first.
    pub async fn list(&self, filter: SendFilter, page: PageRequest) -> Result<Page<OwedSend>, Error> {
        let listing = filter.listing();
        self.0.inner.db.read(move |tx| Box::pin(async move { listing.page(tx, page, send).await })).await
    }
}

/// Which sends are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SendFilter {
    /// Those of one app.
    pub app: Option<AppId>,
    /// Those of one conversation.
    pub conversation: Option<ConversationId>,
    /// Those from one account.
    pub account: Option<AccountId>,
    /// Those in one state.
    pub state: Option<SendState>,
    /// Those asked for within a span.
    pub span: Span,
}

impl SendFilter {
    pub(crate) fn listing(self) -> Listing {
        let listing = Listing::of("sends", COLUMNS).within(self.span);
        let code = self.state.map(|state| Value::Int(state.code()));
        // What is not taken has an index, and the engine must be told that this is some of that.
        let listing = match self.state {
            Some(SendState::Taken) => listing.only("+state", code),
            _ => listing.along("state <> 2 AND state", code),
        };
        let conversation = self.conversation.map(Value::from);
        let listing = match self.state {
            // One index is gone along.
            Some(state) if state != SendState::Taken => listing.only("+conversation", conversation),
            _ => listing.along("conversation", conversation),
        };
        listing.by(By::SendApp, "app", self.app.map(Value::from)).by(
            By::SendAccount,
            "+account",
            self.account.map(Value::from),
        )
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
        let bound = short_of(format!("{} {doc}", new.account).as_bytes());
        if let Some(before) = take_key(tx, (print.key1, print.key2), bound, id, now).await? {
            return Ok(before);
        }
    }
    if newest.is_some() {
        check_line(tx, line).await?;
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

pub(crate) const PROMOTE: &str =
    "UPDATE sends SET due_at = ?2 WHERE id = (SELECT min(id) FROM sends WHERE line = ?1 AND state <= 1)
    AND state = 0 AND due_at IS NULL";

/// Makes the first that is waiting in a line due, unless somebody is under way in it.
pub(crate) async fn promote(tx: &mut Tx, line: i64, now: Timestamp) -> Result<(), Error> {
    tx.execute(PROMOTE, &[line.into(), now.into()]).await.map(|_| ())
}

pub(crate) fn send(row: &Row) -> Result<OwedSend, Error> {
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
