//! Reading JSON that others wrote: leniently in its members, strictly in its depth and size.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::platform::Unreadable;

/// The deepest nesting that is read: serde_json's own limit, which it keeps only where it does not skip.
pub(crate) const DEPTH_MAX: usize = 128;

/// Reads a body, or says where it stops being JSON of this shape.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| unreadable(&error))
}

/// Turns a value back into raw JSON.
pub(crate) fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a value read from JSON can be written as JSON")
}

/// Reads a body whose top is an object, none of whose members is read yet.
pub(crate) fn object(body: &[u8]) -> Result<Object<'_>, Unreadable> {
    if is_deep(body) {
        return Err(Unreadable(format!("not readable JSON: nested deeper than {DEPTH_MAX}")));
    }
    let text = std::str::from_utf8(body).map_err(|error| Unreadable(format!("not UTF-8: {error}")))?;
    serde_json::from_str(text).map_err(|error| unreadable(&error))
}

/// Says where it stops; the error's own words may repeat what stands there.
pub(crate) fn unreadable(error: &serde_json::Error) -> Unreadable {
    let (line, column) = (error.line(), error.column());
    let what = if error.is_data() { "JSON of another shape" } else { "not readable JSON" };
    Unreadable(format!("{what}: line {line}, column {column}"))
}

/// Whether a body nests deeper than is read.
pub(crate) fn is_deep(body: &[u8]) -> bool {
    // Most bodies hold few brackets, and counting is many times faster than following them.
    memchr::memchr2_iter(b'[', b'{', body).nth(DEPTH_MAX).is_some() && nesting(body) > DEPTH_MAX
}

fn nesting(body: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in body {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What stands for NUL, which no text of a database may hold: a name with one in it would keep a request from being stored
/// however often it came.
const NUL_SHOWN: &str = "\u{fffd}";

/// Replaces NUL in every text of a value.
pub(crate) fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', NUL_SHOWN),
        Value::Array(items) => items.iter_mut().for_each(without_nul),
        Value::Object(members) => members.values_mut().for_each(without_nul),
        _ => {}
    }
}

/// A text as it reads, without NUL, or a number as it is written; an empty text is nothing.
pub(crate) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let json = value.get();
    let text = match json.as_bytes().first()? {
        b'"' if json.contains('\\') => {
            Cow::Owned(serde_json::from_str::<String>(json).ok()?.replace('\0', NUL_SHOWN))
        }
        b'"' => Cow::Borrowed(&json[1..json.len() - 1]),
        b'-' | b'0'..=b'9' => Cow::Borrowed(json),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// A text with a piece of it replaced; the piece must be a part of that very text, not a copy.
pub(crate) fn replaced(text: &str, piece: &str, with: &str) -> String {
    let from = piece.as_ptr() as usize - text.as_ptr() as usize;
    [&text[..from], with, &text[from + piece.len()..]].concat()
}

/// The items of an array, unread.
pub(crate) fn items(value: &RawValue) -> Option<Vec<&RawValue>> {
    opened_by('[', value)
}

/// Opens a value that begins so. Nearly all questions are asked of what is something else, and an error costs much to make.
fn opened_by<'j, T: Deserialize<'j>>(bracket: char, value: &'j RawValue) -> Option<T> {
    value.get().starts_with(bracket).then(|| serde_json::from_str(value.get()).ok()).flatten()
}

/// One object as it came: its members in order, each unread. A member that is `null` counts as absent.
pub(crate) struct Object<'j>(Vec<(Cow<'j, str>, &'j RawValue)>);

impl<'j> Object<'j> {
    /// Opens a value, if it is an object.
    pub(crate) fn of(value: &'j RawValue) -> Option<Object<'j>> {
        opened_by('{', value)
    }

    /// Every member, in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'j RawValue)> {
        self.0.iter().map(|(key, value)| (&**key, *value))
    }

    /// The member of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&'j RawValue> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// A member that is a text or a number; an empty text is absent.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'j, str>> {
        self.get(name).and_then(text)
    }

    /// The same, as a text of its own.
    pub(crate) fn string(&self, name: &str) -> Option<String> {
        self.text(name).map(Cow::into_owned)
    }

    /// A member that is a number.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Whether a member is `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get() == "true")
    }

    /// A member that is an object.
    pub(crate) fn object(&self, name: &str) -> Option<Object<'j>> {
        self.get(name).and_then(Object::of)
    }

    /// The items of a member that is an array.
    pub(crate) fn items(&self, name: &str) -> Option<Vec<&'j RawValue>> {
        self.get(name).and_then(items)
    }

    /// The members that are told nowhere else, as an object; nothing when there are none.
    pub(crate) fn rest(&self, told: impl Fn(&str) -> bool) -> Option<BTreeMap<&str, &'j RawValue>> {
        let rest: BTreeMap<&str, &RawValue> =
            self.members().filter(|(key, value)| !told(key) && value.get() != "null").collect();
        (!rest.is_empty()).then_some(rest)
    }
}

/// A key that is copied only where it is written with escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'j>(#[serde(borrow)] Cow<'j, str>);

impl<'de: 'j, 'j> Deserialize<'de> for Object<'j> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'j>, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some((Key(key), value)) = map.next_entry()? {
            members.push((key, value));
        }
        Ok(Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn nesting_beyond_the_limit_is_refused_and_does_not_overflow_the_stack() {
        assert!(read::<serde_json::Value>(nested(DEPTH_MAX - 2).as_bytes()).is_ok());
        assert!(read::<serde_json::Value>(nested(100_000).as_bytes()).is_err());
        assert!(object(nested(DEPTH_MAX - 1).as_bytes()).is_ok());
        assert!(object(nested(DEPTH_MAX).as_bytes()).is_err());
    }

    #[test]
    fn brackets_in_a_text_do_not_nest() {
        let body = format!(r#"{{"a":"\"{}"}}"#, "[".repeat(500));
        assert!(object(body.as_bytes()).is_ok());
    }

    #[test]
    fn a_member_is_read_as_what_it_is_and_as_nothing_else() {
        let object = object(br#"{"t":"a\u00e4","e":"","n":12,"z":null,"f":true,"o":{"k":1},"l":[1,2]}"#);
        let object = object.expect("an object");
        assert_eq!(object.text("t").as_deref(), Some("a\u{e4}"));
        assert_eq!(object.text("n").as_deref(), Some("12"));
        assert_eq!(object.number("n"), Some(12.0));
        assert!(object.flag("f") && !object.flag("t"));
        assert_eq!(object.object("o").and_then(|inner| inner.string("k")).as_deref(), Some("1"));
        assert_eq!(object.items("l").map(|items| items.len()), Some(2));
        for absent in ["e", "z", "f", "o", "l", "none"] {
            assert_eq!(object.text(absent), None, "{absent}");
        }
        assert!(object.get("z").is_none() && object.object("l").is_none() && object.items("o").is_none());
    }

    #[test]
    fn a_piece_is_replaced_where_it_stands_and_not_where_it_reads_the_same() {
        let text = r#"{"a":[1],"b":[1] }"#;
        let read = object(text.as_bytes()).expect("an object");
        let piece = read.get("b").expect("a member");
        assert_eq!(replaced(text, piece.get(), "[]"), r#"{"a":[1],"b":[] }"#);
    }

    #[test]
    fn what_is_told_nowhere_else_is_kept() {
        let object = object(br#"{"id":"1","new":{"x":[1]}}"#).expect("an object");
        let rest = object.rest(|key| key == "id").map(|rest| raw(&rest).get().to_owned());
        assert_eq!(rest.as_deref(), Some(r#"{"new":{"x":[1]}}"#));
        assert!(object.rest(|_| true).is_none());
    }
}
