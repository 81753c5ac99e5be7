//! Files: what is stored of the media of messages, and what was uploaded to be sent.

use serde::Serialize;

use crate::id::{AccountId, AppId, EventId, FileId};
use crate::message::Media;
use crate::time::Timestamp;

/// Where a file stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileState {
    /// It is being fetched, now or later.
    Waiting,
    /// It is here.
    Stored,
    /// It could not be had; the words say why.
    Failed,
    /// It was here, and was removed for its age.
    Removed,
}

impl FileState {
    /// Every state, in the order of their stored numbers.
    pub const ALL: [FileState; 4] =
        [FileState::Waiting, FileState::Stored, FileState::Failed, FileState::Removed];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            FileState::Waiting => "waiting",
            FileState::Stored => "stored",
            FileState::Failed => "failed",
            FileState::Removed => "removed",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<FileState> {
        FileState::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The number it is stored as.
    pub fn code(self) -> i64 {
        FileState::ALL.iter().position(|state| *state == self).map_or(0, |at| at as i64)
    }

    /// Reads the stored number.
    pub fn from_code(code: i64) -> Option<FileState> {
        usize::try_from(code).ok().and_then(|at| FileState::ALL.get(at)).copied()
    }
}

/// One file of ours: fetched from a platform, or uploaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// Who it belongs to.
    pub app: AppId,
    /// The account whose message it came in; nothing for an upload.
    pub account: Option<AccountId>,
    /// The event it came in; nothing for an upload.
    pub event: Option<EventId>,
    /// Where it stands.
    pub state: FileState,
    /// What the platform, or whoever uploaded it, says of it.
    pub media: Media,
    /// How often it was tried to fetch it.
    pub attempts: u32,
    /// When it is tried next.
    pub due_at: Option<Timestamp>,
    /// What is known of its bytes, once they are here.
    pub content: Option<FileContent>,
    /// Why it is not here, in words.
    pub words: Option<String>,
}

/// The bytes of a file, described.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileContent {
    /// How many there are.
    pub bytes: u64,
    /// Their SHA-256, in lower-case hex.
    pub sha256: String,
    /// Their media type, as whoever gave them says.
    pub mime_type: String,
}

/// Where a file is to be had, for a while, by whoever knows the link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FileLink {
    /// The file.
    pub id: String,
    /// The link; nothing where this gateway serves no files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the link stops working.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}
