//! Apps: the owners of endpoints.

use model::access::App;
use model::id::AppId;
use model::page::{Page, PageRequest};

use crate::listing::page_of;
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
    pub async fn create(&self, actor: &Actor, name: &str) -> Result<App, Error> {
        actor.must(Action::Configure)?;
        actor.must_be_unbound()?;
        self.save(actor, App { id: self.0.store.fresh_id(), name: name.to_owned() }, "app.create").await
    }

    /// Renames an app.
    pub async fn rename(&self, actor: &Actor, id: AppId, name: &str) -> Result<App, Error> {
        actor.must(Action::Configure)?;
        self.find(actor, id).await?;
        self.save(actor, App { id, name: name.to_owned() }, "app.update").await
    }

    /// One app.
    pub async fn get(&self, actor: &Actor, id: AppId) -> Result<App, Error> {
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

    async fn save(&self, actor: &Actor, app: App, action: &str) -> Result<App, Error> {
        check::name(&app.name, "name")?;
        self.0.store.access().save_app(app.clone()).await?;
        self.0.audit(actor, Some(app.id), action, app.id.to_string()).await?;
        Ok(app)
    }

    async fn find(&self, actor: &Actor, id: AppId) -> Result<App, Error> {
        actor.must_see(id, "app")?;
        let apps = self.0.store.access().apps().await?;
        apps.into_iter().find(|app| app.id == id).ok_or(Error::NotFound("app"))
    }

    /// Whose a new thing is: the app asked for, the actor's own, or the only one there is. Where there is none yet,
    /// the first is made, so that a newcomer need not know about apps.
    pub(crate) async fn owner(&self, actor: &Actor, asked: Option<AppId>) -> Result<AppId, Error> {
        if let Some(app) = actor.narrowed(asked)? {
            return Ok(self.find(actor, app).await?.id);
        }
        match self.0.store.access().apps().await?.as_slice() {
            [] => Ok(self.create(actor, FIRST_APP).await?.id),
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
