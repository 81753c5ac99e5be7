//! Versions: what a person changes is changed as they have seen it, or not at all.

/// Something configured, and how often it was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versioned<T> {
    /// Grows with every change that a person may want to know of.
    pub version: i64,
    /// The thing.
    pub thing: T,
}

impl<T> Versioned<T> {
    /// The same version of another thing.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Versioned<U> {
        Versioned { version: self.version, thing: f(self.thing) }
    }
}
