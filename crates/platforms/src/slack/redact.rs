//! The verification token, which Slack puts into every body in clear: masked wherever a body is kept or shown.

use bytes::Bytes;

/// How the token stands in JSON, in a form, and in JSON in a form; what ends its value; what stands for it.
const WAYS: [(&[u8], &[u8]); 3] =
    [(b"\"token\":\"", b"\""), (b"token=", b"&"), (b"%22token%22%3A%22", b"%22")];
const MASK: &[u8] = b"***";

/// A body whose first token reads `***`, every other byte as it came; `None` where there is none. Slack writes the token
/// without spaces, and first of all.
pub(super) fn redact(body: &[u8]) -> Option<Bytes> {
    let is_form = !body.trim_ascii_start().starts_with(b"{");
    let ways = if is_form { &WAYS[1..] } else { &WAYS[..1] };
    ways.iter().find_map(|(before, after)| masked(body, before, after))
}

fn masked(body: &[u8], before: &[u8], after: &[u8]) -> Option<Bytes> {
    let starts_member = |at: usize| before != b"token=" || at == 0 || body[at - 1] == b'&';
    let at = (0..body.len()).find(|at| body[*at..].starts_with(before) && starts_member(*at))?;
    let value = at + before.len();
    let length = (0..body.len() - value).find(|length| body[value + length..].starts_with(after));
    let end = length.map_or(body.len(), |length| value + length);
    Some(Bytes::from([&body[..value], MASK, &body[end..]].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_masked_in_every_shape_and_nothing_else_is() {
        for (body, kept) in [
            (r#"{"token":"XXYY","type":"x"}"#, r#"{"token":"***","type":"x"}"#),
            ("token=XXYY&command=%2Fw&text=token%3D1", "token=***&command=%2Fw&text=token%3D1"),
            ("a_token=1&token=XXYY", "a_token=1&token=***"),
            (
                "payload=%7B%22type%22%3A%22b%22%2C%22token%22%3A%22XX%22%7D",
                "payload=%7B%22type%22%3A%22b%22%2C%22token%22%3A%22***%22%7D",
            ),
        ] {
            assert_eq!(redact(body.as_bytes()).as_deref(), Some(kept.as_bytes()), "{body}");
        }
        for plain in ["", "{}", r#"{"type":"x"}"#, "text=hola", "a_token=1"] {
            assert_eq!(redact(plain.as_bytes()), None, "{plain}");
        }
    }
}
