//! WhatsApp's own APIs, as far as bots need them, so that one written for them runs unchanged on an account of any platform: the
//! per-number API of the on-premises client (platforms.md section 2), and the messages of the Cloud API ([`graph`]). Their nouns do
//! not leave this folder.

mod graph;
mod refusal;
mod wire;

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get, post, put};
use axum::{Json, Router};
use control::files::NewFile;
use control::{Action, Control};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::id::kind;
use serde_json::{Value, json};

use self::wire::{Contacts, Message, Webhook};
use crate::auth::{self, Caller, Guard};
use crate::body::{Body, Named};
use crate::problem::{Code, Problem};
use crate::rates::{Budget, Rates};
use crate::v1::files;

/// The header that clients of 360dialog show their key in.
const KEY: HeaderName = HeaderName::from_static("d360-api-key");

/// Their routes, behind doors of their own.
pub(crate) fn router(control: &Control, rates: &Arc<Rates>) -> Router<Control> {
    let guard = Guard {
        control: control.clone(),
        rates: Arc::clone(rates),
        action: Action::SpeakForNumber,
        budget: Budget::Requests,
    };
    let per_number = Router::new()
        .route(
            "/waba/v1/configs/webhook",
            get(webhook).post(set_webhook).put(set_webhook).delete(remove_webhook),
        )
        .route("/waba/v1/messages", post(send))
        .route("/waba/v1/messages/{id}", put(mark))
        .route("/waba/v1/contacts", post(check))
        .route("/waba/v1/media", post(upload))
        .route("/waba/v1/media/{id}", get(file).delete(remove_file))
        .route("/waba/v1/{*rest}", any(|| async { Problem::of(Code::NotFound) }))
        .route_layer(from_fn_with_state(guard.clone(), auth::pass))
        .route_layer(from_fn(key_as_bearer))
        .route_layer(from_fn(refusal::in_the_clients_shape));
    let sender = Guard { action: Action::Send, ..guard };
    let graph = Router::new()
        .route("/graph/{version}/{account}/messages", post(graph::send))
        .route("/graph/{version}/{account}/{other}", any(|| async { Problem::of(Code::NotFound) }))
        .route("/graph/{version}/{account}", any(|| async { Problem::of(Code::NotFound) }))
        .route_layer(from_fn_with_state(sender, auth::pass))
        .route_layer(from_fn(refusal::in_the_shape_of_graph));
    per_number.merge(graph)
}

/// A key in the client's own header is a bearer token of ours.
async fn key_as_bearer(mut request: Request, next: Next) -> Response {
    let key = request.headers().get(KEY).and_then(|key| key.to_str().ok());
    let bearer = key.and_then(|key| HeaderValue::from_str(&format!("Bearer {key}")).ok());
    if let Some(bearer) = bearer {
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    next.run(request).await
}

async fn webhook(State(control): State<Control>, Caller(actor): Caller) -> Result<Json<Webhook>, Problem> {
    let held = control.numbers().webhook(&actor)?;
    held.map(|endpoint| Json(Webhook::of(&endpoint))).ok_or(Problem::of(Code::NotFound))
}

async fn set_webhook(
    State(control): State<Control>,
    Caller(actor): Caller,
    Body(webhook): Body<Webhook>,
) -> Result<Json<Webhook>, Problem> {
    // An empty URL is how some clients take it away.
    if webhook.url.is_empty() {
        control.numbers().remove_webhook(&actor).await?;
        return Ok(Json(webhook));
    }
    let headers = webhook.header_pairs()?;
    let endpoint = control.numbers().set_webhook(&actor, webhook.url, headers).await?;
    Ok(Json(Webhook::of(&endpoint)))
}

async fn remove_webhook(
    State(control): State<Control>,
    Caller(actor): Caller,
) -> Result<Json<Value>, Problem> {
    control.numbers().remove_webhook(&actor).await?;
    Ok(Json(json!({})))
}

async fn send(
    State(control): State<Control>,
    Caller(actor): Caller,
    Body(message): Body<Message>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let to = message.to()?.to_owned();
    let (reply_to, body) = (message.reply_to(), message.body()?);
    let sent = control.numbers().send(&actor, to.clone(), reply_to, body).await?;
    let wa_id = to.trim_start_matches('+');
    let told = json!({
        "messages": [{ "id": sent.id.to_string() }],
        "contacts": [{ "input": to, "wa_id": wa_id }],
        "meta": { "api_status": "stable", "version": "2" },
    });
    Ok((StatusCode::CREATED, Json(told)))
}

async fn mark(
    State(control): State<Control>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Body(mark): Body<wire::Mark>,
) -> Result<Json<Value>, Problem> {
    let wire::Mark { status: wire::Read::Read } = mark;
    control.numbers().mark_read(&actor, id).await?;
    Ok(Json(json!({})))
}

async fn upload(
    State(control): State<Control>,
    Caller(actor): Caller,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new = NewFile { mime_type: files::mime_type(&headers), ..NewFile::default() };
    let file = control.files().upload_for_number(&actor, new, files::pieces(body)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "media": [{ "id": file.id.to_string() }] }))))
}

async fn file(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::File>,
) -> Result<Response, Problem> {
    let (file, given) = control.files().open_for_number(&actor, id).await?;
    Ok(files::bytes(&file, given))
}

async fn remove_file(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::File>,
) -> Result<Json<Value>, Problem> {
    control.files().remove_for_number(&actor, id).await?;
    Ok(Json(json!({})))
}

/// Platforms no longer say whether a number has WhatsApp: what is a number counts as valid.
async fn check(Caller(_): Caller, Body(contacts): Body<Contacts>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "contacts": contacts.checked()? })))
}
