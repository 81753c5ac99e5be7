//! Files of messages: an id is told where it is, and the place gives the bytes, both to the token alone (platforms.md 1.11).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Answer, Heard};

/// The path that bytes are below.
const PLACE: &str = "/attachments/";
/// The number of the first file.
const FIRST: u64 = 700_000_000_000_001;

/// The files that customers have sent.
#[derive(Default)]
pub(super) struct Files(Mutex<BTreeMap<String, File>>);

struct File {
    mime_type: String,
    bytes: Bytes,
}

impl Files {
    fn held(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a file; gives what a webhook says of it.
    pub(super) fn keep(&self, mime_type: &str, bytes: Bytes) -> Value {
        let mut held = self.held();
        let id = (FIRST + held.len() as u64).to_string();
        let sha256 = BASE64.encode(digest(&SHA256, &bytes));
        held.insert(id.clone(), File { mime_type: mime_type.to_owned(), bytes });
        json!({ "id": id, "mime_type": mime_type, "sha256": sha256 })
    }

    /// Has no file any more, and gives none of their ids again.
    pub(super) fn lose_all(&self) {
        self.held().values_mut().for_each(|file| file.mime_type.clear());
    }

    /// The answer to whoever has shown the token; `None` where nothing is asked of files.
    pub(super) fn answer(&self, heard: &Heard) -> Option<Answer> {
        if heard.method != Method::GET {
            return None;
        }
        let held = self.held();
        let (id, is_place) = match heard.path.strip_prefix(PLACE) {
            Some(id) => (id, true),
            None => (heard.path.strip_prefix("/v")?.split_once('/')?.1, false),
        };
        let Some(file) = held.get(id).filter(|file| !file.mime_type.is_empty()) else {
            let error = json!({ "message": "Unsupported get request. Object does not exist", "code": 100, "error_subcode": 33 });
            return Some(Answer::json(StatusCode::NOT_FOUND, &json!({ "error": error })));
        };
        if is_place {
            let kind = HeaderValue::from_str(&file.mime_type).ok()?;
            let answer = Answer { body: file.bytes.clone(), ..Answer::empty(StatusCode::OK) };
            return Some(answer.with(CONTENT_TYPE, kind));
        }
        let host = heard.header("host").unwrap_or_default();
        Some(Answer::json(
            StatusCode::OK,
            &json!({
                "url": format!("http://{host}{PLACE}{id}"),
                "mime_type": file.mime_type,
                "sha256": hex::encode(digest(&SHA256, &file.bytes)),
                "file_size": file.bytes.len(),
                "id": id,
                "messaging_product": "whatsapp",
            }),
        ))
    }
}
