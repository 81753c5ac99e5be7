//! Receipts: every request as it came, to be listed, shown, and read once more.

use std::sync::Arc;

use bytes::Bytes;
use model::id::{AppId, ReceiptId, SourceId};
use model::page::{Page, PageRequest, Span};
use model::receipt::{Reason, Receipt, ReceiptState};

use crate::arrivals::{Appended, Arrival};
use crate::blocks::By;
use crate::db::{Column, Into};
use crate::digest::is_intact;
use crate::error::Error;
use crate::listing::Listing;
use crate::value::{Row, Value};
use crate::{Store, append, routing};

pub(crate) const RECEIPTS: Into = Into {
    table: "receipts",
    columns: &[
        Column::Int("id"),
        Column::Int("source"),
        Column::Int("state"),
        Column::Text("reason"),
        Column::Text("method"),
        Column::Text("path"),
        Column::Text("peer"),
        Column::Int("body_bytes"),
        Column::Int("items"),
        Column::Int("items_new"),
    ],
};
pub(crate) const BODIES: Into = Into {
    table: "bodies",
    columns: &[Column::Int("id"), Column::Text("headers"), Column::Bytes("body"), Column::Int("body_check")],
};

/// Whose a receipt is.
pub(crate) const APP: &str = "(SELECT s.app FROM sources s WHERE s.id = receipts.source)";
/// Whether [`APP`] is a certain one, without a look for each row.
const OF_APP: &str = "source IN (SELECT s.id FROM sources s WHERE s.app = {})";
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
    /// Those that reached the sources of one app.
    pub app: Option<AppId>,
    /// Those that reached one source.
    pub source: Option<SourceId>,
    /// Those in one state.
    pub state: Option<ReceiptState>,
    /// Those that came within a span.
    pub span: Span,
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
        let intact = is_intact(body, row.int(2)?);
        Ok(Some(Came { headers: row.text(0)?.to_owned(), body: Bytes::copy_from_slice(body), intact }))
    }

    /// Receipts, newest first.
    pub async fn list(&self, filter: ReceiptFilter, page: PageRequest) -> Result<Page<Receipt>, Error> {
        let listing = filter.listing();
        self.0.inner.db.read(move |tx| Box::pin(async move { listing.page(tx, page, receipt).await })).await
    }

    /// Appends what a stored request carries that was refused, or had no owner: `None` when somebody else has released it
    /// meanwhile.
    pub async fn release(&self, id: ReceiptId, arrival: Arrival) -> Result<Option<Appended>, Error> {
        let trail = self.0.trail();
        let arrivals: Arc<[Arrival]> = Arc::from([arrival]);
        let released = self
            .0
            .write_current(move |tx, context| {
                let (arrivals, trail) = (Arc::clone(&arrivals), trail.clone());
                Box::pin(async move {
                    // It changes nothing, but of two who release it at once the second waits, and sees what the first has done.
                    let sql =
                        "UPDATE receipts SET state = state WHERE id = ?1 AND state IN (?2, ?3) AND state > 0";
                    let open = [ReceiptState::Rejected, ReceiptState::Unrouted]
                        .map(|state| Value::Int(state.code()));
                    let [rejected, unrouted] = open;
                    if tx.execute(sql, &[id.into(), rejected, unrouted]).await? == 0 {
                        return Ok(None);
                    }
                    let done = append::append(tx, &arrivals, context).await?;
                    trail.write(tx).await?;
                    Ok(Some(done))
                })
            })
            .await?;
        let Some(done) = released else { return Ok(None) };
        if done.adopted {
            routing::follow(&self.0.inner).await;
        }
        self.0.inner.announce_batch(&done);
        Ok(done.appended.first().copied())
    }
}

impl ReceiptFilter {
    pub(crate) fn listing(self) -> Listing {
        let listing = Listing::of("receipts", COLUMNS).within(self.span);
        let code = self.state.map(|state| Value::Int(state.code()));
        // What was not accepted has an index, and the engine must be told that this is some of that.
        let listing = match self.state {
            Some(ReceiptState::Accepted) => listing.only("+state", code),
            _ => listing.along("state > 0 AND state", code),
        };
        listing.by(By::ReceiptSource, "source", self.source.map(Value::from)).by_such(
            By::ReceiptApp,
            OF_APP,
            self.app.map(Value::from),
        )
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
