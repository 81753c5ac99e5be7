//! Everything that takes part, and what was said.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use model::access::App;
use model::delivery::DeliveryState;
use model::endpoint::{Endpoint, Format};
use model::event::EventPattern;
use model::id::{AppId, EventId};
use model::message::MessageState;
use model::page::PageRequest;
use model::secret::{Key, Secret};
use model::send::{OutgoingBody, OwedSend, SendState};
use model::time::{Clock, Timestamp};
use serde_json::Value;
use simulator::{Bot, Replies, WhatsApp, whatsapp};
use store::deliveries::DeliveryFilter;
use store::sends::SendFilter;
use tokio::sync::Mutex as Turn;

use crate::app::{self, World};
use crate::commands::demo::{Folder, config, whatsapp_source};

/// How much of the conversation is kept and shown.
pub(super) const KEPT_MAX: u32 = 200;
/// The longest text, in characters, and the longest name.
pub(super) const TEXT_MAX: usize = 4_096;
pub(super) const NAME_MAX: usize = 60;
const VERIFY_TOKEN: &str = "simulated-verify-token";
const CUSTOMER: &str = "5215512345678";

/// The number, the gateway and the bot. Cheap to clone.
#[derive(Clone)]
pub(super) struct Room(Arc<Inner>);

struct Inner {
    /// Taken out when the room is closed.
    app: Turn<Option<app::App>>,
    store: store::Store,
    owner: AppId,
    whatsapp: WhatsApp,
    /// Our own, where nobody has named one.
    _bot: Option<Bot>,
    opening: Opening,
    said: Mutex<Vec<Said>>,
    /// Which message an event is about: what was looked up once.
    about: Mutex<HashMap<EventId, String>>,
    _folder: Folder,
}

/// What whoever writes the bot has to know.
#[derive(Clone)]
pub struct Opening {
    /// Where the bot is.
    pub bot_url: String,
    /// What deliveries to it are signed with.
    pub bot_secret: Secret,
    /// Where the API is.
    pub api: String,
    /// A token for it.
    pub token: Secret,
}

/// What was written as the customer.
#[derive(Clone)]
struct Said {
    name: String,
    text: String,
    wamid: Option<String>,
    at: Timestamp,
    refusal: Option<String>,
}

/// One thing that somebody said.
pub(super) struct Line {
    pub(super) is_customer: bool,
    pub(super) name: String,
    pub(super) text: String,
    pub(super) at: Timestamp,
    pub(super) tick: Tick,
    /// Why it has gone no further.
    pub(super) words: Option<String>,
}

/// How far something came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tick {
    Waiting,
    Sent,
    Delivered,
    Read,
    Failed,
}

impl Room {
    /// Sets it up, with a bot at this URL, or one of our own that answers everything.
    pub(super) async fn open(url: Option<&str>, format: Format) -> anyhow::Result<Room> {
        let world = World::real();
        let secret = |prefix: &str| Secret::new(format!("{prefix}{}", world.random.base62(32)));
        let (app_secret, access_token, token) = (secret("app-"), secret("access-"), secret("simulate-"));
        let folder = Folder::fresh();
        let config = config(&folder, &token, true)?;
        let seed = u64::from_be_bytes(world.random.bytes());
        let settings = whatsapp::Settings::new(app_secret.clone(), access_token.clone(), seed, Clock::System);
        let whatsapp = WhatsApp::start(settings).await.context("the simulated platform cannot start")?;
        let key = match format {
            Format::Standard | Format::Client => {
                delivery::signature::fresh_secret(&world.random.bytes::<32>())
            }
            Format::Platform => secret("bot-"),
        };
        let bot = match url {
            Some(_) => None,
            None => Some(Bot::start(Some(key.clone()), Clock::System).await.context("the bot cannot start")?),
        };
        let app = app::App::start(&config, world).await?;
        let store = app.store().clone();
        let owner = App { id: store.fresh_id(), name: "simulate".to_owned() };
        store.access().save_app(owner.clone()).await?;
        let verify_token = Secret::new(VERIFY_TOKEN);
        let source = whatsapp_source(&store, owner.id, &whatsapp, [app_secret, verify_token, access_token]);
        store.sources().save(source.clone()).await?;
        let api = format!("http://{}", app.address());
        let bot_url = url.map_or_else(|| bot.as_ref().map(Bot::url).unwrap_or_default(), str::to_owned);
        let endpoint = endpoint(store.fresh_id(), owner.id, (&bot_url, format, key.clone()));
        store.endpoints().save(endpoint).await?;
        if !whatsapp.subscribes(&format!("{api}/in/{}", source.id), VERIFY_TOKEN).await {
            bail!("the platform's check of the URL was not answered");
        }
        if let Some(bot) = &bot {
            bot.replies_with(Some(Replies::in_words(&api, token.clone(), |text| {
                Some(format!("¡Hola! ({text})"))
            })));
        }
        let opening = Opening { bot_url, bot_secret: key, api, token };
        let inner = Inner {
            app: Turn::new(Some(app)),
            store,
            owner: owner.id,
            whatsapp,
            _bot: bot,
            opening,
            said: Mutex::default(),
            about: Mutex::default(),
            _folder: folder,
        };
        Ok(Room(Arc::new(inner)))
    }

    /// What the bot's author has to know.
    pub(super) fn opening(&self) -> Opening {
        self.0.opening.clone()
    }

    /// Ends the gateway.
    pub(super) async fn close(&self) {
        if let Some(app) = self.0.app.lock().await.take() {
            app.stop().await;
        }
    }

    /// Writes as the customer.
    pub(super) async fn say(&self, name: &str, text: &str) {
        let at = Clock::System.now();
        let answered = self.0.whatsapp.customer(name, CUSTOMER).says(text).await;
        let refusal = (!answered.is_acknowledged()).then(|| answered.failure.clone().unwrap_or_default());
        let wamid = answered.wamids.first().cloned();
        let mut said = locked(&self.0.said);
        said.push(Said { name: name.to_owned(), text: text.to_owned(), wamid, at, refusal });
        let from = said.len().saturating_sub(KEPT_MAX as usize);
        said.drain(..from);
    }

    /// What was said, oldest first, with how far it came.
    pub(super) async fn lines(&self) -> anyhow::Result<Vec<Line>> {
        let fates = self.fates().await?;
        let mut lines: Vec<Line> = locked(&self.0.said).iter().map(|said| heard(said, &fates)).collect();
        let filter = SendFilter { app: Some(self.0.owner), ..SendFilter::default() };
        let sends = self.0.store.sends().list(filter, PageRequest::newest(KEPT_MAX)).await?;
        lines.extend(sends.items.iter().filter_map(answered));
        lines.sort_by_key(|line| line.at);
        Ok(lines)
    }

    /// How the delivery of each message to the bot stands, by the message's id.
    async fn fates(&self) -> anyhow::Result<HashMap<String, (DeliveryState, Option<String>)>> {
        let store = &self.0.store;
        let filter = DeliveryFilter { app: Some(self.0.owner), ..DeliveryFilter::default() };
        let newest = store.deliveries().list(filter, PageRequest::newest(KEPT_MAX)).await?;
        let mut fates = HashMap::new();
        for delivery in newest.items {
            let known = locked(&self.0.about).get(&delivery.event).cloned();
            let about = match known {
                Some(about) => about,
                None => {
                    let content = store.events().get(delivery.event).await?.content.unwrap_or_default();
                    let content: Value = serde_json::from_str(&content).unwrap_or_default();
                    let about = content["message"]["id"].as_str().unwrap_or_default().to_owned();
                    locked(&self.0.about).insert(delivery.event, about.clone());
                    about
                }
            };
            fates.entry(about).or_insert((delivery.state, delivery.last_error));
        }
        Ok(fates)
    }
}

fn heard(said: &Said, fates: &HashMap<String, (DeliveryState, Option<String>)>) -> Line {
    let fate = said.wamid.as_ref().and_then(|wamid| fates.get(wamid));
    let (tick, words) = match (&said.refusal, fate) {
        (Some(words), _) => (Tick::Failed, Some(words.clone())),
        (None, Some((DeliveryState::Delivered, _))) => (Tick::Delivered, None),
        (None, Some((DeliveryState::Dead, words))) => (Tick::Failed, words.clone()),
        (None, Some((_, words))) => (Tick::Sent, words.clone()),
        (None, None) => (Tick::Sent, None),
    };
    let (name, text) = (said.name.clone(), said.text.clone());
    Line { is_customer: true, name, text, at: said.at, tick, words }
}

/// A message of the bot's; read marks are none.
fn answered(send: &OwedSend) -> Option<Line> {
    let text = match &send.message.body {
        OutgoingBody::Read { .. } => return None,
        OutgoingBody::Text { text } => text.body.clone(),
        // Whatever else there is, as it was sent.
        other => serde_json::to_string(other).unwrap_or_default(),
    };
    let tick = match (send.state, send.message_state) {
        (SendState::Dead | SendState::Cancelled, _) | (_, Some(MessageState::Failed)) => Tick::Failed,
        (_, Some(MessageState::Read | MessageState::Played)) => Tick::Read,
        (_, Some(MessageState::Delivered)) => Tick::Delivered,
        (SendState::Taken, _) => Tick::Sent,
        _ => Tick::Waiting,
    };
    let words = send.last_error.clone().filter(|_| tick != Tick::Read);
    Some(Line { is_customer: false, name: "bot".to_owned(), text, at: send.id.made_at(), tick, words })
}

fn endpoint(id: model::id::EndpointId, app: AppId, (url, format, key): (&str, Format, Secret)) -> Endpoint {
    let mut endpoint = Endpoint::new(id, app, url);
    endpoint.name = "bot".to_owned();
    endpoint.format = format;
    endpoint.subscription.types = EventPattern::new("message.*").into_iter().collect();
    endpoint.keys = vec![Key::current(key)];
    endpoint.allow_http = true;
    endpoint
}

/// What a lock guards here stays whole when its holder panics: each change is a single one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
