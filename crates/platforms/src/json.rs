//! Reading JSON that others wrote: leniently in its members, strictly in its depth and size.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::platform::Unreadable;

/// The deepest nesting that is read; serde_json's own limit, named here because a test holds it.
#[cfg(test)]
pub(crate) const DEPTH_MAX: usize = 128;

/// Reads a body, or says where it stops being JSON of this shape.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| Unreadable(format!("not readable JSON: {error}")))
}

/// Turns a value back into raw JSON.
pub(crate) fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a value read from JSON can be written as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_beyond_the_limit_is_refused_and_does_not_overflow_the_stack() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read::<serde_json::Value>(nested(DEPTH_MAX - 1).as_bytes()).is_ok());
        assert!(read::<serde_json::Value>(nested(100_000).as_bytes()).is_err());
    }
}
