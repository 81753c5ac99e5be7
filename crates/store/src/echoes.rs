//! Echoes of what we sent ourselves: they come back like what a person writes, and no person wrote them.

use std::collections::BTreeMap;
use std::time::Duration;

use model::conversation::{Party, Touch};
use model::id::{AccountId, ConversationId, SendId};
use model::send::{OutgoingBody, OutgoingMessage, SendState};
use model::time::Timestamp;

use crate::db::Tx;
use crate::error::Error;
use crate::value::{Row, Value};

/// How long after it was asked for a send that nobody knows the end of may still come back.
const UNKNOWN_FOR: Duration = Duration::from_secs(3600);
/// The most sends of a state that are looked at, the newest first: more than are ever under way.
const NAMELESS_MAX: i64 = 1_000;

/// A message that somebody on our side wrote.
pub(crate) struct Echo<'e> {
    pub(crate) account: AccountId,
    /// The conversation it belongs to, where that is known already.
    pub(crate) conversation: Option<ConversationId>,
    /// Whom it went to.
    pub(crate) party: &'e Party,
    /// The platform's id of it.
    pub(crate) message_id: &'e str,
}

impl Echo<'_> {
    fn is_unclear(&self) -> bool {
        self.party.touch == Touch::UnclearEcho
    }
}

/// Says of each echo whether it is of a message that we sent. A send is known by the platform's id. While its call is under
/// way, or nobody knows what came of it, there is no such id yet: where the platform cannot tell our calls from a person
/// either, whatever goes to the same contact is taken for it.
pub(crate) async fn are_ours(tx: &mut Tx, echoes: &[Echo<'_>], now: Timestamp) -> Result<Vec<bool>, Error> {
    if echoes.is_empty() {
        return Ok(Vec::new());
    }
    // First: a call that ends between the two queries has its id by the second.
    let nameless = Nameless::find(tx, echoes, now).await?;
    let sql = "SELECT 1 FROM sends WHERE account = ?1 AND message_id = ?2 LIMIT 1";
    let asked: Vec<Vec<Value>> =
        echoes.iter().map(|echo| vec![echo.account.into(), echo.message_id.into()]).collect();
    let named = tx.fetch_many(sql, &asked).await?;
    let is_ours = |(echo, rows): (&Echo<'_>, Vec<Row>)| !rows.is_empty() || nameless.holds(echo);
    Ok(echoes.iter().zip(named).map(is_ours).collect())
}

/// Sends that may have arrived and have no id of the platform's, by account.
struct Nameless(BTreeMap<AccountId, Vec<(Option<ConversationId>, OutgoingMessage)>>);

impl Nameless {
    async fn find(tx: &mut Tx, echoes: &[Echo<'_>], now: Timestamp) -> Result<Nameless, Error> {
        let unclear = echoes.iter().filter(|echo| echo.is_unclear());
        let mut found: BTreeMap<AccountId, Vec<_>> = unclear.map(|echo| (echo.account, Vec::new())).collect();
        let sql =
            "SELECT id, conversation, doc FROM (SELECT id, account, conversation, message_id, doc FROM sends
            WHERE state <> 2 AND state = ?1 AND id >= ?2 ORDER BY id DESC LIMIT ?3) newest
            WHERE account = ?4 AND message_id IS NULL";
        let since = SendId::first_at(now.minus(UNKNOWN_FOR));
        for (account, sends) in &mut found {
            for (state, since) in [(SendState::InFlight, SendId::from_raw(0)), (SendState::Unknown, since)] {
                let args = [state.code().into(), since.into(), Value::Int(NAMELESS_MAX), (*account).into()];
                for row in tx.fetch_all(sql, &args).await? {
                    sends.push(read(&row)?);
                }
            }
        }
        Ok(Nameless(found))
    }

    fn holds(&self, echo: &Echo<'_>) -> bool {
        let sends = self.0.get(&echo.account).filter(|_| echo.is_unclear());
        sends.into_iter().flatten().any(|(conversation, message)| {
            let is_message = !matches!(message.body, OutgoingBody::Read { .. });
            let is_there = conversation.is_some() && *conversation == echo.conversation;
            is_message && (is_there || goes_to(message.to.address(), echo.party))
        })
    }
}

fn read(row: &Row) -> Result<(Option<ConversationId>, OutgoingMessage), Error> {
    let id: SendId = row.id(0)?;
    let message = serde_json::from_str(row.text(2)?);
    Ok((row.opt_id(1)?, message.map_err(|_| Error::Corrupt(format!("sends.doc of {id}")))?))
}

/// Whether an address is one of the party's names, however a number is spelled.
fn goes_to(address: &str, party: &Party) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let number = digits(address);
    let is_number = !number.is_empty() && address.chars().all(|c| !c.is_alphabetic() && c != '@');
    party.identifiers.iter().any(|name| name.value == address || (is_number && name.value == number))
}
