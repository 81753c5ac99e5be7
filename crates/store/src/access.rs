//! Apps, tokens and answers already given.

use std::time::Duration;

use model::access::{App, Role, Token};
use model::id::{AppId, TokenId};
use model::time::Timestamp;

use crate::Store;
use crate::db::Tx;
use crate::digest::fingerprint;
use crate::error::Error;
use crate::value::{Row, Value};
use crate::version::Versioned;

/// How long a request may be under way before its key counts as left behind by a process that ended.
const KEY_LEFT_AFTER: Duration = Duration::from_secs(60);

/// Apps, tokens and answers already given.
pub struct Access<'s>(&'s Store);

impl Store {
    /// Apps, tokens and answers already given.
    pub fn access(&self) -> Access<'_> {
        Access(self)
    }
}

/// What is known of an idempotency key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// It is new and now ours: answer, then say so with [`Access::answered`].
    Fresh,
    /// The same request is under way.
    UnderWay,
    /// The same request was answered with this.
    Answered(String),
    /// The key was used with another request.
    OtherRequest,
}

impl Access<'_> {
    /// Stores an app, or renames it.
    pub async fn save_app(&self, app: App) -> Result<(), Error> {
        let sql = "INSERT INTO apps (id, name) VALUES (?1, ?2)
            ON CONFLICT (id) DO UPDATE SET name = ?2, version = apps.version + 1";
        self.act(sql, vec![app.id.into(), app.name.into()]).await.map(|_| ())
    }

    /// Puts a renamed app in the place of the version it was made from, and says which version it is now. Fails with
    /// [`Error::Stale`] if that version is not there any more.
    pub async fn replace_app(&self, changed: Versioned<App>) -> Result<i64, Error> {
        let Versioned { version, thing: app } = changed;
        let sql = "UPDATE apps SET name = ?2, version = version + 1 WHERE id = ?1 AND version = ?3";
        match self.act(sql, vec![app.id.into(), app.name.into(), version.into()]).await? {
            0 => self.app(app.id).await.and(Err(Error::Stale)),
            _ => Ok(version + 1),
        }
    }

    /// One app.
    pub async fn app(&self, id: AppId) -> Result<Versioned<App>, Error> {
        let rows = self.query("SELECT id, name, version FROM apps WHERE id = ?1", vec![id.into()]).await?;
        let row = rows.first().ok_or(Error::NotFound("app"))?;
        Ok(Versioned { version: row.int(2)?, thing: app(row)? })
    }

    /// Every app, oldest first.
    pub async fn apps(&self) -> Result<Vec<App>, Error> {
        let rows = self.query("SELECT id, name FROM apps ORDER BY id", Vec::new()).await?;
        rows.iter().map(app).collect()
    }

    /// Stores a token by the hash of its text.
    pub async fn save_token(&self, token: Token, hash: Vec<u8>) -> Result<(), Error> {
        let sql = "INSERT INTO tokens (id, app, role, name, hint, expires_at, token_hash, account)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let args = vec![
            token.id.into(),
            Value::from(token.app),
            token.role.as_str().into(),
            token.name.into(),
            token.hint.into(),
            Value::from(token.expires_at),
            hash.into(),
            Value::from(token.account),
        ];
        self.act(sql, args).await.map(|_| ())
    }

    /// The token whose text has this hash, expired or not.
    pub async fn token(&self, hash: Vec<u8>) -> Result<Option<Token>, Error> {
        let sql = "SELECT id, app, role, name, hint, expires_at, account FROM tokens WHERE token_hash = ?1";
        self.query(sql, vec![hash.into()]).await?.first().map(token).transpose()
    }

    /// Every token, oldest first.
    pub async fn tokens(&self) -> Result<Vec<Token>, Error> {
        let sql = "SELECT id, app, role, name, hint, expires_at, account FROM tokens ORDER BY id";
        self.query(sql, Vec::new()).await?.iter().map(token).collect()
    }

    /// Revokes a token at once.
    pub async fn revoke_token(&self, id: TokenId) -> Result<(), Error> {
        match self.act("DELETE FROM tokens WHERE id = ?1", vec![id.into()]).await? {
            0 => Err(Error::NotFound("token")),
            _ => Ok(()),
        }
    }

    /// Takes an idempotency key for a caller and route, bound to the request's bytes. A key that was taken a minute ago
    /// and never answered passes on.
    pub async fn claim_key(
        &self,
        caller: i64,
        route: &str,
        key: &str,
        body_check: i64,
    ) -> Result<Claim, Error> {
        let print = fingerprint(caller, &[route.as_bytes(), key.as_bytes()]);
        let now = self.0.inner.clock.now();
        self.0
            .inner
            .db
            .write(move |tx| {
                Box::pin(async move { claim_key(tx, print.key1, print.key2, body_check, now).await })
            })
            .await
    }

    /// Remembers the answer given under a key; `None` gives the key back, for requests that failed.
    pub async fn answered(
        &self,
        caller: i64,
        route: &str,
        key: &str,
        answer: Option<String>,
    ) -> Result<(), Error> {
        let print = fingerprint(caller, &[route.as_bytes(), key.as_bytes()]);
        let (key1, key2) = (Value::Int(print.key1), Value::Int(print.key2));
        match answer {
            Some(answer) => {
                let sql = "UPDATE idempotency SET answer = ?3 WHERE key1 = ?1 AND key2 = ?2";
                self.change(sql, vec![key1, key2, answer.into()]).await
            }
            None => {
                let sql = "DELETE FROM idempotency WHERE key1 = ?1 AND key2 = ?2 AND answer IS NULL";
                self.change(sql, vec![key1, key2]).await
            }
        }
        .map(|_| ())
    }

    async fn change(&self, sql: &'static str, args: Vec<Value>) -> Result<u64, Error> {
        self.0.inner.db.write(move |tx| Box::pin(async move { tx.execute(sql, &args).await })).await
    }

    /// A change that somebody makes.
    async fn act(&self, sql: &'static str, args: Vec<Value>) -> Result<u64, Error> {
        let trail = self.0.trail();
        let job = async move |tx: &mut Tx| {
            let touched = tx.execute(sql, &args).await?;
            if touched > 0 {
                trail.write(tx).await?;
            }
            Ok(touched)
        };
        self.0.inner.db.write(move |tx| Box::pin(job(tx))).await
    }

    async fn query(&self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.0.inner.db.read(move |tx| Box::pin(async move { tx.fetch_all(sql, &args).await })).await
    }
}

async fn claim_key(
    tx: &mut Tx,
    key1: i64,
    key2: i64,
    body_check: i64,
    now: Timestamp,
) -> Result<Claim, Error> {
    let insert = "INSERT INTO idempotency (key1, key2, body_hash, made_at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO NOTHING";
    let args = [Value::Int(key1), Value::Int(key2), Value::Int(body_check), now.into()];
    if tx.execute(insert, &args).await? == 1 {
        return Ok(Claim::Fresh);
    }
    let sql = "SELECT body_hash, answer, made_at FROM idempotency WHERE key1 = ?1 AND key2 = ?2";
    let Some(row) = tx.fetch_one(sql, &args[..2]).await? else {
        return Ok(Claim::UnderWay);
    };
    if row.int(0)? != body_check {
        return Ok(Claim::OtherRequest);
    }
    if let Some(answer) = row.opt_text(1)? {
        return Ok(Claim::Answered(answer));
    }
    let taken_at = row.time(2)?;
    let sql = "UPDATE idempotency SET made_at = ?3 WHERE key1 = ?1 AND key2 = ?2 AND made_at = ?4 AND answer IS NULL";
    let args = [Value::Int(key1), Value::Int(key2), now.into(), taken_at.into()];
    if now.since(taken_at) < KEY_LEFT_AFTER || tx.execute(sql, &args).await? == 0 {
        return Ok(Claim::UnderWay);
    }
    Ok(Claim::Fresh)
}

fn app(row: &Row) -> Result<App, Error> {
    Ok(App { id: row.id(0)?, name: row.text(1)?.to_owned() })
}

fn token(row: &Row) -> Result<Token, Error> {
    let id: TokenId = row.id(0)?;
    Ok(Token {
        id,
        app: row.opt_id(1)?,
        role: Role::parse(row.text(2)?).ok_or_else(|| Error::Corrupt(format!("tokens.role of {id}")))?,
        name: row.text(3)?.to_owned(),
        hint: row.text(4)?.to_owned(),
        expires_at: row.opt_time(5)?,
        account: row.opt_id(6)?,
    })
}
