//! Versions on the wire: `ETag` on what is configured, `If-Match` on changes of it (RFC 9110 8.8.3 and 13.1.1).

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use control::version::{Expected, Versioned};
use http::HeaderValue;
use http::header::{ETAG, IF_MATCH};
use http::request::Parts;
use serde::Serialize;

/// A body with the version it shows.
pub(crate) struct Tagged<V> {
    version: i64,
    body: V,
}

impl<V> Tagged<V> {
    /// Shows something in its version.
    pub(crate) fn of<T>(found: Versioned<T>, view: impl FnOnce(T) -> V) -> Tagged<V> {
        Tagged { version: found.version, body: view(found.thing) }
    }
}

impl<V: Serialize> IntoResponse for Tagged<V> {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.version)) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

/// The versions a change is for. A tag that is none of ours is no version of anything.
pub(crate) struct IfMatch(pub(crate) Expected);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<IfMatch, Self::Rejection> {
        let values = parts.headers.get_all(IF_MATCH);
        let tags: Vec<&str> = values
            .iter()
            .flat_map(|value| value.to_str().unwrap_or_default().split(','))
            .map(str::trim)
            .collect();
        if tags.is_empty() || tags == ["*"] {
            return Ok(IfMatch(Expected::Any));
        }
        Ok(IfMatch(Expected::OneOf(tags.into_iter().filter_map(version_of).collect())))
    }
}

fn version_of(tag: &str) -> Option<i64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}
