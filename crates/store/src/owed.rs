//! Deliveries that a batch of arrivals causes: which of them are due at once, and which wait behind another.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::delivery::DeliveryState;
use model::endpoint::{Endpoint, Order};
use model::id::{DeliveryId, EndpointId, EventId};

use crate::append::Context;
use crate::db::{Column, Into, Tx};
use crate::error::Error;
use crate::order;
use crate::value::Value;

pub(crate) const DELIVERIES: Into = Into {
    table: "deliveries",
    columns: &[
        Column::Int("id"),
        Column::Int("event"),
        Column::Int("endpoint"),
        Column::Int("line"),
        Column::Int("state"),
        Column::Int("retrying"),
        Column::Int("attempts"),
        Column::Int("due_at"),
        Column::Text("last_error"),
    ],
};

/// Deliveries of a batch before it is known which of them stand at the head of their line.
#[derive(Default)]
pub(crate) struct Owed {
    rows: Vec<OwedRow>,
    /// The requests whose original bytes an endpoint is owed already.
    originals: HashSet<(EndpointId, usize)>,
}

struct OwedRow {
    endpoint: Arc<Endpoint>,
    event: EventId,
    line: Option<i64>,
}

impl Owed {
    pub(crate) fn add(&mut self, endpoint: &Arc<Endpoint>, event: EventId, line: Option<i64>) {
        let line = line.filter(|_| endpoint.order == Order::ByConversation);
        self.rows.push(OwedRow { endpoint: Arc::clone(endpoint), event, line });
    }

    /// Whether the original bytes of a request are owed to an endpoint for the first time.
    pub(crate) fn original(&mut self, endpoint: EndpointId, arrival: usize) -> bool {
        self.originals.insert((endpoint, arrival))
    }

    /// Only the head of a line is due; the others wait with no due time until a record promotes them. Says to whom
    /// something is due.
    pub(crate) async fn rows(
        self,
        tx: &mut Tx,
        context: &Context,
    ) -> Result<(Vec<Vec<Value>>, HashSet<EndpointId>), Error> {
        let newest = self.newest_of_lines(tx).await?;
        // A node whose clock is ahead may have been here before us: whoever comes later has the higher id.
        order::pass(&context.ids, newest.values().copied().max(), context.now);
        let mut occupied: HashSet<(i64, i64)> = newest.into_keys().collect();
        let mut due = HashSet::new();
        let row = |owed: OwedRow| {
            let id: DeliveryId = context.ids.next(context.now);
            let is_head = owed.line.is_none_or(|line| occupied.insert((owed.endpoint.id.raw(), line)));
            let due_at = is_head.then_some(context.now);
            if is_head {
                due.insert(owed.endpoint.id);
            }
            vec![
                id.into(),
                owed.event.into(),
                owed.endpoint.id.into(),
                Value::from(owed.line),
                Value::Int(DeliveryState::Pending.code()),
                Value::Int(0),
                Value::Int(0),
                Value::from(due_at),
                Value::Null,
            ]
        };
        let rows = self.rows.into_iter().map(row).collect();
        Ok((rows, due))
    }

    /// The lines in which somebody is waiting already, and the last of those who wait. Nobody may join or leave them
    /// until we have committed.
    async fn newest_of_lines(&self, tx: &mut Tx) -> Result<HashMap<(i64, i64), i64>, Error> {
        let lines: HashSet<(i64, i64)> =
            self.rows.iter().filter_map(|owed| Some((owed.endpoint.id.raw(), owed.line?))).collect();
        let lines: Vec<(i64, i64)> = lines.into_iter().collect();
        if lines.is_empty() {
            return Ok(HashMap::new());
        }
        tx.lock(lines.iter().map(|(_, line)| *line).collect()).await?;
        let sql = "SELECT max(id) FROM deliveries
            WHERE endpoint = ?1 AND line = ?2 AND line IS NOT NULL AND state <= 2";
        let asked: Vec<Vec<Value>> =
            lines.iter().map(|(endpoint, line)| vec![(*endpoint).into(), (*line).into()]).collect();
        let mut newest = HashMap::new();
        for (line, rows) in lines.into_iter().zip(tx.fetch_each(sql, &asked).await?) {
            if let Some(id) = rows.first().map_or(Ok(None), |row| row.opt_int(0))? {
                newest.insert(line, id);
            }
        }
        Ok(newest)
    }
}
