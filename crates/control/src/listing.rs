//! Listings: by time, and narrowed to what an actor sees, on top of what the store can narrow by itself.

use model::id::Id;
use model::page::{LIMIT_MAX, Page, PageRequest};
use model::time::Timestamp;

use crate::error::Error;

/// How many pages of the store one page of ours may look through; beyond it the page ends early, with a cursor.
const LOOKS_MAX: usize = 20;

/// The part of the past that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl Span {
    /// The page, begun no later than the span ends.
    fn begin(self, page: PageRequest) -> PageRequest {
        let end = self.until.map(|at| Id::<()>::first_at(at).raw());
        let before = match (page.before, end) {
            (Some(before), Some(end)) => Some(before.min(end)),
            (before, end) => before.or(end),
        };
        PageRequest { before, ..page }
    }

    fn is_before(self, id: i64) -> bool {
        self.since.is_some_and(|since| id < Id::<()>::first_at(since).raw())
    }
}

/// Fills a page with what `keep` keeps of what `fetch` brings, newest first. A page may hold fewer rows than asked
/// for and still have a cursor.
pub(crate) async fn sift<T, F>(
    page: PageRequest,
    span: Span,
    id_of: impl Fn(&T) -> i64,
    keep: impl Fn(&T) -> bool,
    fetch: impl Fn(PageRequest) -> F,
) -> Result<Page<T>, Error>
where
    F: Future<Output = Result<Page<T>, store::Error>>,
{
    let limit = page.limit.clamp(1, LIMIT_MAX) as usize;
    let mut look = span.begin(PageRequest { limit: page.limit.clamp(1, LIMIT_MAX), ..page });
    let mut items = Vec::new();
    for _ in 0..LOOKS_MAX {
        let found = fetch(look).await?;
        for item in found.items {
            let id = id_of(&item);
            if span.is_before(id) {
                return Ok(Page { items, next: None });
            }
            if !keep(&item) {
                continue;
            }
            if items.len() == limit {
                let next = items.last().map(&id_of);
                return Ok(Page { items, next });
            }
            items.push(item);
        }
        let Some(next) = found.next else { return Ok(Page { items, next: None }) };
        look = PageRequest { limit: look.limit, before: Some(next) };
    }
    Ok(Page { items, next: look.before })
}

/// A page of what is few enough to be read whole.
pub(crate) fn page_of<T>(mut all: Vec<T>, page: PageRequest, id_of: impl Fn(&T) -> i64) -> Page<T> {
    all.retain(|item| page.before.is_none_or(|before| id_of(item) < before));
    all.sort_by_key(|item| std::cmp::Reverse(id_of(item)));
    Page::cut(all, page, id_of)
}
