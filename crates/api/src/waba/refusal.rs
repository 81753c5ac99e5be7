//! Problems in the client's shape: `errors` where messages are sent, `meta` where the webhook is set. Both are in each answer.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::language;
use crate::problem::{Code, Problem};

/// Rewrites a problem on its way out.
pub(super) async fn in_its_shape(request: Request, next: Next) -> Response {
    let language = language::preferred(request.headers());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let (code, title) = numbered(problem.code());
    let (status, words) = (problem.status(), problem.words(language));
    let told = json!({
        "errors": [{ "code": code, "title": title, "details": words }],
        "meta": {
            "success": false,
            "http_code": status.as_u16(),
            "developer_message": words,
            "details": [words],
        },
    });
    let headers = std::mem::take(response.headers_mut());
    let mut told = (status, Json(told)).into_response();
    let own = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
    told.headers_mut().extend(own.filter(|(name, _)| *name != http::header::CONTENT_LENGTH));
    told
}

/// The client's number and short name for a problem (platforms.md 2.5).
fn numbered(code: Code) -> (i64, &'static str) {
    match code {
        Code::Unauthenticated | Code::Forbidden => (1005, "Access denied"),
        Code::NotFound | Code::MethodNotAllowed => (1006, "Resource not found"),
        Code::Malformed | Code::Invalid | Code::TooLarge => (1009, "Parameter value is not valid"),
        Code::Unsupported => (1026, "Receiver incapable"),
        Code::WindowClosed => (470, "Message failed to send because more than 24 hours have passed"),
        Code::TooMany => (1015, "Too many requests"),
        Code::Busy | Code::Unavailable | Code::TooSlow => (1016, "System overloaded"),
        _ => (1014, "Internal error"),
    }
}
