//! The instance's API key, which Evolution puts into every body in clear: masked wherever a body is kept or shown.

use bytes::Bytes;
use serde_json::Value;

/// What stands in place of a key.
const MASK: &[u8] = b"\"***\"";

/// Whether a member holds the API key: `apikey`, `apiKey`, `api_key`, `api-key`.
fn is_key(name: &str) -> bool {
    name.replace(['-', '_'], "").eq_ignore_ascii_case("apikey")
}

/// A copy of a value without the API key.
pub(super) fn without_api_key(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !is_key(name))
            .map(|(name, value)| (name.clone(), without_api_key(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_api_key).collect(),
        plain => plain.clone(),
    }
}

/// A body whose API keys read `***`, every other byte as it came; `None` where there is none. A body that is broken
/// off or is no JSON after all is masked as far as it can be followed.
pub(super) fn redact(body: &[u8]) -> Option<Bytes> {
    let mut redacted = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while at < body.len() {
        if body[at] != b'"' {
            at += 1;
            continue;
        }
        let name = at;
        at = text_end(body, at);
        let value = after_colon(body, at).filter(|_| names_key(&body[name..at]));
        if let Some(value) = value {
            redacted.extend_from_slice(&body[copied..value]);
            redacted.extend_from_slice(MASK);
            at = value_end(body, value);
            copied = at;
        }
    }
    redacted.extend_from_slice(&body[copied..]);
    (copied > 0).then(|| Bytes::from(redacted))
}

/// Whether a text as it stands in JSON, quotes included, is the name of the API key.
fn names_key(text: &[u8]) -> bool {
    // The longest way to write it: eight letters and marks, each as an escape of six bytes, and the quotes.
    text.len() <= 64 && serde_json::from_slice::<String>(text).is_ok_and(|name| is_key(&name))
}

/// Where the value begins when a text that ends here is the name of a member.
fn after_colon(body: &[u8], end: usize) -> Option<usize> {
    let colon = skip_space(body, end);
    (body.get(colon) == Some(&b':')).then(|| skip_space(body, colon + 1))
}

fn skip_space(body: &[u8], from: usize) -> usize {
    body[from..].iter().position(|byte| !byte.is_ascii_whitespace()).map_or(body.len(), |skip| from + skip)
}

/// Where a text that begins here ends: after its closing quote, or with the body.
fn text_end(body: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < body.len() {
        match body[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    body.len()
}

/// Where a value that begins here ends.
fn value_end(body: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0_usize);
    while at < body.len() {
        match body[at] {
            b'"' => at = text_end(body, at),
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' if depth > 0 => (at, depth) = (at + 1, depth - 1),
            b',' | b'}' | b']' if depth == 0 => return at,
            byte if depth == 0 && byte.is_ascii_whitespace() => return at,
            _ => at += 1,
        }
        if depth == 0 && matches!(body[at - 1], b'"' | b'}' | b']') {
            return at;
        }
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redacted(body: &str) -> Option<String> {
        redact(body.as_bytes()).map(|body| String::from_utf8(body.to_vec()).expect("text stays text"))
    }

    #[test]
    fn the_key_is_masked_and_every_other_byte_stays() {
        for (body, expected) in [
            (
                r#"{"a": 1.50,"apikey" : "K","b":"\u00e4\/"}"#,
                r#"{"a": 1.50,"apikey" : "***","b":"\u00e4\/"}"#,
            ),
            (r#"{"data":{"apiKey":"K"},"api_key":7}"#, r#"{"data":{"apiKey":"***"},"api_key":"***"}"#),
            (r#"[{"API-KEY":null ,"x":1}]"#, r#"[{"API-KEY":"***" ,"x":1}]"#),
            (r#"{"apikey":{"a":["}\"",1]},"x":2}"#, r#"{"apikey":"***","x":2}"#),
            (r#"{"apikey":["K","L"],"x":2}"#, r#"{"apikey":"***","x":2}"#),
            (r#"{"api\u006bey":"K\"apikey"}"#, r#"{"api\u006bey":"***"}"#),
            (r#"{"apikey":"K"#, r#"{"apikey":"***""#),
            (r#"{"apikey":"#, r#"{"apikey":"***""#),
            (r#"oops "apikey": K, "#, r#"oops "apikey": "***", "#),
        ] {
            assert_eq!(redacted(body).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn a_body_without_a_key_is_left_alone() {
        for body in [
            "",
            "{}",
            r#"{"text":"apikey"}"#,
            r#"{"text":"my \"apikey\": \"K\""}"#,
            r#"{"apikeys":"x","my_apikey_":1}"#,
            r#"["apikey","K"]"#,
            r#"{"a":"apikey","b":1}"#,
        ] {
            assert_eq!(redacted(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_a_masked_body_is_masked(body in "[\\[\\]{}\":,\\\\ aK]{0,30}(\"apikey\")?[\\[\\]{}\":,\\\\ aK]{0,30}") {
            if let Some(once) = redact(body.as_bytes()) {
                let again = redact(&once);
                prop_assert!(again.is_none_or(|again| again == once));
            }
        }

        #[test]
        fn json_stays_the_same_json_but_for_the_key(text in ".{0,20}", secret in "[A-Z]{8,40}", number in any::<i64>()) {
            let body = serde_json::json!({ "text": text, "data": { "apikey": secret, "n": number }, "apikey": secret });
            let masked = redact(body.to_string().as_bytes()).expect("a key is in it");
            let read: Value = serde_json::from_slice(&masked).expect("it is JSON still");
            prop_assert_eq!(without_api_key(&read), without_api_key(&body));
            prop_assert!(!String::from_utf8_lossy(&masked).contains(&secret) || text.contains(&secret));
        }
    }
}
