//! The APIs of chat platforms that take messages, in their simplest: what is well asked is taken and remembered
//! (platforms.md sections 2, 3 and 5 to 13).

mod api;
mod hooks;

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use model::secret::Secret;
use serde_json::Value;

use self::api::Api;
pub use self::hooks::Hook;
use self::hooks::Hooks;
use crate::log::{Log, TooFew};
use crate::server::{Answer, Cut, Handler, Heard, Server};

/// The header in which LINE is told that a call may be a repeat.
const RETRY_KEY: &str = "x-line-retry-key";
/// How many calls are remembered; older ones are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// A call that was taken.
#[derive(Clone, PartialEq, Debug)]
pub struct Called {
    /// The method of HTTP.
    pub method: Method,
    /// The path, without a token that is a part of it.
    pub path: String,
    /// The body; `null` where there is none.
    pub body: Value,
    /// The id that its message was given.
    pub message_id: String,
}

/// The APIs of Telegram, Messenger, Instagram, Discord, WATI, LINE, Slack, Viber, Twilio, the on-premises client of WhatsApp and
/// 360dialog, on one port.
pub struct Chats {
    server: Server<Desk>,
    desk: Desk,
}

impl Chats {
    /// Starts on a free port of loopback. Whoever shows the token may send.
    pub async fn start(token: Secret) -> io::Result<Chats> {
        let calls = Arc::new(Log::keeping(REMEMBERED_MAX));
        let desk = Desk {
            token: Arc::new(token),
            calls,
            limited: Arc::default(),
            lost: Arc::default(),
            keys: Arc::default(),
            hooks: Arc::new(Hooks::new()?),
        };
        Ok(Chats { server: Server::start(desk.clone()).await?, desk })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Has the next so many calls come back later: every platform says so in its own words.
    pub fn limit(&self, calls: u32) {
        self.desk.limited.store(calls, Ordering::Relaxed);
    }

    /// Takes the next so many calls and closes without an answer.
    pub fn lose_answers(&self, calls: u32) {
        self.desk.lost.store(calls, Ordering::Relaxed);
    }

    /// Where each platform was told to call, in the order it was told.
    pub fn hooks(&self) -> Vec<Hook> {
        self.desk.hooks.all()
    }

    /// Has every platform call another URL, or none, behind the back of whoever registered there.
    pub fn replace_hooks(&self, url: Option<&str>) {
        self.desk.hooks.replace(url);
    }

    /// How many calls were taken.
    pub fn count(&self) -> usize {
        self.desk.calls.all().len()
    }

    /// Waits until so many calls were taken, and gives them.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> Result<Vec<Called>, TooFew> {
        let calls = self.desk.calls.wait_for(count, deadline).await?;
        Ok(calls.into_iter().map(|call| Called::clone(&call)).collect())
    }
}

#[derive(Clone)]
struct Desk {
    token: Arc<Secret>,
    calls: Arc<Log<Called>>,
    limited: Arc<AtomicU32>,
    lost: Arc<AtomicU32>,
    /// Keys of calls that were taken, by which a repeat is known.
    keys: Arc<Mutex<HashSet<String>>>,
    hooks: Arc<Hooks>,
}

impl Handler for Desk {
    async fn handle(&self, heard: Heard) -> Result<Answer, Cut> {
        if let Some(place) = hooks::Place::of(&heard) {
            return Ok(self.hooks.answer(&place, &heard, self.token.expose()).await);
        }
        let Some((api, path)) = Api::of(&heard) else {
            return Ok(Answer::empty(StatusCode::NOT_FOUND));
        };
        if !api.is_shown(&heard, self.token.expose()) {
            return Ok(api.unknown());
        }
        let less = |left: u32| left.checked_sub(1);
        let key = heard.header(RETRY_KEY).map(str::to_owned);
        if key.as_ref().is_some_and(|key| self.has_taken(key)) {
            return Ok(Api::repeated());
        }
        if self.limited.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return Ok(api.limited());
        }
        let body = api.read(&heard.body);
        let call = self.calls.push(|number| {
            let message_id = api.message_id(number);
            Called { method: heard.method, path, body, message_id }
        });
        key.map(|key| self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key));
        match self.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => Err(Cut::Close),
            Err(_) => Ok(api.taken(&call)),
        }
    }
}

impl Desk {
    fn has_taken(&self, key: &str) -> bool {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}
