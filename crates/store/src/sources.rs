//! Sources and the accounts on them.

use model::id::{AccountId, AppId, SourceId};
use model::secret::{Key, Secret};
use model::source::{Account, SecretRole, Settings, Source, SourceSecret, UnknownAccounts};
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::db::{Column, Into, Tx};
use crate::error::Error;
use crate::value::{Row, Value};
use crate::{Store, routing};

const ACCOUNTS: Into = Into {
    table: "accounts",
    columns: &[
        Column::Int("source"),
        Column::Int("app"),
        Column::Text("address"),
        Column::Text("name"),
        Column::Int("id"),
    ],
};

/// Sources and accounts: the configured ways in.
pub struct Sources<'s>(&'s Store);

impl Store {
    /// Sources and accounts.
    pub fn sources(&self) -> Sources<'_> {
        Sources(self)
    }
}

impl Sources<'_> {
    /// Stores a new source, or a changed one under its id. A path that another source has is a conflict.
    pub async fn save(&self, source: Source) -> Result<(), Error> {
        let inner = &self.0.inner;
        inner.db.write(move |tx| Box::pin(async move { save(tx, &source).await })).await?;
        routing::refresh(inner).await
    }

    /// Removes a source; what it has brought stays.
    pub async fn remove(&self, id: SourceId) -> Result<(), Error> {
        let inner = &self.0.inner;
        inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let removed = tx.execute("DELETE FROM sources WHERE id = ?1", &[id.into()]).await?;
                    if removed == 0 {
                        return Err(Error::NotFound("source"));
                    }
                    routing::changed(tx).await
                })
            })
            .await?;
        routing::refresh(inner).await
    }

    /// Every source, oldest first.
    pub async fn all(&self) -> Result<Vec<Source>, Error> {
        self.0.inner.db.read(|tx| Box::pin(load_all(tx))).await
    }

    /// Every account, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        self.0.inner.db.read(|tx| Box::pin(load_accounts(tx))).await
    }

    /// Stores an account, or changes the one with this source and address: whose it is and what it is called.
    pub async fn save_account(&self, account: Account) -> Result<Account, Error> {
        let inner = &self.0.inner;
        let saved =
            inner.db.write(move |tx| Box::pin(async move { save_account(tx, account).await })).await?;
        routing::refresh(inner).await?;
        Ok(saved)
    }
}

async fn save(tx: &mut Tx, source: &Source) -> Result<(), Error> {
    let sql = "INSERT INTO sources (id, app, platform, name, path, doc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (id) DO UPDATE SET app = ?2, platform = ?3, name = ?4, path = ?5, doc = ?6";
    let args = [
        source.id.into(),
        source.app.into(),
        source.platform.as_str().into(),
        source.name.as_str().into(),
        Value::from(source.path.clone()),
        Doc::of(source).to_text().into(),
    ];
    match tx.execute(sql, &args).await {
        Err(Error::Conflict(_)) => Err(Error::Conflict("another source has this path")),
        outcome => outcome.map(|_| ()),
    }?;
    routing::changed(tx).await
}

async fn save_account(tx: &mut Tx, account: Account) -> Result<Account, Error> {
    let sql = "INSERT INTO accounts (id, source, app, address, name) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (source, address) DO UPDATE SET app = ?3, name = ?5";
    let args = [
        account.id.into(),
        account.source.into(),
        account.app.into(),
        account.address.as_str().into(),
        Value::from(account.name.clone()),
    ];
    tx.execute(sql, &args).await?;
    routing::changed(tx).await?;
    find_account(tx, account.source, &account.address).await?.ok_or(Error::NotFound("account"))
}

/// The account at an address, as stored now.
pub(crate) async fn find_account(
    tx: &mut Tx,
    source: SourceId,
    address: &str,
) -> Result<Option<Account>, Error> {
    let sql = "SELECT id, source, app, address, name FROM accounts WHERE source = ?1 AND address = ?2";
    let row = tx.fetch_one(sql, &[source.into(), address.into()]).await?;
    row.map(|row| account(&row)).transpose()
}

/// Makes an account of an address that was seen for the first time, unless another node has just done so.
pub(crate) async fn adopt(
    tx: &mut Tx,
    source: &Source,
    address: &str,
    id: AccountId,
) -> Result<Account, Error> {
    let row = vec![source.id.into(), source.app.into(), address.into(), Value::Null, id.into()];
    if tx.insert_new(ACCOUNTS, vec![row]).await?.contains(&true) {
        routing::changed(tx).await?;
    }
    find_account(tx, source.id, address).await?.ok_or(Error::NotFound("account"))
}

pub(crate) async fn load_all(tx: &mut Tx) -> Result<Vec<Source>, Error> {
    let rows =
        tx.fetch_all("SELECT id, app, platform, name, path, doc FROM sources ORDER BY id", &[]).await?;
    rows.iter().map(source).collect()
}

pub(crate) async fn load_accounts(tx: &mut Tx) -> Result<Vec<Account>, Error> {
    let rows = tx.fetch_all("SELECT id, source, app, address, name FROM accounts ORDER BY id", &[]).await?;
    rows.iter().map(account).collect()
}

fn account(row: &Row) -> Result<Account, Error> {
    Ok(Account {
        id: row.id(0)?,
        source: row.id(1)?,
        app: row.id::<model::id::kind::App>(2)?,
        address: row.text(3)?.to_owned(),
        name: row.opt_text(4)?,
    })
}

fn source(row: &Row) -> Result<Source, Error> {
    let id: SourceId = row.id(0)?;
    let app: AppId = row.id(1)?;
    let doc: Doc = serde_json::from_str(row.text(5)?)
        .map_err(|error| Error::Corrupt(format!("sources.doc of {id}: {error}")))?;
    Ok(Source {
        id,
        app,
        platform: row.text(2)?.to_owned(),
        name: row.text(3)?.to_owned(),
        path: row.opt_text(4)?,
        secrets: doc.secrets.iter().filter_map(SecretDoc::to_secret).collect(),
        settings: Settings::new(doc.settings),
        unknown_accounts: UnknownAccounts::parse(&doc.unknown_accounts)
            .unwrap_or(UnknownAccounts::Quarantine),
        allowed_networks: doc.allowed_networks,
        rate_per_second: doc.rate_per_second,
    })
}

/// What only the adapter and ingest need, as stored.
#[derive(Serialize, Deserialize)]
struct Doc {
    secrets: Vec<SecretDoc>,
    settings: serde_json::Map<String, serde_json::Value>,
    unknown_accounts: String,
    allowed_networks: Vec<String>,
    rate_per_second: Option<u32>,
}

impl Doc {
    fn of(source: &Source) -> Doc {
        Doc {
            secrets: source.secrets.iter().map(SecretDoc::of).collect(),
            settings: source.settings.object().clone(),
            unknown_accounts: source.unknown_accounts.as_str().to_owned(),
            allowed_networks: source.allowed_networks.clone(),
            rate_per_second: source.rate_per_second,
        }
    }

    fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a document has text keys only")
    }
}

#[derive(Serialize, Deserialize)]
struct SecretDoc {
    role: String,
    #[serde(flatten)]
    key: KeyDoc,
}

impl SecretDoc {
    fn of(held: &SourceSecret) -> SecretDoc {
        SecretDoc { role: held.role.as_str().to_owned(), key: KeyDoc::of(&held.key) }
    }

    fn to_secret(&self) -> Option<SourceSecret> {
        Some(SourceSecret { role: SecretRole::parse(&self.role)?, key: self.key.to_key() })
    }
}

/// A key as stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeyDoc {
    secret: String,
    retires_at: Option<i64>,
}

impl KeyDoc {
    pub(crate) fn of(key: &Key) -> KeyDoc {
        let retires_at = key.retires_at.map(Timestamp::as_millis);
        KeyDoc { secret: key.secret.expose().to_owned(), retires_at }
    }

    pub(crate) fn to_key(&self) -> Key {
        let retires_at = self.retires_at.map(Timestamp::from_millis);
        Key { secret: Secret::new(self.secret.clone()), retires_at }
    }
}
