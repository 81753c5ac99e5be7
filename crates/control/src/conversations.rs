//! Conversations: to be found, handed off, resolved and reopened.

use model::conversation::{Conversation, ConversationState};
use model::id::ConversationId;
use model::page::{Page, PageRequest};
pub use store::conversations::ConversationFilter;

use crate::{Action, Actor, Control, Error};

/// Conversations.
pub struct Conversations<'c>(&'c Control);

impl Control {
    /// Conversations.
    pub fn conversations(&self) -> Conversations<'_> {
        Conversations(self)
    }
}

impl Conversations<'_> {
    /// One conversation.
    pub async fn get(&self, actor: &Actor, id: ConversationId) -> Result<Conversation, Error> {
        actor.must(Action::Read)?;
        self.find(actor, id).await
    }

    /// Conversations, newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: ConversationFilter,
        page: PageRequest,
    ) -> Result<Page<Conversation>, Error> {
        actor.must(Action::Read)?;
        let filter = ConversationFilter { app: actor.narrowed(filter.app)?, ..filter };
        Ok(self.0.store.conversations().list(filter, page).await?)
    }

    /// Gives the conversation to a person.
    pub async fn hand_off(&self, actor: &Actor, id: ConversationId) -> Result<Conversation, Error> {
        self.change(actor, id, ConversationState::HandedOff, "conversation.handoff").await
    }

    /// Says that it is done, until the contact writes again.
    pub async fn resolve(&self, actor: &Actor, id: ConversationId) -> Result<Conversation, Error> {
        self.change(actor, id, ConversationState::Resolved, "conversation.resolved").await
    }

    /// Gives it back to the bot.
    pub async fn reopen(&self, actor: &Actor, id: ConversationId) -> Result<Conversation, Error> {
        self.change(actor, id, ConversationState::Open, "conversation.reopened").await
    }

    /// Changes the state and tells of it.
    async fn change(
        &self,
        actor: &Actor,
        id: ConversationId,
        state: ConversationState,
        event_type: &'static str,
    ) -> Result<Conversation, Error> {
        actor.must(Action::Operate)?;
        let app = self.find(actor, id).await?.app;
        let store = self.0.acting(actor, Some(app), event_type, &id);
        store.conversations().change(id, state, event_type).await?;
        self.find(actor, id).await
    }

    pub(crate) async fn find(&self, actor: &Actor, id: ConversationId) -> Result<Conversation, Error> {
        let found = self.0.store.conversations().get(id).await?;
        actor.must_see(found.app, "conversation")?;
        Ok(found)
    }
}
