//! Events: to be listed and shown.

use model::event::Event;
use model::id::EventId;
use model::page::{Page, PageRequest};
use platforms::registry;
pub use store::events::EventFilter;

use crate::{Action, Actor, Control, Error};

/// Events.
pub struct Events<'c>(&'c Control);

impl Control {
    /// Events.
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }
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
        self.0.audit_view(actor, Some(event.app), "event.view", &id).await;
        Ok((event, body))
    }

    /// Events, newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<Event>, Error> {
        actor.must(Action::Read)?;
        let filter = EventFilter { app: actor.narrowed(filter.app)?, ..filter };
        Ok(self.0.store.events().list(filter, page).await?)
    }

    pub(crate) async fn find(&self, actor: &Actor, id: EventId) -> Result<Event, Error> {
        let event = self.0.store.events().get(id).await?;
        actor.must_see(event.app, "event")?;
        Ok(event)
    }
}
