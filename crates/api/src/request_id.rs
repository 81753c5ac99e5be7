//! The door of every request: gives it an id, and writes problems in the caller's language.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use control::Control;
use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};

use crate::language;
use crate::problem::Problem;

/// The header that carries the id both ways.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id of a caller's own that is taken over.
const LENGTH_MAX: usize = 64;

/// Gives the answer the request's id: the caller's own, where it is plain, or a new one.
pub(crate) async fn name(State(control): State<Control>, request: Request, next: Next) -> Response {
    let own =
        request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_plain(id));
    let id = own.map_or_else(|| control.random().base62(20), str::to_owned);
    let language = language::preferred(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let told = std::mem::take(response.headers_mut());
        response = problem.written(language, &id);
        response.headers_mut().extend(told);
    }
    if response.status().is_server_error() {
        tracing::error!(request_id = id, %method, path, status = response.status().as_u16(), "request failed");
    }
    let headers = response.headers_mut();
    // Answers hold secrets, once, and what people wrote: nothing between us and the caller keeps or reinterprets them.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(X_REQUEST_ID, value);
    }
    response
}

fn is_plain(id: &str) -> bool {
    (1..=LENGTH_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
