//! Apps over REST.

use axum::Json;
use axum::extract::State;
use control::Control;
use http::StatusCode;
use model::access::App;
use model::id::kind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::body::{Body, Named, Query};
use crate::page::{List, PageView};
use crate::problem::Problem;
use crate::version::{IfMatch, Tagged};

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

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<AppView>>, Problem> {
    Ok(PageView::of(control.apps().list(&actor, query.wanted()?).await?, AppView::of))
}

pub(crate) async fn create(
    State(control): State<Control>,
    Caller(actor): Caller,
    Body(new): Body<NameApp>,
) -> Result<(StatusCode, Tagged<AppView>), Problem> {
    let app = control.apps().create(&actor, &new.name).await?;
    Ok((StatusCode::CREATED, Tagged::of(app, AppView::of)))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::App>,
) -> Result<Tagged<AppView>, Problem> {
    Ok(Tagged::of(control.apps().get(&actor, id).await?, AppView::of))
}

pub(crate) async fn rename(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::App>,
    IfMatch(expected): IfMatch,
    Body(change): Body<NameApp>,
) -> Result<Tagged<AppView>, Problem> {
    Ok(Tagged::of(control.apps().rename(&actor, id, &expected, &change.name).await?, AppView::of))
}
