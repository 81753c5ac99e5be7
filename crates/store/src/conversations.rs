//! Conversations and contacts: to be found, shown, handed off and resolved.

use model::conversation::{Contact, Conversation, ConversationState, Identifier};
use model::id::{AccountId, AppId, ContactId, ConversationId};
use model::page::{Page, PageRequest};

use crate::Store;
use crate::db::Tx;
use crate::error::Error;
use crate::value::{Row, Value};

const COLUMNS: &str = "id, account, contact, state, last_inbound_at, touched_at";

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
        let sql = format!("SELECT {COLUMNS} FROM conversations WHERE id = ?1");
        let row =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_one(&sql, &[id.into()]).await }));
        conversation(&row.await?.ok_or(Error::NotFound("conversation"))?)
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

    /// Conversations, newest first; of one app where one is named.
    pub async fn list(&self, app: Option<AppId>, page: PageRequest) -> Result<Page<Conversation>, Error> {
        let narrowed = if app.is_some() { " AND app = ?3" } else { "" };
        let sql =
            format!("SELECT {COLUMNS} FROM conversations WHERE id < ?1{narrowed} ORDER BY id DESC LIMIT ?2");
        let mut args = vec![Value::Int(page.before.unwrap_or(i64::MAX)), Value::Int(page.fetch_limit())];
        args.extend(app.map(Value::from));
        let rows =
            self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_all(&sql, &args).await })).await?;
        let found: Result<Vec<Conversation>, Error> = rows.iter().map(conversation).collect();
        Ok(Page::cut(found?, page, |conversation| conversation.id.raw()))
    }

    /// One contact with everything they are known by.
    pub async fn contact(&self, id: ContactId) -> Result<Contact, Error> {
        self.0.inner.db.read(move |tx| Box::pin(contact(tx, id))).await
    }

    /// Contacts, newest first; of one app where one is named.
    pub async fn contacts(&self, app: Option<AppId>, page: PageRequest) -> Result<Page<Contact>, Error> {
        let narrowed = if app.is_some() { " AND app = ?3" } else { "" };
        let sql = format!("SELECT id FROM contacts WHERE id < ?1{narrowed} ORDER BY id DESC LIMIT ?2");
        let mut args = vec![Value::Int(page.before.unwrap_or(i64::MAX)), Value::Int(page.fetch_limit())];
        args.extend(app.map(Value::from));
        let found =
            self.0.inner.db.read(move |tx| Box::pin(async move { contacts(tx, &sql, &args).await })).await?;
        Ok(Page::cut(found, page, |contact| contact.id.raw()))
    }

    /// Changes where a conversation stands; says whether anything changed. The caller appends the event that tells
    /// of it.
    pub async fn set_state(&self, id: ConversationId, state: ConversationState) -> Result<bool, Error> {
        let sql = "UPDATE conversations SET state = ?2 WHERE id = ?1 AND state <> ?2";
        let args = [id.into(), Value::from(state.as_str())];
        let touched =
            self.0.inner.db.write(move |tx| Box::pin(async move { tx.execute(sql, &args).await })).await?;
        if touched == 0 {
            self.get(id).await?;
        }
        Ok(touched == 1)
    }
}

async fn with(
    tx: &mut Tx,
    app: AppId,
    account: AccountId,
    names: &[Identifier],
) -> Result<Option<Conversation>, Error> {
    let sql = "SELECT c.id, c.account, c.contact, c.state, c.last_inbound_at, c.touched_at FROM identifiers i
        JOIN conversations c ON c.contact = i.contact WHERE i.app = ?1 AND i.identifier = ?2 AND c.account = ?3";
    for name in names {
        let name = format!("{}:{}", name.kind, name.value);
        if let Some(row) = tx.fetch_one(sql, &[app.into(), name.into(), account.into()]).await? {
            return conversation(&row).map(Some);
        }
    }
    Ok(None)
}

async fn contacts(tx: &mut Tx, sql: &str, args: &[Value]) -> Result<Vec<Contact>, Error> {
    let mut found = Vec::new();
    for row in tx.fetch_all(sql, args).await? {
        found.push(contact(tx, row.id(0)?).await?);
    }
    Ok(found)
}

async fn contact(tx: &mut Tx, id: ContactId) -> Result<Contact, Error> {
    let row = tx.fetch_one("SELECT name FROM contacts WHERE id = ?1", &[id.into()]).await?;
    let name = row.ok_or(Error::NotFound("contact"))?.opt_text(0)?;
    let rows = tx.fetch_all("SELECT identifier FROM identifiers WHERE contact = ?1", &[id.into()]).await?;
    let split = |row: &Row| {
        let (kind, value) = row.text(0)?.split_once(':').unwrap_or_default();
        Ok((kind.to_owned(), value.to_owned()))
    };
    let identifiers: Result<Vec<(String, String)>, Error> = rows.iter().map(split).collect();
    Ok(Contact { id, name, identifiers: identifiers? })
}

fn conversation(row: &Row) -> Result<Conversation, Error> {
    let id: ConversationId = row.id(0)?;
    let state = ConversationState::parse(row.text(3)?);
    Ok(Conversation {
        id,
        account: row.id(1)?,
        contact: row.id(2)?,
        state: state.ok_or_else(|| Error::Corrupt(format!("conversations.state of {id}")))?,
        last_inbound_at: row.opt_time(4)?,
        touched_at: row.time(5)?,
    })
}
