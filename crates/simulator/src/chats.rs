//! The APIs of chat platforms that take messages, in their simplest: what is well asked is taken and remembered
//! (platforms.md sections 2, 3 and 5 to 13). Where it is known, the gateway hears what customers write and how far answers came.

mod api;
mod hooks;
mod line;
mod manner;
mod pictures;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use model::secret::Secret;
use model::time::Clock;
use serde_json::Value;
use tokio::sync::oneshot;

use self::api::Api;
pub use self::hooks::Hook;
use self::hooks::Hooks;
pub use self::line::Customer;
use self::line::Line;
use self::manner::Manner;
use self::pictures::Pictures;
use crate::log::{Log, TooFew};
use crate::owed::{Owed, Place};
use crate::sender::Sender;
use crate::server::{Answer, Cut, Handler, Heard, Server};

/// The header in which LINE is told that a call may be a repeat.
const RETRY_KEY: &str = "x-line-retry-key";
/// How many calls are remembered; older ones are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// The platforms whose APIs are played.
pub const PLATFORMS: [&str; 11] = [
    "telegram",
    "messenger",
    "instagram",
    "discord",
    "wati",
    "line",
    "slack",
    "viber",
    "twilio",
    "whatsapp_onpremises",
    "dialog360",
];

/// How far a platform tells that a message came, in order; none where it tells nothing. Messenger does not say which
/// messages were read.
pub fn steps(platform: &str) -> &'static [&'static str] {
    match platform {
        "messenger" => &["delivered"],
        "instagram" => &["read"],
        "wati" | "viber" => &["delivered", "read"],
        "twilio" | "whatsapp_onpremises" | "dialog360" => &["sent", "delivered", "read"],
        _ => &[],
    }
}

/// A call that was taken.
#[derive(Clone, PartialEq, Debug)]
pub struct Called {
    /// The platform that it was made to; nobody's where it names no account that is known, or is no message.
    pub platform: Option<&'static str>,
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
            lines: Arc::default(),
            owed: Arc::default(),
            manner: Arc::default(),
            pictures: Arc::default(),
        };
        Ok(Chats { server: Server::start(desk.clone()).await?, desk })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Sends a platform's webhooks to the URL of its source, through this sender, from now on: what customers write, and the statuses
    /// of what is taken after this; Twilio's too, whether or not a call named a place for them. Fails without threads.
    pub fn webhooks_to(&self, url: &str, sender: Sender, clock: Clock) -> io::Result<()> {
        let line = Line::to(url, sender, clock, Arc::clone(&self.desk.manner))?;
        self.desk.lines().insert(line.platform(), Arc::new(line));
        Ok(())
    }

    /// A person on a platform; nobody where [`Chats::webhooks_to`] has not said where its webhooks go.
    pub fn customer(&self, platform: &str, name: &str) -> Option<Customer> {
        let line = self.desk.line(platform)?;
        let (owed, pictures) = (Arc::clone(&self.desk.owed), Arc::clone(&self.desk.pictures));
        Some(Customer { line, owed, pictures, base: self.url(), contact: None, name: name.to_owned() })
    }

    /// Waits until every status of what was taken, and every message that was tried again, has been acknowledged or dropped.
    pub async fn settled(&self) {
        self.desk.owed.settled().await;
    }

    /// Whether every webhook is sent twice, both at the same time.
    pub fn duplicates(&self, on: bool) {
        self.desk.manner.doubles.turn(on);
    }

    /// Whether webhooks are proven with a secret that is not the source's. Tries that come once it is off are genuine again.
    pub fn wrong_signature(&self, on: bool) {
        self.desk.manner.lies.turn(on);
    }

    /// Whether a call is answered only after its statuses have been acknowledged or dropped.
    pub fn early_statuses(&self, on: bool) {
        self.desk.manner.is_early.turn(on);
    }

    /// Whether the last status of a message comes first.
    pub fn backward_statuses(&self, on: bool) {
        self.desk.manner.is_backwards.turn(on);
    }

    /// How long a call waits for its answer once it was taken.
    pub fn answers_after(&self, delay: Duration) {
        self.desk.manner.answer_after(delay);
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

    /// The last 10,000 calls that were taken, oldest first.
    pub fn calls(&self) -> Vec<Arc<Called>> {
        self.desk.calls.all()
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

impl Drop for Chats {
    fn drop(&mut self) {
        self.desk.owed.stop();
    }
}

#[derive(Clone)]
struct Desk {
    token: Arc<Secret>,
    calls: Arc<Log<Called>>,
    limited: Arc<AtomicU32>,
    lost: Arc<AtomicU32>,
    /// Keys of calls that were taken, by which a repeat is known.
    keys: Arc<Mutex<HashMap<String, Arc<Called>>>>,
    hooks: Arc<Hooks>,
    /// The ways to the gateway, by platform.
    lines: Arc<Mutex<Lines>>,
    owed: Arc<Owed>,
    manner: Arc<Manner>,
    pictures: Arc<Pictures>,
}

type Lines = BTreeMap<&'static str, Arc<Line>>;

impl Handler for Desk {
    async fn handle(&self, heard: Heard) -> Result<Answer, Cut> {
        if let Some(place) = hooks::Place::of(&heard) {
            return Ok(self.hooks.answer(&place, &heard, self.token.expose()).await);
        }
        if let Some(answer) = self.pictures.answer(&heard, self.token.expose()) {
            return Ok(answer);
        }
        let Some((api, path)) = Api::of(&heard) else {
            return Ok(Answer::empty(StatusCode::NOT_FOUND));
        };
        if !api.is_shown(&heard, self.token.expose()) {
            return Ok(api.unknown());
        }
        let less = |left: u32| left.checked_sub(1);
        let body = api.read(&heard.body);
        let key = heard.header(RETRY_KEY).or(body["nonce"].as_str()).map(str::to_owned);
        if let Some(taken) = key.as_ref().and_then(|key| self.taken_as(key)) {
            return Ok(api.repeated(&taken));
        }
        if self.limited.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return Ok(api.limited());
        }
        // From here on nothing waits until the statuses are owed: a caller who goes away does not call them off.
        let place = self.owed.place().await;
        let call = self.calls.push(|number| {
            let message_id = api.message_id(number);
            let platform = api.platform(&path, &body);
            Called { platform, method: heard.method, path, body, message_id }
        });
        key.map(|key| self.keys().insert(key, Arc::clone(&call)));
        let until_given = self.owe(place, &call).await;
        let delay = self.manner.answer_delay();
        // Even a sleep of no time waits for the timer's next millisecond.
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match self.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => Err(Cut::Close),
            Err(_) => Ok(Answer { until_given, ..api.taken(&call) }),
        }
    }
}

impl Desk {
    /// Owes the statuses of a call: after its answer, whose end what is given back must outlive; or at once, and then they have come.
    async fn owe(&self, place: Place, call: &Arc<Called>) -> Option<oneshot::Sender<Infallible>> {
        let line = call.platform.and_then(|platform| self.line(platform))?;
        let (until_given, given) = oneshot::channel();
        let told = Line::owe(line, &self.owed, place, given, call);
        if !self.manner.is_early.is_on() {
            return Some(until_given);
        }
        drop(until_given);
        // Nothing is ever said in it: it only ends.
        let _ = told.await;
        None
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, platform: &str) -> Option<Arc<Line>> {
        self.lines().get(platform).cloned()
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<String, Arc<Called>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken_as(&self, key: &str) -> Option<Arc<Called>> {
        self.keys().get(key).cloned()
    }
}
