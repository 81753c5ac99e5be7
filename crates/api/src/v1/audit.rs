//! The audit log over REST.

use axum::Json;
use axum::extract::State;
use control::audit::{AuditFilter, AuditLine, Who};
use control::{Control, Words};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::body::{Query, id_if};
use crate::page::{PageView, span, wanted};
use crate::problem::Problem;

/// Who did what.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditLine)]
pub(crate) struct AuditLineView {
    id: String,
    /// The app concerned, if one is.
    app: Option<String>,
    /// Who acted: the id of a token and its name, or a name alone.
    actor: String,
    /// What was done: `endpoint.create`.
    action: String,
    /// To what: mostly an id.
    subject: String,
    /// When.
    created_at: String,
}

impl AuditLineView {
    fn of(line: AuditLine) -> AuditLineView {
        AuditLineView {
            id: line.id.to_string(),
            app: line.act.app.map(|id| id.to_string()),
            actor: line.act.actor,
            action: line.act.action,
            subject: line.act.subject,
            created_at: line.id.made_at().to_string(),
        }
    }
}

/// Which lines.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Those that concern one app.
    app: Option<String>,
    /// Those of one actor: the id of a token, or a name.
    actor: Option<String>,
    /// Those of one action, such as `endpoint.create`, or of all on a noun: `endpoint.*`.
    action: Option<String>,
    /// Those written at this time or later.
    since: Option<String>,
    /// Those written before this time.
    until: Option<String>,
    /// At most so many rows, up to 250.
    limit: Option<u32>,
    /// Where a page before ended.
    cursor: Option<String>,
}

fn who(actor: String) -> Who {
    actor.parse().map_or_else(|_| Who::Name(actor), Who::Token)
}

/// A text in one line: nothing else is in the log.
fn line(text: String, field: &str) -> Result<String, Problem> {
    if text.chars().any(char::is_control) {
        let words = Words::new("a text in one line", "un texto en una línea");
        return Err(Problem::invalid(field, words));
    }
    Ok(text)
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<AuditLineView>>, Problem> {
    let page = wanted(query.limit, query.cursor.as_deref())?;
    let filter = AuditFilter {
        app: id_if(query.app.as_deref(), "app")?,
        actor: query.actor.map(|actor| line(actor, "actor").map(who)).transpose()?,
        action: query.action.map(|action| line(action, "action")).transpose()?,
        span: span(query.since.as_deref(), query.until.as_deref())?,
    };
    Ok(PageView::of(control.audit().list(&actor, filter, page).await?, AuditLineView::of))
}
