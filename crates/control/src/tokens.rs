//! Tokens: credentials for our API, known again by the hash of their text.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use model::access::{Role, Token};
use model::id::{AccountId, AppId, TokenId};
use model::page::{Page, PageRequest};
use model::secret::Secret;
use model::source::Account;
use model::time::Timestamp;

use crate::listing::page_of;
use crate::random::{Random, base62_of};
use crate::{Action, Actor, Control, Error, Words, check};

/// What a token's text begins with, for those who scan for leaked ones.
const PREFIX: &str = "gancho_";
/// How many random letters and digits follow: 256 bits.
const RANDOM_LENGTH: usize = 43;
/// How many digits of checksum end it.
const CHECK_LENGTH: u32 = 6;
/// The most tokens of an app, and of none.
const TOKENS_MAX: usize = 1_000;
/// The longest text that is looked at, in bytes.
const TEXT_MAX: usize = 200;
/// How long a token is remembered without asking the store: so long after another node has revoked it, it still works.
const REMEMBERED: Duration = Duration::from_secs(30);
/// The most tokens that are remembered.
const REMEMBERED_MAX: usize = 1_000;

/// Tokens.
pub struct Tokens<'c>(&'c Control);

impl Control {
    /// Tokens.
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens(self)
    }
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The one app it may touch.
    pub app: Option<AppId>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// Tokens seen lately, by the hash of their text, and until when that is good.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    tokens: HashMap<[u8; 32], (Token, Timestamp)>,
    /// How many were revoked here: what was read before one was is not remembered after it.
    revoked: u64,
}

impl Seen {
    fn get(&self, hash: &[u8; 32], now: Timestamp) -> Option<Token> {
        let held = self.held();
        held.tokens.get(hash).filter(|(_, until)| now < *until).map(|(token, _)| token.clone())
    }

    /// How many have been revoked so far, to be told to [`Seen::put`].
    fn revoked(&self) -> u64 {
        self.held().revoked
    }

    fn put(&self, hash: [u8; 32], token: Token, now: Timestamp, revoked_before: u64) {
        let mut held = self.held();
        if held.revoked != revoked_before {
            return;
        }
        if held.tokens.len() >= REMEMBERED_MAX {
            held.tokens.clear();
        }
        held.tokens.insert(hash, (token, now.plus(REMEMBERED)));
    }

    fn forget(&self, id: TokenId) {
        let mut held = self.held();
        held.revoked += 1;
        held.tokens.retain(|_, (token, _)| token.id != id);
    }

    fn held(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of a token's text.
pub fn hash(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    out
}

impl Tokens<'_> {
    /// Who shows this text, if it is a token that works. The store is asked for what looks like one and is not
    /// remembered, unless `may_look` has something against it, which is passed on.
    pub async fn authenticate<N>(
        &self,
        text: &str,
        may_look: impl FnOnce() -> Result<(), N>,
    ) -> Result<Result<Option<Actor>, N>, Error> {
        if text.len() > TEXT_MAX {
            return Ok(Ok(None));
        }
        let (hash, now) = (hash(text), self.0.now());
        let is_admin =
            self.0.admin_token_hash.is_some_and(|admin| verify_slices_are_equal(&admin, &hash).is_ok());
        if is_admin {
            return Ok(Ok(Some(Actor::of_this_machine("admin of the configuration"))));
        }
        if !is_well_formed(text) {
            return Ok(Ok(None));
        }
        let token = match self.0.seen.get(&hash, now) {
            Some(token) => Some(token),
            None => match may_look() {
                Ok(()) => self.look_up(hash, now).await?,
                Err(not_now) => return Ok(Err(not_now)),
            },
        };
        let token = token.filter(|token| token.expires_at.is_none_or(|end| now < end));
        Ok(Ok(token.as_ref().map(Actor::with)))
    }

    /// Makes a token. Returns it with its text, which is shown this once.
    pub async fn create(&self, actor: &Actor, new: NewToken) -> Result<(Token, Secret), Error> {
        actor.must(Action::ManageTokens)?;
        check::name(&new.name, "name")?;
        if new.role == Role::Number {
            let words = Words::new(
                "the key of a number is made for its account: POST /v1/accounts/{id}/key",
                "la clave de un número se crea para su cuenta: POST /v1/accounts/{id}/key",
            );
            return Err(Error::invalid("role", words));
        }
        if new.expires_at.is_some_and(|end| end <= self.0.now()) {
            let words = Words::new("a time that is still to come", "una hora que aún no ha llegado");
            return Err(Error::invalid("expires_at", words));
        }
        let app = actor.narrowed(new.app)?;
        if let Some(app) = app {
            self.0.apps().get(actor, app).await?;
        }
        let tokens = self.0.store.access().tokens().await?;
        check::room(tokens.iter().filter(|token| token.app == app).count(), TOKENS_MAX)?;
        self.save(actor, "token.create", (new, app, None)).await
    }

    /// Makes the key of an account, whose app this is. Those before it are revoked.
    pub(crate) async fn renew(&self, actor: &Actor, account: &Account) -> Result<Secret, Error> {
        let mut before = self.0.store.access().tokens().await?;
        before.retain(|token| token.account == Some(account.id));
        for token in before {
            self.0
                .acting(actor, token.app, "token.revoke", &token.id)
                .access()
                .revoke_token(token.id)
                .await?;
            self.0.seen.forget(token.id);
        }
        let name = format!("key of {}", account.id);
        let new = NewToken { name, role: Role::Number, app: Some(account.app), expires_at: None };
        let (_, text) = self.save(actor, "account.key", (new, Some(account.app), Some(account.id))).await?;
        Ok(text)
    }

    async fn save(
        &self,
        actor: &Actor,
        action: &str,
        (new, app, account): (NewToken, Option<AppId>, Option<AccountId>),
    ) -> Result<(Token, Secret), Error> {
        let text = text(&self.0.random);
        let hint = text[text.len() - 4..].to_owned();
        let id: TokenId = self.0.store.fresh_id();
        let token =
            Token { id, name: new.name, role: new.role, app, account, expires_at: new.expires_at, hint };
        let subject = account.map_or_else(|| id.to_string(), |account| account.to_string());
        let store = self.0.acting(actor, app, action, &subject);
        store.access().save_token(token.clone(), hash(&text).to_vec()).await?;
        Ok((token, Secret::new(text)))
    }

    /// Revokes a token: at once here, within half a minute on other nodes.
    pub async fn revoke(&self, actor: &Actor, id: TokenId) -> Result<(), Error> {
        actor.must(Action::ManageTokens)?;
        let token = self.find(actor, id).await?;
        self.0.acting(actor, token.app, "token.revoke", &id).access().revoke_token(id).await?;
        self.0.seen.forget(id);
        Ok(())
    }

    /// One token, without its text.
    pub async fn get(&self, actor: &Actor, id: TokenId) -> Result<Token, Error> {
        actor.must(Action::ManageTokens)?;
        self.find(actor, id).await
    }

    /// The tokens the actor sees, newest first, without their texts.
    pub async fn list(&self, actor: &Actor, page: PageRequest) -> Result<Page<Token>, Error> {
        actor.must(Action::ManageTokens)?;
        let mut tokens = self.0.store.access().tokens().await?;
        tokens.retain(|token| is_seen(actor, token));
        Ok(page_of(tokens, page, |token| token.id.raw()))
    }

    async fn look_up(&self, hash: [u8; 32], now: Timestamp) -> Result<Option<Token>, Error> {
        let revoked_before = self.0.seen.revoked();
        let found = self.0.store.access().token(hash.to_vec()).await?;
        if let Some(token) = &found {
            self.0.seen.put(hash, token.clone(), now, revoked_before);
        }
        Ok(found)
    }

    async fn find(&self, actor: &Actor, id: TokenId) -> Result<Token, Error> {
        let found = self.0.store.access().tokens().await?.into_iter().find(|token| token.id == id);
        found.filter(|token| is_seen(actor, token)).ok_or(Error::NotFound("token"))
    }
}

/// A token for all apps is nothing of one app's.
fn is_seen(actor: &Actor, token: &Token) -> bool {
    actor.app.is_none() || actor.app == token.app
}

fn text(random: &Random) -> String {
    let stem = format!("{PREFIX}{}", random.base62(RANDOM_LENGTH));
    let check = check_of(&stem);
    stem + &check
}

/// Whether the checksum is right: a mistyped token costs no look into the store.
fn is_well_formed(text: &str) -> bool {
    let length = PREFIX.len() + RANDOM_LENGTH;
    let parts = text.split_at_checked(length).filter(|(stem, _)| stem.starts_with(PREFIX));
    parts.is_some_and(|(stem, check)| check == check_of(stem))
}

fn check_of(stem: &str) -> String {
    base62_of(crc32fast::hash(stem.as_bytes()), CHECK_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_in_its_checksum_and_a_typo_is_seen() {
        let text = text(&Random::of(|bytes| bytes.fill(7)));
        assert_eq!(text.len(), 56);
        assert!(is_well_formed(&text));
        for wrong in
            [text.replace('7', "8"), text[1..].to_owned(), format!("{text}x"), String::new(), "ñ".repeat(40)]
        {
            assert!(!is_well_formed(&wrong), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_remembered_for_half_a_minute_and_forgotten_when_revoked() {
        let (seen, now) = (Seen::default(), Timestamp::from_secs(100));
        let id = TokenId::from_raw(1);
        let token = Token {
            id,
            name: "t".to_owned(),
            role: Role::Viewer,
            app: None,
            account: None,
            expires_at: None,
            hint: String::new(),
        };
        seen.put([1; 32], token.clone(), now, seen.revoked());
        assert!(seen.get(&[1; 32], now.plus(Duration::from_secs(29))).is_some());
        assert!(seen.get(&[1; 32], now.plus(REMEMBERED)).is_none());
        let read_before = seen.revoked();
        seen.forget(id);
        assert!(seen.get(&[1; 32], now).is_none());
        seen.put([1; 32], token, now, read_before);
        assert!(
            seen.get(&[1; 32], now).is_none(),
            "who was looked up while being revoked is not let in again"
        );
    }
}
