//! What people type, checked: names, paths, addresses, headers, schedules.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use model::time::Timestamp;
use url::Url;

use crate::error::{Error, Words};

/// The longest name, in characters.
pub const NAME_MAX: usize = 100;
/// The longest path of a source, in bytes.
pub const PATH_MAX: usize = 200;
/// The longest URL, in bytes.
pub const URL_MAX: usize = 2_000;
/// The most headers sent along with deliveries.
pub const HEADERS_MAX: usize = 20;
/// How long a rotated secret stays good beside its successor, unless the operator says less.
pub(crate) const OVERLAP_MAX: Duration = Duration::from_secs(24 * 3600);
/// How many seconds of it an operator may ask for.
pub const OVERLAP_S: RangeInclusive<u64> = 0..=OVERLAP_MAX.as_secs();
/// First parts of paths that are ours.
const OUR_PATHS: [&str; 14] = [
    "in",
    "files",
    "v1",
    "api",
    "waba",
    "graph",
    "livez",
    "readyz",
    "startupz",
    "healthz",
    "metrics",
    "openapi.json",
    "assets",
    "messages",
];
/// Headers that deliveries carry already, or that belong to the connection.
const OUR_HEADERS: [&str; 15] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "date",
    "user-agent",
];

/// A name people gave: not empty, not long, one line.
pub(crate) fn name(name: &str, field: &str) -> Result<(), Error> {
    let is_fine =
        !name.trim().is_empty() && name.chars().count() <= NAME_MAX && !name.chars().any(char::is_control);
    let words = || {
        Words::new(
            format!("a name has 1 to {NAME_MAX} characters in one line"),
            format!("un nombre tiene de 1 a {NAME_MAX} caracteres en una línea"),
        )
    };
    if is_fine { Ok(()) } else { Err(Error::invalid(field, words())) }
}

/// A path for a source.
pub(crate) fn path(path: &str) -> Result<(), Error> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let is_path = path.starts_with('/')
        && path.len() <= PATH_MAX
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\\"<>{}".contains(&byte))
        && parts.iter().all(|part| !part.is_empty() && *part != "." && *part != "..");
    if !is_path {
        let words = Words::new(
            format!(
                "a path begins with /, has at most {PATH_MAX} plain characters and no empty part: /webhooks/whatz"
            ),
            format!(
                "una ruta empieza con /, tiene como máximo {PATH_MAX} caracteres simples y ninguna parte vacía: /webhooks/whatz"
            ),
        );
        return Err(Error::invalid("path", words));
    }
    if parts.first().is_some_and(|first| OUR_PATHS.contains(first)) {
        return Err(path_not_available());
    }
    Ok(())
}

/// A path that is ours, or that somebody else has: which of both is nobody's business.
pub(crate) fn path_not_available() -> Error {
    let words =
        Words::new("this path is not available: choose another", "esta ruta no está disponible: elige otra");
    Error::invalid("path", words)
}

/// The URL of an endpoint.
pub(crate) fn url(text: &str, allow_http: bool) -> Result<(), Error> {
    let refuse = |english: &str, spanish: &str| Err(Error::invalid("url", Words::new(english, spanish)));
    let url = Url::parse(text).ok().filter(|url| text.len() <= URL_MAX && url.has_host());
    let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return refuse("a URL such as https://example.com/hook", "una URL como https://example.com/hook");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse(
            "no user or password in the URL: use a header",
            "sin usuario ni contraseña en la URL: usa una cabecera",
        );
    }
    if url.scheme() == "http" && !allow_http {
        return refuse(
            "https only; set allow_http to deliver unencrypted",
            "solo https; activa allow_http para entregar sin cifrar",
        );
    }
    Ok(())
}

/// Headers to send along: within their bound, none of ours.
pub(crate) fn headers(headers: &[(String, String)]) -> Result<(), Error> {
    at_most(headers, HEADERS_MAX, "headers")?;
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let is_header =
            HeaderName::from_bytes(lower.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok();
        let is_ours = lower.starts_with("webhook-") || OUR_HEADERS.contains(&lower.as_str());
        if is_header && !is_ours && value.len() <= 4_096 {
            continue;
        }
        let words = if is_ours {
            Words::new("deliveries carry this header already", "las entregas ya llevan esta cabecera")
        } else {
            Words::new(
                "not a header: check its name and value",
                "no es una cabecera: revisa su nombre y valor",
            )
        };
        return Err(Error::invalid(format!("headers/{}", name.replace('~', "~0").replace('/', "~1")), words));
    }
    Ok(())
}

/// A number within bounds.
pub(crate) fn within(value: u64, bounds: RangeInclusive<u64>, field: &str) -> Result<(), Error> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (low, high) = (bounds.start(), bounds.end());
    Err(Error::invalid(field, Words::new(format!("from {low} to {high}"), format!("de {low} a {high}"))))
}

/// When a rotated secret stops being good: after the overlap asked for, at most [`OVERLAP_MAX`] from now.
pub(crate) fn overlap_end(asked: Option<Duration>, now: Timestamp) -> Result<Timestamp, Error> {
    let overlap = asked.unwrap_or(OVERLAP_MAX);
    within(overlap.as_secs(), OVERLAP_S, "overlap_s")?;
    Ok(now.plus(overlap))
}

/// Room for one more of what there may be so many of: all of them are kept in memory.
pub(crate) fn room(count: usize, max: usize) -> Result<(), Error> {
    if count < max {
        return Ok(());
    }
    Err(Error::Conflict(Words::new(
        format!("there are {max} of them, which is the most: remove one that is not needed"),
        format!("hay {max}, que es el máximo: elimina alguno que no haga falta"),
    )))
}

/// A list within its bound.
pub(crate) fn at_most<T>(list: &[T], max: usize, field: &str) -> Result<(), Error> {
    if list.len() <= max {
        return Ok(());
    }
    let words = Words::new(format!("at most {max} entries"), format!("como máximo {max} elementos"));
    Err(Error::invalid(field, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_plain_and_not_ours() {
        for fine in ["/webhooks/whatz", "/a", "/inbound", "/v1x"] {
            assert!(path(fine).is_ok(), "{fine}");
        }
        let long = format!("/{}", "a".repeat(200));
        for wrong in [
            "",
            "/",
            "a",
            "/in/x",
            "/in",
            "/v1/x",
            "/files",
            "/files/x",
            "/messages",
            "/messages/send",
            "/metrics",
            "/a//b",
            "/a/",
            "/a/../b",
            "/a b",
            "/a?b",
            "/ñ",
            "/a%2fb",
            &long,
        ] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_url_is_https_unless_http_is_allowed_and_holds_no_credential() {
        assert!(url("https://example.com/hook?x=1", false).is_ok());
        assert!(url("http://127.0.0.1:9000/hook", true).is_ok());
        for wrong in [
            "http://example.com",
            "ftp://example.com",
            "example.com",
            "https://u:p@example.com",
            "https://",
            "",
        ] {
            assert!(url(wrong, false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_of_ours_and_what_is_no_header_are_refused() {
        let one = |name: &str, value: &str| headers(&[(name.to_owned(), value.to_owned())]);
        assert!(one("X-Api-Key", "k").is_ok());
        assert!(one("Authorization", "Bearer k").is_ok());
        for (name, value) in [("Webhook-Id", "x"), ("HOST", "x"), ("a b", "x"), ("x", "a\nb"), ("", "x")] {
            assert!(one(name, value).is_err(), "{name}");
        }
        let many = vec![("x-a".to_owned(), String::new()); 21];
        assert!(headers(&many).is_err());
    }

    #[test]
    fn an_overlap_is_at_most_a_day() {
        let now = Timestamp::from_secs(1_000);
        assert_eq!(overlap_end(None, now).ok(), Some(now.plus(OVERLAP_MAX)));
        assert_eq!(overlap_end(Some(Duration::ZERO), now).ok(), Some(now));
        assert!(overlap_end(Some(Duration::from_secs(86_401)), now).is_err());
    }

    #[test]
    fn a_name_is_one_line_of_a_hundred_characters() {
        assert!(name("Pedidos ñ", "name").is_ok());
        for wrong in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(name(wrong, "name").is_err(), "{wrong}");
        }
    }
}
