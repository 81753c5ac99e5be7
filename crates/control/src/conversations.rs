//! Conversations: to be found, handed off, resolved and reopened.

use model::conversation::{Conversation, ConversationState, Identifier, Party, Touch};
use model::event::{Content, EventType, NewEvent};
use model::id::{AccountId, AppId, ConversationId};
use model::page::{Page, PageRequest};
use store::arrivals::{Arrival, Verdict};

use crate::listing::{Span, sift};
use crate::{Action, Actor, Control, Error};

/// Every sort of name that adapters give contacts.
const IDENTIFIER_KINDS: [&str; 8] =
    ["bsuid", "wa_id", "phone", "username", "parent_bsuid", "jid", "lid", "group"];

/// Conversations.
pub struct Conversations<'c>(&'c Control);

impl Control {
    /// Conversations.
    pub fn conversations(&self) -> Conversations<'_> {
        Conversations(self)
    }
}

/// Which conversations are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConversationQuery {
    /// Those of one app.
    pub app: Option<AppId>,
    /// Those on one account.
    pub account: Option<AccountId>,
    /// Those in one state.
    pub state: Option<ConversationState>,
    /// Those begun within a span.
    pub span: Span,
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
        query: ConversationQuery,
        page: PageRequest,
    ) -> Result<Page<Conversation>, Error> {
        actor.must(Action::Read)?;
        let app = actor.narrowed(query.app)?;
        let conversations = self.0.store.conversations();
        let keep = |one: &Conversation| {
            query.account.is_none_or(|account| one.account == account)
                && query.state.is_none_or(|state| one.state == state)
        };
        sift(page, query.span, |one: &Conversation| one.id.raw(), keep, |page| conversations.list(app, page))
            .await
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

    async fn change(
        &self,
        actor: &Actor,
        id: ConversationId,
        state: ConversationState,
        event_type: &'static str,
    ) -> Result<Conversation, Error> {
        actor.must(Action::Operate)?;
        let conversation = self.find(actor, id).await?;
        if !self.0.store.conversations().set_state(id, state).await? {
            return Ok(conversation);
        }
        self.tell(&conversation, event_type).await?;
        let app = self.0.store.routing().account_by_id(conversation.account).map(|account| account.app);
        self.0.audit(actor, app, event_type, id.to_string()).await?;
        self.find(actor, id).await
    }

    /// Appends the event that tells of a change, in the conversation's own line.
    async fn tell(&self, conversation: &Conversation, event_type: &'static str) -> Result<(), Error> {
        let routing = self.0.store.routing();
        let Some(account) = routing.account_by_id(conversation.account) else { return Ok(()) };
        let contact = self.0.store.conversations().contact(conversation.contact).await?;
        let identifiers = contact.identifiers.iter().filter_map(|(kind, value)| {
            let kind = IDENTIFIER_KINDS.into_iter().find(|known| known == kind)?;
            Some(Identifier::new(kind, value))
        });
        let identifiers: Vec<Identifier> = identifiers.collect();
        let (id, names) = (account.id, identifiers.clone());
        let met = self.0.store.conversations().with(account.app, id, names).await?;
        if met.is_none_or(|met| met.id != conversation.id) {
            // The account has another owner by now, who must not learn of this contact.
            return Ok(());
        }
        let party = Party { identifiers, name: None, touch: Touch::None };
        let event = NewEvent {
            event_type: EventType::from_foreign("", event_type),
            dedupe_key: None,
            account: Some(account.address.clone()),
            party: Some(party),
            order_key: None,
            occurred_at: self.0.now(),
            content: Content::Raw(
                serde_json::value::to_raw_value(&serde_json::Map::new()).expect("an empty object is JSON"),
            ),
        };
        let arrival = Arrival {
            source: routing.source(account.source).cloned(),
            app: Some(account.app),
            request: None,
            verdict: Verdict::Genuine([event].into()),
        };
        self.0.store.arrivals().append(arrival).await?;
        Ok(())
    }

    pub(crate) async fn find(&self, actor: &Actor, id: ConversationId) -> Result<Conversation, Error> {
        let conversations = self.0.store.conversations();
        if actor.app.is_none() {
            return Ok(conversations.get(id).await?);
        }
        // The listing of an app knows whose each one is.
        let just_this = PageRequest { limit: 1, before: Some(id.raw().saturating_add(1)) };
        let found = conversations.list(actor.app, just_this).await?.items.pop();
        found.filter(|found| found.id == id).ok_or(Error::NotFound("conversation"))
    }
}
