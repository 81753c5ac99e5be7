//! Events: to be listed and shown. They are written in [`crate::arrivals`] only, and never changed.

use model::event::Event;
use model::id::{AccountId, AppId, ConversationId, EventId, SourceId};
use model::page::{Page, PageRequest};

use crate::Store;
use crate::claims::event;
use crate::db::{Engine, Tx};
use crate::error::Error;
use crate::runs;
use crate::value::{Row, Value};

/// How many pages of a conversation are searched for one page of a list.
const PAGES_MAX: usize = 20;

const COLUMNS: &str =
    "id, app, source, account, conversation, receipt, event_type, occurred_at, content, content_check";

/// Events.
pub struct Events<'s>(&'s Store);

impl Store {
    /// Events.
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }
}

/// Which events are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventFilter {
    /// Those of one app.
    pub app: Option<AppId>,
    /// Those from one source.
    pub source: Option<SourceId>,
    /// Those on one account.
    pub account: Option<AccountId>,
    /// Those of one conversation.
    pub conversation: Option<ConversationId>,
    /// Those of one type.
    pub event_type: Option<String>,
}

impl Events<'_> {
    /// One event.
    pub async fn get(&self, id: EventId) -> Result<Event, Error> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE id = ?1");
        let row =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_one(&sql, &[id.into()]).await }));
        Ok(event(&row.await?.ok_or(Error::NotFound("event"))?)?.0)
    }

    /// Events, newest first.
    pub async fn list(&self, filter: EventFilter, page: PageRequest) -> Result<Page<Event>, Error> {
        let found = self.0.inner.db.read(move |tx| Box::pin(async move { list(tx, &filter, page).await }));
        Ok(Page::cut(found.await?, page, |event| event.id.raw()))
    }
}

async fn list(tx: &mut Tx, filter: &EventFilter, page: PageRequest) -> Result<Vec<Event>, Error> {
    let before = page.before.unwrap_or(i64::MAX);
    match (tx.engine(), filter.conversation) {
        (Engine::Sqlite(_), Some(conversation)) => {
            in_conversation(tx, filter, conversation, before, page.fetch_limit()).await
        }
        _ => {
            let (wheres, mut args) = filter.wheres(vec![Value::Int(before)]);
            args.push(Value::Int(page.fetch_limit()));
            let sql = format!(
                "SELECT {COLUMNS} FROM events WHERE id < ?1{wheres} ORDER BY id DESC LIMIT ?{}",
                args.len()
            );
            read(&tx.fetch_all(&sql, &args).await?)
        }
    }
}

/// On SQLite the events of a conversation have an index of their own making.
async fn in_conversation(
    tx: &mut Tx,
    filter: &EventFilter,
    conversation: ConversationId,
    mut before: i64,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let mut found = Vec::new();
    for _ in 0..PAGES_MAX {
        let ids = runs::events_of(tx, conversation, before, limit).await?;
        let asked: Vec<(String, Vec<Value>)> =
            ids.iter().map(|id| filter.wheres(vec![(*id).into()])).collect();
        let Some((wheres, _)) = asked.first() else { break };
        let sql = format!("SELECT {COLUMNS} FROM events WHERE id = ?1{wheres}");
        let lists: Vec<Vec<Value>> = asked.into_iter().map(|(_, args)| args).collect();
        for rows in tx.fetch_many(&sql, &lists).await? {
            found.extend(read(&rows)?);
        }
        before = ids.last().map_or(before, |id| id.raw());
        if (ids.len() as i64) < limit || found.len() as i64 >= limit {
            break;
        }
    }
    found.truncate(usize::try_from(limit).unwrap_or_default());
    Ok(found)
}

fn read(rows: &[Row]) -> Result<Vec<Event>, Error> {
    rows.iter().map(|row| Ok(event(row)?.0)).collect()
}

impl EventFilter {
    /// The conditions, and their values after those given.
    fn wheres(&self, mut args: Vec<Value>) -> (String, Vec<Value>) {
        let filters = [
            ("app", self.app.map(Value::from)),
            ("source", self.source.map(Value::from)),
            ("account", self.account.map(Value::from)),
            ("conversation", self.conversation.map(Value::from)),
            ("event_type", self.event_type.clone().map(Value::from)),
        ];
        let mut wheres = String::new();
        for (column, value) in filters {
            let Some(value) = value else { continue };
            args.push(value);
            wheres.push_str(&format!(" AND {column} = ?{}", args.len()));
        }
        (wheres, args)
    }
}
