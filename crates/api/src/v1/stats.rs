//! Counts and checks over REST.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use control::Control;
use control::stats::Counts;
use model::delivery::DeliveryState;
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

/// How much there is of everything.
#[derive(Serialize, ToSchema)]
#[schema(as = Counts)]
pub(crate) struct CountsView {
    /// Requests kept.
    receipts: u64,
    /// Events kept.
    events: u64,
    /// Deliveries kept.
    deliveries: u64,
    /// Deliveries by their stored state; the sum is their number.
    by_state: BTreeMap<String, u64>,
    /// Whether everything adds up and the store is undamaged.
    sound: bool,
    /// What the store's own check found.
    damage: Vec<String>,
}

impl CountsView {
    fn of(counts: Counts) -> CountsView {
        let by_state = DeliveryState::ALL.iter().zip(counts.by_state);
        CountsView {
            receipts: counts.receipts,
            events: counts.events,
            deliveries: counts.deliveries,
            by_state: by_state.map(|(state, count)| (state.as_str().to_owned(), count)).collect(),
            sound: counts.is_sound(),
            damage: counts.damage,
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
    Ok(Json(CountsView::of(control.stats().counts(&actor).await?)))
}

pub(crate) async fn health(
    State(control): State<Control>,
    Caller(actor): Caller,
) -> Result<Json<HealthView>, Problem> {
    control.stats().check_health(&actor).await?;
    Ok(Json(HealthView { ok: true }))
}
