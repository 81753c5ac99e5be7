//! What people are shown of a request that came, and of an answer to one of ours: everything but what proves who somebody is.

use model::delivery::Attempt;
use model::id::SourceId;
use model::receipt::Receipt;
use model::source::Source;
use platforms::platform::CredentialPlace;
use platforms::registry;
use store::receipts::Came;

/// What stands where a credential stood.
const MASK: &str = "***";
/// Headers whose values show who somebody is; they are kept of refused requests, and never shown.
const CREDENTIALS: [&str; 7] = [
    "authorization",
    "cookie",
    "set-cookie",
    "proxy-authorization",
    "x-api-key",
    "apikey",
    "x-telegram-bot-api-secret-token",
];

/// Headers that hold no credential whoever sends them: what is shown where it is not known who did.
const PLAIN_HEADERS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "host",
    "transfer-encoding",
    "user-agent",
    "x-forwarded-proto",
    "x-request-id",
];
/// The longest part of a path that is shown where it is not known what the path is for, in characters: a word, not a token.
const WORD_MAX: usize = 16;

/// A receipt without its query, where tokens live, and without a credential in its path.
pub(crate) fn receipt(source: Option<&Source>, mut receipt: Receipt) -> Receipt {
    let path = receipt.path.split('?').next().unwrap_or_default();
    receipt.path = source.map_or_else(|| words_of(path), |source| masked_path(source, path));
    receipt
}

/// What came, without credentials in headers and body. Where the source is not known any more, only headers that never hold
/// one are shown, and every platform's rule for bodies applies.
pub(crate) fn came(source: Option<&Source>, came: Came) -> Came {
    let place = source.and_then(credential_place);
    let is_credential = |name: &str, value: &str| {
        let in_place =
            matches!(&place, Some(CredentialPlace::Header(header)) if header.eq_ignore_ascii_case(name));
        let is_known = source.map_or(!PLAIN_HEADERS.contains(&name), |source| shows_secret(source, value));
        CREDENTIALS.contains(&name) || in_place || is_known
    };
    let headers = masked_headers(&came.headers, is_credential);
    let platform = source.map(|source| source.platform.as_str());
    Came { headers, body: registry::redacted(platform, came.body), ..came }
}

/// An attempt, without credentials in the headers of its answer.
pub(crate) fn attempt(attempt: Attempt) -> Attempt {
    let answer_headers = masked_headers(&attempt.answer_headers, |name, _| CREDENTIALS.contains(&name));
    Attempt { answer_headers, ..attempt }
}

/// The same lines, with the values masked of those that are a credential by their name in lower case and their value.
fn masked_headers(lines: &str, is_credential: impl Fn(&str, &str) -> bool) -> String {
    let mut headers = String::with_capacity(lines.len());
    for (name, value) in lines.lines().filter_map(|line| line.split_once(": ")) {
        let value = if is_credential(&name.to_ascii_lowercase(), value) { MASK } else { value };
        headers.extend([name, ": ", value, "\n"]);
    }
    headers
}

/// The path of a source that is not known: its first parts, if they are words or the id of a source.
fn words_of(path: &str) -> String {
    let is_id = |part: &str| part.parse::<SourceId>().is_ok();
    let is_word = |part: &str| part.chars().count() <= WORD_MAX;
    let parts = path.split('/').enumerate();
    let shown = parts.map(|(at, part)| match part {
        part if part.is_empty() || is_id(part) || (at <= 2 && is_word(part)) => part,
        _ => MASK,
    });
    shown.collect::<Vec<&str>>().join("/")
}

fn masked_path(source: &Source, path: &str) -> String {
    let mut parts: Vec<&str> =
        path.split('/').map(|part| if shows_secret(source, part) { MASK } else { part }).collect();
    let own = [Some(format!("/in/{}", source.id)), source.path.clone()];
    let is_appended = !own.iter().flatten().any(|own| own == path);
    if is_appended && credential_place(source) == Some(CredentialPlace::LastOfPath) {
        parts.pop();
        parts.push(MASK);
    }
    parts.join("/")
}

fn credential_place(source: &Source) -> Option<CredentialPlace> {
    registry::find(&source.platform)?.credential_place(source)
}

fn shows_secret(source: &Source, text: &str) -> bool {
    let secrets = source.secrets.iter().map(|held| held.key.secret.expose());
    secrets.filter(|secret| !secret.is_empty()).any(|secret| text.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use model::id::{AppId, ReceiptId};
    use model::receipt::ReceiptState;
    use model::secret::{Key, Secret};
    use model::source::{SecretRole, Settings, SourceSecret};
    use serde_json::{Value, json};

    fn source(settings: &Value) -> Source {
        let key = Key::current(Secret::new("hush-hush"));
        Source {
            name: "test".to_owned(),
            path: Some("/hooks/shop".to_owned()),
            secrets: vec![SourceSecret { role: SecretRole::Credential, key }],
            settings: Settings::new(settings.as_object().expect("an object").clone()),
            ..Source::new(SourceId::from_raw(1), AppId::from_raw(1), "generic")
        }
    }

    fn shown(source: &Source, path: &str) -> String {
        let one = Receipt {
            id: ReceiptId::from_raw(1),
            source: Some(source.id),
            state: ReceiptState::Rejected,
            reason: None,
            method: "POST".to_owned(),
            path: path.to_owned(),
            peer: "192.0.2.1".to_owned(),
            body_bytes: 0,
            items: 0,
            items_new: 0,
        };
        receipt(Some(source), one).path
    }

    #[test]
    fn a_token_in_the_url_is_not_shown_right_or_wrong() {
        let in_path = source(&json!({ "scheme": "url_token", "in_path": true }));
        assert_eq!(shown(&in_path, "/hooks/shop/hush-hush"), "/hooks/shop/***");
        assert_eq!(shown(&in_path, "/hooks/shop/hush-hash"), "/hooks/shop/***");
        assert_eq!(shown(&in_path, "/hooks/shop"), "/hooks/shop");
        let in_query = source(&json!({ "scheme": "url_token" }));
        assert_eq!(shown(&in_query, "/hooks/shop/orders?token=hush-hush"), "/hooks/shop/orders");
    }

    #[test]
    fn a_cookie_in_an_answer_is_not_shown() {
        let lines = "content-type: text/plain\nSet-Cookie: session=hush\n";
        let shown = masked_headers(lines, |name, _| CREDENTIALS.contains(&name));
        assert_eq!(shown, "content-type: text/plain\nSet-Cookie: ***\n");
    }

    #[test]
    fn a_header_that_shows_a_credential_is_masked_by_its_name_or_by_what_it_holds() {
        let by_header = source(&json!({ "scheme": "header", "header": "X-Shop-Token" }));
        let headers =
            "x-shop-token: hush-hash\nx-other: Token hush-hush\nx-kept: kept\ncookie: a\n".to_owned();
        let one = Came { headers, body: Bytes::new(), intact: true };
        let shown = came(Some(&by_header), one).headers;
        assert_eq!(shown, "x-shop-token: ***\nx-other: ***\nx-kept: kept\ncookie: ***\n");
    }
}
