//! Events over REST.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use control::events::EventFilter;
use control::{Control, Words};
use model::event::{Event, EventType};
use model::id::kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::deliveries::ReplayView;
use crate::auth::Caller;
use crate::body::{self, Body, Named, Query, id_if};
use crate::page::{PageView, span, wanted};
use crate::problem::Problem;

/// One thing that happened; its content is shown by getting it alone.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventView {
    id: String,
    /// Its dotted name.
    r#type: String,
    /// Who it belongs to.
    app: String,
    /// Where it came from.
    source: Option<String>,
    /// The account it happened on.
    account: Option<String>,
    /// The conversation it belongs to.
    conversation: Option<String>,
    /// The request it came in.
    receipt: Option<String>,
    /// When it happened.
    occurred_at: String,
    /// When it came.
    created_at: String,
}

impl EventView {
    fn of(event: &Event) -> EventView {
        EventView {
            id: event.id.to_string(),
            r#type: event.event_type.as_str().to_owned(),
            app: event.app.to_string(),
            source: event.source.map(|id| id.to_string()),
            account: event.account.map(|id| id.to_string()),
            conversation: event.conversation.map(|id| id.to_string()),
            receipt: event.receipt.map(|id| id.to_string()),
            occurred_at: event.occurred_at.to_string(),
            created_at: event.id.made_at().to_string(),
        }
    }
}

/// One thing that happened, and what it says.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventDetail {
    #[serde(flatten)]
    event: EventView,
    /// What it says: JSON, or text, or `{"base64": …}`; `null` once retention has removed it.
    data: Value,
}

impl EventDetail {
    fn of((mut event, body): (Event, Option<bytes::Bytes>)) -> EventDetail {
        let content = event.content.take().map(String::into_bytes).or(body.map(Into::into));
        EventDetail { event: EventView::of(&event), data: content.map_or(Value::Null, |bytes| data(&bytes)) }
    }
}

fn data(bytes: &[u8]) -> Value {
    if let Ok(json) = serde_json::from_slice(bytes) {
        return json;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => serde_json::json!({ "base64": BASE64.encode(bytes) }),
    }
}

/// Which events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Those of one app.
    app: Option<String>,
    /// Those from one source.
    source: Option<String>,
    /// Those on one account.
    account: Option<String>,
    /// Those of one conversation.
    conversation: Option<String>,
    /// Those of one type.
    r#type: Option<String>,
    /// Those that came at this time or later.
    since: Option<String>,
    /// Those that came before this time.
    until: Option<String>,
    /// At most so many rows, up to 250.
    limit: Option<u32>,
    /// Where a page before ended.
    cursor: Option<String>,
}

/// Where to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayEvent {
    /// An endpoint of the event's app.
    endpoint: String,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<EventView>>, Problem> {
    let page = wanted(query.limit, query.cursor.as_deref())?;
    let filter = EventFilter {
        app: id_if(query.app.as_deref(), "app")?,
        source: id_if(query.source.as_deref(), "source")?,
        account: id_if(query.account.as_deref(), "account")?,
        conversation: id_if(query.conversation.as_deref(), "conversation")?,
        span: span(query.since.as_deref(), query.until.as_deref())?,
        event_type: query.r#type.map(event_type).transpose()?,
    };
    Ok(PageView::of(control.events().list(&actor, filter, page).await?, |one| EventView::of(&one)))
}

/// A name that an event can have; no other is looked for.
fn event_type(name: String) -> Result<String, Problem> {
    if EventType::new(&name).is_some() {
        return Ok(name);
    }
    let words =
        Words::new("an event type such as message.received", "un tipo de evento como message.received");
    Err(Problem::invalid("type", words))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Event>,
) -> Result<Json<EventDetail>, Problem> {
    Ok(Json(EventDetail::of(control.events().get(&actor, id).await?)))
}

pub(crate) async fn replay(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Event>,
    Body(body): Body<ReplayEvent>,
) -> Result<Json<ReplayView>, Problem> {
    let endpoint = body::id(&body.endpoint, "endpoint")?;
    Ok(Json(ReplayView::of(control.replays().event(&actor, id, endpoint).await?)))
}
