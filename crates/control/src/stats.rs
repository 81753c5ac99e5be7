//! What is waiting, how much is kept, and whether the store can be written to.

use std::time::Duration;

use futures_util::lock::Mutex;
use model::time::Timestamp;
pub use store::stats::{Backlog, Kept};

use crate::{Action, Actor, Control, Error};

/// How long a count is told again: counting reads a large store for seconds.
const COUNTED_FOR: Duration = Duration::from_secs(60);

/// What was counted last, and when. Who counts holds it.
#[derive(Default)]
pub(crate) struct Counted(Mutex<Option<(Kept, Timestamp)>>);

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

    /// How much is kept, and when that was counted. It is counted in small steps, by one caller at a time, and what was
    /// counted within the last minute is told again.
    pub async fn kept(&self, actor: &Actor) -> Result<(Kept, Timestamp), Error> {
        actor.must(Action::Operate)?;
        actor.must_be_unbound()?;
        let mut counted = self.0.counted.0.lock().await;
        let is_fresh = |at: Timestamp| self.0.now() < at.plus(COUNTED_FOR);
        if let Some((kept, at)) = counted.filter(|(_, at)| is_fresh(*at)) {
            return Ok((kept, at));
        }
        let fresh = (self.0.store.stats().kept().await?, self.0.now());
        *counted = Some(fresh);
        Ok(fresh)
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
