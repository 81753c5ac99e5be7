//! Contacts over REST.

use axum::Json;
use axum::extract::State;
use control::Control;
use model::conversation::Contact;
use model::id::kind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::body::{Named, Query, id_if};
use crate::page::{PageView, wanted};
use crate::problem::Problem;

/// A person at the other end.
#[derive(Serialize, ToSchema)]
#[schema(as = Contact)]
pub(crate) struct ContactView {
    id: String,
    /// Whose contact they are.
    app: String,
    /// The name they show.
    name: Option<String>,
    /// What they are known by.
    identifiers: Vec<IdentifierView>,
    /// When they were first met.
    created_at: String,
}

/// One thing a contact is known by.
#[derive(Serialize, ToSchema)]
#[schema(as = Identifier)]
struct IdentifierView {
    /// What sort of name it is: `wa_id`, `bsuid`, `username`, `jid`.
    kind: String,
    /// The name.
    value: String,
}

impl ContactView {
    fn of(contact: Contact) -> ContactView {
        let identifiers = contact.identifiers.into_iter().map(|(kind, value)| IdentifierView { kind, value });
        ContactView {
            id: contact.id.to_string(),
            app: contact.app.to_string(),
            created_at: contact.id.made_at().to_string(),
            name: contact.name,
            identifiers: identifiers.collect(),
        }
    }
}

/// Which contacts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Those of one app.
    app: Option<String>,
    /// At most so many rows, up to 250.
    limit: Option<u32>,
    /// Where a page before ended.
    cursor: Option<String>,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<ContactView>>, Problem> {
    let page = wanted(query.limit, query.cursor.as_deref())?;
    let app = id_if(query.app.as_deref(), "app")?;
    Ok(PageView::of(control.contacts().list(&actor, app, page).await?, ContactView::of))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Contact>,
) -> Result<Json<ContactView>, Problem> {
    Ok(Json(ContactView::of(control.contacts().get(&actor, id).await?)))
}
