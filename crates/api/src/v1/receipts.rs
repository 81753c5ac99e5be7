//! Receipts over REST: what came, why it was refused, and its release.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use control::Control;
use control::receipts::{Appended, Came, ReceiptFilter, Verification};
use model::id::kind;
use model::receipt::{Language, Receipt, ReceiptState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::body::{Body, Named, Query, id_if, one_of_if};
use crate::language::Spoken;
use crate::page::{PageView, span, wanted};
use crate::problem::{Code, Problem};

/// One HTTP request as it came, with what became of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(crate) struct ReceiptView {
    id: String,
    /// The source it reached.
    source: Option<String>,
    /// `accepted`, `duplicate`, `answered`, `rejected` or `unrouted`.
    state: String,
    /// Why it was not accepted.
    reason: Option<ReasonView>,
    /// The HTTP method.
    method: String,
    /// The path; a credential in it reads `***`, and what followed the question mark is not shown.
    path: String,
    /// The sender's address.
    peer: String,
    /// How many bytes the body had.
    body_bytes: i64,
    /// How many items it carried.
    items: i64,
    /// How many of them were new.
    items_new: i64,
    /// When it came.
    created_at: String,
}

/// A reason, for programs and for people.
#[derive(Serialize, ToSchema)]
#[schema(as = Reason)]
struct ReasonView {
    /// The reason, the same in every language.
    code: String,
    /// What happened and what to do about it, in the caller's language.
    words: String,
}

impl ReasonView {
    fn of(reason: model::receipt::Reason, language: Language) -> ReasonView {
        ReasonView { code: reason.code().to_owned(), words: reason.words(language).to_owned() }
    }
}

impl ReceiptView {
    fn of(receipt: Receipt, language: Language) -> ReceiptView {
        ReceiptView {
            id: receipt.id.to_string(),
            source: receipt.source.map(|id| id.to_string()),
            state: receipt.state.as_str().to_owned(),
            reason: receipt.reason.map(|reason| ReasonView::of(reason, language)),
            created_at: receipt.id.made_at().to_string(),
            method: receipt.method,
            path: receipt.path,
            peer: receipt.peer,
            body_bytes: receipt.body_bytes,
            items: receipt.items,
            items_new: receipt.items_new,
        }
    }
}

/// What came in a request.
#[derive(Serialize, ToSchema)]
#[schema(as = Request)]
pub(crate) struct RequestView {
    /// Its headers, pairs of name and value; credentials read `***`.
    #[schema(value_type = Vec<Vec<String>>)]
    headers: Vec<(String, String)>,
    /// The body as text, where it is text; a credential that the platform puts into it reads `***`.
    body: Option<String>,
    /// The body as base64, where it is not.
    body_base64: Option<String>,
    /// Whether the body is still what was stored.
    intact: bool,
}

impl RequestView {
    fn of(came: &Came) -> RequestView {
        let lines = came.headers.lines().filter_map(|line| line.split_once(": "));
        let text = std::str::from_utf8(&came.body).ok();
        RequestView {
            headers: lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: text.map(str::to_owned),
            body_base64: text.is_none().then(|| BASE64.encode(&came.body)),
            intact: came.intact,
        }
    }
}

/// What verifying a request again came to.
#[derive(Serialize, ToSchema)]
#[schema(as = Verification)]
pub(crate) struct VerificationView {
    /// Whether it is genuine with today's secrets.
    genuine: bool,
    /// Why it is not.
    reason: Option<ReasonView>,
    /// How many events it carries.
    events: usize,
}

impl VerificationView {
    fn of(verification: Verification, language: Language) -> VerificationView {
        VerificationView {
            genuine: verification.reason.is_none(),
            reason: verification.reason.map(|reason| ReasonView::of(reason, language)),
            events: verification.events,
        }
    }
}

/// How to release.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    /// Takes the request for genuine without proof; only an admin may, and it is audited.
    #[serde(default)]
    trust: bool,
}

/// What a release brought.
#[derive(Serialize, ToSchema)]
#[schema(as = Released)]
pub(crate) struct ReleasedView {
    /// What the receipt is now; `unrouted` where an account still has no owner.
    state: String,
    /// How many items it carried.
    items: u32,
    /// How many of them were new.
    items_new: u32,
    /// How many deliveries they caused.
    deliveries: u32,
}

impl ReleasedView {
    fn of(appended: Appended) -> ReleasedView {
        ReleasedView {
            state: appended.state.as_str().to_owned(),
            items: appended.items,
            items_new: appended.items_new,
            deliveries: appended.deliveries,
        }
    }
}

/// Which receipts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Those that reached the sources of one app.
    app: Option<String>,
    /// Those that reached one source.
    source: Option<String>,
    /// Those in one state: `accepted`, `duplicate`, `answered`, `rejected` or `unrouted`.
    status: Option<String>,
    /// Those that came at this time or later.
    since: Option<String>,
    /// Those that came before this time.
    until: Option<String>,
    /// At most so many rows, up to 250.
    limit: Option<u32>,
    /// Where a page before ended.
    cursor: Option<String>,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Spoken(language): Spoken,
    Query(query): Query<List>,
) -> Result<Json<PageView<ReceiptView>>, Problem> {
    let page = wanted(query.limit, query.cursor.as_deref())?;
    let filter = ReceiptFilter {
        app: id_if(query.app.as_deref(), "app")?,
        source: id_if(query.source.as_deref(), "source")?,
        state: one_of_if(query.status.as_deref(), ReceiptState::parse, "status")?,
        span: span(query.since.as_deref(), query.until.as_deref())?,
    };
    let receipts = control.receipts().list(&actor, filter, page).await?;
    Ok(PageView::of(receipts, |receipt| ReceiptView::of(receipt, language)))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Spoken(language): Spoken,
    Named(id): Named<kind::Receipt>,
) -> Result<Json<ReceiptView>, Problem> {
    Ok(Json(ReceiptView::of(control.receipts().get(&actor, id).await?, language)))
}

pub(crate) async fn request(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Receipt>,
) -> Result<Json<RequestView>, Problem> {
    let came = control.receipts().came(&actor, id).await?.ok_or(Problem::of(Code::NotFound))?;
    Ok(Json(RequestView::of(&came)))
}

pub(crate) async fn verify(
    State(control): State<Control>,
    Caller(actor): Caller,
    Spoken(language): Spoken,
    Named(id): Named<kind::Receipt>,
) -> Result<Json<VerificationView>, Problem> {
    Ok(Json(VerificationView::of(control.receipts().verify(&actor, id).await?, language)))
}

pub(crate) async fn release(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Receipt>,
    Body(body): Body<Release>,
) -> Result<Json<ReleasedView>, Problem> {
    Ok(Json(ReleasedView::of(control.receipts().release(&actor, id, body.trust).await?)))
}
