//! What is waiting, whether everything adds up, and whether the store can be written to.

pub use store::stats::{Backlog, Counts};

use crate::{Action, Actor, Control, Error};

/// Counts and checks. They concern every app.
pub struct Stats<'c>(&'c Control);

impl Control {
    /// Counts and checks.
    pub fn stats(&self) -> Stats<'_> {
        Stats(self)
    }
}

impl Stats<'_> {
    /// What is waiting now.
    pub async fn backlog(&self, actor: &Actor) -> Result<Backlog, Error> {
        actor.must(Action::Read)?;
        actor.must_be_unbound()?;
        Ok(self.0.store.stats().backlog().await?)
    }

    /// Counts everything and checks that it adds up. Reads every row: not to be asked often.
    pub async fn counts(&self, actor: &Actor) -> Result<Counts, Error> {
        actor.must(Action::Operate)?;
        actor.must_be_unbound()?;
        Ok(self.0.store.stats().counts().await?)
    }

    /// Fails unless the store can be trusted and a write reaches the disk now.
    pub async fn check_health(&self, actor: &Actor) -> Result<(), Error> {
        actor.must(Action::Read)?;
        if !self.0.store.is_sound() {
            return Err(Error::Unavailable(store::Error::Fatal));
        }
        Ok(self.0.store.stats().ping().await?)
    }
}
