//! What the page is about: the customer, the conversation, and those who look at it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::super::stage::cast::Cast;
use super::page::{self, About, NAME_MAX, View};
use super::reader::Reader;
use super::texts::Texts;
use super::thread::Thread;

/// How often the conversation is looked at while somebody listens: faster than anybody reads.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How many browsers may listen.
const LISTENERS_MAX: usize = 16;

/// Everything that the page is made of.
pub(super) struct Desk {
    about: About,
    cast: Cast,
    reader: tokio::sync::Mutex<Reader>,
    thread: watch::Sender<Arc<Thread>>,
    name: Mutex<String>,
    lets_fail: AtomicBool,
    /// Held while something is said, so that messages are in the order they were written in.
    saying: tokio::sync::Mutex<()>,
    form_token: String,
    listeners: Arc<Semaphore>,
    closing: CancellationToken,
}

impl Desk {
    /// A page for one customer, until it is closed.
    pub(super) fn new(
        about: About,
        cast: Cast,
        reader: Reader,
        form_token: String,
        closing: CancellationToken,
    ) -> Arc<Desk> {
        Arc::new(Desk {
            about,
            cast,
            reader: tokio::sync::Mutex::new(reader),
            thread: watch::Sender::default(),
            name: Mutex::new(super::NAME.to_owned()),
            lets_fail: AtomicBool::default(),
            saying: tokio::sync::Mutex::default(),
            form_token,
            listeners: Arc::new(Semaphore::new(LISTENERS_MAX)),
            closing,
        })
    }

    /// What is simulated.
    pub(super) fn about(&self) -> &About {
        &self.about
    }

    /// Shows that a form is of this page.
    pub(super) fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Cancelled when the simulation ends.
    pub(super) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Looks at the conversation, and tells those who listen what has changed.
    pub(super) async fn look(&self) -> Result<Arc<Thread>, control::Error> {
        let thread = Arc::new(self.reader.lock().await.read().await?);
        self.thread.send_if_modified(|held| {
            let is_changed = *held != thread;
            *held = Arc::clone(&thread);
            is_changed
        });
        Ok(thread)
    }

    /// Looks again and again, as long as somebody listens.
    pub(super) async fn follow(&self) {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if self.thread.receiver_count() > 0
                && let Err(error) = self.look().await
            {
                tracing::warn!(%error, "the conversation could not be read");
            }
        }
    }

    /// The changes from now on, and a place among those who listen, where there is one.
    pub(super) fn changes(&self) -> Option<(watch::Receiver<Arc<Thread>>, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.listeners).try_acquire_owned().ok()?;
        Some((self.thread.subscribe(), place))
    }

    /// The page as it is now, with why what was sent has not come in, and what that was.
    pub(super) async fn page(
        &self,
        texts: &'static Texts,
        notice: Option<(&str, &str)>,
    ) -> Result<String, control::Error> {
        let thread = self.look().await?;
        let (name, form_token) = (self.name(), self.form_token.as_str());
        let lets_fail = self.cast.can_fail().then(|| self.lets_fail.load(Ordering::Relaxed));
        let view = View { about: &self.about, texts, name: &name, lets_fail, form_token, notice };
        Ok(page::page(&view, &thread))
    }

    /// Writes a text as the customer, by this name or else by the last one, and says why it has not come in.
    pub(super) async fn say(
        &self,
        texts: &Texts,
        name: &str,
        text: &str,
        lets_fail: bool,
    ) -> Result<(), String> {
        let _turn = self.saying.lock().await;
        let name: String = name.trim().chars().filter(|letter| !letter.is_control()).take(NAME_MAX).collect();
        if !name.is_empty() {
            *self.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
        }
        self.lets_fail.store(lets_fail, Ordering::Relaxed);
        self.cast.let_fail(lets_fail);
        let person = self.cast.person(self.about.platform, &self.name()).ok_or(texts.not_stored)?;
        match person.says(text).await {
            Ok(heard) if heard.is_acknowledged => Ok(()),
            Ok(heard) => Err(format!("{} ({})", texts.not_stored, heard.words)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn name(&self) -> String {
        self.name.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
