//! Apps: the owners of endpoints.

use model::access::App;
use model::id::AppId;
use model::page::{Page, PageRequest};

use crate::listing::page_of;
use crate::version::{Expected, Versioned, until_fresh};
use crate::{Action, Actor, Control, Error, Words, check};

/// What the first app is called when nobody has made one.
const FIRST_APP: &str = "default";

/// Apps.
pub struct Apps<'c>(&'c Control);

impl Control {
    /// Apps.
    pub fn apps(&self) -> Apps<'_> {
        Apps(self)
    }
}

impl Apps<'_> {
    /// Makes an app. Only who is bound to none may.
    pub async fn create(&self, actor: &Actor, name: &str) -> Result<Versioned<App>, Error> {
        actor.must(Action::Configure)?;
        actor.must_be_unbound()?;
        check::name(name, "name")?;
        let app = App { id: self.0.store.fresh_id(), name: name.to_owned() };
        self.0.acting(actor, Some(app.id), "app.create", &app.id).access().save_app(app.clone()).await?;
        Ok(Versioned { version: 1, thing: app })
    }

    /// Renames an app.
    pub async fn rename(
        &self,
        actor: &Actor,
        id: AppId,
        expected: &Expected,
        name: &str,
    ) -> Result<Versioned<App>, Error> {
        actor.must(Action::Configure)?;
        check::name(name, "name")?;
        until_fresh(|| async {
            let mut app = self.find(actor, id).await?;
            expected.check(app.version)?;
            app.thing.name = name.to_owned();
            let store = self.0.acting(actor, Some(id), "app.update", &id);
            Ok(Versioned { version: store.access().replace_app(app.clone()).await?, ..app })
        })
        .await
    }

    /// One app.
    pub async fn get(&self, actor: &Actor, id: AppId) -> Result<Versioned<App>, Error> {
        actor.must(Action::Read)?;
        self.find(actor, id).await
    }

    /// The apps the actor sees, newest first.
    pub async fn list(&self, actor: &Actor, page: PageRequest) -> Result<Page<App>, Error> {
        actor.must(Action::Read)?;
        let mut apps = self.0.store.access().apps().await?;
        apps.retain(|app| actor.sees(app.id));
        Ok(page_of(apps, page, |app| app.id.raw()))
    }

    async fn find(&self, actor: &Actor, id: AppId) -> Result<Versioned<App>, Error> {
        actor.must_see(id, "app")?;
        Ok(self.0.store.access().app(id).await?)
    }

    /// Whose a new thing is: the app asked for, the actor's own, or the only one there is. Where there is none yet,
    /// the first is made, so that a newcomer need not know about apps.
    pub(crate) async fn owner(&self, actor: &Actor, asked: Option<AppId>) -> Result<AppId, Error> {
        if let Some(app) = actor.narrowed(asked)? {
            return Ok(self.find(actor, app).await?.thing.id);
        }
        match self.0.store.access().apps().await?.as_slice() {
            [] => Ok(self.create(actor, FIRST_APP).await?.thing.id),
            [only] => Ok(only.id),
            _ => {
                let words = Words::new(
                    "there are several apps: say whose it is",
                    "hay varias apps: indica de cuál es",
                );
                Err(Error::invalid("app", words))
            }
        }
    }
}
