//! Receipts: every request as it came, to be listed, shown, and read once more.

use bytes::Bytes;
use model::id::{ReceiptId, SourceId};
use model::page::{Page, PageRequest};
use model::receipt::{Reason, Receipt, ReceiptState};

use crate::Store;
use crate::digest::check_of;
use crate::error::Error;
use crate::value::{Row, Value};

const COLUMNS: &str = "id, source, state, reason, method, path, peer, body_bytes, items, items_new";

/// Receipts.
pub struct Receipts<'s>(&'s Store);

impl Store {
    /// Receipts.
    pub fn receipts(&self) -> Receipts<'_> {
        Receipts(self)
    }
}

/// Which receipts are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReceiptFilter {
    /// Those that reached one source.
    pub source: Option<SourceId>,
    /// Those in one state.
    pub state: Option<ReceiptState>,
}

/// What came in a request, byte for byte.
#[derive(Clone, Debug)]
pub struct Came {
    /// The headers that were kept, one `name: value` a line.
    pub headers: String,
    /// The body.
    pub body: Bytes,
    /// Whether the body is still what was stored.
    pub intact: bool,
}

impl Receipts<'_> {
    /// One receipt.
    pub async fn get(&self, id: ReceiptId) -> Result<Receipt, Error> {
        let sql = format!("SELECT {COLUMNS} FROM receipts WHERE id = ?1");
        let row =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_one(&sql, &[id.into()]).await }));
        receipt(&row.await?.ok_or(Error::NotFound("receipt"))?)
    }

    /// What came in it; `None` when retention has removed it.
    pub async fn came(&self, id: ReceiptId) -> Result<Option<Came>, Error> {
        let sql = "SELECT headers, body, body_check FROM bodies WHERE id = ?1";
        let row = self
            .0
            .inner
            .db
            .read(move |tx| Box::pin(async move { tx.fetch_one(sql, &[id.into()]).await }))
            .await?;
        let Some(row) = row else { return Ok(None) };
        let body = row.bytes(1)?;
        let intact = check_of(body) == row.int(2)?;
        Ok(Some(Came { headers: row.text(0)?.to_owned(), body: Bytes::copy_from_slice(body), intact }))
    }

    /// Receipts, newest first, of one source or state.
    pub async fn list(&self, filter: ReceiptFilter, page: PageRequest) -> Result<Page<Receipt>, Error> {
        let mut sql = format!("SELECT {COLUMNS} FROM receipts WHERE id < ?1");
        let mut args = vec![Value::Int(page.before.unwrap_or(i64::MAX))];
        if let Some(source) = filter.source {
            args.push(source.into());
            sql.push_str(&format!(" AND source = ?{}", args.len()));
        }
        if let Some(state) = filter.state {
            args.push(Value::Int(state.code()));
            sql.push_str(&format!(" AND state = ?{}", args.len()));
            if state != ReceiptState::Accepted {
                // What was not accepted has an index of its own, and the engine must be told so.
                sql.push_str(" AND state > 0");
            }
        }
        args.push(Value::Int(page.fetch_limit()));
        sql.push_str(&format!(" ORDER BY id DESC LIMIT ?{}", args.len()));
        let rows =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_all(&sql, &args).await })).await?;
        let found: Result<Vec<Receipt>, Error> = rows.iter().map(receipt).collect();
        Ok(Page::cut(found?, page, |receipt| receipt.id.raw()))
    }
}

fn receipt(row: &Row) -> Result<Receipt, Error> {
    let id: ReceiptId = row.id(0)?;
    let state = ReceiptState::from_code(row.int(2)?);
    Ok(Receipt {
        id,
        source: row.opt_id(1)?,
        state: state.ok_or_else(|| Error::Corrupt(format!("receipts.state of {id}")))?,
        reason: row.opt_text(3)?.as_deref().and_then(Reason::parse),
        method: row.text(4)?.to_owned(),
        path: row.text(5)?.to_owned(),
        peer: row.text(6)?.to_owned(),
        body_bytes: row.int(7)?,
        items: row.int(8)?,
        items_new: row.int(9)?,
    })
}
