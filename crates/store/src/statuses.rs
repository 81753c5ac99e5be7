//! Statuses on their way to the sends they are about; early ones are parked.

use model::id::{AccountId, ConversationId, ReceiptId, SendId};
use model::message::{MessageState, Status};
use model::send::SendState;
use model::time::Timestamp;

use crate::arrivals::Appended;
use crate::db::{Column, Into, Tx};
use crate::error::Error;
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

/// Carries a status over to its send and returns the send's conversation. A status whose send is not known by this
/// id yet is parked: it may have come before the platform's answer did.
pub(crate) async fn settle(
    tx: &mut Tx,
    account: AccountId,
    status: &Status,
    now: Timestamp,
) -> Result<Option<ConversationId>, Error> {
    let Some(row) = find_send(tx, account, status).await? else {
        let parked = vec![
            account.into(),
            status.message_id.as_str().into(),
            status.state.as_str().into(),
            now.into(),
        ];
        tx.insert_new(PARKED, vec![parked]).await?;
        return Ok(None);
    };
    let held = row.opt_text(2)?.as_deref().and_then(MessageState::parse);
    let state = held.map_or(status.state, |held| held.after(status.state));
    // A status proves that the platform took the message, whatever its answer to the call was.
    let sql = "UPDATE sends SET message_state = ?2, message_id = ?3, due_at = NULL, lease = NULL,
        state = CASE WHEN state IN (?4, ?5) THEN state ELSE ?4 END WHERE id = ?1";
    let args = [
        Value::Int(row.int(0)?),
        state.as_str().into(),
        status.message_id.as_str().into(),
        Value::Int(SendState::Taken.code()),
        Value::Int(SendState::Cancelled.code()),
    ];
    tx.execute(sql, &args).await?;
    row.opt_id(1)
}

async fn find_send(tx: &mut Tx, account: AccountId, status: &Status) -> Result<Option<Row>, Error> {
    let by_message = "SELECT id, conversation, message_state FROM sends WHERE account = ?1 AND message_id = ?2";
    let row = tx.fetch_one(by_message, &[account.into(), status.message_id.as_str().into()]).await?;
    let correlation = status.correlation.as_deref().and_then(|text| text.parse::<SendId>().ok());
    match (row, correlation) {
        (Some(row), _) => Ok(Some(row)),
        (None, Some(send)) => {
            let by_id = "SELECT id, conversation, message_state FROM sends WHERE id = ?1 AND account = ?2";
            tx.fetch_one(by_id, &[send.into(), account.into()]).await
        }
        (None, None) => Ok(None),
    }
}

/// The furthest state among the statuses parked for a message, which are taken out.
pub(crate) async fn unpark(tx: &mut Tx, account: AccountId, message_id: &str) -> Result<Option<MessageState>, Error> {
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

/// Says what became of a stored request that was read once more.
pub(crate) async fn restate_receipt(tx: &mut Tx, id: ReceiptId, appended: &Appended) -> Result<(), Error> {
    let sql = "UPDATE receipts SET state = ?2, reason = CASE WHEN ?2 = 0 THEN NULL ELSE reason END,
        items = ?3, items_new = items_new + ?4 WHERE id = ?1";
    let args =
        [id.into(), Value::Int(appended.state.code()), Value::from(appended.items), Value::from(appended.items_new)];
    tx.execute(sql, &args).await.map(|_| ())
}
