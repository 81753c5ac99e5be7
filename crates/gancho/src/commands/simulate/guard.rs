//! Who may use the page: a browser that was sent here by its user, and by no other page.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, HeaderName, ORIGIN};

/// Where a browser says what caused a request.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const LOCALHOST: &str = "localhost";

/// Whether a name of a host is this machine's own.
pub(super) fn is_this_machine(host: &str) -> bool {
    host == LOCALHOST || address(host).is_some_and(|address| address.is_loopback())
}

/// Whether the page was asked for by an address or as `localhost`. By any other name it could be somebody's who has that
/// name lead here (DNS rebinding); what is an address cannot be led elsewhere.
pub(super) fn is_asked_by_address(headers: &HeaderMap) -> bool {
    let Some(host) = text(headers, &HOST) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    name == LOCALHOST || address(name).is_some()
}

/// Whether no page of somebody else's caused a request.
pub(super) fn is_of_this_page(headers: &HeaderMap) -> bool {
    let host = text(headers, &HOST).unwrap_or_default();
    let is_ours = |origin: &str| origin == format!("http://{host}");
    let is_near = |site: &str| matches!(site, "same-origin" | "none");
    // A header that is there and no text proves nothing.
    let all_are = |name: &HeaderName, holds: &dyn Fn(&str) -> bool| {
        headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(holds))
    };
    all_are(&ORIGIN, &is_ours) && all_are(&SITE, &is_near)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_name_that_others_can_lead_here_is_refused() {
        for host in ["127.0.0.1:8090", "localhost:8090", "localhost", "[::1]:8090", "192.168.1.5:80"] {
            assert!(is_asked_by_address(&headers(&[(HOST, host)])), "{host}");
        }
        for host in
            ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "localhost.evil.example:1", ""]
        {
            assert!(!is_asked_by_address(&headers(&[(HOST, host)])), "{host}");
        }
        assert!(!is_asked_by_address(&HeaderMap::new()));
    }

    #[test]
    fn what_another_page_caused_is_refused() {
        let of = |more: &[(HeaderName, &'static str)]| {
            let mut all = headers(more);
            all.insert(HOST, HeaderValue::from_static("localhost:8090"));
            is_of_this_page(&all)
        };
        assert!(of(&[]) && of(&[(ORIGIN, "http://localhost:8090"), (SITE, "same-origin")]));
        for origin in ["http://evil.example", "null", "https://localhost:8090", "http://localhost:9000", ""] {
            assert!(!of(&[(ORIGIN, origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(!of(&[(SITE, site)]), "{site}");
        }
    }
}
