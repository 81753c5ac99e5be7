//! Contacts: the people at the other end.

use model::conversation::Contact;
use model::id::{AppId, ContactId};
use model::page::{Page, PageRequest};

use crate::{Action, Actor, Control, Error};

/// Contacts.
pub struct Contacts<'c>(&'c Control);

impl Control {
    /// Contacts.
    pub fn contacts(&self) -> Contacts<'_> {
        Contacts(self)
    }
}

impl Contacts<'_> {
    /// One contact with everything they are known by.
    pub async fn get(&self, actor: &Actor, id: ContactId) -> Result<Contact, Error> {
        actor.must(Action::Read)?;
        let contact = self.0.store.conversations().contact(id).await?;
        actor.must_see(contact.app, "contact")?;
        Ok(contact)
    }

    /// Contacts, newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        app: Option<AppId>,
        page: PageRequest,
    ) -> Result<Page<Contact>, Error> {
        actor.must(Action::Read)?;
        Ok(self.0.store.conversations().contacts(actor.narrowed(app)?, page).await?)
    }
}
