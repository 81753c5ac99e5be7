//! Files over REST: uploads, what was fetched of messages, and their bytes.

use std::time::Duration;

use axum::Json;
use axum::body::Body as Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use control::Control;
use control::Words;
use control::files::{FileFilter, Given, NewFile};
use futures_util::{Stream, StreamExt, stream};
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use model::file::{File, FileState};
use model::id::kind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::body::{Named, Query, id_if, one_of_if};
use crate::page::{PageView, span, wanted};
use crate::problem::{Code, Problem};

/// How long an upload may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long it may take in all.
const UPLOAD_MAX: Duration = Duration::from_secs(600);

/// A file: fetched from a platform, or uploaded.
#[derive(Serialize, ToSchema)]
#[schema(as = File)]
pub(crate) struct FileView {
    id: String,
    /// Whose it is.
    app: String,
    /// The account whose message it came in; absent for an upload.
    account: Option<String>,
    /// The event it came in; absent for an upload.
    event: Option<String>,
    /// `waiting` while it is being fetched, `stored`, `failed` or `removed`.
    state: String,
    /// Why it is not here, or was not at the last try.
    reason: Option<String>,
    /// What it is called.
    name: Option<String>,
    /// Its media type.
    mime_type: Option<String>,
    /// How many bytes it has, once it is here.
    bytes: Option<u64>,
    /// Their SHA-256, in hex.
    sha256: Option<String>,
    /// How often it was tried to fetch it.
    attempts: u32,
    /// When it is tried next.
    next_attempt_at: Option<String>,
    /// A link to it that anybody may use for a while.
    url: Option<String>,
    /// When the link stops working.
    url_expires_at: Option<String>,
    /// When it became known.
    created_at: String,
}

impl FileView {
    fn of(control: &Control, file: File) -> FileView {
        let link = control.files().link(file.id);
        let is_given = matches!(file.state, FileState::Waiting | FileState::Stored);
        let content = file.content.as_ref();
        FileView {
            id: file.id.to_string(),
            app: file.app.to_string(),
            account: file.account.map(|id| id.to_string()),
            event: file.event.map(|id| id.to_string()),
            state: file.state.as_str().to_owned(),
            mime_type: content.map(|content| content.mime_type.clone()).or(file.media.mime_type),
            bytes: content.map(|content| content.bytes),
            sha256: content.map(|content| content.sha256.clone()),
            reason: file.words,
            name: file.media.filename,
            attempts: file.attempts,
            next_attempt_at: file.due_at.map(|at| at.to_string()),
            url: link.url.filter(|_| is_given),
            url_expires_at: link.expires_at.filter(|_| is_given),
            created_at: file.id.made_at().to_string(),
        }
    }
}

/// Which files are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Those of one app.
    app: Option<String>,
    /// Those of one account.
    account: Option<String>,
    /// Those in one state: `waiting`, `stored`, `failed` or `removed`.
    status: Option<String>,
    /// Those made at this time or later.
    since: Option<String>,
    /// Those made before this time.
    until: Option<String>,
    /// At most so many rows, up to 250.
    limit: Option<u32>,
    /// Where a page before ended.
    cursor: Option<String>,
}

/// What is said of an upload beside its bytes.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    /// Whose it is; the only app's when absent.
    app: Option<String>,
    /// What it is called.
    name: Option<String>,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(list): Query<List>,
) -> Result<Json<PageView<FileView>>, Problem> {
    let filter = FileFilter {
        app: id_if(list.app.as_deref(), "app")?,
        account: id_if(list.account.as_deref(), "account")?,
        state: one_of_if(list.status.as_deref(), FileState::parse, "status")?,
        span: span(list.since.as_deref(), list.until.as_deref())?,
    };
    let page = wanted(list.limit, list.cursor.as_deref())?;
    let files = control.files().list(&actor, filter, page).await?;
    Ok(PageView::of(files, |file| FileView::of(&control, file)))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::File>,
) -> Result<Json<FileView>, Problem> {
    Ok(Json(FileView::of(&control, control.files().get(&actor, id).await?)))
}

pub(crate) async fn upload(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(upload): Query<Upload>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<FileView>), Problem> {
    let new = NewFile {
        app: id_if(upload.app.as_deref(), "app")?,
        name: upload.name,
        mime_type: mime_type(&headers),
    };
    let file = control.files().upload(&actor, new, pieces(body)).await?;
    Ok((StatusCode::CREATED, Json(FileView::of(&control, file))))
}

pub(crate) async fn content(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::File>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (file, given) = control.files().open(&actor, id, range(&headers)).await?;
    Ok(bytes(&file, given))
}

pub(crate) async fn retry(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::File>,
) -> Result<Json<FileView>, Problem> {
    Ok(Json(FileView::of(&control, control.files().retry(&actor, id).await?)))
}

pub(crate) async fn delete(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::File>,
) -> Result<StatusCode, Problem> {
    control.files().remove(&actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a link says beside the file.
#[derive(Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    until: String,
    #[serde(default)]
    proof: String,
}

/// A file for whoever has a link to it.
pub(crate) async fn by_link(
    State(control): State<Control>,
    Named(id): Named<kind::File>,
    Query(link): Query<Link>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let opened = control.files().open_by_link(id, (&link.until, &link.proof), range(&headers)).await;
    let (file, given) = opened.map_err(|error| match error {
        // Who has a link has no token to look for something with.
        control::Error::NotFound(_) => Problem::of(Code::NotFound).saying(Words::new(
            "this link opens nothing, or has expired",
            "este enlace no abre nada, o ha caducado",
        )),
        error => Problem::from(error),
    })?;
    Ok(bytes(&file, given))
}

/// A file, as it is given over HTTP. It came from strangers: no browser is to run it as a page of ours.
pub(crate) fn bytes(file: &File, given: Given) -> Response {
    let Given { range, bytes, body } = given;
    let mut response = Bytes::from_stream(body).into_response();
    let headers = response.headers_mut();
    let mime_type = file.content.as_ref().map_or("", |content| content.mime_type.as_str());
    let mime_type = HeaderValue::from_str(mime_type).ok().filter(|value| !value.is_empty());
    headers.insert(CONTENT_TYPE, mime_type.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    if let Ok(value) = HeaderValue::from_str(&disposition(file)) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    if range.end - range.start < bytes {
        let part = format!("bytes {}-{}/{bytes}", range.start, range.end.saturating_sub(1));
        headers.extend(HeaderValue::from_str(&part).ok().map(|part| (CONTENT_RANGE, part)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// What the file is called, by RFC 6266 and RFC 8187: in plain letters, and as it is.
fn disposition(file: &File) -> String {
    let name = file.media.filename.clone().unwrap_or_else(|| file.id.to_string());
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || " ._-()".contains(c) { c } else { '_' })
        .collect();
    let escaped = name.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", escaped.collect::<String>())
}

/// One range of bytes from a start, as players ask for films (RFC 9110, 14.2); others are answered with the whole file.
fn range(headers: &HeaderMap) -> Option<std::ops::Range<u64>> {
    let (start, end) = headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let start: u64 = start.parse().ok()?;
    let end = if end.is_empty() { u64::MAX } else { end.parse::<u64>().ok()?.saturating_add(1) };
    (start < end).then_some(start..end)
}

/// The media type that a request says its body has.
pub(crate) fn mime_type(headers: &HeaderMap) -> Option<String> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// A body piece by piece, within bounds in time; its size is the vault's to bound.
pub(crate) fn pieces(body: Bytes) -> impl Stream<Item = Result<axum::body::Bytes, control::Error>> {
    let until = tokio::time::Instant::now() + UPLOAD_MAX;
    stream::unfold(Some(body.into_data_stream()), move |body| async move {
        let mut body = body?;
        let silent = (tokio::time::Instant::now() + SILENCE_MAX).min(until);
        match tokio::time::timeout_at(silent, body.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(body))),
            Ok(Some(Err(_))) | Err(_) => Some((Err(control::Error::BrokenOff), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::id::{AppId, FileId};
    use model::message::Media;

    fn file(name: Option<&str>) -> File {
        File {
            id: FileId::from_raw(1),
            app: AppId::from_raw(1),
            account: None,
            event: None,
            state: FileState::Stored,
            media: Media { filename: name.map(str::to_owned), ..Media::default() },
            attempts: 0,
            due_at: None,
            content: None,
            words: None,
        }
    }

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        let told = disposition(&file(Some("año \"x\"\r\nset-cookie: a=b;.pdf")));
        assert_eq!(
            told,
            "attachment; filename=\"a_o _x___set-cookie_ a_b_.pdf\"; \
             filename*=UTF-8''a%C3%B1o%20%22x%22%0D%0Aset-cookie%3A%20a%3Db%3B.pdf"
        );
        assert!(disposition(&file(None)).contains("filename=\"file_"));
    }

    #[test]
    fn a_range_from_a_start_is_given_and_others_are_not_understood() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_str(text).expect("a value"));
            range(&headers)
        };
        assert_eq!(asked("bytes=0-99"), Some(0..100));
        assert_eq!(asked("bytes=5-"), Some(5..u64::MAX));
        for other in ["bytes=-5", "bytes=9-3", "bytes=0-1,4-5", "items=0-1", "bytes=a-b", ""] {
            assert_eq!(asked(other), None, "{other}");
        }
    }
}
