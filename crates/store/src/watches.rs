//! Watches: what is known of sources by looking at them and at what their platforms have, and when to look again. A node
//! that looks holds the row under a lease, so that only one does.

use std::time::Duration;

use model::id::SourceId;
use model::time::Timestamp;
use model::watch::{Registered, Silences, Watch, Watchdog};
use serde::{Deserialize, Serialize};

use crate::arrivals::Arrival;
use crate::db::Tx;
use crate::error::Error;
use crate::leases::Lease;
use crate::value::{Row, Value};
use crate::{Queue, Store, append};
use model::source::Source;

/// Watches.
pub struct Watches<'s>(&'s Store);

impl Store {
    /// Watches.
    pub fn watches(&self) -> Watches<'_> {
        Watches(self)
    }
}

/// One source that is ours to look at.
#[derive(Clone, Debug)]
pub struct ClaimedWatch {
    /// The right to look.
    pub lease: Lease,
    /// The source.
    pub source: SourceId,
    /// What is known of it.
    pub watch: Watch,
    /// The request to register it that nobody has seen to yet.
    pub asked: Option<Asked>,
}

/// A request to register a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked(i64);

/// What came of a look.
#[derive(Clone, Debug)]
pub struct RecordedWatch {
    /// What was claimed.
    pub claimed: ClaimedWatch,
    /// What is known of the source now.
    pub watch: Watch,
    /// When to look again; `None` for never.
    pub next_at: Option<Timestamp>,
    /// What there is to tell.
    pub told: Vec<Arrival>,
}

const COLUMNS: &str = "source, doc, asked, answered";

impl Watches<'_> {
    /// Takes up to `limit` sources that are due, for as long as the lease; then they are due again by themselves.
    pub async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<ClaimedWatch>, Error> {
        let inner = &self.0.inner;
        let (now, token) = (inner.clock.now(), self.0.fresh_id::<model::id::kind::Source>().raw());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // Nearly always there is nothing: that costs no write.
        let sql = "SELECT 1 FROM watches WHERE due_at <= ?1 LIMIT 1";
        let due = inner.db.read(move |tx| Box::pin(async move { tx.fetch_one(sql, &[now.into()]).await }));
        if due.await?.is_none() {
            return Ok(Vec::new());
        }
        inner.db.write(move |tx| Box::pin(claim(tx, limit, token, now, now.plus(lease)))).await
    }

    /// Writes what came of a look, and tells what there is to tell, if the source is still ours to look at.
    pub async fn record(&self, recorded: RecordedWatch) -> Result<(), Error> {
        self.0
            .write_current(move |tx, context| {
                let recorded = recorded.clone();
                Box::pin(async move { record(tx, &recorded, context).await })
            })
            .await
    }

    /// Asks for a source to be registered now.
    pub async fn ask(&self, source: SourceId) -> Result<Asked, Error> {
        let (inner, trail) = (&self.0.inner, self.0.trail());
        let (now, asked) = (inner.clock.now(), self.0.fresh_id::<model::id::kind::Source>().raw());
        inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    // Whoever looks at this moment may have begun before: they see that their lease has passed on.
                    let sql = "UPDATE watches SET asked = ?2, due_at = ?3, lease = NULL WHERE source = ?1";
                    if tx.execute(sql, &[source.into(), asked.into(), now.into()]).await? == 0 {
                        return Err(Error::NotFound("source"));
                    }
                    trail.write(tx).await
                })
            })
            .await?;
        inner.wake(Queue::Watches);
        Ok(Asked(asked))
    }

    /// What is known of a source; and whether a request, where one is named, has been seen to.
    pub async fn get(&self, source: SourceId, asked: Option<Asked>) -> Result<(Watch, bool), Error> {
        let sql = format!("SELECT {COLUMNS} FROM watches WHERE source = ?1");
        let row = self
            .0
            .inner
            .db
            .read(move |tx| Box::pin(async move { tx.fetch_one(&sql, &[source.into()]).await }));
        let row = row.await?.ok_or(Error::NotFound("source"))?;
        let answered = row.opt_int(3)?;
        let is_done = asked.is_none_or(|Asked(asked)| answered.is_some_and(|last| last >= asked));
        Ok((watch(&row)?, is_done))
    }

    /// Has every watched source looked at now, unless somebody is about it: what happened meanwhile is not known.
    pub async fn look_now(&self) -> Result<(), Error> {
        let now = self.0.inner.clock.now();
        let sql = "UPDATE watches SET due_at = ?1 WHERE due_at > ?1 AND lease IS NULL";
        self.0
            .inner
            .db
            .write(move |tx| Box::pin(async move { tx.execute(sql, &[now.into()]).await.map(|_| ()) }))
            .await
    }
}

async fn claim(
    tx: &mut Tx,
    limit: i64,
    token: i64,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<ClaimedWatch>, Error> {
    let sql = format!("SELECT {COLUMNS}, due_at FROM watches WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2");
    let rows = tx.fetch_all(&sql, &[now.into(), limit.into()]).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let source: SourceId = row.id(0)?;
        // Another node may have seen it due too: the first to move it has it.
        let sql = "UPDATE watches SET due_at = ?2, lease = ?3 WHERE source = ?1 AND due_at = ?4";
        let args = [source.into(), until.into(), token.into(), Value::Int(row.int(4)?)];
        if tx.execute(sql, &args).await? == 0 {
            continue;
        }
        let (asked, answered) = (row.opt_int(2)?, row.opt_int(3)?);
        let open = asked.filter(|asked| answered.is_none_or(|answered| answered < *asked));
        claimed.push(ClaimedWatch {
            lease: Lease { token },
            source,
            watch: watch(&row)?,
            asked: open.map(Asked),
        });
    }
    Ok(claimed)
}

async fn record(tx: &mut Tx, recorded: &RecordedWatch, context: append::Context) -> Result<(), Error> {
    let claimed = &recorded.claimed;
    let sql = "UPDATE watches SET due_at = ?3, lease = NULL, answered = coalesce(?4, answered), doc = ?5
        WHERE source = ?1 AND lease = ?2";
    let args = [
        claimed.source.into(),
        claimed.lease.token.into(),
        Value::from(recorded.next_at),
        Value::from(claimed.asked.map(|Asked(asked)| asked)),
        Doc::of(&recorded.watch).to_text().into(),
    ];
    if tx.execute(sql, &args).await? == 0 {
        return Err(Error::LeaseLost);
    }
    append::append(tx, &recorded.told, context).await.map(|_| ())
}

/// Has a new or changed source looked at, or no longer.
pub(crate) async fn follow(tx: &mut Tx, source: &Source, now: Timestamp) -> Result<(), Error> {
    let due_at = (source.watchdog != Watchdog::Off).then_some(now);
    let sql = "INSERT INTO watches (source, due_at, doc) VALUES (?1, ?2, '{}')
        ON CONFLICT (source) DO UPDATE SET due_at = ?2, lease = NULL";
    tx.execute(sql, &[source.id.into(), Value::from(due_at)]).await.map(|_| ())
}

/// Forgets a source.
pub(crate) async fn forget(tx: &mut Tx, source: SourceId) -> Result<(), Error> {
    tx.execute("DELETE FROM watches WHERE source = ?1", &[source.into()]).await.map(|_| ())
}

fn watch(row: &Row) -> Result<Watch, Error> {
    let doc: Doc = serde_json::from_str(row.text(1)?)
        .map_err(|error| Error::Corrupt(format!("watches.doc: {error}")))?;
    Ok(doc.to_watch())
}

/// All of a watch that no query asks for, as stored; times are milliseconds.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Doc {
    registered: String,
    words: Option<String>,
    looked_at: Option<i64>,
    registered_at: Option<i64>,
    first_heard_at: Option<i64>,
    heard_at: Option<i64>,
    listened_at: Option<i64>,
    longest: Vec<(i64, i64)>,
    is_silent: bool,
}

impl Doc {
    fn of(watch: &Watch) -> Doc {
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        let silences = &watch.silences;
        Doc {
            registered: watch.registered.as_str().to_owned(),
            words: watch.words.clone(),
            looked_at: ms(watch.looked_at),
            registered_at: ms(watch.registered_at),
            first_heard_at: ms(silences.first_heard_at),
            heard_at: ms(silences.heard_at),
            listened_at: ms(silences.looked_at),
            longest: silences.longest.clone(),
            is_silent: silences.is_silent,
        }
    }

    fn to_watch(&self) -> Watch {
        let time = |ms: Option<i64>| ms.map(Timestamp::from_millis);
        Watch {
            registered: Registered::parse(&self.registered).unwrap_or_default(),
            words: self.words.clone(),
            looked_at: time(self.looked_at),
            registered_at: time(self.registered_at),
            silences: Silences {
                first_heard_at: time(self.first_heard_at),
                heard_at: time(self.heard_at),
                looked_at: time(self.listened_at),
                longest: self.longest.clone(),
                is_silent: self.is_silent,
            },
        }
    }

    fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a document has text keys only")
    }
}
