//! What is due, as the table has it: endpoint by endpoint, so that none hides another.

use std::sync::Arc;

use model::endpoint::Endpoint;
use model::id::{DeliveryId, EndpointId, EventId};
use model::time::Timestamp;

use crate::db::Tx;
use crate::error::Error;
use crate::room::{Kind, Room, Share};
use crate::value::{Row, Value};

/// How many endpoints are looked up at a time.
const ENDPOINTS_A_PAGE: usize = 256;
/// The most pages one round reads: paused endpoints with something due must not hide the others.
const PAGES_MAX: u32 = 64;

/// A delivery that is due.
pub(crate) struct Due {
    pub(crate) id: DeliveryId,
    pub(crate) event: EventId,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) line: Option<i64>,
    pub(crate) attempts: u32,
    pub(crate) since: Timestamp,
}

/// How many of an endpoint's due deliveries of one kind are wanted.
pub(crate) struct Asked {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) kind: Kind,
    pub(crate) most: usize,
}

/// Endpoints with something due and room for it.
pub(crate) struct Round {
    pub(crate) shares: Vec<Share>,
    /// Whether these are all there are.
    pub(crate) is_whole: bool,
}

/// Once round the circle of endpoints, from the one after `last`, as far as one claim goes.
pub(crate) async fn round(tx: &mut Tx, room: &Room, last: EndpointId) -> Result<Round, Error> {
    let mut shares = Vec::new();
    let (mut after, mut has_wrapped) = (last.raw(), false);
    for _ in 0..PAGES_MAX {
        let page = endpoints(tx, after).await?;
        let once = page.iter().filter(|id| !has_wrapped || **id <= last);
        shares.extend(once.filter_map(|id| room.share(*id)).filter(|share| share.free > 0));
        after = page.last().map_or(i64::MAX, |id| id.raw());
        let is_last_page = page.len() < ENDPOINTS_A_PAGE;
        if has_wrapped && (is_last_page || after > last.raw()) {
            return Ok(Round { shares, is_whole: true });
        }
        if shares.len() >= ENDPOINTS_A_PAGE {
            break;
        }
        if is_last_page {
            (after, has_wrapped) = (i64::MIN, true);
        }
    }
    Ok(Round { shares, is_whole: false })
}

/// The next endpoints with something due. Walks the index from endpoint to endpoint: its cost is their number, not
/// that of deliveries.
async fn endpoints(tx: &mut Tx, after: i64) -> Result<Vec<EndpointId>, Error> {
    let sql = "WITH RECURSIVE due (endpoint) AS (
            SELECT (SELECT min(endpoint) FROM deliveries WHERE due_at IS NOT NULL AND endpoint > ?1)
            UNION ALL
            SELECT (SELECT min(endpoint) FROM deliveries WHERE due_at IS NOT NULL AND endpoint > due.endpoint)
            FROM due WHERE due.endpoint IS NOT NULL)
        SELECT endpoint FROM due WHERE endpoint IS NOT NULL LIMIT ?2";
    let rows = tx.fetch_all(sql, &[Value::Int(after), Value::Int(ENDPOINTS_A_PAGE as i64)]).await?;
    rows.iter().map(|row| row.id(0)).collect()
}

/// What is due of each that is asked, longest first.
pub(crate) async fn rows(tx: &mut Tx, asked: &[Asked], now: Timestamp) -> Result<Vec<Vec<Due>>, Error> {
    let sql = "SELECT id, event, line, attempts, due_at FROM deliveries
        WHERE endpoint = ?1 AND retrying = ?2 AND due_at <= ?3 AND due_at IS NOT NULL
        ORDER BY due_at, id LIMIT ?4";
    let args = |asked: &Asked| {
        let most = i64::try_from(asked.most).unwrap_or(i64::MAX);
        vec![asked.endpoint.id.into(), Value::Int(asked.kind.code()), now.into(), Value::Int(most)]
    };
    let found = tx.fetch_many(sql, &asked.iter().map(args).collect::<Vec<_>>()).await?;
    asked.iter().zip(found).map(|(asked, rows)| rows.iter().map(|row| due(row, asked)).collect()).collect()
}

fn due(row: &Row, asked: &Asked) -> Result<Due, Error> {
    Ok(Due {
        id: row.id(0)?,
        event: row.id(1)?,
        endpoint: Arc::clone(&asked.endpoint),
        line: row.opt_int(2)?,
        attempts: u32::try_from(row.int(3)?).unwrap_or(u32::MAX),
        since: row.time(4)?,
    })
}
