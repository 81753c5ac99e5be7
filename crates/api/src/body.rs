//! What is read of a request: bodies, queries and ids, with problems that name what is wrong.

use std::time::Duration;

use axum::body::{self, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use control::Words;
use http::request::Parts;
use model::id::{Id, Kind};
use model::time::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_path_to_error::Segment;

use crate::problem::{Code, Problem};

/// The largest body that is read, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long a body may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(15);

/// All of a body, within its bounds in bytes and in time.
pub(crate) async fn read(body: body::Body) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_TIME_MAX, body::to_bytes(body, BODY_BYTES_MAX)).await;
    read.map_err(|_| Problem::of(Code::TooSlow))?.map_err(|_| Problem::of(Code::TooLarge))
}

/// A JSON body. No body at all is an empty object, for requests that need not say anything.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Body<T>, Problem> {
        let bytes = read(request.into_body()).await?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { bytes.trim_ascii_start() };
        // serde would take a list for an object's members in order.
        if !bytes.starts_with(b"{") {
            return Err(Problem::of(Code::Malformed));
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = serde_path_to_error::deserialize(&mut json).map_err(|error| unreadable(&error))?;
        json.end().map_err(|_| Problem::of(Code::Malformed))?;
        Ok(Body(read))
    }
}

/// Not JSON at all, or JSON with something wrong at a place.
fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if !error.inner().is_data() {
        return Problem::of(Code::Malformed);
    }
    let parts: Vec<String> = error.path().iter().filter_map(segment).collect();
    Problem::invalid(&parts.join("/"), Words::untranslated(error.inner().to_string()))
}

fn segment(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// The query of a listing; a parameter that is not known is refused.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Query<T>, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Query(query)),
            Err(rejection) => {
                Err(Problem::of(Code::Invalid).saying(Words::untranslated(rejection.body_text())))
            }
        }
    }
}

/// The id in the path. What is no id names nothing.
pub(crate) struct Named<K>(pub(crate) Id<K>);

impl<S: Send + Sync, K: Kind> FromRequestParts<S> for Named<K> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named<K>, Problem> {
        let not_found = || Problem::of(Code::NotFound);
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| not_found())?;
        text.parse().map(Named).map_err(|_| not_found())
    }
}

/// An id in a body or a query.
pub(crate) fn id<K: Kind>(text: &str, field: &str) -> Result<Id<K>, Problem> {
    text.parse().map_err(|_| {
        let prefix = K::PREFIX;
        Problem::invalid(
            field,
            Words::new(format!("an id such as {prefix}_…"), format!("un id como {prefix}_…")),
        )
    })
}

/// An id in a body or a query that need not be there.
pub(crate) fn id_if<K: Kind>(text: Option<&str>, field: &str) -> Result<Option<Id<K>>, Problem> {
    text.map(|text| id(text, field)).transpose()
}

/// A time in a body or a query that need not be there.
pub(crate) fn time_if(text: Option<&str>, field: &str) -> Result<Option<Timestamp>, Problem> {
    let read = |text: &str| {
        Timestamp::parse(text).ok_or_else(|| {
            let example = "2026-01-31T08:00:00Z";
            Problem::invalid(
                field,
                Words::new(format!("a time such as {example}"), format!("una hora como {example}")),
            )
        })
    };
    text.map(read).transpose()
}

/// One of the names that `parse` knows.
pub(crate) fn one_of<T>(text: &str, parse: fn(&str) -> Option<T>, field: &str) -> Result<T, Problem> {
    parse(text).ok_or_else(|| {
        Problem::invalid(
            field,
            Words::new("not one of the names the API lists", "no es uno de los nombres que lista la API"),
        )
    })
}

/// One of the names that `parse` knows, where one is given.
pub(crate) fn one_of_if<T>(
    text: Option<&str>,
    parse: fn(&str) -> Option<T>,
    field: &str,
) -> Result<Option<T>, Problem> {
    text.map(|text| one_of(text, parse, field)).transpose()
}

/// Tells a member that is `null` from one that is not there.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}
