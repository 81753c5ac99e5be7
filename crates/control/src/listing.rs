//! Listings of what is few enough to be read whole.

use model::page::{Page, PageRequest};

/// A page, newest first.
pub(crate) fn page_of<T>(mut all: Vec<T>, page: PageRequest, id_of: impl Fn(&T) -> i64) -> Page<T> {
    all.retain(|item| page.before.is_none_or(|before| id_of(item) < before));
    all.sort_by_key(|item| std::cmp::Reverse(id_of(item)));
    Page::cut(all, page, id_of)
}
