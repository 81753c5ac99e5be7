//! Deliveries, attempts and replays over REST.

use axum::Json;
use axum::extract::State;
use control::deliveries::DeliveryFilter;
use control::replay::{DeadFilter, MANY_MAX, Step};
use control::{Control, Words};
use model::delivery::{Attempt, Delivery, DeliveryState};
use model::id::{DeliveryId, kind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::body::{Body, Named, Query, id_if, one_of_if};
use crate::page::{PageView, before, cursor_text, span, wanted};
use crate::problem::Problem;

/// One event owed to one endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView {
    id: String,
    /// What is owed.
    event: String,
    /// To whom.
    endpoint: String,
    /// `pending`, `in_flight`, `held`, `delivered`, `dead` or `cancelled`.
    state: String,
    /// How many attempts were made.
    attempts: u32,
    /// When the next attempt is due.
    due_at: Option<String>,
    /// What the last attempt came to.
    last_error: Option<String>,
    /// The delivery that was made when this one was replayed.
    replayed_by: Option<String>,
    /// When it was made.
    created_at: String,
}

impl DeliveryView {
    fn of(delivery: Delivery) -> DeliveryView {
        DeliveryView {
            id: delivery.id.to_string(),
            event: delivery.event.to_string(),
            endpoint: delivery.endpoint.to_string(),
            state: delivery.state.as_str().to_owned(),
            attempts: delivery.attempts,
            due_at: delivery.due_at.map(|at| at.to_string()),
            last_error: delivery.last_error,
            replayed_by: delivery.replayed_by.map(|id| id.to_string()),
            created_at: delivery.id.made_at().to_string(),
        }
    }
}

/// Every try, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempts)]
pub(crate) struct AttemptsView {
    data: Vec<AttemptView>,
}

impl AttemptsView {
    pub(crate) fn of(attempts: Vec<Attempt>) -> Json<AttemptsView> {
        Json(AttemptsView { data: attempts.into_iter().map(AttemptView::of).collect() })
    }
}

/// One try of a delivery or a send.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    id: String,
    /// Which attempt it was; the first is 1.
    number: u32,
    /// When it started.
    started_at: String,
    /// The HTTP status, if an answer came.
    status: Option<u16>,
    /// What went wrong.
    error: Option<String>,
    /// The address that was connected.
    peer: Option<String>,
    /// How many milliseconds each part took.
    phases_ms: PhasesView,
    /// The answer's headers, one a line.
    answer_headers: String,
    /// The beginning of the answer's body, as text.
    answer_excerpt: String,
}

/// How many milliseconds each part of an exchange took.
#[derive(Serialize, ToSchema)]
#[schema(as = Phases)]
struct PhasesView {
    resolve: f64,
    connect: f64,
    tls: f64,
    first_byte: f64,
    total: f64,
}

impl AttemptView {
    fn of(attempt: Attempt) -> AttemptView {
        let ms = |span: std::time::Duration| span.as_micros() as f64 / 1000.0;
        let phases = attempt.phases;
        AttemptView {
            id: attempt.id.to_string(),
            number: attempt.number,
            started_at: attempt.id.made_at().to_string(),
            status: attempt.status,
            error: attempt.error,
            peer: attempt.peer,
            phases_ms: PhasesView {
                resolve: ms(phases.resolve),
                connect: ms(phases.connect),
                tls: ms(phases.tls),
                first_byte: ms(phases.first_byte),
                total: ms(phases.total),
            },
            answer_headers: attempt.answer_headers,
            answer_excerpt: String::from_utf8_lossy(&attempt.answer_excerpt).into_owned(),
        }
    }
}

/// How to replay a delivery.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayDelivery {
    /// Replays it once more, although it was replayed before.
    #[serde(default)]
    again: bool,
}

/// The delivery a replay made.
#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
pub(crate) struct ReplayView {
    /// The new delivery.
    delivery: String,
}

impl ReplayView {
    pub(crate) fn of(delivery: DeliveryId) -> ReplayView {
        ReplayView { delivery: delivery.to_string() }
    }
}

/// Which dead deliveries to replay: of those asked for, the ones that were not replayed before, newest first.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayMany {
    /// Those of one app.
    app: Option<String>,
    /// Those to one endpoint.
    endpoint: Option<String>,
    /// Those made at this time or later.
    since: Option<String>,
    /// Those made before this time.
    until: Option<String>,
    /// At most so many, up to 10,000, which is also the default.
    limit: Option<usize>,
    /// Where the call before ended.
    cursor: Option<String>,
}

/// What a call for many replays came to.
#[derive(Serialize, ToSchema)]
#[schema(as = Replayed)]
pub(crate) struct ReplayedView {
    /// How many deliveries were made.
    count: usize,
    /// How many cannot be replayed any more, because their endpoint was removed or their content is no longer kept.
    lost: usize,
    /// Where another call goes on; absent when none are left. A call may end early and still have one.
    next_cursor: Option<String>,
}

impl ReplayedView {
    fn of(all: Step) -> ReplayedView {
        ReplayedView { count: all.made, lost: all.lost, next_cursor: all.next.map(cursor_text) }
    }
}

/// Which deliveries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Those of one app.
    app: Option<String>,
    /// Those of one event.
    event: Option<String>,
    /// Those to one endpoint.
    endpoint: Option<String>,
    /// Those in one state.
    status: Option<String>,
    /// Those made at this time or later.
    since: Option<String>,
    /// Those made before this time.
    until: Option<String>,
    /// At most so many rows, up to 250.
    limit: Option<u32>,
    /// Where a page before ended.
    cursor: Option<String>,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<DeliveryView>>, Problem> {
    let page = wanted(query.limit, query.cursor.as_deref())?;
    let filter = DeliveryFilter {
        app: id_if(query.app.as_deref(), "app")?,
        event: id_if(query.event.as_deref(), "event")?,
        endpoint: id_if(query.endpoint.as_deref(), "endpoint")?,
        state: one_of_if(query.status.as_deref(), DeliveryState::parse, "status")?,
        span: span(query.since.as_deref(), query.until.as_deref())?,
    };
    Ok(PageView::of(control.deliveries().list(&actor, filter, page).await?, DeliveryView::of))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Delivery>,
) -> Result<Json<DeliveryView>, Problem> {
    Ok(Json(DeliveryView::of(control.deliveries().get(&actor, id).await?)))
}

pub(crate) async fn attempts(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Delivery>,
) -> Result<Json<AttemptsView>, Problem> {
    Ok(AttemptsView::of(control.deliveries().attempts(&actor, id).await?))
}

pub(crate) async fn cancel(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Delivery>,
) -> Result<Json<DeliveryView>, Problem> {
    Ok(Json(DeliveryView::of(control.deliveries().cancel(&actor, id).await?)))
}

pub(crate) async fn retry(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Delivery>,
) -> Result<Json<DeliveryView>, Problem> {
    Ok(Json(DeliveryView::of(control.deliveries().retry(&actor, id).await?)))
}

pub(crate) async fn replay(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Delivery>,
    Body(body): Body<ReplayDelivery>,
) -> Result<Json<ReplayView>, Problem> {
    Ok(Json(ReplayView::of(control.replays().delivery(&actor, id, body.again).await?)))
}

pub(crate) async fn replay_many(
    State(control): State<Control>,
    Caller(actor): Caller,
    Body(body): Body<ReplayMany>,
) -> Result<Json<ReplayedView>, Problem> {
    let limit = body.limit.unwrap_or(MANY_MAX);
    if !(1..=MANY_MAX).contains(&limit) {
        let words = Words::new(format!("from 1 to {MANY_MAX}"), format!("de 1 a {MANY_MAX}"));
        return Err(Problem::invalid("limit", words));
    }
    let filter = DeadFilter {
        app: id_if(body.app.as_deref(), "app")?,
        endpoint: id_if(body.endpoint.as_deref(), "endpoint")?,
        span: span(body.since.as_deref(), body.until.as_deref())?,
    };
    let before = before(body.cursor.as_deref())?;
    Ok(Json(ReplayedView::of(control.replays().many(&actor, filter, before, limit).await?)))
}
