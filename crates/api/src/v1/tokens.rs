//! Tokens over REST.

use axum::Json;
use axum::extract::State;
use control::Control;
use control::tokens::NewToken;
use http::StatusCode;
use model::access::{Role, Token};
use model::id::kind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::body::{Body, Named, Query, id_if, one_of, time_if};
use crate::page::{List, PageView};
use crate::problem::Problem;

/// A credential for this API, without its text.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenView {
    id: String,
    /// What people call it.
    name: String,
    /// `admin`, `operator`, `viewer`, `sender`, or `number` for the key of an account.
    role: String,
    /// The one app it may touch; all when absent.
    app: Option<String>,
    /// The one account it speaks for, of role `number`.
    account: Option<String>,
    /// When it stops working.
    expires_at: Option<String>,
    /// The last characters of its text.
    hint: String,
    /// When it was made.
    created_at: String,
}

impl TokenView {
    fn of(token: Token) -> TokenView {
        TokenView {
            id: token.id.to_string(),
            role: token.role.as_str().to_owned(),
            app: token.app.map(|id| id.to_string()),
            account: token.account.map(|id| id.to_string()),
            expires_at: token.expires_at.map(|at| at.to_string()),
            created_at: token.id.made_at().to_string(),
            name: token.name,
            hint: token.hint,
        }
    }
}

/// A token just made, with its text.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedToken {
    #[serde(flatten)]
    view: TokenView,
    /// Its text; shown this once, and absent when the same is answered again under an idempotency key.
    #[schema(required = false)]
    token: String,
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateToken {
    /// What people call it.
    name: String,
    /// `admin`, `operator`, `viewer` or `sender`.
    role: String,
    /// The one app it may touch.
    app: Option<String>,
    /// When it stops working.
    expires_at: Option<String>,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<TokenView>>, Problem> {
    Ok(PageView::of(control.tokens().list(&actor, query.wanted()?).await?, TokenView::of))
}

pub(crate) async fn create(
    State(control): State<Control>,
    Caller(actor): Caller,
    Body(new): Body<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let role = one_of(&new.role, Role::parse, "role")?;
    let app = id_if(new.app.as_deref(), "app")?;
    let expires_at = time_if(new.expires_at.as_deref(), "expires_at")?;
    let new = NewToken { name: new.name, role, app, expires_at };
    let (token, text) = control.tokens().create(&actor, new).await?;
    let created = CreatedToken { view: TokenView::of(token), token: text.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(created)))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Token>,
) -> Result<Json<TokenView>, Problem> {
    Ok(Json(TokenView::of(control.tokens().get(&actor, id).await?)))
}

pub(crate) async fn revoke(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Token>,
) -> Result<StatusCode, Problem> {
    control.tokens().revoke(&actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
