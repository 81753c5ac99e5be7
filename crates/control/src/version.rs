//! Changes are made to what somebody has seen: versions, and what to do when two change the same thing at once.

pub use store::Versioned;

use crate::error::Error;

/// How often a change is made anew because somebody else was quicker.
const TRIES_MAX: u32 = 5;

/// The versions that a change may be made to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Whichever is there.
    Any,
    /// One of these.
    OneOf(Vec<i64>),
}

impl Expected {
    /// Fails with [`Error::Stale`] unless this version is expected.
    pub(crate) fn check(&self, version: i64) -> Result<(), Error> {
        match self {
            Expected::OneOf(versions) if !versions.contains(&version) => Err(Error::Stale),
            Expected::Any | Expected::OneOf(_) => Ok(()),
        }
    }
}

/// Reads, changes and replaces, anew as long as somebody else replaces between.
pub(crate) async fn until_fresh<T, F>(change: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for _ in 1..TRIES_MAX {
        match change().await {
            Err(Error::Stale) => {}
            done => return done,
        }
    }
    change().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn a_change_that_came_second_is_made_anew_to_what_the_first_has_left() {
        let tries = Cell::new(0);
        let change = || async {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(Error::Stale) } else { Ok(tries.get()) }
        };
        assert_eq!(until_fresh(change).await.ok(), Some(3));
        let never = || async { Expected::OneOf(vec![1, 2]).check(3) };
        assert!(matches!(until_fresh(never).await, Err(Error::Stale)));
        assert!(Expected::OneOf(vec![1, 2]).check(2).is_ok() && Expected::Any.check(3).is_ok());
    }
}
