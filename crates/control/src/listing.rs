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

#[cfg(test)]
mod tests {
    use super::*;

    /// A store of the ids below `count`.
    async fn fetched(count: i64, page: PageRequest) -> Result<Page<i64>, store::Error> {
        let newest = page.before.unwrap_or(count).min(count);
        let found = (0..newest).rev().take(usize::try_from(page.fetch_limit()).unwrap_or(0));
        Ok(Page::cut(found.collect(), page, |id| *id))
    }

    async fn sifted(page: PageRequest, span: Span, keep: impl Fn(&i64) -> bool) -> Page<i64> {
        sift(page, span, |id: &i64| *id, keep, |page| fetched(10_000, page)).await.expect("it cannot fail")
    }

    #[tokio::test]
    async fn a_page_is_filled_from_several_looks_and_the_next_goes_on_where_it_ended() {
        let page = PageRequest::newest(10);
        let first = sifted(page, Span::default(), |id| id % 7 == 0).await;
        assert_eq!(first.items, (0..10).map(|n| 9_996 - 7 * n).collect::<Vec<i64>>());
        let second =
            sifted(PageRequest { before: first.next, ..page }, Span::default(), |id| id % 7 == 0).await;
        assert_eq!(second.items[0], 9_926);
    }

    #[tokio::test]
    async fn a_page_that_finds_nothing_ends_early_with_a_cursor() {
        let page = sifted(PageRequest::newest(100), Span::default(), |id| *id < 5).await;
        assert_eq!((page.items.len(), page.next), (0, Some(8_000)));
        let all = sifted(PageRequest { limit: 100, before: Some(500) }, Span::default(), |id| *id < 5).await;
        assert_eq!(all, Page { items: vec![4, 3, 2, 1, 0], next: None });
    }

    #[tokio::test]
    async fn a_span_ends_the_listing_on_both_sides() {
        let at = |raw: i64| Id::<()>::from_raw(raw).made_at();
        let tick = 1 << 22;
        let fetch = |page: PageRequest| async move {
            let ids =
                (0..20).rev().map(|n| n * tick).filter(|id| page.before.is_none_or(|before| *id < before));
            Ok(Page::cut(ids.take(usize::try_from(page.fetch_limit()).unwrap_or(0)).collect(), page, |id| {
                *id
            }))
        };
        let span = Span { since: Some(at(3 * tick)), until: Some(at(6 * tick)) };
        let page = sift(PageRequest::newest(10), span, |id: &i64| *id, |_| true, fetch)
            .await
            .expect("it cannot fail");
        assert_eq!(page, Page { items: vec![5 * tick, 4 * tick, 3 * tick], next: None });
    }
}
