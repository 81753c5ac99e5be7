//! Apps over REST.

use axum::Json;
use axum::extract::State;
use control::Control;
use http::StatusCode;
use model::access::App;
use model::id::kind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::body::{Body, Named, Query};
use crate::page::{PageView, wanted};
use crate::problem::Problem;

/// The owner of endpoints.
#[derive(Serialize, ToSchema)]
#[schema(as = App)]
pub(crate) struct AppView {
    id: String,
    /// What people call it.
    name: String,
    /// When it was made.
    created_at: String,
}

impl AppView {
    fn of(app: App) -> AppView {
        AppView { id: app.id.to_string(), name: app.name, created_at: app.id.made_at().to_string() }
    }
}

/// What to call an app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NameApp {
    /// One line of at most 100 characters.
    name: String,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// At most so many rows, up to 250.
    limit: Option<u32>,
    /// Where a page before ended.
    cursor: Option<String>,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<AppView>>, Problem> {
    let page = wanted(query.limit, query.cursor.as_deref())?;
    Ok(PageView::of(control.apps().list(&actor, page).await?, AppView::of))
}

pub(crate) async fn create(
    State(control): State<Control>,
    Caller(actor): Caller,
    Body(new): Body<NameApp>,
) -> Result<(StatusCode, Json<AppView>), Problem> {
    let app = control.apps().create(&actor, &new.name).await?;
    Ok((StatusCode::CREATED, Json(AppView::of(app))))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::App>,
) -> Result<Json<AppView>, Problem> {
    Ok(Json(AppView::of(control.apps().get(&actor, id).await?)))
}

pub(crate) async fn rename(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::App>,
    Body(change): Body<NameApp>,
) -> Result<Json<AppView>, Problem> {
    Ok(Json(AppView::of(control.apps().rename(&actor, id, &change.name).await?)))
}
