//! `Idempotency-Key` on POST: the same request under the same key is answered once (invariants Q22).

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use control::idempotency::Claim;
use control::{Control, Words};
use http::header::{ETAG, IF_MATCH};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::Caller;
use crate::body;
use crate::problem::{Code, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// Members of answers that are shown once and never stored.
const SHOWN_ONCE: [&str; 2] = ["secret", "token"];

/// The caller's idempotency key, where one is given.
pub(crate) struct Key(pub(crate) Option<String>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Key, Problem> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(Key(None)) };
        let is_plain = |key: &&str| key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let key = value.to_str().ok().filter(is_plain).filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
        let key = key.ok_or_else(|| {
            let words = Words::new(
                format!("Idempotency-Key has 1 to {KEY_BYTES_MAX} plain characters"),
                format!("Idempotency-Key tiene de 1 a {KEY_BYTES_MAX} caracteres simples"),
            );
            Problem::of(Code::Invalid).saying(words)
        })?;
        Ok(Key(Some(key.to_owned())))
    }
}

/// An answer as it is remembered.
#[derive(Serialize, Deserialize)]
struct Given {
    status: u16,
    body: Value,
    /// The version it showed, where it showed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

/// Answers a request with a key from memory, or lets it pass and remembers what came of it.
pub(crate) async fn once(State(control): State<Control>, request: Request, next: Next) -> Response {
    match answer(control, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(control: Control, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let Key(Some(key)) = Key::from_request_parts(&mut parts, &()).await? else {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let Caller(actor) = Caller::from_request_parts(&mut parts, &()).await?;
    let body = body::read(body).await?;
    let route = format!("{} {}", parts.method, parts.uri);
    match control.idempotency().claim(&actor, &route, &key, &asked(&parts, &body)).await? {
        Claim::Fresh => {}
        Claim::Answered(given) => return replayed(&given),
        Claim::UnderWay => return Err(Problem::of(Code::KeyUnderWay)),
        Claim::OtherRequest => return Err(Problem::of(Code::KeyReused)),
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (response, given) = read(response).await?;
    control.idempotency().answered(&actor, &route, &key, given).await?;
    Ok(response)
}

/// What makes a request the same: its body, and the versions it is for, each in a line of its own before it.
fn asked(parts: &Parts, body: &[u8]) -> Vec<u8> {
    let conditions = parts.headers.get_all(IF_MATCH).iter();
    let mut asked: Vec<u8> = conditions.flat_map(|value| [value.as_bytes(), b"\n"].concat()).collect();
    asked.extend_from_slice(body);
    asked
}

/// The answer, and what is remembered of it: nothing of one that came to nothing, and no secret.
async fn read(response: Response) -> Result<(Response, Option<String>), Problem> {
    if !response.status().is_success() {
        return Ok((response, None));
    }
    let (parts, body) = response.into_parts();
    let bytes: Bytes = to_bytes(body, usize::MAX).await.map_err(|_| Problem::of(Code::Internal))?;
    let mut body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    for name in SHOWN_ONCE {
        body.as_object_mut().and_then(|members| members.remove(name));
    }
    let etag = parts.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let given = serde_json::to_string(&Given { status: parts.status.as_u16(), body, etag }).ok();
    Ok((Response::from_parts(parts, Body::from(bytes)), given))
}

fn replayed(given: &str) -> Result<Response, Problem> {
    let given: Given = serde_json::from_str(given).map_err(|_| Problem::of(Code::Internal))?;
    let status = StatusCode::from_u16(given.status).map_err(|_| Problem::of(Code::Internal))?;
    let mut response = match given.body {
        Value::Null => status.into_response(),
        body => (status, Json(body)).into_response(),
    };
    let etag = given.etag.and_then(|tag| HeaderValue::from_str(&tag).ok());
    response.headers_mut().extend(etag.map(|tag| (ETAG, tag)));
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
