//! Events: to be listed and shown. They are written in [`crate::arrivals`] only, and never changed.

use model::event::Event;
use model::id::{AccountId, AppId, ConversationId, EventId, SourceId};
use model::page::{Page, PageRequest, Span};

use crate::blocks::By;
use crate::claims::event;
use crate::db::{Column, Engine, Into, Tx};
use crate::error::Error;
use crate::listing::Listing;
use crate::value::{Row, Value};
use crate::{Store, runs};

pub(crate) const EVENTS: Into = Into {
    table: "events",
    columns: &[
        Column::Int("id"),
        Column::Int("app"),
        Column::Int("source"),
        Column::Int("account"),
        Column::Int("conversation"),
        Column::Int("receipt"),
        Column::Text("event_type"),
        Column::Int("occurred_at"),
        Column::Text("content"),
        Column::Int("content_check"),
        Column::Int("key1"),
        Column::Int("key2"),
    ],
};

/// How many events of a conversation one page looks at: each is a row of its own place.
const LOOKED_AT_MAX: usize = 2_000;

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
    /// Those that came within a span.
    pub span: Span,
}

impl Events<'_> {
    /// One event.
    pub async fn get(&self, id: EventId) -> Result<Event, Error> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE id = ?1");
        let row =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_one(&sql, &[id.into()]).await }));
        read(&row.await?.ok_or(Error::NotFound("event"))?)
    }

    /// Events, newest first.
    pub async fn list(&self, filter: EventFilter, page: PageRequest) -> Result<Page<Event>, Error> {
        self.0.inner.db.read(move |tx| Box::pin(async move { list(tx, filter, page).await })).await
    }
}

async fn list(tx: &mut Tx, filter: EventFilter, page: PageRequest) -> Result<Page<Event>, Error> {
    let (conversation, narrowed) = (filter.conversation, filter.narrowed());
    match (tx.engine(), conversation) {
        (Engine::Sqlite(_), Some(conversation)) => in_conversation(tx, conversation, &narrowed, page).await,
        (_, conversation) => {
            narrowed.along("conversation", conversation.map(Value::from)).page(tx, page, read).await
        }
    }
}

/// On SQLite the events of a conversation have an index of their own making.
async fn in_conversation(
    tx: &mut Tx,
    conversation: ConversationId,
    narrowed: &Listing,
    page: PageRequest,
) -> Result<Page<Event>, Error> {
    let (first, mut before) = narrowed.bounds(page.before);
    let (limit, mut rows, mut looked_at) = (page.fetch_limit(), Vec::new(), 0);
    while looked_at < LOOKED_AT_MAX {
        let mut ids = runs::events_of(tx, conversation, before, limit).await?;
        let is_end = (ids.len() as i64) < limit || ids.last().is_some_and(|id| id.raw() < first);
        ids.retain(|id| id.raw() >= first);
        looked_at += ids.len();
        before = ids.last().map_or(before, |id| id.raw());
        rows.extend(narrowed.among(tx, &ids).await?);
        if is_end || rows.len() as i64 >= limit {
            return Ok(Page::cut(
                rows.iter().map(read).collect::<Result<_, Error>>()?,
                page,
                |event: &Event| event.id.raw(),
            ));
        }
    }
    Ok(Page { items: rows.iter().map(read).collect::<Result<_, Error>>()?, next: Some(before) })
}

fn read(row: &Row) -> Result<Event, Error> {
    Ok(event(row)?.0)
}

impl EventFilter {
    /// All but the conversation.
    pub(crate) fn narrowed(self) -> Listing {
        Listing::of("events", COLUMNS)
            .within(self.span)
            .by(By::EventApp, "app", self.app.map(Value::from))
            .by(By::EventSource, "source", self.source.map(Value::from))
            .by(By::EventAccount, "account", self.account.map(Value::from))
            .by(By::EventType, "event_type", self.event_type.map(Value::from))
    }
}
