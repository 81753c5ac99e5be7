//! Claiming sends: which may leave now, one account after another and no faster than each account may send.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::id::{AccountId, SendId};
use model::pace::{Pace, Pacing};
use model::time::Timestamp;

use crate::db::Tx;
use crate::error::Error;
use crate::leases::Lease;
use crate::sends::{COLUMNS, ClaimedSend, Sends, lock_lines, promote, send};
use crate::value::{Row, Value};

/// How many accounts one claim looks at; the next claim goes on after them.
const ACCOUNTS_MAX: usize = 1_000;
/// How soon the next claim goes on where there are more accounts than one claim looks at.
const LOOK_ON: Duration = Duration::from_millis(100);
/// How many calls whose lease ran out are given up by one claim.
const LAPSED_MAX: i64 = 256;
/// The longest that an account rests. One that rests longer was told so before the clock went back.
const REST_MAX: Duration = Duration::from_secs(3600);
/// Stands for an account's own turns where others have a line; no line has this number.
const OWN: i64 = 0;
/// Any number, as long as every node uses the same one: turns are taken by one claim at a time.
const LOCK: i64 = 0x74_7572_6e73;

const LAPSED: &str = "SELECT id, line FROM sends WHERE state = 1 AND due_at <= ?1 LIMIT ?2";
const GIVE_UP: &str = "UPDATE sends SET state = 3, due_at = NULL, last_error =
        'the process ended during the call: the platform may have taken the message'
    WHERE id = ?2 AND state = 1 AND due_at <= ?1";
/// Walks the index from account to account: its cost is their number, not that of sends.
const ACCOUNTS: &str = "WITH RECURSIVE due (account) AS (
        SELECT (SELECT min(account) FROM sends WHERE state = 0 AND due_at IS NOT NULL AND account > ?1)
        UNION ALL
        SELECT (SELECT min(account) FROM sends WHERE state = 0 AND due_at IS NOT NULL AND account > due.account)
        FROM due WHERE due.account IS NOT NULL)
    SELECT account,
        (SELECT min(due_at) FROM sends s WHERE s.account = due.account AND state = 0 AND due_at IS NOT NULL),
        (SELECT even_ns FROM turns t WHERE t.account = due.account AND t.line = 0),
        (SELECT rest_until FROM turns t WHERE t.account = due.account AND t.line = 0)
    FROM due WHERE account IS NOT NULL LIMIT ?2";
const FIRST_DUE: &str = "SELECT id, line, due_at FROM sends
    WHERE account = ?1 AND state = 0 AND due_at IS NOT NULL ORDER BY due_at, id LIMIT ?2";
const LINE_TURNS: &str = "SELECT even_ns FROM turns WHERE account = ?1 AND line = ?2";
const KEEP_TURNS: &str = "INSERT INTO turns (account, line, even_ns) VALUES (?1, ?2, ?3)
    ON CONFLICT (account, line) DO UPDATE SET even_ns = ?3";
const KEEP_REST: &str = "INSERT INTO turns (account, line, even_ns, rest_until) VALUES (?1, ?2, 0, ?3)
    ON CONFLICT (account, line) DO UPDATE SET rest_until = ?3";

/// How fast messages may leave an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendPacing {
    /// All of them together.
    pub account: Pacing,
    /// Those of one line, which stands for a contact; `None` where the account's own pace is limit enough.
    pub line: Option<Pacing>,
}

/// Says how fast an account may send; `None` where nothing limits it.
pub type PacingOf = Arc<dyn Fn(AccountId) -> Option<SendPacing> + Send + Sync>;

/// What a claim of sends may take.
#[derive(Clone)]
pub struct WantedSends {
    /// How many at most.
    pub limit: usize,
    /// How long they are ours.
    pub lease: Duration,
    /// How many of each account are under way here already.
    pub busy: HashMap<AccountId, usize>,
    /// How fast each account may send.
    pub pacing: PacingOf,
}

/// What a claim of sends came to.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// The sends that are ours.
    pub sends: Vec<ClaimedSend>,
    /// When the next may be had, as far as is known without another one being queued or recorded.
    pub next_at: Option<Timestamp>,
}

impl Turns {
    fn next_by(&mut self, at: impl Into<Option<Timestamp>>) {
        self.next_at = self.next_at.into_iter().chain(at.into()).min();
    }
}

impl Sends<'_> {
    /// Takes due sends whose turn has come, until the lease runs out. An account has its turns one after another,
    /// whichever node claims and however often it is started anew; what is not its turn stays where it is.
    pub async fn claim(&self, wanted: WantedSends) -> Result<Turns, Error> {
        let inner = Arc::clone(&self.0.inner);
        let holder = Arc::clone(&inner);
        let job = async move |tx: &mut Tx| {
            tx.lock(vec![LOCK]).await?;
            // Not before: it waited for other claims, and only in the transaction is it known what time it is.
            let now = holder.clock.now();
            let claim = Claim {
                now,
                token: holder.ids.next::<()>(now).raw(),
                after: AccountId::from_raw(holder.sends_claimed_last.load(Ordering::Relaxed)),
                skip_locked: if holder.db.is_embedded() { "" } else { "FOR UPDATE SKIP LOCKED" },
                wanted,
            };
            claim.take(tx).await
        };
        let (turns, last) = inner.db.write(move |tx| Box::pin(job(tx))).await?;
        inner.sends_claimed_last.store(last.raw(), Ordering::Relaxed);
        Ok(turns)
    }
}

/// A claim under way.
struct Claim {
    wanted: WantedSends,
    now: Timestamp,
    token: i64,
    /// The account at which the last claim ended.
    after: AccountId,
    /// What another transaction is changing at this moment is left to it.
    skip_locked: &'static str,
}

impl Claim {
    async fn take(&self, tx: &mut Tx) -> Result<(Turns, AccountId), Error> {
        give_up_lapsed(tx, self.now).await?;
        let mut turns = Turns::default();
        let mut gates = self.gates(tx).await?;
        let last = self.allot(&mut gates);
        if gates.len() == ACCOUNTS_MAX {
            turns.next_by(self.now.plus(LOOK_ON));
        }
        for gate in gates.iter().filter(|gate| gate.opens_at(self.now) > self.now) {
            turns.next_by(gate.opens_at(self.now));
        }
        gates.retain(|gate| gate.most > 0);
        let heads = self.heads(tx, &gates).await?;
        let paces = line_paces(tx, &gates, &heads).await?;
        let chosen = self.choose(&mut gates, &heads, paces);
        turns.next_by(self.next_of(&gates, &heads, &chosen));
        turns.sends = self.write(tx, &chosen).await?;
        Ok((turns, last))
    }

    /// The accounts with something waiting, once round the circle of ids or as far as one claim looks.
    async fn gates(&self, tx: &mut Tx) -> Result<Vec<Gate>, Error> {
        let page = |after: i64, most: usize| [Value::Int(after), Value::Int(most as i64)];
        let mut rows = tx.fetch_all(ACCOUNTS, &page(self.after.raw(), ACCOUNTS_MAX)).await?;
        let most = ACCOUNTS_MAX - rows.len();
        if most > 0 {
            let first = tx.fetch_all(ACCOUNTS, &page(i64::MIN, most)).await?;
            rows.extend(first.into_iter().filter(|row| row.int(0).is_ok_and(|id| id <= self.after.raw())));
        }
        rows.iter().map(|row| self.gate(row)).collect()
    }

    fn gate(&self, row: &Row) -> Result<Gate, Error> {
        let account = row.id(0)?;
        Ok(Gate {
            account,
            due_at: row.time(1)?,
            pace: row.opt_int(2)?.map(Pace::from_nanos).unwrap_or_default(),
            rest_until: row.opt_time(3)?,
            pacing: (self.wanted.pacing)(account),
            most: 0,
            has_room: false,
        })
    }

    /// Shares the free places out among the accounts whose turn it is; says which account was the last to be asked.
    fn allot(&self, gates: &mut [Gate]) -> AccountId {
        let open = gates.iter().filter(|gate| gate.turns(self.now) > 0).count();
        let even = self.wanted.limit.div_ceil(open.max(1));
        let (mut free, mut last) = (self.wanted.limit, self.after);
        for gate in gates {
            if free == 0 {
                break;
            }
            last = gate.account;
            // An account may hold as many places as are still free, so that one whose calls hang leaves some.
            let busy = self.wanted.busy.get(&gate.account).copied().unwrap_or(0);
            let room = free.saturating_sub(busy).div_ceil(2);
            gate.most = gate.turns(self.now).min(room).min(even);
            gate.has_room = gate.most < room;
            free -= gate.most;
        }
        last
    }

    /// The first sends of each account, by when they are due: one more than it is allotted.
    async fn heads(&self, tx: &mut Tx, gates: &[Gate]) -> Result<Vec<Vec<Head>>, Error> {
        let asked: Vec<Vec<Value>> =
            gates.iter().map(|gate| vec![gate.account.into(), Value::Int(gate.most as i64 + 1)]).collect();
        let found = tx.fetch_many(FIRST_DUE, &asked).await?;
        found.iter().map(|rows| rows.iter().map(Head::read).collect()).collect()
    }

    /// How many of an account's heads are taken or put off: those that are due, as many as it is allotted.
    fn due(&self, gate: &Gate, heads: &[Head]) -> usize {
        heads.iter().take(gate.most).take_while(|head| head.due_at <= self.now).count()
    }

    /// Takes turns of accounts and lines. Where a line's has not come, its send is due when it does.
    fn choose(&self, gates: &mut [Gate], heads: &[Vec<Head>], mut paces: LinePaces) -> Chosen {
        let mut chosen = Chosen::default();
        for (gate, heads) in gates.iter_mut().zip(heads) {
            let Some(pacing) = gate.pacing else {
                chosen.ready.extend(heads[..self.due(gate, heads)].iter().map(|head| head.id));
                continue;
            };
            for head in &heads[..self.due(gate, heads)] {
                if let Some(line_pacing) = pacing.line {
                    let pace = paces.entry((gate.account, head.line)).or_default();
                    if let Err(at) = pace.take(line_pacing, self.now) {
                        chosen.later.push((head.id, at));
                        continue;
                    }
                    chosen.spent.push((gate.account, head.line, *pace));
                }
                if gate.pace.take(pacing.account, self.now).is_ok() {
                    chosen.ready.push(head.id);
                }
            }
            chosen.spent.push((gate.account, OWN, gate.pace));
        }
        chosen
    }

    /// When there will be more for the accounts that have had their turns.
    fn next_of(&self, gates: &[Gate], heads: &[Vec<Head>], chosen: &Chosen) -> Option<Timestamp> {
        let after = gates.iter().zip(heads).filter_map(|(gate, heads)| {
            let next = heads.get(self.due(gate, heads))?;
            let at = gate.turn_at(self.now).max(next.due_at);
            // Where its places are used up, the end of a call says when to look again.
            (at > self.now || gate.has_room || !chosen.later.is_empty()).then_some(at)
        });
        after.chain(chosen.later.iter().map(|(_, at)| *at)).min()
    }

    async fn write(&self, tx: &mut Tx, chosen: &Chosen) -> Result<Vec<ClaimedSend>, Error> {
        let until = self.now.plus(self.wanted.lease);
        let args = |id: &SendId| vec![(*id).into(), self.now.into(), until.into(), Value::Int(self.token)];
        let asked: Vec<Vec<Value>> = chosen.ready.iter().map(args).collect();
        let taken = tx.fetch_many(&take(self.skip_locked), &asked).await?;
        let later: Vec<Vec<Value>> =
            chosen.later.iter().map(|(id, at)| vec![(*id).into(), (*at).into()]).collect();
        tx.execute_many(&put_off(self.skip_locked), &later).await?;
        let spent: Vec<Vec<Value>> = chosen
            .spent
            .iter()
            .map(|(account, line, pace)| vec![(*account).into(), (*line).into(), pace.as_nanos().into()])
            .collect();
        tx.execute_many(KEEP_TURNS, &spent).await?;
        Ok(taken.iter().flatten().filter_map(|row| self.claimed(row)).collect())
    }

    /// A row that was taken. One that cannot be read must not keep the others: it ends with its lease.
    fn claimed(&self, row: &Row) -> Option<ClaimedSend> {
        let read =
            || Ok(ClaimedSend { lease: Lease { token: self.token }, send: send(row)?, line: row.int(11)? });
        let claimed: Result<ClaimedSend, Error> = read();
        claimed.inspect_err(|error| tracing::error!(%error, "a stored send is damaged")).ok()
    }
}

/// Sends are few beside events, and a doubled one is dear: the lease is in the row on both engines.
fn take(skip_locked: &str) -> String {
    format!(
        "UPDATE sends SET state = 1, due_at = ?3, lease = ?4 WHERE id =
            (SELECT id FROM sends WHERE id = ?1 AND state = 0 AND due_at <= ?2 {skip_locked})
        RETURNING {COLUMNS}"
    )
}

fn put_off(skip_locked: &str) -> String {
    format!(
        "UPDATE sends SET due_at = ?2 WHERE id =
            (SELECT id FROM sends WHERE id = ?1 AND state = 0 AND due_at IS NOT NULL {skip_locked})"
    )
}

/// What the sends of one account must pass.
struct Gate {
    account: AccountId,
    /// When its first send is due.
    due_at: Timestamp,
    pace: Pace,
    rest_until: Option<Timestamp>,
    pacing: Option<SendPacing>,
    /// How many it is allotted by this claim.
    most: usize,
    /// Whether there is room for more of it than it is allotted.
    has_room: bool,
}

impl Gate {
    /// When the account has its next turn: now, or later.
    fn turn_at(&self, now: Timestamp) -> Timestamp {
        let mut pace = self.pace;
        let turn = self.pacing.and_then(|pacing| pace.take(pacing.account, now).err());
        let rested = self.rest_until.filter(|until| *until <= now.plus(REST_MAX));
        turn.unwrap_or(now).max(rested.unwrap_or(now))
    }

    /// When its first send may leave.
    fn opens_at(&self, now: Timestamp) -> Timestamp {
        self.turn_at(now).max(self.due_at)
    }

    /// How many sends may leave now.
    fn turns(&self, now: Timestamp) -> usize {
        if self.opens_at(now) > now {
            return 0;
        }
        let turns = self.pacing.map_or(u32::MAX, |pacing| self.pace.turns(pacing.account, now));
        usize::try_from(turns).unwrap_or(usize::MAX)
    }
}

/// A send at the head of its line.
struct Head {
    id: SendId,
    line: i64,
    due_at: Timestamp,
}

impl Head {
    fn read(row: &Row) -> Result<Head, Error> {
        Ok(Head { id: row.id(0)?, line: row.int(1)?, due_at: row.time(2)? })
    }
}

/// The turns taken of lines, each on its account.
type LinePaces = HashMap<(AccountId, i64), Pace>;

async fn line_paces(tx: &mut Tx, gates: &[Gate], heads: &[Vec<Head>]) -> Result<LinePaces, Error> {
    let paced = gates.iter().zip(heads).filter(|(gate, _)| gate.pacing.is_some_and(|one| one.line.is_some()));
    let keys: Vec<(AccountId, i64)> =
        paced.flat_map(|(gate, heads)| heads.iter().map(|head| (gate.account, head.line))).collect();
    let asked: Vec<Vec<Value>> =
        keys.iter().map(|(account, line)| vec![(*account).into(), (*line).into()]).collect();
    let found = tx.fetch_many(LINE_TURNS, &asked).await?;
    let mut paces = LinePaces::new();
    for (key, rows) in keys.into_iter().zip(found) {
        if let Some(row) = rows.first() {
            paces.insert(key, Pace::from_nanos(row.int(0)?));
        }
    }
    Ok(paces)
}

/// What a claim has decided.
#[derive(Default)]
struct Chosen {
    ready: Vec<SendId>,
    /// Sends whose line has no turn yet, and when it has.
    later: Vec<(SendId, Timestamp)>,
    /// The turns of accounts and lines after this claim.
    spent: Vec<(AccountId, i64, Pace)>,
}

/// Settles the calls whose lease ran out. The platform perhaps took the message just before the worker died: it is
/// never called again by itself; a status, a person, or the worker after all settles it.
async fn give_up_lapsed(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    let rows = tx.fetch_all(LAPSED, &[now.into(), Value::Int(LAPSED_MAX)]).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let lines: Vec<i64> = rows.iter().map(|row| row.int(1)).collect::<Result<_, _>>()?;
    lock_lines(tx, lines.iter().copied()).await?;
    let lists: Result<Vec<Vec<Value>>, Error> =
        rows.iter().map(|row| Ok(vec![now.into(), Value::Int(row.int(0)?)])).collect();
    tx.execute_many(GIVE_UP, &lists?).await?;
    for line in lines {
        promote(tx, line, now).await?;
    }
    Ok(())
}

/// Leaves an account alone until `until`. Comes last in its transaction: a claim may be waiting for this row.
pub(crate) async fn rest(
    tx: &mut Tx,
    account: AccountId,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let until = until.min(now.plus(REST_MAX));
    tx.execute(KEEP_REST, &[account.into(), Value::Int(OWN), until.into()]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sends::PROMOTE;

    #[test]
    fn no_statement_of_a_claim_walks_a_table_or_sorts() {
        let connection = rusqlite::Connection::open_in_memory().expect("a database");
        connection.execute_batch(include_str!("../migrations/sqlite/0001_initial.sql")).expect("the schema");
        let texts = [take(""), put_off("")];
        let fixed = [LAPSED, GIVE_UP, PROMOTE, ACCOUNTS, FIRST_DUE, LINE_TURNS, KEEP_TURNS, KEEP_REST];
        for sql in fixed.into_iter().chain(texts.iter().map(String::as_str)) {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
            let unbound = rusqlite::params_from_iter(vec![0; statement.parameter_count()]);
            let plan = statement.query_map(unbound, |row| row.get::<_, String>(3)).expect("a plan");
            for line in plan.map(|line| line.expect("a line")) {
                let is_the_walk_itself = ["SCAN due", "SCAN CONSTANT ROW"].contains(&line.as_str());
                assert!(is_the_walk_itself || !line.contains("SCAN "), "{sql}\n{line}");
                assert!(!line.contains("TEMP B-TREE"), "{sql}\n{line}");
            }
        }
    }
}
