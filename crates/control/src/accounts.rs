//! Accounts: addresses on sources, and whose they are.

use model::id::{AccountId, AppId, SourceId};
use model::page::{Page, PageRequest};
use model::source::{ACCOUNTS_MAX, ADDRESS_BYTES_MAX, Account};

use crate::listing::page_of;
use crate::version::{Expected, Versioned, until_fresh};
use crate::{Action, Actor, Control, Error, Words, check};

/// Accounts.
pub struct Accounts<'c>(&'c Control);

impl Control {
    /// Accounts.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts(self)
    }
}

/// An account to be named before, or after, the platform has.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The source it is on.
    pub source: SourceId,
    /// Who its events belong to; the source's app when absent.
    pub app: Option<AppId>,
    /// The platform's own name for it.
    pub address: String,
    /// What people call it.
    pub name: Option<String>,
}

/// What is to change of an account; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// Who its events belong to.
    pub app: Option<AppId>,
    /// What people call it, or nothing any more.
    pub name: Option<Option<String>>,
}

impl Accounts<'_> {
    /// Names an account of a source. One that is there already is a conflict.
    pub async fn create(&self, actor: &Actor, new: NewAccount) -> Result<Versioned<Account>, Error> {
        actor.must(Action::Configure)?;
        let source = self.0.sources().find(actor, new.source).await?.thing;
        self.0.sources().must_be_unshared(actor, source.id)?;
        if new.address.len() > ADDRESS_BYTES_MAX || new.address.chars().any(char::is_control) {
            let words = Words::new(
                format!("an address has at most {ADDRESS_BYTES_MAX} bytes"),
                format!("una dirección tiene como máximo {ADDRESS_BYTES_MAX} bytes"),
            );
            return Err(Error::invalid("address", words));
        }
        let accounts = self.0.store.sources().accounts().await?;
        if accounts.iter().any(|account| account.source == source.id && account.address == new.address) {
            return Err(Error::conflict(
                "the source has this account already",
                "la fuente ya tiene esta cuenta",
            ));
        }
        check::room(accounts.iter().filter(|account| account.source == source.id).count(), ACCOUNTS_MAX)?;
        let app = match new.app {
            Some(app) => self.0.apps().owner(actor, Some(app)).await?,
            None => source.app,
        };
        let id = self.0.store.fresh_id();
        let account = Account { id, source: source.id, app, address: new.address, name: new.name };
        checked(&account)?;
        let store = self.0.acting(actor, Some(app), "account.create", &id);
        Ok(Versioned { version: 1, thing: store.sources().save_account(account).await? })
    }

    /// Says whose an account is, or what people call it. Only who is bound to no app may give it to another.
    pub async fn update(
        &self,
        actor: &Actor,
        id: AccountId,
        expected: &Expected,
        change: AccountChange,
    ) -> Result<Versioned<Account>, Error> {
        actor.must(Action::Configure)?;
        until_fresh(|| async {
            let mut found = self.find(actor, id).await?;
            expected.check(found.version)?;
            let account = &mut found.thing;
            if let Some(app) = change.app {
                account.app = self.0.apps().owner(actor, Some(app)).await?;
            }
            account.name = change.name.clone().unwrap_or(account.name.take());
            checked(account)?;
            let store = self.0.acting(actor, Some(account.app), "account.update", &id);
            Ok(Versioned { version: store.sources().replace_account(found.clone()).await?, ..found })
        })
        .await
    }

    /// One account.
    pub async fn get(&self, actor: &Actor, id: AccountId) -> Result<Versioned<Account>, Error> {
        actor.must(Action::Read)?;
        self.find(actor, id).await
    }

    /// The accounts the actor sees, of one source where one is named, newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        source: Option<SourceId>,
        page: PageRequest,
    ) -> Result<Page<Account>, Error> {
        actor.must(Action::Read)?;
        let mut accounts = self.0.store.sources().accounts().await?;
        accounts.retain(|one| actor.sees(one.app) && source.is_none_or(|source| one.source == source));
        Ok(page_of(accounts, page, |account| account.id.raw()))
    }

    pub(crate) async fn find(&self, actor: &Actor, id: AccountId) -> Result<Versioned<Account>, Error> {
        let found = self.0.store.sources().account(id).await?;
        actor.must_see(found.thing.app, "account")?;
        Ok(found)
    }
}

fn checked(account: &Account) -> Result<(), Error> {
    account.name.as_deref().map_or(Ok(()), |name| check::name(name, "name"))
}
