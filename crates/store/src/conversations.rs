//! Conversations and contacts: to be found, shown, handed off and resolved.

use model::conversation::{Contact, Conversation, ConversationState, Identifier, Party, Touch};
use model::event::{Content, EventType, NewEvent};
use model::id::{AccountId, AppId, ContactId, ConversationId};
use model::page::{Page, PageRequest, Span};
use serde_json::value::RawValue;

use crate::Store;
use crate::append::{self, Context};
use crate::arrivals::{Arrival, Verdict};
use crate::audit::Trail;
use crate::db::Tx;
use crate::error::Error;
use crate::listing::Listing;
use crate::value::{Row, Value};

const COLUMNS: &str = "id, app, account, contact, state, last_inbound_at, touched_at";

/// Conversations and contacts.
pub struct Conversations<'s>(&'s Store);

impl Store {
    /// Conversations and contacts.
    pub fn conversations(&self) -> Conversations<'_> {
        Conversations(self)
    }
}

impl Conversations<'_> {
    /// One conversation.
    pub async fn get(&self, id: ConversationId) -> Result<Conversation, Error> {
        self.0.inner.db.read(move |tx| Box::pin(get(tx, id))).await
    }

    /// The conversation on an account with whoever is known by an identifier.
    pub async fn with(
        &self,
        app: AppId,
        account: AccountId,
        names: Vec<Identifier>,
    ) -> Result<Option<Conversation>, Error> {
        self.0.inner.db.read(move |tx| Box::pin(async move { with(tx, app, account, &names).await })).await
    }

    /// Conversations, newest first.
    pub async fn list(
        &self,
        filter: ConversationFilter,
        page: PageRequest,
    ) -> Result<Page<Conversation>, Error> {
        let listing = filter.listing();
        self.0
            .inner
            .db
            .read(move |tx| Box::pin(async move { listing.page(tx, page, conversation).await }))
            .await
    }

    /// One contact with everything they are known by.
    pub async fn contact(&self, id: ContactId) -> Result<Contact, Error> {
        self.0.inner.db.read(move |tx| Box::pin(contact(tx, id))).await
    }

    /// Contacts, newest first; of one app where one is named.
    pub async fn contacts(&self, app: Option<AppId>, page: PageRequest) -> Result<Page<Contact>, Error> {
        let listing = contacts_of(app);
        self.0.inner.db.read(move |tx| Box::pin(async move { contacts(tx, &listing, page).await })).await
    }

    /// Changes where a conversation stands, and tells of it with an event of this type, in the conversation's own line. Says
    /// whether anything changed.
    pub async fn change(
        &self,
        id: ConversationId,
        state: ConversationState,
        event_type: &'static str,
    ) -> Result<bool, Error> {
        let trail = self.0.trail();
        let wanted = Wanted { id, state, event_type };
        for _ in 0..append::STALE_TRIES_MAX {
            let trail = trail.clone();
            let changed = self
                .0
                .write_current(move |tx, context| Box::pin(change(tx, wanted, context, trail.clone())))
                .await;
            match changed {
                Err(Error::Stale) => {}
                changed => return changed,
            }
        }
        Err(Error::Busy)
    }
}

/// Which conversations are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConversationFilter {
    /// Those of one app.
    pub app: Option<AppId>,
    /// Those on one account.
    pub account: Option<AccountId>,
    /// Those in one state.
    pub state: Option<ConversationState>,
    /// Those begun within a span.
    pub span: Span,
}

impl ConversationFilter {
    pub(crate) fn listing(self) -> Listing {
        let listing = Listing::of("conversations", COLUMNS).within(self.span);
        let [app, account] = [self.app.map(Value::from), self.account.map(Value::from)];
        let state = self.state.map(|state| Value::from(state.as_str()));
        if account.is_some() {
            return listing.along("account", account).only("+app", app).only("state || ''", state);
        }
        match self.state {
            // What is not open has an index, and the engine must be told that this is some of that.
            Some(ConversationState::HandedOff | ConversationState::Resolved) => {
                listing.along("state <> 'open' AND state", state).only("+app", app)
            }
            Some(ConversationState::Open) | None => listing.along("app", app).only("state || ''", state),
        }
    }
}

pub(crate) fn contacts_of(app: Option<AppId>) -> Listing {
    Listing::of("contacts", "id, app, name").along("app", app.map(Value::from))
}

/// Where a conversation is to stand, and what tells of it.
#[derive(Clone, Copy)]
struct Wanted {
    id: ConversationId,
    state: ConversationState,
    event_type: &'static str,
}

async fn change(tx: &mut Tx, wanted: Wanted, context: Context, trail: Trail) -> Result<bool, Error> {
    let before = get(tx, wanted.id).await?;
    if before.state == wanted.state {
        return Ok(false);
    }
    // The locks of an arrival come before the row, in the same order as when the contact writes.
    if let Some(arrival) = told(tx, &before, wanted.event_type, &context).await? {
        append::append(tx, &[arrival], context).await?;
    }
    let sql = "UPDATE conversations SET state = ?2 WHERE id = ?1 AND state = ?3";
    let args = [wanted.id.into(), wanted.state.as_str().into(), before.state.as_str().into()];
    if tx.execute(sql, &args).await? == 0 {
        // Somebody was quicker; what was appended goes with this transaction.
        return Err(Error::Stale);
    }
    trail.write(tx).await?;
    Ok(true)
}

/// The event that tells of a change; none where the account has another owner by now, who must not learn of this
/// contact, or where the contact has become another's.
async fn told(
    tx: &mut Tx,
    conversation: &Conversation,
    event_type: &'static str,
    context: &Context,
) -> Result<Option<Arrival>, Error> {
    let account = context.routing.account_by_id(conversation.account);
    let Some(account) = account.filter(|account| account.app == conversation.app) else { return Ok(None) };
    let identifiers = identifiers(tx, &[conversation.contact]).await?.remove(0);
    if identifiers.is_empty() {
        return Ok(None);
    }
    let identifiers = identifiers.into_iter().map(|(kind, value)| Identifier::new(kind, value)).collect();
    let event = NewEvent {
        event_type: EventType::from_foreign("", event_type),
        dedupe_key: None,
        account: Some(account.address.clone()),
        party: Some(Party { identifiers, name: None, touch: Touch::None }),
        order_key: None,
        occurred_at: context.now,
        content: Content::Raw(RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")),
    };
    Ok(Some(Arrival {
        source: context.routing.source(account.source).cloned(),
        app: Some(account.app),
        request: None,
        verdict: Verdict::Genuine([event].into()),
    }))
}

async fn get(tx: &mut Tx, id: ConversationId) -> Result<Conversation, Error> {
    let sql = format!("SELECT {COLUMNS} FROM conversations WHERE id = ?1");
    conversation(&tx.fetch_one(&sql, &[id.into()]).await?.ok_or(Error::NotFound("conversation"))?)
}

async fn with(
    tx: &mut Tx,
    app: AppId,
    account: AccountId,
    names: &[Identifier],
) -> Result<Option<Conversation>, Error> {
    let sql = "SELECT c.id, c.app, c.account, c.contact, c.state, c.last_inbound_at, c.touched_at FROM identifiers i
        JOIN conversations c ON c.contact = i.contact WHERE i.app = ?1 AND i.identifier = ?2 AND c.account = ?3";
    for name in names {
        let name = format!("{}:{}", name.kind, name.value);
        if let Some(row) = tx.fetch_one(sql, &[app.into(), name.into(), account.into()]).await? {
            return conversation(&row).map(Some);
        }
    }
    Ok(None)
}

async fn contacts(tx: &mut Tx, listing: &Listing, page: PageRequest) -> Result<Page<Contact>, Error> {
    let named = |row: &Row| {
        Ok(Contact { id: row.id(0)?, app: row.id(1)?, name: row.opt_text(2)?, identifiers: Vec::new() })
    };
    let mut page = listing.page(tx, page, named).await?;
    let ids: Vec<ContactId> = page.items.iter().map(|contact| contact.id).collect();
    for (contact, known_by) in page.items.iter_mut().zip(identifiers(tx, &ids).await?) {
        contact.identifiers = known_by;
    }
    Ok(page)
}

async fn contact(tx: &mut Tx, id: ContactId) -> Result<Contact, Error> {
    let row = tx.fetch_one("SELECT app, name FROM contacts WHERE id = ?1", &[id.into()]).await?;
    let row = row.ok_or(Error::NotFound("contact"))?;
    let identifiers = identifiers(tx, &[id]).await?.remove(0);
    Ok(Contact { id, app: row.id(0)?, name: row.opt_text(1)?, identifiers })
}

/// What each contact is known by: pairs of sort and name.
async fn identifiers(tx: &mut Tx, contacts: &[ContactId]) -> Result<Vec<Vec<(String, String)>>, Error> {
    let asked: Vec<Vec<Value>> = contacts.iter().map(|id| vec![(*id).into()]).collect();
    let found = tx.fetch_many("SELECT identifier FROM identifiers WHERE contact = ?1", &asked).await?;
    let split = |row: &Row| {
        let (kind, value) = row.text(0)?.split_once(':').unwrap_or_default();
        Ok((kind.to_owned(), value.to_owned()))
    };
    found.iter().map(|rows| rows.iter().map(split).collect()).collect()
}

fn conversation(row: &Row) -> Result<Conversation, Error> {
    let id: ConversationId = row.id(0)?;
    let state = ConversationState::parse(row.text(4)?);
    Ok(Conversation {
        id,
        app: row.id(1)?,
        account: row.id(2)?,
        contact: row.id(3)?,
        state: state.ok_or_else(|| Error::Corrupt(format!("conversations.state of {id}")))?,
        last_inbound_at: row.opt_time(5)?,
        touched_at: row.time(6)?,
    })
}
