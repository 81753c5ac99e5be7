//! Events: to be listed and shown. They are written in [`crate::arrivals`] only, and never changed.

use model::event::Event;
use model::id::{AccountId, AppId, ConversationId, EventId, SourceId};
use model::page::{Page, PageRequest};

use crate::Store;
use crate::claims::event;
use crate::error::Error;
use crate::value::Value;

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
        let mut sql = format!("SELECT {COLUMNS} FROM events WHERE id < ?1");
        let mut args = vec![Value::Int(page.before.unwrap_or(i64::MAX))];
        let filters = [
            ("app", filter.app.map(Value::from)),
            ("source", filter.source.map(Value::from)),
            ("account", filter.account.map(Value::from)),
            ("conversation", filter.conversation.map(Value::from)),
            ("event_type", filter.event_type.map(Value::from)),
        ];
        for (column, value) in filters {
            let Some(value) = value else { continue };
            args.push(value);
            sql.push_str(&format!(" AND {column} = ?{}", args.len()));
        }
        args.push(Value::Int(page.fetch_limit()));
        sql.push_str(&format!(" ORDER BY id DESC LIMIT ?{}", args.len()));
        let rows =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_all(&sql, &args).await })).await?;
        let found: Result<Vec<Event>, Error> = rows.iter().map(|row| Ok(event(row)?.0)).collect();
        Ok(Page::cut(found?, page, |event| event.id.raw()))
    }
}
