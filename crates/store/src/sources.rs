//! Sources and the accounts on them.

use model::id::{AccountId, AppId, SourceId};
use model::secret::{Key, Secret};
use model::source::{Account, SecretRole, Settings, Source, SourceSecret, UnknownAccounts};
use model::time::Timestamp;
use model::watch::Watchdog;
use serde::{Deserialize, Serialize};

use crate::db::{Column, Into, Tx};
use crate::error::Error;
use crate::value::{Row, Value};
use crate::version::Versioned;
use crate::{Queue, Store, routing, watches};

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
        let (inner, trail) = (&self.0.inner, self.0.trail());
        let now = inner.clock.now();
        inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    save(tx, &source).await?;
                    watches::follow(tx, &source, now).await?;
                    trail.write(tx).await
                })
            })
            .await?;
        routing::follow(inner).await;
        inner.wake(Queue::Watches);
        Ok(())
    }

    /// Puts a changed source in the place of the version it was made from, and says which version it is now. Fails with
    /// [`Error::Stale`] if that version is not there any more. A path that another source has is a conflict.
    pub async fn replace(&self, changed: Versioned<Source>) -> Result<i64, Error> {
        let (inner, trail) = (&self.0.inner, self.0.trail());
        let now = inner.clock.now();
        let version = inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let version = replace(tx, &changed).await?;
                    watches::follow(tx, &changed.thing, now).await?;
                    trail.write(tx).await?;
                    Ok(version)
                })
            })
            .await?;
        routing::follow(inner).await;
        inner.wake(Queue::Watches);
        Ok(version)
    }

    /// Removes a source; what it has brought stays.
    pub async fn remove(&self, id: SourceId) -> Result<(), Error> {
        let (inner, trail) = (&self.0.inner, self.0.trail());
        inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    if tx.execute("DELETE FROM sources WHERE id = ?1", &[id.into()]).await? == 0 {
                        return Err(Error::NotFound("source"));
                    }
                    watches::forget(tx, id).await?;
                    trail.write(tx).await?;
                    routing::changed(tx).await
                })
            })
            .await?;
        routing::follow(inner).await;
        Ok(())
    }

    /// One source.
    pub async fn get(&self, id: SourceId) -> Result<Versioned<Source>, Error> {
        self.0.inner.db.read(move |tx| Box::pin(find(tx, id))).await
    }

    /// Every source, oldest first.
    pub async fn all(&self) -> Result<Vec<Source>, Error> {
        self.0.inner.db.read(|tx| Box::pin(load_all(tx))).await
    }

    /// Every account, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        self.0.inner.db.read(|tx| Box::pin(load_accounts(tx))).await
    }

    /// One account.
    pub async fn account(&self, id: AccountId) -> Result<Versioned<Account>, Error> {
        self.0.inner.db.read(move |tx| Box::pin(account_of(tx, id))).await
    }

    /// Stores an account, or changes the one with this source and address: whose it is and what it is called.
    pub async fn save_account(&self, account: Account) -> Result<Account, Error> {
        let (inner, trail) = (&self.0.inner, self.0.trail());
        let saved = inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let saved = save_account(tx, account).await?;
                    trail.write(tx).await?;
                    Ok(saved)
                })
            })
            .await?;
        routing::follow(inner).await;
        Ok(saved)
    }

    /// Puts a changed account in the place of the version it was made from, and says which version it is now. Fails with
    /// [`Error::Stale`] if that version is not there any more. Its source and address are left as they are.
    pub async fn replace_account(&self, changed: Versioned<Account>) -> Result<i64, Error> {
        let (inner, trail) = (&self.0.inner, self.0.trail());
        let version = inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let version = replace_account(tx, &changed).await?;
                    trail.write(tx).await?;
                    Ok(version)
                })
            })
            .await?;
        routing::follow(inner).await;
        Ok(version)
    }
}

async fn save(tx: &mut Tx, source: &Source) -> Result<(), Error> {
    let sql = "INSERT INTO sources (id, app, platform, name, path, doc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (id) DO UPDATE SET app = ?2, platform = ?3, name = ?4, path = ?5, doc = ?6,
        version = sources.version + 1";
    path_is_free(tx.execute(sql, &columns(source)).await)?;
    routing::changed(tx).await
}

async fn replace(tx: &mut Tx, changed: &Versioned<Source>) -> Result<i64, Error> {
    let (source, version) = (&changed.thing, changed.version);
    let sql =
        "UPDATE sources SET app = ?2, platform = ?3, name = ?4, path = ?5, doc = ?6, version = version + 1
        WHERE id = ?1 AND version = ?7";
    let mut args = columns(source);
    args.push(version.into());
    if path_is_free(tx.execute(sql, &args).await)? == 0 {
        find(tx, source.id).await?;
        return Err(Error::Stale);
    }
    routing::changed(tx).await?;
    Ok(version + 1)
}

fn columns(source: &Source) -> Vec<Value> {
    vec![
        source.id.into(),
        source.app.into(),
        source.platform.as_str().into(),
        source.name.as_str().into(),
        Value::from(source.path.clone()),
        Doc::of(source).to_text().into(),
    ]
}

fn path_is_free(outcome: Result<u64, Error>) -> Result<u64, Error> {
    match outcome {
        Err(Error::Conflict(_)) => Err(Error::Conflict("another source has this path")),
        outcome => outcome,
    }
}

async fn find(tx: &mut Tx, id: SourceId) -> Result<Versioned<Source>, Error> {
    let sql = "SELECT id, app, platform, name, path, doc, version FROM sources WHERE id = ?1";
    let row = tx.fetch_one(sql, &[id.into()]).await?.ok_or(Error::NotFound("source"))?;
    Ok(Versioned { version: row.int(6)?, thing: source(&row)? })
}

async fn save_account(tx: &mut Tx, account: Account) -> Result<Account, Error> {
    let sql = "INSERT INTO accounts (id, source, app, address, name) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (source, address) DO UPDATE SET app = ?3, name = ?5, version = accounts.version + 1";
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

async fn replace_account(tx: &mut Tx, changed: &Versioned<Account>) -> Result<i64, Error> {
    let (account, version) = (&changed.thing, changed.version);
    let sql = "UPDATE accounts SET app = ?2, name = ?3, version = version + 1 WHERE id = ?1 AND version = ?4";
    let args = [account.id.into(), account.app.into(), Value::from(account.name.clone()), version.into()];
    if tx.execute(sql, &args).await? == 0 {
        account_of(tx, account.id).await?;
        return Err(Error::Stale);
    }
    routing::changed(tx).await?;
    Ok(version + 1)
}

async fn account_of(tx: &mut Tx, id: AccountId) -> Result<Versioned<Account>, Error> {
    let sql = "SELECT id, source, app, address, name, version FROM accounts WHERE id = ?1";
    let row = tx.fetch_one(sql, &[id.into()]).await?.ok_or(Error::NotFound("account"))?;
    Ok(Versioned { version: row.int(5)?, thing: account(&row)? })
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
        watchdog: Watchdog::parse(&doc.watchdog).unwrap_or(Watchdog::Tells),
        fetches_files: doc.fetches_files,
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
    #[serde(default)]
    watchdog: String,
    #[serde(default)]
    fetches_files: bool,
}

impl Doc {
    fn of(source: &Source) -> Doc {
        Doc {
            secrets: source.secrets.iter().map(SecretDoc::of).collect(),
            settings: source.settings.object().clone(),
            unknown_accounts: source.unknown_accounts.as_str().to_owned(),
            allowed_networks: source.allowed_networks.clone(),
            rate_per_second: source.rate_per_second,
            watchdog: source.watchdog.as_str().to_owned(),
            fetches_files: source.fetches_files,
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
