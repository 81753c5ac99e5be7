//! Which values occur in which block of a table, so that a list of a rare one need not look through all rows (ADR 18).
//!
//! Written behind the hot path, for blocks that nothing is added to any more. A block may name a value whose row is gone;
//! it never lacks one that is there.

use std::collections::BTreeSet;
use std::time::Duration;

use model::id::Id;

use crate::db::{Column, Into, Tx};
use crate::digest::short_of;
use crate::error::Error;
use crate::value::{Row, Value};
use crate::{Store, deliveries, receipts};

/// How many rows a block is of.
const BLOCK_ROWS: usize = 1_024;
/// How far behind the present the nodes of one database begin: longer than a transaction may take.
const SETTLED: Duration = Duration::from_secs(60);
/// How many rows of blocks that are gone one step removes of each kind.
const REMOVED_AT_ONCE: i64 = 500;
/// How often several values are compared before a search gives up with a cursor.
const LEAPS_MAX: usize = 256;
/// Any number, as long as every node uses the same one.
const LOCK: i64 = 0x626c_6f63;

const INTO: Into = Into {
    table: "blocks",
    columns: &[Column::Int("kind"), Column::Int("value"), Column::Int("first"), Column::Int("last")],
};
pub(crate) const NEWEST: &str = "SELECT first, last FROM blocks WHERE kind = ?1 AND value = ?2 AND first < ?3
    ORDER BY first DESC LIMIT 1";
pub(crate) const REMOVE: &str = "DELETE FROM blocks WHERE (kind, value, first) IN
    (SELECT kind, value, first FROM blocks WHERE kind = ?1 AND first < ?2 AND last < ?2 ORDER BY first LIMIT ?3)";

/// What rows can be found by. The numbers are in the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    EventApp = 1,
    EventSource = 2,
    EventAccount = 3,
    EventType = 4,
    ReceiptSource = 5,
    ReceiptApp = 6,
    DeliveryEndpoint = 7,
    DeliveryApp = 8,
    SendApp = 9,
    SendAccount = 10,
}

/// A value that is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    by: By,
    value: i64,
}

impl Wanted {
    /// Numbers stand for themselves; a text is known by its checksum, and a search sorts out who else has it.
    pub(crate) fn of(by: By, value: &Value) -> Option<Wanted> {
        let value = match value {
            Value::Int(number) => *number,
            Value::Text(text) => short_of(text.as_bytes()),
            Value::Bytes(_) | Value::Null => return None,
        };
        Some(Wanted { by, value })
    }
}

/// A table with blocks: what is read of each row, its id first, and what each of the others is found by.
struct Table {
    name: &'static str,
    mark: &'static str,
    columns: String,
    by: &'static [By],
}

fn tables() -> [Table; 4] {
    [
        Table {
            name: "events",
            mark: "blocks.events",
            columns: "id, app, source, account, event_type".to_owned(),
            by: &[By::EventApp, By::EventSource, By::EventAccount, By::EventType],
        },
        Table {
            name: "receipts",
            mark: "blocks.receipts",
            columns: format!("id, source, {}", receipts::APP),
            by: &[By::ReceiptSource, By::ReceiptApp],
        },
        Table {
            name: "deliveries",
            mark: "blocks.deliveries",
            columns: format!("id, endpoint, {}", deliveries::APP),
            by: &[By::DeliveryEndpoint, By::DeliveryApp],
        },
        Table {
            name: "sends",
            mark: "blocks.sends",
            columns: "id, app, account".to_owned(),
            by: &[By::SendApp, By::SendAccount],
        },
    ]
}

/// Blocks.
pub struct Blocks<'s>(&'s Store);

impl Store {
    /// Blocks.
    pub fn blocks(&self) -> Blocks<'_> {
        Blocks(self)
    }
}

impl Blocks<'_> {
    /// Says of the next complete block of each table which values occur in it, and forgets blocks whose rows are gone. One
    /// bounded step; zero means that there was nothing to do.
    pub async fn step(&self) -> Result<u64, Error> {
        let inner = &self.0.inner;
        // Ids of an embedded store are written in their order, so what is there is complete.
        let end = match inner.db.is_embedded() {
            true => i64::MAX,
            false => Id::<()>::first_at(inner.clock.now().minus(SETTLED)).raw(),
        };
        let read = inner.db.read(move |tx| Box::pin(async move { next(tx, end).await })).await?;
        inner.db.write(move |tx| Box::pin(write(tx, read))).await
    }
}

/// A block that is complete, and what its table's mark was when it was read.
#[derive(Clone)]
struct Next {
    mark: &'static str,
    after: i64,
    last: i64,
    rows: Vec<Vec<Value>>,
}

/// The next block of each table that has one, and of each kind before which id nothing is left.
type Read = (Vec<Next>, Vec<(By, i64)>);

async fn next(tx: &mut Tx, end: i64) -> Result<Read, Error> {
    let (mut blocks, mut gone) = (Vec::new(), Vec::new());
    for Table { name, mark, columns, by } in tables() {
        let after = mark_of(tx, mark).await?;
        let sql = format!("SELECT {columns} FROM {name} WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3");
        let args = [Value::Int(after), Value::Int(end), Value::Int(BLOCK_ROWS as i64)];
        let rows = tx.fetch_all(&sql, &args).await?;
        if rows.len() == BLOCK_ROWS {
            let (first, last) = (rows[0].int(0)?, rows[BLOCK_ROWS - 1].int(0)?);
            blocks.push(Next { mark, after, last, rows: summary(&rows, by, (first, last))? });
        }
        let oldest = tx.fetch_one(&format!("SELECT min(id) FROM {name}"), &[]).await?;
        let oldest = oldest.map(|row| row.opt_int(0)).transpose()?.flatten().unwrap_or(after + 1);
        gone.extend(by.iter().map(|by| (*by, oldest)));
    }
    Ok((blocks, gone))
}

/// Each value once.
fn summary(rows: &[Row], by: &[By], (first, last): (i64, i64)) -> Result<Vec<Vec<Value>>, Error> {
    let mut found = BTreeSet::new();
    for row in rows {
        for (by, at) in by.iter().zip(1..) {
            let wanted = match by {
                By::EventType => Wanted::of(*by, &Value::from(row.text(at)?)),
                _ => row.opt_int(at)?.map(|value| Wanted { by: *by, value }),
            };
            found.extend(wanted.map(|wanted| (wanted.by as i64, wanted.value)));
        }
    }
    Ok(found.into_iter().map(|(by, value)| [by, value, first, last].map(Value::Int).into()).collect())
}

async fn write(tx: &mut Tx, (blocks, gone): Read) -> Result<u64, Error> {
    tx.lock(vec![LOCK]).await?;
    let mut done = 0;
    for Next { mark, after, last, rows } in blocks {
        // Another node may have written it meanwhile.
        if mark_of(tx, mark).await? == after {
            tx.insert_many(INTO, rows).await?;
            let sql =
                "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
            tx.execute(sql, &[mark.into(), Value::Int(last)]).await?;
            done += 1;
        }
    }
    for (by, oldest) in gone {
        let args = [Value::Int(by as i64), Value::Int(oldest), Value::Int(REMOVED_AT_ONCE)];
        done += tx.execute(REMOVE, &args).await?;
    }
    Ok(done)
}

/// The id of the last row of a table that is in a block.
async fn mark_of(tx: &mut Tx, name: &str) -> Result<i64, Error> {
    let row = tx.fetch_one("SELECT value FROM meta WHERE name = ?1", &[name.into()]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// The last id of a table that is in a block.
pub(crate) async fn end_of(tx: &mut Tx, table: &str) -> Result<i64, Error> {
    mark_of(tx, &format!("blocks.{table}")).await
}

/// Where a search goes on.
pub(crate) enum Found {
    /// In the rows from the first id to the last.
    Block(i64, i64),
    /// Nowhere.
    Nothing,
    /// Below this id, in another search.
    Further(i64),
}

/// The newest block below an id in which all of these values occur, if it reaches up to `first`.
pub(crate) async fn newest(
    tx: &mut Tx,
    wanted: &[Wanted],
    first: i64,
    mut below: i64,
) -> Result<Found, Error> {
    for _ in 0..LEAPS_MAX {
        let mut blocks = BTreeSet::new();
        for Wanted { by, value } in wanted {
            let args = [Value::Int(*by as i64), Value::Int(*value), Value::Int(below)];
            let Some(row) = tx.fetch_one(NEWEST, &args).await? else { return Ok(Found::Nothing) };
            blocks.insert((row.int(0)?, row.int(1)?));
        }
        let Some((oldest, last)) = blocks.first().copied().filter(|(_, last)| *last >= first) else {
            return Ok(Found::Nothing);
        };
        if blocks.len() == 1 {
            return Ok(Found::Block(oldest, last));
        }
        // No newer block can have what the one that is farthest back has.
        below = oldest + 1;
    }
    Ok(Found::Further(below))
}
