//! The page's few addresses.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::from_fn_with_state;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use model::receipt::Language;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::guard;
use super::page;
use super::room::{NAME_MAX, Room, TEXT_MAX};

/// How often an open page is told what is new.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How many pages may be open at once.
const OPEN_MAX: usize = 16;
/// A form with the longest text, every character of it escaped.
const FORM_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone)]
struct Desk {
    room: Room,
    open: Arc<Semaphore>,
    ending: CancellationToken,
}

pub(super) fn router(room: Room, address: SocketAddr, ending: CancellationToken) -> Router {
    let desk = Desk { room, open: Arc::new(Semaphore::new(OPEN_MAX)), ending };
    Router::new()
        .route("/", get(whole))
        .route("/say", post(say))
        .route("/live", get(live))
        .route("/style.css", get(|| async { ([(CONTENT_TYPE, "text/css; charset=utf-8")], page::STYLE) }))
        .route(
            "/script.js",
            get(|| async { ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], page::SCRIPT) }),
        )
        .route("/icon.svg", get(|| async { ([(CONTENT_TYPE, "image/svg+xml")], page::ICON) }))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn_with_state(address, guard::own))
        .with_state(desk)
}

async fn whole(State(desk): State<Desk>, headers: HeaderMap) -> Result<Html<String>, Failed> {
    let lines = desk.room.lines().await?;
    Ok(Html(page::whole(language(&headers), &desk.room.opening(), &lines)))
}

/// Takes what is written as the customer.
async fn say(State(desk): State<Desk>, form: Bytes) -> Response {
    let field = |wanted: &str| {
        let mut fields = form_urlencoded::parse(&form);
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let text = field("text");
    let name: String = field("name").chars().take(NAME_MAX).collect();
    if text.is_empty() || text.chars().count() > TEXT_MAX {
        return (StatusCode::UNPROCESSABLE_ENTITY, format!("a text has 1 to {TEXT_MAX} characters\n"))
            .into_response();
    }
    desk.room.say(if name.is_empty() { "Ana" } else { &name }, &text).await;
    // Without a script the form leads back to the page.
    Redirect::to("/").into_response()
}

/// The conversation, whenever it is another than before.
async fn live(
    State(desk): State<Desk>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, StatusCode> {
    let open = Arc::clone(&desk.open).try_acquire_owned().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let watching =
        Watching { desk: desk.clone(), language: language(&headers), shown: String::new(), _open: open };
    let news = stream::unfold(watching, Watching::next).map(Ok);
    let news = news.take_until(desk.ending.cancelled_owned());
    Ok(Sse::new(news).keep_alive(KeepAlive::default()))
}

struct Watching {
    desk: Desk,
    language: Language,
    shown: String,
    _open: OwnedSemaphorePermit,
}

impl Watching {
    async fn next(mut self) -> Option<(Event, Watching)> {
        loop {
            let lines = self.desk.room.lines().await.ok()?;
            let log = page::log(self.language, &lines);
            if log != self.shown {
                self.shown.clone_from(&log);
                return Some((Event::default().event("log").data(log), self));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn language(headers: &HeaderMap) -> Language {
    let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if wanted.trim_start().to_ascii_lowercase().starts_with("es") {
        Language::Spanish
    } else {
        Language::English
    }
}

/// What could not be looked up: the gateway is ending, or its folder is gone.
struct Failed;

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Failed {
        tracing::warn!(%error, "the conversation could not be read");
        Failed
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, "the conversation cannot be read now\n").into_response()
    }
}
