//! Pictures that customers send: how each platform names them in its webhook, and gives them to whoever shows its credential
//! (platforms.md, part (g) of each section).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use super::api::Api;
use crate::server::{Answer, Heard};

/// The number of the first picture.
const FIRST: usize = 900_000_001;
/// Where Meta keeps files; 360dialog names it and gives them itself.
const LOOKASIDE: &str = "https://lookaside.fbsbx.com";

/// The pictures there are.
#[derive(Default)]
pub(super) struct Pictures(Mutex<Held>);

#[derive(Default)]
struct Held {
    bytes: BTreeMap<String, Bytes>,
    /// Those that LINE has been asked for: the first time it is not ready.
    asked: BTreeSet<String>,
}

/// What is asked for.
enum Asked<'p> {
    /// The bytes, by whoever may have them.
    Bytes(Option<Api>, &'p str),
    /// Where Telegram has it.
    Path(&'p str),
    /// The bytes, from LINE.
    Prepared(&'p str),
    /// The bytes, which Twilio sends on to a host that needs no credential.
    SentOn(&'p str),
    /// Where Meta has it.
    Place(&'p str),
}

impl Asked<'_> {
    fn of(heard: &Heard) -> Option<Asked<'_>> {
        if heard.method != Method::GET {
            return None;
        }
        let path = heard.path.as_str();
        let below = |prefix: &str| path.strip_prefix(prefix);
        if let Some(id) = below("/cdn/") {
            return Some(Asked::Bytes(None, id));
        }
        if path.starts_with("/bot") && path.ends_with("/getFile") {
            return heard.query.strip_prefix("file_id=").map(Asked::Path);
        }
        if let Some((_, name)) = below("/file/bot").and_then(|rest| rest.split_once("/photos/")) {
            return name.strip_suffix(".jpg").map(|id| Asked::Bytes(Some(Api::Telegram), id));
        }
        if let Some(id) = below("/v2/bot/message/").and_then(|rest| rest.strip_suffix("/content")) {
            return Some(Asked::Prepared(id));
        }
        let of = [
            ("/files-pri/", Api::Slack),
            ("/api/v1/files/", Api::Wati),
            ("/v1/media/", Api::OnPremises),
            ("/attachments/", Api::Dialog360),
        ];
        if let Some((id, api)) = of.into_iter().find_map(|(prefix, api)| Some((below(prefix)?, api))) {
            return Some(Asked::Bytes(Some(api), id));
        }
        if let Some((_, id)) = below("/2010-04-01/").and_then(|rest| rest.split_once("/Media/")) {
            return Some(Asked::SentOn(id));
        }
        let id = below("/")?;
        id.bytes().all(|byte| byte.is_ascii_digit()).then_some(Asked::Place(id))
    }

    fn api(&self) -> Option<Api> {
        match self {
            Asked::Bytes(api, _) => *api,
            Asked::Path(_) => Some(Api::Telegram),
            Asked::Prepared(_) => Some(Api::Line),
            Asked::SentOn(_) => Some(Api::Twilio),
            Asked::Place(_) => Some(Api::Dialog360),
        }
    }
}

impl Pictures {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a picture; gives the sample of a platform that holds one, and what is put where in it. `base` is where the
    /// platforms are. Nothing for a platform whose pictures do not come over HTTP.
    pub(super) fn keep(
        &self,
        platform: &str,
        base: &str,
        bytes: Bytes,
    ) -> Option<(&'static str, (&'static str, String))> {
        let mut held = self.held();
        let id = (FIRST + held.bytes.len()).to_string();
        let named = match platform {
            "telegram" => ("image", ("message.photo.1.file_id", id.clone())),
            "line" => ("image", ("events.0.message.id", id.clone())),
            "slack" => ("document", ("event.files.0.url_private_download", format!("{base}/files-pri/{id}"))),
            "twilio" => ("mms", ("MediaUrl0", format!("{base}/2010-04-01/Accounts/AC0/Media/{id}"))),
            "wati" => ("image", ("data", format!("{base}/api/v1/files/{id}"))),
            "viber" => ("image", ("message.media", format!("{base}/cdn/{id}"))),
            "messenger" | "instagram" => (
                "image",
                ("entry.0.messaging.0.message.attachments.0.payload.url", format!("{base}/cdn/{id}")),
            ),
            "whatsapp_onpremises" => ("image", ("messages.0.image.id", id.clone())),
            "dialog360" => ("image", ("entry.0.changes.0.value.messages.0.image.id", id.clone())),
            _ => return None,
        };
        held.bytes.insert(id, bytes);
        Some(named)
    }

    /// The answer to whoever asks for a picture; `None` where nobody does.
    pub(super) fn answer(&self, heard: &Heard, token: &str) -> Option<Answer> {
        let asked = Asked::of(heard)?;
        if let Some(api) = asked.api().filter(|api| !is_shown(*api, heard, token)) {
            return Some(api.unknown());
        }
        let mut held = self.held();
        let found = |id: &str| held.bytes.get(id).cloned();
        Some(match asked {
            Asked::Bytes(_, id) => found(id).map_or_else(missing, given),
            Asked::Path(id) if found(id).is_some() => {
                let file = json!({ "file_id": id, "file_path": format!("photos/{id}.jpg") });
                Answer::json(StatusCode::OK, &json!({ "ok": true, "result": file }))
            }
            Asked::SentOn(id) if found(id).is_some() => {
                let place = HeaderValue::from_str(&format!("/cdn/{id}")).ok()?;
                Answer::empty(StatusCode::TEMPORARY_REDIRECT).with(LOCATION, place)
            }
            Asked::Place(id) if found(id).is_some() => Answer::json(
                StatusCode::OK,
                &json!({ "url": format!("{LOOKASIDE}/attachments/{id}"), "id": id }),
            ),
            Asked::Prepared(id) => match found(id) {
                Some(_) if held.asked.insert(id.to_owned()) => Answer::empty(StatusCode::ACCEPTED),
                Some(bytes) => given(bytes),
                None => missing(),
            },
            Asked::Path(_) | Asked::SentOn(_) | Asked::Place(_) => missing(),
        })
    }
}

/// Telegram's token is a part of the path.
fn is_shown(api: Api, heard: &Heard, token: &str) -> bool {
    match api {
        Api::Telegram => {
            heard.path.starts_with(&format!("/bot{token}/"))
                || heard.path.starts_with(&format!("/file/bot{token}/"))
        }
        api => api.is_shown(heard, token),
    }
}

fn given(bytes: Bytes) -> Answer {
    let answer = Answer { body: bytes, ..Answer::empty(StatusCode::OK) };
    answer.with(CONTENT_TYPE, HeaderValue::from_static("image/jpeg"))
}

fn missing() -> Answer {
    Answer::json(StatusCode::NOT_FOUND, &json!({ "ok": false, "error": "there is no such file" }))
}
