//! JSON pointers (RFC 6901) over JSON as it came: numbers keep their digits, members their order.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::json::{self, DEPTH_MAX};
use crate::platform::Unreadable;

/// Reads a body as one JSON value without taking it apart.
pub(crate) fn document(body: &[u8]) -> Result<&RawValue, Unreadable> {
    if json::is_deep(body) {
        return Err(Unreadable(format!("not readable JSON: nested deeper than {DEPTH_MAX}")));
    }
    serde_json::from_slice(body).map_err(|error| json::unreadable(&error))
}

/// The value a pointer leads to.
pub(crate) fn find<'j>(value: &'j RawValue, pointer: &str) -> Option<&'j RawValue> {
    let mut found = value;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        found = match found.get().as_bytes().first()? {
            b'{' => serde_json::from_str::<HashMap<String, &RawValue>>(found.get()).ok()?.remove(&part)?,
            b'[' => json::items(found)?.get(part.parse::<usize>().ok()?).copied()?,
            _ => return None,
        };
    }
    Some(found)
}

/// A text as it reads, a number or switch as it is written; nothing for `null`, objects and arrays.
pub(crate) fn plain(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.get().to_owned()),
    }
}

/// What a pointer leads to, when that is plain.
pub(crate) fn plain_at(value: &RawValue, pointer: &str) -> Option<String> {
    find(value, pointer).and_then(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pointer_finds_what_rfc_6901_says() {
        let json = br#"{"a":[{"b/c":1},{"~":"t"}],"":5,"big":12345678901234567890123,"no":null}"#;
        let json = document(json).expect("JSON");
        assert_eq!(plain_at(json, "/a/0/b~1c").as_deref(), Some("1"));
        assert_eq!(plain_at(json, "/a/1/~0").as_deref(), Some("t"));
        assert_eq!(plain_at(json, "/").as_deref(), Some("5"));
        assert_eq!(plain_at(json, "/big").as_deref(), Some("12345678901234567890123"));
        for nothing in ["/no", "/a", "/a/2", "/a/x", "/big/1", "/absent"] {
            assert_eq!(plain_at(json, nothing), None, "{nothing}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(document(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(document(nested(DEPTH_MAX + 1).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_and_no_pointer_panic(body in ".{0,80}", path in "(/[a-z0-9~/]{0,4}){0,5}") {
            if let Ok(json) = document(body.as_bytes()) {
                let _ = plain_at(json, &path);
            }
        }

        #[test]
        fn a_pointer_finds_the_same_as_the_librarys_own(keys in prop::collection::vec("[a-c/~]{0,3}", 1..4)) {
            let value = keys.iter().rev().fold(serde_json::json!(7), |inner, key| serde_json::json!({key: inner}));
            let text = value.to_string();
            let path: String = keys.iter().map(|k| format!("/{}", k.replace('~', "~0").replace('/', "~1"))).collect();
            let json = document(text.as_bytes()).expect("JSON");
            let found = plain_at(json, &path);
            prop_assert_eq!(found.as_deref(), Some("7"));
            prop_assert_eq!(value.pointer(&path), Some(&serde_json::json!(7)));
        }
    }
}
