//! Listings: newest first, narrowed in SQL, by looking at a bounded number of rows.
//!
//! A listing goes along a table by its ids, or along what an index keeps of one value in the order of ids. Whatever
//! else it is narrowed by is looked at row by row, and only so far, because hot tables have few indexes (ADR 14). A
//! page that is not full by then ends there, with a cursor.

use std::cmp::Reverse;

use model::id::Id;
use model::page::{Page, PageRequest, Span};

use crate::db::Tx;
use crate::error::Error;
use crate::value::{Row, Value};

/// How many rows one page looks at: a few first, because most pages are full by then, and then the rest.
const LOOKS: [i64; 2] = [1_000, 19_000];

/// What is to be listed.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    table: &'static str,
    /// What is read of each row, its id first.
    columns: &'static str,
    span: Span,
    along: Vec<Condition>,
    only: Vec<Condition>,
}

/// A column, or an expression, and the value it must have.
#[derive(Clone, Debug)]
struct Condition {
    left: String,
    value: Value,
}

/// Rows, newest first, and where those after them begin.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Row>,
    pub(crate) next: Option<i64>,
}

impl Listing {
    /// Every row of a table.
    pub(crate) fn of(table: &'static str, columns: &'static str) -> Listing {
        Listing { table, columns, span: Span::default(), along: Vec::new(), only: Vec::new() }
    }

    /// Those made within a span.
    pub(crate) fn within(self, span: Span) -> Listing {
        Listing { span, ..self }
    }

    /// Those with a value in a column that an index keeps in the order of ids.
    pub(crate) fn along(mut self, left: &str, value: Option<Value>) -> Listing {
        self.along.extend(value.map(|value| Condition { left: left.to_owned(), value }));
        self
    }

    /// Those with a value; each row is looked at. A column that has an index is written `+column`, so that no engine
    /// goes along that instead.
    pub(crate) fn only(mut self, left: &str, value: Option<Value>) -> Listing {
        self.only.extend(value.map(|value| Condition { left: left.to_owned(), value }));
        self
    }

    /// Those whose text begins so; each row is looked at.
    pub(crate) fn only_beginning(self, column: &str, beginning: String) -> Listing {
        let left = format!("substr({column}, 1, {})", beginning.chars().count());
        self.only(&left, Some(beginning.into()))
    }

    /// One page.
    pub(crate) async fn page<T>(
        &self,
        tx: &mut Tx,
        page: PageRequest,
        read: impl Fn(&Row) -> Result<T, Error>,
    ) -> Result<Page<T>, Error> {
        page_of(tx, std::slice::from_ref(self), page, read).await
    }

    /// At most `limit` rows older than `before`.
    pub(crate) async fn find(&self, tx: &mut Tx, before: Option<i64>, limit: usize) -> Result<Found, Error> {
        let (first, mut before) = self.bounds(before);
        let (mut rows, mut unseen) = (Vec::new(), None);
        for look in LOOKS {
            unseen = self.end_of_look(tx, first, before, look).await?;
            let missing = limit + 1 - rows.len();
            let (sql, args) = self.statement(unseen.unwrap_or(first), before, missing);
            rows.extend(tx.fetch_all(&sql, &args).await?);
            match unseen {
                Some(end) if rows.len() <= limit => before = end,
                _ => break,
            }
        }
        let is_full = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last().filter(|_| is_full) {
            Some(last) => Some(last.int(0)?),
            None => unseen,
        };
        Ok(Found { rows, next })
    }

    /// Of these rows, in their order, those it is narrowed to.
    pub(crate) async fn among<K>(&self, tx: &mut Tx, ids: &[Id<K>]) -> Result<Vec<Row>, Error> {
        let lists: Vec<Vec<Value>> =
            ids.iter().map(|id| self.statement(id.raw(), id.raw() + 1, 1).1).collect();
        let (sql, _) = self.statement(0, 0, 1);
        Ok(tx.fetch_many(&sql, &lists).await?.into_iter().flatten().collect())
    }

    /// The ids it goes over: from the first, and below the second.
    pub(crate) fn bounds(&self, before: Option<i64>) -> (i64, i64) {
        let (first, below) = self.span.ids();
        (first, before.unwrap_or(i64::MAX).min(below))
    }

    /// The oldest of the rows that a look goes over, where there may be more behind it. A listing that is narrowed by
    /// nothing but what it goes along finds only what it wants.
    async fn end_of_look(
        &self,
        tx: &mut Tx,
        first: i64,
        before: i64,
        look: i64,
    ) -> Result<Option<i64>, Error> {
        if self.only.is_empty() {
            return Ok(None);
        }
        let (conditions, mut args) = conditions(first, before, &self.along);
        args.push(Value::Int(look - 1));
        let (table, offset) = (self.table, args.len());
        let sql =
            format!("SELECT id FROM {table} WHERE {conditions} ORDER BY id DESC LIMIT 1 OFFSET ?{offset}");
        tx.fetch_one(&sql, &args).await?.map(|row| row.int(0)).transpose()
    }

    fn statement(&self, first: i64, before: i64, limit: usize) -> (String, Vec<Value>) {
        let (conditions, mut args) = conditions(first, before, self.along.iter().chain(&self.only));
        args.push(Value::Int(limit as i64));
        let (columns, table, limit) = (self.columns, self.table, args.len());
        let sql = format!("SELECT {columns} FROM {table} WHERE {conditions} ORDER BY id DESC LIMIT ?{limit}");
        (sql, args)
    }
}

/// One page of several listings of a table that have no row in common.
pub(crate) async fn page_of<T>(
    tx: &mut Tx,
    listings: &[Listing],
    page: PageRequest,
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Page<T>, Error> {
    let limit = page.limit.clamp(1, model::page::LIMIT_MAX) as usize;
    let (mut rows, mut end) = (Vec::new(), None);
    for listing in listings {
        let found = listing.find(tx, page.before, limit).await?;
        end = end.max(found.next);
        for row in found.rows {
            rows.push((row.int(0)?, row));
        }
    }
    // What one has found beyond the end of another belongs to a later page.
    rows.retain(|(id, _)| end.is_none_or(|end| *id >= end));
    rows.sort_by_key(|(id, _)| Reverse(*id));
    let is_full = rows.len() > limit;
    rows.truncate(limit);
    let next = if is_full { rows.last().map(|(id, _)| *id) } else { end };
    let items: Result<Vec<T>, Error> = rows.iter().map(|(_, row)| read(row)).collect();
    Ok(Page { items: items?, next })
}

fn conditions<'c>(
    first: i64,
    before: i64,
    others: impl IntoIterator<Item = &'c Condition>,
) -> (String, Vec<Value>) {
    let mut args = vec![Value::Int(before), Value::Int(first)];
    let mut text = "id < ?1 AND id >= ?2".to_owned();
    for Condition { left, value } in others {
        args.push(value.clone());
        text.push_str(&format!(" AND {left} = ?{}", args.len()));
    }
    (text, args)
}

#[cfg(test)]
mod tests;
