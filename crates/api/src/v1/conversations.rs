//! Conversations over REST.

use axum::Json;
use axum::extract::State;
use control::Control;
use control::conversations::ConversationFilter;
use model::conversation::{Conversation, ConversationState};
use model::id::kind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::body::{Named, Query, id_if, one_of_if};
use crate::page::{PageView, span, wanted};
use crate::problem::Problem;

/// The line of messages with one contact on one account.
#[derive(Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationView {
    id: String,
    /// Whose it is.
    app: String,
    /// The account it is on.
    account: String,
    /// The person at the other end.
    contact: String,
    /// `open`, `handed_off` or `resolved`.
    state: String,
    /// When the contact last wrote.
    last_inbound_at: Option<String>,
    /// Until when WhatsApp lets us answer freely.
    window_ends_at: Option<String>,
    /// When anything last happened.
    touched_at: String,
    /// When it began.
    created_at: String,
}

impl ConversationView {
    fn of(conversation: &Conversation) -> ConversationView {
        ConversationView {
            id: conversation.id.to_string(),
            app: conversation.app.to_string(),
            account: conversation.account.to_string(),
            contact: conversation.contact.to_string(),
            state: conversation.state.as_str().to_owned(),
            last_inbound_at: conversation.last_inbound_at.map(|at| at.to_string()),
            window_ends_at: conversation.window_ends_at().map(|at| at.to_string()),
            touched_at: conversation.touched_at.to_string(),
            created_at: conversation.id.made_at().to_string(),
        }
    }
}

/// Which conversations.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Those of one app.
    app: Option<String>,
    /// Those on one account.
    account: Option<String>,
    /// Those in one state: `open`, `handed_off` or `resolved`.
    status: Option<String>,
    /// Those begun at this time or later.
    since: Option<String>,
    /// Those begun before this time.
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
) -> Result<Json<PageView<ConversationView>>, Problem> {
    let page = wanted(query.limit, query.cursor.as_deref())?;
    let filter = ConversationFilter {
        app: id_if(query.app.as_deref(), "app")?,
        account: id_if(query.account.as_deref(), "account")?,
        state: one_of_if(query.status.as_deref(), ConversationState::parse, "status")?,
        span: span(query.since.as_deref(), query.until.as_deref())?,
    };
    Ok(PageView::of(control.conversations().list(&actor, filter, page).await?, |one| {
        ConversationView::of(&one)
    }))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Conversation>,
) -> Result<Json<ConversationView>, Problem> {
    Ok(Json(ConversationView::of(&control.conversations().get(&actor, id).await?)))
}

pub(crate) async fn hand_off(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Conversation>,
) -> Result<Json<ConversationView>, Problem> {
    Ok(Json(ConversationView::of(&control.conversations().hand_off(&actor, id).await?)))
}

pub(crate) async fn resolve(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Conversation>,
) -> Result<Json<ConversationView>, Problem> {
    Ok(Json(ConversationView::of(&control.conversations().resolve(&actor, id).await?)))
}

pub(crate) async fn reopen(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Conversation>,
) -> Result<Json<ConversationView>, Problem> {
    Ok(Json(ConversationView::of(&control.conversations().reopen(&actor, id).await?)))
}
