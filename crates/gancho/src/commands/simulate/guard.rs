//! Who may use the page: a browser that was led to it by its own address, and nobody else's script.

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};

/// Nothing but our own files, and no frame around us.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses names that are not ours, which a page elsewhere may have been given to reach us, and forms of other pages.
pub(super) async fn own(State(address): State<SocketAddr>, request: Request, next: Next) -> Response {
    if let Err(refusal) = admitted(&request, address) {
        return refusal.into_response();
    }
    let mut response = next.run(request).await;
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn admitted(request: &Request, address: SocketAddr) -> Result<(), (StatusCode, &'static str)> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header(HOST).unwrap_or_default();
    if !is_ours(host, address) {
        return Err((StatusCode::MISDIRECTED_REQUEST, "this page has another address\n"));
    }
    let is_own_form = header(ORIGIN).is_none_or(|origin| origin == format!("http://{host}"));
    match request.method() == Method::GET || is_own_form {
        true => Ok(()),
        false => Err((StatusCode::FORBIDDEN, "only the page itself may do this\n")),
    }
}

fn is_ours(host: &str, address: SocketAddr) -> bool {
    host == address.to_string()
        || (address.ip().is_loopback() && host == format!("localhost:{}", address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_address_is_its_name() {
        let address: SocketAddr = "127.0.0.1:8090".parse().expect("an address");
        assert!(is_ours("127.0.0.1:8090", address) && is_ours("localhost:8090", address));
        for other in ["", "127.0.0.1", "127.0.0.1:80", "evil.example:8090", "localhost.evil.example:8090"] {
            assert!(!is_ours(other, address), "{other}");
        }
    }
}
