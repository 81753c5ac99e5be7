//! Pages: `{"data": […], "next_cursor": …}`, newest first.

use axum::Json;
use control::Words;
use model::id::{Id, Kind};
use model::page::{LIMIT_MAX, Page, PageRequest, Span};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::body::time_if;
use crate::problem::Problem;

/// How many rows a page holds unless the caller says otherwise.
const LIMIT_DEFAULT: u32 = 50;

/// What a cursor's text begins with.
pub(crate) enum Cursor {}

impl Kind for Cursor {
    const PREFIX: &'static str = "cur";
}

/// One page of a listing, newest first.
#[derive(Serialize)]
pub(crate) struct PageView<T> {
    /// The rows.
    data: Vec<T>,
    /// Where the next, older page begins; absent at the end. A page may be short and still have one.
    next_cursor: Option<String>,
}

impl<T> PageView<T> {
    /// Shows a page.
    pub(crate) fn of<U>(page: Page<U>, view: impl FnMut(U) -> T) -> Json<PageView<T>> {
        let next_cursor = page.next.map(cursor_text);
        Json(PageView { data: page.items.into_iter().map(view).collect(), next_cursor })
    }
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

impl List {
    /// Reads which page is wanted.
    pub(crate) fn wanted(&self) -> Result<PageRequest, Problem> {
        wanted(self.limit, self.cursor.as_deref())
    }
}

/// Reads which page is wanted.
pub(crate) fn wanted(limit: Option<u32>, cursor: Option<&str>) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let words = Words::new(format!("from 1 to {LIMIT_MAX}"), format!("de 1 a {LIMIT_MAX}"));
        return Err(Problem::invalid("limit", words));
    }
    Ok(PageRequest { limit, before: before(cursor)? })
}

/// A cursor's text.
pub(crate) fn cursor_text(raw: i64) -> String {
    Id::<Cursor>::from_raw(raw).to_string()
}

/// Reads a cursor's text.
pub(crate) fn before(cursor: Option<&str>) -> Result<Option<i64>, Problem> {
    let cursor: Option<Result<Id<Cursor>, _>> = cursor.map(str::parse);
    let cursor = cursor.transpose().map_err(|_| {
        let words =
            Words::new("a next_cursor of an answer before", "un next_cursor de una respuesta anterior");
        Problem::invalid("cursor", words)
    })?;
    Ok(cursor.map(Id::raw))
}

/// Reads which part of the past is wanted.
pub(crate) fn span(since: Option<&str>, until: Option<&str>) -> Result<Span, Problem> {
    Ok(Span { since: time_if(since, "since")?, until: time_if(until, "until")? })
}
