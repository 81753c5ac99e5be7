//! Problems in the shapes that WhatsApp's APIs have for them.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use model::receipt::Language;
use serde_json::{Value, json};

use crate::language;
use crate::problem::{Code, Problem};

/// Rewrites a problem on its way out: `errors` where messages are sent, `meta` where the webhook is set, both in each answer.
pub(super) async fn in_the_clients_shape(request: Request, next: Next) -> Response {
    rewritten(request, next, |problem, language| {
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
        (status, told)
    })
    .await
}

/// Rewrites a problem on its way out as Meta's Graph API tells one.
pub(super) async fn in_the_shape_of_graph(request: Request, next: Next) -> Response {
    rewritten(request, next, |problem, language| {
        let (status, code) = graph_code(problem);
        (status, graph_error(code, &problem.words(language)))
    })
    .await
}

/// An error as the Graph API tells it.
pub(super) fn graph_error(code: i64, words: &str) -> Value {
    json!({ "error": {
        "message": format!("(#{code}) {words}"),
        "type": if code == 190 { "OAuthException" } else { "GraphMethodException" },
        "code": code,
        "error_data": { "messaging_product": "whatsapp", "details": words },
    } })
}

async fn rewritten(
    request: Request,
    next: Next,
    tell: fn(&Problem, Language) -> (StatusCode, Value),
) -> Response {
    let language = language::preferred(request.headers());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let (status, told) = tell(&problem, language);
    let headers = std::mem::take(response.headers_mut());
    let mut told = (status, Json(told)).into_response();
    let own = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
    told.headers_mut().extend(own.filter(|(name, _)| *name != CONTENT_LENGTH));
    told
}

/// Meta's number for a problem (platforms.md 1.7), with the status that Meta tells it with.
fn graph_code(problem: &Problem) -> (StatusCode, i64) {
    match problem.code() {
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, 190),
        Code::Forbidden => (StatusCode::FORBIDDEN, 200),
        Code::NotFound | Code::MethodNotAllowed => (StatusCode::BAD_REQUEST, 33),
        Code::Unsupported => (StatusCode::BAD_REQUEST, 131051),
        Code::WindowClosed => (StatusCode::BAD_REQUEST, 131047),
        Code::TooMany => (StatusCode::TOO_MANY_REQUESTS, 130429),
        Code::Busy | Code::Unavailable | Code::TooSlow => (StatusCode::SERVICE_UNAVAILABLE, 131016),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 131000),
        _ => (StatusCode::BAD_REQUEST, 100),
    }
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
