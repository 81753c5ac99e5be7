//! Pages of a listing: newest first, by a cursor that is an id.

use crate::id::Id;
use crate::time::Timestamp;

/// The most rows one page may hold.
pub const LIMIT_MAX: u32 = 250;

/// Which part of a listing is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// How many rows, at most [`LIMIT_MAX`].
    pub limit: u32,
    /// Rows strictly older than this raw id; from the newest when absent.
    pub before: Option<i64>,
}

impl PageRequest {
    /// The newest `limit` rows.
    pub fn newest(limit: u32) -> PageRequest {
        PageRequest { limit: limit.clamp(1, LIMIT_MAX), before: None }
    }

    /// Rows to ask the store for: one more than wanted tells whether there is a next page.
    pub fn fetch_limit(self) -> i64 {
        i64::from(self.limit.clamp(1, LIMIT_MAX)) + 1
    }
}

/// The part of the past that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl Span {
    /// The raw ids that were made within it: from the first, and below the second.
    pub fn ids(self) -> (i64, i64) {
        let first = |at| Id::<()>::first_at(at).raw();
        (self.since.map_or(i64::MIN, first), self.until.map_or(i64::MAX, first))
    }
}

/// One page of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// The rows, newest first.
    pub items: Vec<T>,
    /// Where the next, older page begins; `None` at the end.
    pub next: Option<i64>,
}

impl<T> Page<T> {
    /// Cuts what was fetched with [`PageRequest::fetch_limit`] down to the page.
    pub fn cut(mut items: Vec<T>, request: PageRequest, id_of: impl Fn(&T) -> i64) -> Page<T> {
        let limit = request.limit.clamp(1, LIMIT_MAX) as usize;
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = if has_more { items.last().map(id_of) } else { None };
        Page { items, next }
    }

    /// The same page of other things.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_the_ids_that_were_made_within_it() {
        let (first, second) = (Timestamp::from_secs(1_800_000_000), Timestamp::from_secs(1_800_000_001));
        let (from, below) = Span { since: Some(first), until: Some(second) }.ids();
        assert_eq!(
            (Id::<()>::from_raw(from).made_at(), Id::<()>::from_raw(below).made_at()),
            (first, second)
        );
        assert!(Id::<()>::from_raw(from - 1).made_at() < first);
        assert_eq!(Span::default().ids(), (i64::MIN, i64::MAX));
    }
}
