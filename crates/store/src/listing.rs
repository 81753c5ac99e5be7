//! Listings: newest first, narrowed in SQL, by looking at a bounded number of rows.
//!
//! A listing goes along a table by its ids, or along what an index keeps of one value in the order of ids. Whatever
//! else it is narrowed by is looked at row by row, and only so far, because hot tables have few indexes (ADR 3); what
//! blocks name is looked for in those only (ADR 18). A page that is not full by then ends there, with a cursor.

use std::cmp::Reverse;

use model::id::Id;
use model::page::{Page, PageRequest, Span};

use crate::blocks::{self, By, Wanted};
use crate::db::Tx;
use crate::error::Error;
use crate::value::{Row, Value};

/// How many rows one page looks at: a few first, because most pages are full by then, and then the rest.
const LOOKS: [i64; 2] = [1_000, 19_000];
/// How many blocks one page goes through.
const BLOCKS_MAX: usize = 64;

/// What is to be listed.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    table: &'static str,
    /// What is read of each row, its id first.
    columns: &'static str,
    span: Span,
    along: Vec<Condition>,
    only: Vec<Condition>,
    /// Those of the values it is narrowed to that blocks name.
    wanted: Vec<Wanted>,
}

/// What must be true of a row: an expression with `{}` wherever the value stands.
#[derive(Clone, Debug)]
struct Condition {
    expression: String,
    value: Value,
}

impl Condition {
    /// A column, or an expression, that has the value.
    fn is(left: &str, value: Value) -> Condition {
        Condition { expression: format!("{left} = {{}}"), value }
    }
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
        let (along, only, wanted) = (Vec::new(), Vec::new(), Vec::new());
        Listing { table, columns, span: Span::default(), along, only, wanted }
    }

    /// Those made within a span.
    pub(crate) fn within(self, span: Span) -> Listing {
        Listing { span, ..self }
    }

    /// Those with a value in a column that an index keeps in the order of ids.
    pub(crate) fn along(mut self, left: &str, value: Option<Value>) -> Listing {
        if value.is_some() {
            // Nothing is quicker than that.
            self.wanted.clear();
        }
        self.along.extend(value.map(|value| Condition::is(left, value)));
        self
    }

    /// Those with a value; each row is looked at. A column that has an index is written `+column`, so that no engine
    /// goes along that instead.
    pub(crate) fn only(mut self, left: &str, value: Option<Value>) -> Listing {
        self.only.extend(value.map(|value| Condition::is(left, value)));
        self
    }

    /// Those with a value that blocks name: where none of it is, nobody looks.
    pub(crate) fn by(self, by: By, left: &str, value: Option<Value>) -> Listing {
        self.wanting(by, value.as_ref()).only(left, value)
    }

    /// Those of which an expression is true, with `{}` for a value that blocks name. What it looks up is looked up once where
    /// that does not depend on the row.
    pub(crate) fn by_such(self, by: By, expression: &str, value: Option<Value>) -> Listing {
        self.wanting(by, value.as_ref()).only_such(expression, value)
    }

    /// The same with a value that no block names; each row is looked at.
    pub(crate) fn only_such(mut self, expression: &str, value: Option<Value>) -> Listing {
        self.only.extend(value.map(|value| Condition { expression: expression.to_owned(), value }));
        self
    }

    fn wanting(mut self, by: By, value: Option<&Value>) -> Listing {
        if self.along.is_empty() {
            self.wanted.extend(value.and_then(|value| Wanted::of(by, value)));
        }
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
        let (first, before) = self.bounds(before);
        let mut search = Search { listing: self, first, before, limit, rows: Vec::new() };
        let mut unseen = search.look(tx, first, LOOKS[0]).await?;
        if unseen.is_some() && !search.is_full() {
            unseen = match self.wanted.is_empty() {
                true => search.look(tx, first, LOOKS[1]).await?,
                false => search.go_through_blocks(tx).await?,
            };
        }
        let is_full = search.is_full();
        let mut rows = search.rows;
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

/// A search for the rows of one page: where it is, and what it has found.
struct Search<'l> {
    listing: &'l Listing,
    first: i64,
    before: i64,
    limit: usize,
    rows: Vec<Row>,
}

impl Search<'_> {
    /// One more than the page holds says that there is a next one.
    fn is_full(&self) -> bool {
        self.rows.len() > self.limit
    }

    /// Looks at so many rows, from `first` on; says where it stopped, if there may be more.
    async fn look(&mut self, tx: &mut Tx, first: i64, look: i64) -> Result<Option<i64>, Error> {
        let unseen = self.listing.end_of_look(tx, first, self.before, look).await?;
        self.take(tx, unseen.unwrap_or(first)).await?;
        Ok(unseen)
    }

    /// Looks at all rows down to one.
    async fn take(&mut self, tx: &mut Tx, end: i64) -> Result<(), Error> {
        let missing = self.limit + 1 - self.rows.len();
        let (sql, args) = self.listing.statement(end, self.before, missing);
        self.rows.extend(tx.fetch_all(&sql, &args).await?);
        self.before = end;
        Ok(())
    }

    /// Looks at what is in no block yet, and then where the blocks say that there is something.
    async fn go_through_blocks(&mut self, tx: &mut Tx) -> Result<Option<i64>, Error> {
        let end = blocks::end_of(tx, self.listing.table).await?;
        if self.before > end + 1 {
            let unseen = self.look(tx, self.first.max(end + 1), LOOKS[1]).await?;
            if unseen.is_some() || self.is_full() {
                return Ok(unseen);
            }
        }
        for _ in 0..BLOCKS_MAX {
            match blocks::newest(tx, &self.listing.wanted, self.first, self.before).await? {
                blocks::Found::Nothing => return Ok(None),
                blocks::Found::Further(below) => return Ok(Some(below)),
                blocks::Found::Block(first, last) => {
                    self.before = self.before.min(last + 1);
                    self.take(tx, first.max(self.first)).await?;
                }
            }
            if self.is_full() {
                break;
            }
        }
        Ok(Some(self.before))
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
    for Condition { expression, value } in others {
        args.push(value.clone());
        text.push_str(" AND ");
        text.push_str(&expression.replace("{}", &format!("?{}", args.len())));
    }
    (text, args)
}

#[cfg(test)]
mod tests;
