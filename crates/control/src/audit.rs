//! The audit log, to be read: who did what.

use model::page::{Page, PageRequest};
pub use store::audit::{AuditFilter, AuditLine, Who};

use crate::{Action, Actor, Control, Error};

/// The audit log.
pub struct Audit<'c>(&'c Control);

impl Control {
    /// The audit log.
    pub fn audit(&self) -> Audit<'_> {
        Audit(self)
    }
}

impl Audit<'_> {
    /// Lines, newest first. Who is bound to an app sees those that concern it.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditLine>, Error> {
        actor.must(Action::ReadAudit)?;
        let filter = AuditFilter { app: actor.narrowed(filter.app)?, ..filter };
        Ok(self.0.store.audit().list(filter, page).await?)
    }
}
