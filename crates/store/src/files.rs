//! Files: what is known of them, and which are to be fetched. Their bytes are elsewhere.

use std::time::Duration;

use model::file::{File, FileContent, FileState};
use model::id::{AccountId, AppId, EventId, FileId};
use model::message::Media;
use model::page::{Page, PageRequest, Span};
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::arrivals::Arrival;
use crate::db::{Column, Into, Tx};
use crate::error::Error;
use crate::leases::Lease;
use crate::listing::Listing;
use crate::value::{Row, Value};
use crate::{Queue, Store, append};

pub(crate) const FILES: Into = Into {
    table: "files",
    columns: &[
        Column::Int("id"),
        Column::Int("app"),
        Column::Int("account"),
        Column::Int("event"),
        Column::Int("state"),
        Column::Int("attempts"),
        Column::Int("due_at"),
        Column::Text("doc"),
    ],
};
const COLUMNS: &str = "id, app, account, event, state, attempts, due_at, doc";

/// Files.
pub struct Files<'s>(&'s Store);

impl Store {
    /// Files.
    pub fn files(&self) -> Files<'_> {
        Files(self)
    }
}

/// A file that is ours to fetch.
#[derive(Clone, Debug)]
pub struct ClaimedFile {
    /// The right to fetch it.
    pub lease: Lease,
    /// The file.
    pub file: File,
}

/// What became of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileOutcome {
    /// It is here.
    Stored(FileContent),
    /// It is tried again.
    RetryAt(Timestamp, String),
    /// It cannot be had, in words.
    Failed(String),
}

/// Which files are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileFilter {
    /// Those of one app.
    pub app: Option<AppId>,
    /// Those of one account.
    pub account: Option<AccountId>,
    /// Those in one state.
    pub state: Option<FileState>,
    /// Those made within a span.
    pub span: Span,
}

impl Files<'_> {
    /// Notes that a file is being uploaded.
    pub async fn begin(&self, app: AppId, account: Option<AccountId>, media: Media) -> Result<FileId, Error> {
        let (inner, trail) = (&self.0.inner, self.0.trail());
        inner.reserve.check()?;
        let id: FileId = self.0.fresh_id();
        inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let row = NewFile { id, app, account, event: None, media: &media, due_at: None }.row();
                    tx.insert_many(FILES, vec![row]).await?;
                    trail.about(|_| id.to_string()).write(tx).await
                })
            })
            .await?;
        Ok(id)
    }

    /// Writes what became of an upload.
    pub async fn finish(&self, id: FileId, outcome: FileOutcome) -> Result<File, Error> {
        self.0.inner.db.write(move |tx| Box::pin(async move { finish(tx, id, &outcome).await })).await
    }

    /// Takes up to `limit` files that are due, for as long as the lease; then they are due again by themselves.
    pub async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<ClaimedFile>, Error> {
        let inner = &self.0.inner;
        if inner.reserve.check().is_err() {
            // There is no room for more; they wait.
            return Ok(Vec::new());
        }
        let (now, token) = (inner.clock.now(), self.0.fresh_id::<model::id::kind::File>().raw());
        // Nearly always there is nothing: that costs no write.
        let sql = "SELECT 1 FROM files WHERE due_at <= ?1 LIMIT 1";
        let due = inner.db.read(move |tx| Box::pin(async move { tx.fetch_one(sql, &[now.into()]).await }));
        if due.await?.is_none() {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        inner.db.write(move |tx| Box::pin(claim(tx, limit, token, now, now.plus(lease)))).await
    }

    /// Writes what became of a file, and tells what there is to tell, if it is still ours to fetch.
    pub async fn record(
        &self,
        claimed: ClaimedFile,
        outcome: FileOutcome,
        told: Option<Arrival>,
    ) -> Result<(), Error> {
        self.0
            .write_current(move |tx, context| {
                let (claimed, outcome, told) = (claimed.clone(), outcome.clone(), told.clone());
                Box::pin(async move {
                    record(tx, &claimed, &outcome).await?;
                    append::append(tx, told.as_slice(), context).await.map(|_| ())
                })
            })
            .await
    }

    /// Has a file that could not be had fetched once more.
    pub async fn retry(&self, id: FileId) -> Result<(), Error> {
        let (inner, trail, now) = (&self.0.inner, self.0.trail(), self.0.inner.clock.now());
        inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE files SET state = 0, attempts = 0, due_at = ?2
                        WHERE id = ?1 AND state = 2 AND event IS NOT NULL";
                    if tx.execute(sql, &[id.into(), now.into()]).await? == 0 {
                        find(tx, id).await?;
                        return Err(Error::Conflict("the file has not failed to be fetched"));
                    }
                    trail.write(tx).await
                })
            })
            .await?;
        inner.wake(Queue::Files);
        Ok(())
    }

    /// After a start on an embedded store: what was being fetched when the process ended is due.
    pub async fn resume(&self) -> Result<(), Error> {
        if !self.0.is_embedded() {
            return Ok(());
        }
        let now = self.0.inner.clock.now();
        let sql = "UPDATE files SET due_at = ?1, lease = NULL WHERE due_at > ?1 AND lease IS NOT NULL";
        self.0
            .inner
            .db
            .write(move |tx| Box::pin(async move { tx.execute(sql, &[now.into()]).await.map(|_| ()) }))
            .await
    }

    /// One file.
    pub async fn get(&self, id: FileId) -> Result<File, Error> {
        self.0.inner.db.read(move |tx| Box::pin(find(tx, id))).await
    }

    /// Files, newest first.
    pub async fn list(&self, filter: FileFilter, page: PageRequest) -> Result<Page<File>, Error> {
        let listing = filter.listing();
        self.0.inner.db.read(move |tx| Box::pin(async move { listing.page(tx, page, file).await })).await
    }

    /// Up to `limit` files that were made before a time and whose bytes may still be here, oldest first.
    pub async fn aged(&self, before: Timestamp, limit: usize) -> Result<Vec<FileId>, Error> {
        self.older(AGED, before, limit).await
    }

    /// Notes that the bytes of files are gone.
    pub async fn removed(&self, ids: Vec<FileId>) -> Result<(), Error> {
        let trail = self.0.trail();
        let lists: Vec<Vec<Value>> = ids.into_iter().map(|id| vec![id.into()]).collect();
        self.0
            .inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    tx.execute_many(REMOVED, &lists).await?;
                    trail.write(tx).await
                })
            })
            .await
    }

    /// Up to `limit` uploads that were begun before a time and never came to an end, oldest first.
    pub async fn abandoned(&self, before: Timestamp, limit: usize) -> Result<Vec<FileId>, Error> {
        self.older(ABANDONED, before, limit).await
    }

    /// Up to `limit` removed files that were made before a time, oldest first.
    pub async fn forgettable(&self, before: Timestamp, limit: usize) -> Result<Vec<FileId>, Error> {
        self.older(FORGETTABLE, before, limit).await
    }

    async fn older(&self, sql: &'static str, before: Timestamp, limit: usize) -> Result<Vec<FileId>, Error> {
        let args = [FileId::first_at(before).into(), Value::Int(i64::try_from(limit).unwrap_or(i64::MAX))];
        let rows = self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_all(sql, &args).await }));
        rows.await?.iter().map(|row| row.id(0)).collect()
    }

    /// Forgets files, whose bytes are gone.
    pub async fn forget(&self, ids: Vec<FileId>) -> Result<(), Error> {
        let lists: Vec<Vec<Value>> = ids.into_iter().map(|id| vec![id.into()]).collect();
        self.0
            .inner
            .db
            .write(move |tx| Box::pin(async move { tx.execute_many(FORGET, &lists).await.map(|_| ()) }))
            .await
    }
}

const AGED: &str = "SELECT id FROM files WHERE id < ?1 AND state <> 3 ORDER BY id LIMIT ?2";
const REMOVED: &str = "UPDATE files SET state = 3, due_at = NULL, lease = NULL WHERE id = ?1";
const FORGETTABLE: &str = "SELECT id FROM files WHERE id < ?1 AND state = 3 ORDER BY id LIMIT ?2";
const ABANDONED: &str =
    "SELECT id FROM files WHERE id < ?1 AND state = 0 AND event IS NULL ORDER BY id LIMIT ?2";
const FORGET: &str = "DELETE FROM files WHERE id = ?1";

impl FileFilter {
    fn listing(self) -> Listing {
        let code = self.state.map(|state| Value::Int(state.code()));
        Listing::of("files", COLUMNS)
            .within(self.span)
            .along("app", self.app.map(Value::from))
            .only("account", self.account.map(Value::from))
            .only("state", code)
    }
}

/// A file that becomes known.
pub(crate) struct NewFile<'m> {
    pub(crate) id: FileId,
    pub(crate) app: AppId,
    pub(crate) account: Option<AccountId>,
    pub(crate) event: Option<EventId>,
    pub(crate) media: &'m Media,
    pub(crate) due_at: Option<Timestamp>,
}

impl NewFile<'_> {
    pub(crate) fn row(self) -> Vec<Value> {
        let doc = Doc { media: self.media.clone(), content: None, words: None };
        vec![
            self.id.into(),
            self.app.into(),
            Value::from(self.account),
            Value::from(self.event),
            Value::Int(FileState::Waiting.code()),
            Value::Int(0),
            Value::from(self.due_at),
            doc.to_text().into(),
        ]
    }
}

async fn find(tx: &mut Tx, id: FileId) -> Result<File, Error> {
    let sql = format!("SELECT {COLUMNS} FROM files WHERE id = ?1");
    file(&tx.fetch_one(&sql, &[id.into()]).await?.ok_or(Error::NotFound("file"))?)
}

async fn claim(
    tx: &mut Tx,
    limit: i64,
    token: i64,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<ClaimedFile>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM files WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2");
    let rows = tx.fetch_all(&sql, &[now.into(), limit.into()]).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        // Another node may have seen it due too: the first to move it has it.
        let sql = "UPDATE files SET due_at = ?2, lease = ?3 WHERE id = ?1 AND due_at = ?4";
        let args = [Value::Int(row.int(0)?), until.into(), token.into(), Value::Int(row.int(6)?)];
        if tx.execute(sql, &args).await? == 1 {
            claimed.push(ClaimedFile { lease: Lease { token }, file: file(&row)? });
        }
    }
    Ok(claimed)
}

async fn record(tx: &mut Tx, claimed: &ClaimedFile, outcome: &FileOutcome) -> Result<(), Error> {
    let sql = "UPDATE files SET state = ?3, attempts = ?4, due_at = ?5, lease = NULL, doc = ?6
        WHERE id = ?1 AND lease = ?2";
    let (state, due_at, doc) = outcome.applied(&claimed.file);
    let args = [
        claimed.file.id.into(),
        claimed.lease.token.into(),
        Value::Int(state.code()),
        Value::from(claimed.file.attempts.saturating_add(1)),
        Value::from(due_at),
        doc.to_text().into(),
    ];
    if tx.execute(sql, &args).await? == 0 { Err(Error::LeaseLost) } else { Ok(()) }
}

async fn finish(tx: &mut Tx, id: FileId, outcome: &FileOutcome) -> Result<File, Error> {
    let (state, _, doc) = outcome.applied(&find(tx, id).await?);
    let sql = "UPDATE files SET state = ?2, doc = ?3 WHERE id = ?1 AND state = 0";
    tx.execute(sql, &[id.into(), Value::Int(state.code()), doc.to_text().into()]).await?;
    find(tx, id).await
}

impl FileOutcome {
    fn applied(&self, file: &File) -> (FileState, Option<Timestamp>, Doc) {
        let doc = |content, words| Doc { media: file.media.clone(), content, words };
        match self {
            FileOutcome::Stored(content) => {
                (FileState::Stored, None, doc(Some(ContentDoc::of(content)), None))
            }
            FileOutcome::RetryAt(at, words) => {
                (FileState::Waiting, Some(*at), doc(None, Some(words.clone())))
            }
            FileOutcome::Failed(words) => (FileState::Failed, None, doc(None, Some(words.clone()))),
        }
    }
}

fn file(row: &Row) -> Result<File, Error> {
    let id: FileId = row.id(0)?;
    let corrupt = |column: &str| Error::Corrupt(format!("files.{column} of {id}"));
    let doc: Doc = serde_json::from_str(row.text(7)?).map_err(|_| corrupt("doc"))?;
    Ok(File {
        id,
        app: row.id(1)?,
        account: row.opt_id(2)?,
        event: row.opt_id(3)?,
        state: FileState::from_code(row.int(4)?).ok_or_else(|| corrupt("state"))?,
        attempts: u32::try_from(row.int(5)?).unwrap_or(u32::MAX),
        due_at: row.opt_time(6)?,
        media: doc.media,
        content: doc.content.map(ContentDoc::into_content),
        words: doc.words,
    })
}

/// All of a file that no query asks for, as stored.
#[derive(Serialize, Deserialize)]
struct Doc {
    media: Media,
    #[serde(default)]
    content: Option<ContentDoc>,
    #[serde(default)]
    words: Option<String>,
}

impl Doc {
    fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a document has text keys only")
    }
}

#[derive(Serialize, Deserialize)]
struct ContentDoc {
    bytes: u64,
    sha256: String,
    mime_type: String,
}

impl ContentDoc {
    fn of(content: &FileContent) -> ContentDoc {
        let FileContent { bytes, sha256, mime_type } = content.clone();
        ContentDoc { bytes, sha256, mime_type }
    }

    fn into_content(self) -> FileContent {
        let ContentDoc { bytes, sha256, mime_type } = self;
        FileContent { bytes, sha256, mime_type }
    }
}
