//! Events: to be listed and shown.

use model::event::Event;
use model::id::{AccountId, AppId, ConversationId, EventId, SourceId};
use model::page::{Page, PageRequest};
use platforms::registry;
use store::events::EventFilter;

pub use crate::listing::Span;
use crate::listing::sift;
use crate::{Action, Actor, Control, Error};

/// Events.
pub struct Events<'c>(&'c Control);

impl Control {
    /// Events.
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }
}

/// Which events are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventQuery {
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
    /// One event with its content; where that is the request's own body, it is given beside it, credentials in it masked.
    /// Looking is audited.
    pub async fn get(&self, actor: &Actor, id: EventId) -> Result<(Event, Option<bytes::Bytes>), Error> {
        actor.must(Action::Read)?;
        let event = self.find(actor, id).await?;
        let body = match event.receipt.filter(|_| event.content.is_none()) {
            Some(receipt) => self.0.store.receipts().came(receipt).await?.map(|came| came.body),
            None => None,
        };
        let source = event.source.and_then(|id| self.0.store.routing().source(id).cloned());
        let platform = source.as_ref().map(|source| source.platform.as_str());
        let body = body.map(|body| registry::redacted(platform, body));
        self.0.audit_view(actor, Some(event.app), "event.view", id.to_string()).await;
        Ok((event, body))
    }

    /// Events, newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        query: EventQuery,
        page: PageRequest,
    ) -> Result<Page<Event>, Error> {
        actor.must(Action::Read)?;
        let filter = EventFilter {
            app: actor.narrowed(query.app)?,
            source: query.source,
            account: query.account,
            conversation: query.conversation,
            event_type: query.event_type,
        };
        let events = self.0.store.events();
        sift(
            page,
            query.span,
            |event: &Event| event.id.raw(),
            |_| true,
            |page| events.list(filter.clone(), page),
        )
        .await
    }

    pub(crate) async fn find(&self, actor: &Actor, id: EventId) -> Result<Event, Error> {
        let event = self.0.store.events().get(id).await?;
        actor.must_see(event.app, "event")?;
        Ok(event)
    }
}
