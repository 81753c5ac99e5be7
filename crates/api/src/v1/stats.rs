//! What is waiting and what is kept, over REST.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use control::Control;
use control::stats::Kept;
use model::delivery::DeliveryState;
use model::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::problem::Problem;

/// What is waiting now.
#[derive(Serialize, ToSchema)]
#[schema(as = Backlog)]
pub(crate) struct BacklogView {
    /// Deliveries that have a due time.
    due: u64,
    /// Deliveries that wait in a line behind another.
    in_line: u64,
    /// Messages not yet taken by their platform.
    sends: u64,
}

/// How much is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Counts)]
pub(crate) struct CountsView {
    /// Requests.
    receipts: u64,
    /// Events.
    events: u64,
    /// Deliveries.
    deliveries: u64,
    /// Deliveries by their stored state; the sum is their number.
    by_state: BTreeMap<String, u64>,
    /// When this was counted, at most a minute ago. Work went on meanwhile: what came or went then may be in it or not.
    counted_at: String,
}

impl CountsView {
    fn of((kept, counted_at): (Kept, Timestamp)) -> CountsView {
        let by_state = DeliveryState::ALL.iter().zip(kept.by_state);
        CountsView {
            receipts: kept.receipts,
            events: kept.events,
            deliveries: kept.deliveries,
            by_state: by_state.map(|(state, count)| (state.as_str().to_owned(), count)).collect(),
            counted_at: counted_at.to_string(),
        }
    }
}

/// That all is well.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthView {
    /// Always true; what is not well is a problem.
    ok: bool,
}

pub(crate) async fn backlog(
    State(control): State<Control>,
    Caller(actor): Caller,
) -> Result<Json<BacklogView>, Problem> {
    let backlog = control.stats().backlog(&actor).await?;
    Ok(Json(BacklogView { due: backlog.due, in_line: backlog.in_line, sends: backlog.sends }))
}

pub(crate) async fn counts(
    State(control): State<Control>,
    Caller(actor): Caller,
) -> Result<Json<CountsView>, Problem> {
    Ok(Json(CountsView::of(control.stats().kept(&actor).await?)))
}

pub(crate) async fn health(
    State(control): State<Control>,
    Caller(actor): Caller,
) -> Result<Json<HealthView>, Problem> {
    control.stats().check_health(&actor).await?;
    Ok(Json(HealthView { ok: true }))
}
