//! Registrations of sources over REST.

use axum::Json;
use axum::extract::State;
use control::Control;
use control::registrations::Registration;
use model::id::kind;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::body::Named;
use crate::problem::Problem;

/// Whether a source's platform calls our URL.
#[derive(Serialize, ToSchema)]
#[schema(as = Registration)]
pub(crate) struct RegistrationView {
    /// `registered`, `unregistered` or `unknown`; `registering` while a node is about it.
    state: &'static str,
    /// Where the platform is to call; absent while the setting `public_url` is not set.
    url: Option<String>,
    /// Why it does not, or why nobody knows.
    reason: Option<String>,
    /// When the platform was asked last.
    looked_at: Option<String>,
    /// When our URL was registered last.
    registered_at: Option<String>,
    /// When something genuine came last, as of the last look.
    heard_at: Option<String>,
    /// Whether nothing has come for unusually long.
    silent: bool,
}

impl RegistrationView {
    fn of(registration: Registration) -> RegistrationView {
        let Registration { url, watch, is_under_way } = registration;
        RegistrationView {
            state: if is_under_way { "registering" } else { watch.registered.as_str() },
            url,
            reason: watch.words,
            looked_at: watch.looked_at.map(|at| at.to_string()),
            registered_at: watch.registered_at.map(|at| at.to_string()),
            heard_at: watch.silences.heard_at.map(|at| at.to_string()),
            silent: watch.silences.is_silent,
        }
    }
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Source>,
) -> Result<Json<RegistrationView>, Problem> {
    Ok(Json(RegistrationView::of(control.registrations().get(&actor, id).await?)))
}

pub(crate) async fn register(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Source>,
) -> Result<Json<RegistrationView>, Problem> {
    Ok(Json(RegistrationView::of(control.registrations().register(&actor, id).await?)))
}
