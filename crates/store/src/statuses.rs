//! Statuses on their way to the sends they are about; early ones are parked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::id::{AccountId, ConversationId, SendId};
use model::message::{MessageState, Status};
use model::send::SendState;
use model::time::Timestamp;

use crate::db::{Column, Into, Tx};
use crate::digest::fingerprint;
use crate::error::Error;
use crate::sends;
use crate::value::{Row, Value};

const PARKED: Into = Into {
    table: "parked",
    columns: &[
        Column::Int("account"),
        Column::Text("message_id"),
        Column::Text("state_name"),
        Column::Int("parked_at"),
    ],
};

/// A platform's message id on an account.
type MessageKey = (AccountId, String);

/// Carries statuses over to their sends and returns the sends' conversations. A status whose send is not known by
/// its id yet is parked: it may have come before the platform's answer did.
pub(crate) async fn settle(
    tx: &mut Tx,
    news: &[(AccountId, &Status)],
    now: Timestamp,
) -> Result<Vec<Option<ConversationId>>, Error> {
    if news.is_empty() {
        return Ok(Vec::new());
    }
    let keys: BTreeSet<MessageKey> = news.iter().map(key_of).collect();
    lock_messages(tx, keys.iter()).await?;
    let mut known = Known::find(tx, news, keys).await?;
    let mut conversations = Vec::with_capacity(news.len());
    let mut parked = BTreeMap::new();
    for one @ (_, status) in news {
        let found = known.apply(&key_of(one), status);
        if found.is_none() {
            parked.insert((key_of(one), status.state), ());
        }
        conversations.push(found.flatten());
    }
    let rows = parked.into_keys().map(|((account, message_id), state)| {
        vec![account.into(), message_id.into(), state.as_str().into(), now.into()]
    });
    tx.insert_new(PARKED, rows.collect()).await?;
    known.write(tx, now).await?;
    Ok(conversations)
}

fn key_of((account, status): &(AccountId, &Status)) -> MessageKey {
    (*account, status.message_id.clone())
}

/// Keeps a message's statuses and the record of its send from passing each other by. Comes before any line is locked.
pub(crate) async fn lock_messages(tx: &mut Tx, keys: impl Iterator<Item = &MessageKey>) -> Result<(), Error> {
    let locks = keys.map(|(account, id)| fingerprint(account.raw(), &[b"message", id.as_bytes()]).key1);
    tx.lock(locks.collect()).await
}

/// A send while the batch's statuses are applied to it.
struct Standing {
    conversation: Option<ConversationId>,
    line: i64,
    /// Whether the next of its line is waiting for it.
    is_open: bool,
    state: Option<MessageState>,
    message_id: Option<String>,
}

/// The sends of a batch.
struct Known {
    sends: BTreeMap<SendId, Standing>,
    by_message: HashMap<MessageKey, SendId>,
}

impl Known {
    async fn find(
        tx: &mut Tx,
        news: &[(AccountId, &Status)],
        keys: BTreeSet<MessageKey>,
    ) -> Result<Known, Error> {
        let mut known = Known { sends: BTreeMap::new(), by_message: HashMap::new() };
        let by_message = "SELECT id, conversation, message_state, line, state, message_id FROM sends
            WHERE account = ?1 AND message_id = ?2 ORDER BY id";
        let asked: Vec<Vec<Value>> =
            keys.iter().map(|(account, id)| vec![(*account).into(), id.as_str().into()]).collect();
        for (key, rows) in keys.into_iter().zip(tx.fetch_each(by_message, &asked).await?) {
            if let Some(row) = rows.first() {
                let id = known.add(row)?;
                known.by_message.insert(key, id);
            }
        }
        known.find_by_correlation(tx, news).await?;
        Ok(known)
    }

    /// What we sent along names the send where the platform's id does not yet. Statuses that were parked under that id
    /// count from now on.
    async fn find_by_correlation(&mut self, tx: &mut Tx, news: &[(AccountId, &Status)]) -> Result<(), Error> {
        let by_id = "SELECT id, conversation, message_state, line, state, message_id FROM sends
            WHERE id = ?1 AND account = ?2";
        for one @ (account, status) in news {
            let Some(id) = status.correlation.as_deref().and_then(|text| text.parse::<SendId>().ok()) else {
                continue;
            };
            if self.by_message.contains_key(&key_of(one)) {
                continue;
            }
            let Some(row) = tx.fetch_one(by_id, &[id.into(), (*account).into()]).await? else {
                continue;
            };
            let id = self.add(&row)?;
            self.by_message.insert(key_of(one), id);
            let parked = unpark(tx, *account, &status.message_id).await?;
            if let (Some(parked), Some(standing)) = (parked, self.sends.get_mut(&id)) {
                standing.state = Some(standing.state.map_or(parked, |held| held.after(parked)));
            }
        }
        Ok(())
    }

    fn add(&mut self, row: &Row) -> Result<SendId, Error> {
        let id: SendId = row.id(0)?;
        let standing = Standing {
            conversation: row.opt_id(1)?,
            line: row.int(3)?,
            is_open: row.int(4)? <= SendState::InFlight.code(),
            state: row.opt_text(2)?.as_deref().and_then(MessageState::parse),
            message_id: row.opt_text(5)?,
        };
        self.sends.entry(id).or_insert(standing);
        Ok(id)
    }

    /// Applies a status; returns the conversation of its send, `None` when the send is not known.
    fn apply(&mut self, key: &MessageKey, status: &Status) -> Option<Option<ConversationId>> {
        let standing = self.sends.get_mut(self.by_message.get(key)?)?;
        standing.state = Some(standing.state.map_or(status.state, |held| held.after(status.state)));
        // What we tell of a send that was never taken has no other id than the send's own.
        if status.correlation.as_deref() != Some(&status.message_id) {
            standing.message_id = Some(status.message_id.clone());
        }
        Some(standing.conversation)
    }

    async fn write(self, tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
        let lines: BTreeSet<i64> =
            self.sends.values().filter(|standing| standing.is_open).map(|standing| standing.line).collect();
        sends::lock_lines(tx, lines.iter().copied()).await?;
        // A status proves that the platform took the message, whatever its answer to the call was. That a dead one has
        // failed is what we say of it ourselves.
        let sql = "UPDATE sends SET message_state = ?2, message_id = ?3, due_at = NULL, lease = NULL,
            state = CASE WHEN state = ?5 OR (state = ?6 AND ?2 = ?7) THEN state ELSE ?4 END WHERE id = ?1";
        let args = |(id, standing): (SendId, Standing)| {
            vec![
                id.into(),
                Value::from(standing.state.map(MessageState::as_str)),
                Value::from(standing.message_id),
                Value::Int(SendState::Taken.code()),
                Value::Int(SendState::Cancelled.code()),
                Value::Int(SendState::Dead.code()),
                MessageState::Failed.as_str().into(),
            ]
        };
        tx.execute_many(sql, &self.sends.into_iter().map(args).collect::<Vec<_>>()).await?;
        for line in lines {
            sends::promote(tx, line, now).await?;
        }
        Ok(())
    }
}

/// The furthest state among the statuses parked for a message, which are taken out.
pub(crate) async fn unpark(
    tx: &mut Tx,
    account: AccountId,
    message_id: &str,
) -> Result<Option<MessageState>, Error> {
    let args = [account.into(), Value::from(message_id)];
    let found =
        tx.fetch_all("SELECT state_name FROM parked WHERE account = ?1 AND message_id = ?2", &args).await?;
    if found.is_empty() {
        return Ok(None);
    }
    tx.execute("DELETE FROM parked WHERE account = ?1 AND message_id = ?2", &args).await?;
    let mut furthest: Option<MessageState> = None;
    for row in &found {
        if let Some(state) = MessageState::parse(row.text(0)?) {
            furthest = Some(furthest.map_or(state, |held| held.after(state)));
        }
    }
    Ok(furthest)
}
