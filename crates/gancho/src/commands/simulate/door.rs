//! The page over HTTP: looking, writing, listening.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY};
use http::header::{VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::desk::Desk;
use super::guard;
use super::page::TEXT_MAX;
use super::stream::{self, Listener};
use super::texts::Texts;
use crate::listener::{self, Bounds, Handler, WRITE_STALL_MAX};
use crate::proxies::Proxies;

/// How many connections may be open: each listener has one, and a browser opens six to load a page.
const CONNECTIONS_MAX: usize = 64;
/// The largest form, in bytes: each character of a message may take four bytes, and a byte three letters.
const FORM_BYTES_MAX: usize = 64 * 1024;
/// How long requests under way may take at the end.
const DRAIN: Duration = Duration::from_secs(1);
/// What a page may load: its own files. It has no style and no script inside.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Serves the page until shutdown.
pub(super) async fn serve(listener: TcpListener, desk: Arc<Desk>, shutdown: CancellationToken) {
    let router = Router::new()
        .route("/", get(look))
        .route("/messages", post(say))
        .route("/stream", get(listen))
        .route("/simulate.css", get(async || asset("text/css", include_str!("assets/simulate.css"))))
        .route("/simulate.js", get(async || asset("text/javascript", include_str!("assets/simulate.js"))))
        .route("/icon.svg", get(async || asset("image/svg+xml", include_str!("assets/icon.svg"))))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn(guarded))
        .with_state(Arc::clone(&desk));
    let bounds = Bounds {
        connections_max: CONNECTIONS_MAX,
        per_address_max: CONNECTIONS_MAX,
        proxies: Proxies::default(),
        write_stall: WRITE_STALL_MAX,
        drain: DRAIN,
    };
    tokio::select! {
        () = listener::serve(listener, Door(router), bounds, shutdown) => {}
        () = desk.follow() => {}
    }
}

/// The routes, behind our own accept loop.
#[derive(Clone)]
struct Door(Router);

impl Handler for Door {
    async fn handle(&self, request: http::Request<Incoming>, _peer: SocketAddr) -> http::Response<Body> {
        match self.0.clone().call(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Refuses who comes by a name that could be somebody else's, and says what a browser may do with the answer.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = match guard::is_asked_by_address(request.headers()) {
        true => next.run(request).await,
        false => (StatusCode::MISDIRECTED_REQUEST, "ask by address, or as localhost\n").into_response(),
    };
    let set: [(HeaderName, &str); 6] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // With none at all a browser would not say which page a form is of.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (VARY, "Accept-Language"),
    ];
    let headers = response.headers_mut();
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn look(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    page(&desk, Texts::of(&headers), StatusCode::OK, None).await
}

async fn page(
    desk: &Desk,
    texts: &'static Texts,
    status: StatusCode,
    notice: Option<(&str, &str)>,
) -> Response {
    match desk.page(texts, notice).await {
        Ok(html) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, texts.not_readable).into_response(),
    }
}

async fn listen(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let texts = Texts::of(&headers);
    if !guard::is_of_this_page(&headers) {
        return (StatusCode::FORBIDDEN, texts.not_ours).into_response();
    }
    let Some((changes, place)) = desk.changes() else {
        return (StatusCode::SERVICE_UNAVAILABLE, texts.crowded).into_response();
    };
    // Whoever was the first to come would hear of nothing before the next look.
    if desk.look().await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, texts.not_readable).into_response();
    }
    let listener = Listener { desk, texts, changes, _place: place };
    ([(CONTENT_TYPE, "text/event-stream")], stream::body(listener)).into_response()
}

/// Writes as the customer. A form is answered with a page, the script with words, or with nothing where all is well.
async fn say(State(desk): State<Arc<Desk>>, headers: HeaderMap, form: Bytes) -> Response {
    let texts = Texts::of(&headers);
    let is_form = headers.get(ACCEPT).is_none_or(|accepted| accepted != "text/plain");
    let (text, outcome) = said(&desk, texts, &headers, &form).await;
    match outcome {
        Ok(()) if is_form => (StatusCode::SEE_OTHER, [(LOCATION, "/#text")]).into_response(),
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err((status, words)) if is_form && status != StatusCode::FORBIDDEN => {
            page(&desk, texts, status, Some((&words, &text))).await
        }
        Err(refused) => refused.into_response(),
    }
}

/// What was written, and why it has not come in.
async fn said(
    desk: &Desk,
    texts: &Texts,
    headers: &HeaderMap,
    form: &[u8],
) -> (String, Result<(), (StatusCode, String)>) {
    let field = |name: &str| {
        let mut fields = form_urlencoded::parse(form).into_owned();
        fields.find(|(field, _)| field == name).map(|(_, value)| value).unwrap_or_default()
    };
    let refuse = |status, words: &str| Err((status, words.to_owned()));
    if !guard::is_of_this_page(headers) || field("token") != desk.form_token() {
        return (String::new(), refuse(StatusCode::FORBIDDEN, texts.not_ours));
    }
    let is_written = |letter: &char| !letter.is_control() || matches!(letter, '\n' | '\t');
    let text: String = field("text").replace("\r\n", "\n").chars().filter(is_written).collect();
    let text = text.trim().to_owned();
    if !(1..=TEXT_MAX).contains(&text.chars().count()) {
        return (text, refuse(StatusCode::UNPROCESSABLE_ENTITY, texts.too_long));
    }
    let outcome = desk.say(texts, &field("name"), &text, field("fail") == "on").await;
    let outcome = outcome.map_err(|words| (StatusCode::BAD_GATEWAY, words));
    (text, outcome)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, format!("{kind}; charset=utf-8"))], text).into_response()
}
