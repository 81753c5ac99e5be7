//! Accounts over REST.

use axum::Json;
use axum::extract::State;
use control::Control;
use control::accounts::{AccountChange, NewAccount};
use http::StatusCode;
use model::id::kind;
use model::source::Account;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::body::{Body, Named, Query, given, id, id_if};
use crate::page::{PageView, wanted};
use crate::problem::Problem;
use crate::version::{IfMatch, Tagged};

/// An address on a source: a phone number id, a page, a bot.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountView {
    id: String,
    /// The source it is on.
    source: String,
    /// Who its events belong to.
    app: String,
    /// The platform's own name for it.
    address: String,
    /// What people call it.
    name: Option<String>,
    /// When it was made.
    created_at: String,
}

impl AccountView {
    fn of(account: Account) -> AccountView {
        AccountView {
            id: account.id.to_string(),
            source: account.source.to_string(),
            app: account.app.to_string(),
            created_at: account.id.made_at().to_string(),
            address: account.address,
            name: account.name,
        }
    }
}

/// An account to be named.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateAccount {
    /// The source it is on.
    source: String,
    /// The platform's own name for it.
    address: String,
    /// Who its events belong to; the source's app when absent.
    app: Option<String>,
    /// What people call it.
    name: Option<String>,
}

/// What is to change; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateAccount {
    /// Who its events belong to.
    app: Option<String>,
    /// What people call it; `null` takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
}

/// Which accounts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Those of one source.
    source: Option<String>,
    /// At most so many rows, up to 250.
    limit: Option<u32>,
    /// Where a page before ended.
    cursor: Option<String>,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<AccountView>>, Problem> {
    let page = wanted(query.limit, query.cursor.as_deref())?;
    let source = id_if(query.source.as_deref(), "source")?;
    Ok(PageView::of(control.accounts().list(&actor, source, page).await?, AccountView::of))
}

pub(crate) async fn create(
    State(control): State<Control>,
    Caller(actor): Caller,
    Body(new): Body<CreateAccount>,
) -> Result<(StatusCode, Tagged<AccountView>), Problem> {
    let (source, app) = (id(&new.source, "source")?, id_if(new.app.as_deref(), "app")?);
    let new = NewAccount { source, app, address: new.address, name: new.name };
    let account = control.accounts().create(&actor, new).await?;
    Ok((StatusCode::CREATED, Tagged::of(account, AccountView::of)))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Account>,
) -> Result<Tagged<AccountView>, Problem> {
    Ok(Tagged::of(control.accounts().get(&actor, id).await?, AccountView::of))
}

pub(crate) async fn update(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Account>,
    IfMatch(expected): IfMatch,
    Body(change): Body<UpdateAccount>,
) -> Result<Tagged<AccountView>, Problem> {
    let change = AccountChange { app: id_if(change.app.as_deref(), "app")?, name: change.name };
    Ok(Tagged::of(control.accounts().update(&actor, id, &expected, change).await?, AccountView::of))
}

/// The key of a number, for the per-number API.
#[derive(Serialize, ToSchema)]
#[schema(as = NumberKey)]
pub(crate) struct NumberKeyView {
    /// The account it speaks for.
    account: String,
    /// The key; shown this once, and absent when the same is answered again under an idempotency key.
    #[schema(required = false)]
    token: String,
}

pub(crate) async fn renew_key(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Account>,
) -> Result<Json<NumberKeyView>, Problem> {
    let key = control.numbers().renew_key(&actor, id).await?;
    Ok(Json(NumberKeyView { account: id.to_string(), token: key.expose().to_owned() }))
}
