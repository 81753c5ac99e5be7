//! What is there before a measurement: a store with one WhatsApp source, perhaps an endpoint, perhaps a past.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use model::access::App;
use model::endpoint::Endpoint;
use model::event::EventPattern;
use model::id::AppId;
use model::secret::{Key, Secret};
use model::source::{SecretRole, Source, SourceSecret};
use model::time::{Clock, ManualClock, Timestamp};
use store::{Faults, Location, Store};

use super::child::Child;
use super::past;
use crate::cli::BenchArgs;

/// What requests of a benchmark are signed with.
pub(crate) const APP_SECRET: &str = "bench-app-secret";
/// The admin token of a benchmark's gateway; it lives as long as the run, on loopback.
const TOKEN: &str = "bench-token-bench-token-bench-token-bench";
/// Nobody listens there.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9/";

/// A store made for one measurement.
pub(crate) struct Scene {
    location: Location,
    store_text: String,
    folder: Option<PathBuf>,
    /// The source's path.
    pub(crate) path: String,
    /// The admin token.
    pub(crate) token: String,
}

impl Scene {
    /// Makes the store: a source, and `stored` events that are owed to nobody.
    pub(crate) async fn with_no_endpoint(args: &BenchArgs) -> anyhow::Result<Scene> {
        let (scene, store, source) = Scene::begin(args, Clock::System).await?;
        past::fill(&store, &source, args.stored).await?;
        Ok(scene)
    }

    /// Makes the store: a source, an endpoint, and `stored` events that wait for it.
    pub(crate) async fn owing(args: &BenchArgs, url: &str) -> anyhow::Result<Scene> {
        let (scene, store, source) = Scene::begin(args, Clock::System).await?;
        store.endpoints().save(endpoint(&store, source.app, url)).await?;
        past::fill(&store, &source, args.stored).await?;
        Ok(scene)
    }

    /// Makes the store: a source, an endpoint, and `stored` events that it has.
    pub(crate) async fn having_delivered(args: &BenchArgs, url: &str) -> anyhow::Result<Scene> {
        let (scene, store, source) = Scene::begin(args, Clock::System).await?;
        let endpoint = endpoint(&store, source.app, url);
        past::fill_and_deliver(&store, &source, endpoint.clone(), args.stored).await?;
        store.endpoints().save(endpoint).await?;
        Ok(scene)
    }

    /// Makes the store as of a time of the past: a source, and `stored` events, each delivered to an endpoint that is no
    /// more.
    pub(crate) async fn of_the_past(args: &BenchArgs, made_at: Timestamp) -> anyhow::Result<Scene> {
        let clock = ManualClock::starting_at(made_at);
        let (scene, store, source) = Scene::begin(args, Clock::Manual(clock.clone())).await?;
        let endpoint = endpoint(&store, source.app, NOWHERE);
        let id = endpoint.id;
        past::fill_and_deliver(&store, &source, endpoint, args.stored).await?;
        store.endpoints().remove(id).await?;
        past::pass(&store, &clock).await?;
        Ok(scene)
    }

    async fn begin(args: &BenchArgs, clock: Clock) -> anyhow::Result<(Scene, Store, Arc<Source>)> {
        let (location, store_text, folder) = place(&args.store)?;
        let config = store::Config { location: location.clone(), node: 1, faults: Faults::default() };
        let store = Store::open(&config, clock).await?;
        let app = App { id: store.fresh_id(), name: "bench".to_owned() };
        store.access().save_app(app.clone()).await?;
        let source = source(&store, &app);
        store.sources().save(source.clone()).await?;
        let path = format!("/in/{}", source.id);
        let scene = Scene { location, store_text, folder, path, token: TOKEN.to_owned() };
        let source = store.routing().source(source.id).cloned().context("the source was just saved")?;
        Ok((scene, store, source))
    }

    /// The gateway over this store.
    pub(crate) async fn serve(&self) -> anyhow::Result<Child> {
        self.serve_keeping(None).await
    }

    /// The gateway over this store, which keeps everything so long.
    pub(crate) async fn serve_keeping(&self, keep: Option<&str>) -> anyhow::Result<Child> {
        let setting = |key: &str, value: &str| (format!("GANCHO_{key}"), value.to_owned());
        let mut settings = vec![
            setting("STORE", &self.store_text),
            setting("ADMIN_TOKEN", TOKEN),
            setting("EGRESS_ALLOW", "127.0.0.0/8"),
        ];
        if let Some(span) = keep {
            settings.extend([setting("KEEP_BODIES", span), setting("KEEP_METADATA", span)]);
        }
        Child::gateway(&settings).await
    }

    /// The same store beside the gateway, to look at.
    pub(crate) async fn look(&self) -> anyhow::Result<Store> {
        let config = store::Config { location: self.location.clone(), node: 2, faults: Faults::default() };
        Ok(Store::open(&config, Clock::System).await?)
    }

    /// Writes every block that is complete, as maintenance does in its time; says how many steps that took.
    pub(crate) async fn summarise(&self) -> anyhow::Result<u64> {
        let store = self.look().await?;
        let mut steps = 0;
        while store.blocks().step().await? > 0 {
            steps += 1;
        }
        Ok(steps)
    }

    /// Bytes on disk per event, the log included; only the embedded store can tell.
    pub(crate) async fn kept_per_event(&self) -> anyhow::Result<Option<f64>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let events = self.look().await?.stats().counts().await?.events;
        let bytes = std::fs::metadata(folder.join("gancho.db"))?.len();
        Ok(Some(bytes as f64 / events.max(1) as f64))
    }

    /// Every list with every single filter, as paths of the API.
    pub(crate) async fn listings(&self) -> anyhow::Result<Vec<String>> {
        let store = self.look().await?;
        let newest = store.events().list(Default::default(), model::page::PageRequest::newest(1)).await?;
        let event = newest.items.first().context("the past has events")?;
        let lists = ["events", "receipts", "deliveries", "conversations", "contacts", "messages", "audit"];
        let mut paths = lists.map(|list| format!("/v1/{list}?limit=50")).to_vec();
        let mut narrowed = |lists: &[&str], filter: String| {
            paths.extend(lists.iter().map(|list| format!("/v1/{list}?limit=50&{filter}")));
        };
        // The app there is, and one that nothing belongs to: the most that a filter has to look at.
        for app in [event.app, store.fresh_id()] {
            narrowed(&lists, format!("app={app}"));
        }
        // What is everywhere, what is only among the oldest, and what is nowhere.
        for event_type in ["message.received", "conversation.created", "conversation.resolved"] {
            narrowed(&["events"], format!("type={event_type}"));
        }
        for source in event.source.into_iter().chain([store.fresh_id()]) {
            narrowed(&["events", "receipts"], format!("source={source}"));
        }
        for account in event.account.into_iter().chain([store.fresh_id()]) {
            narrowed(&["events", "conversations", "messages"], format!("account={account}"));
        }
        if let Some(conversation) = event.conversation {
            narrowed(&["events", "messages"], format!("conversation={conversation}"));
        }
        for endpoint in
            store.endpoints().all().await?.iter().map(|endpoint| endpoint.id).chain([store.fresh_id()])
        {
            narrowed(&["deliveries"], format!("endpoint={endpoint}"));
        }
        narrowed(&["deliveries"], format!("event={}", event.id));
        for state in ["pending", "in_flight", "held", "delivered", "dead", "cancelled"] {
            narrowed(&["deliveries"], format!("status={state}"));
        }
        for state in ["accepted", "rejected", "unrouted"] {
            narrowed(&["receipts"], format!("status={state}"));
        }
        for state in ["open", "handed_off", "resolved"] {
            narrowed(&["conversations"], format!("status={state}"));
        }
        for state in ["taken", "dead"] {
            narrowed(&["messages"], format!("status={state}"));
        }
        Ok(paths)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // Left behind at worst: it is a temporary folder.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn place(store: &str) -> anyhow::Result<(Location, String, Option<PathBuf>)> {
    if store != "sqlite" {
        return Ok((Location::parse(store)?, store.to_owned(), None));
    }
    let name = format!("gancho-bench-{}-{}", std::process::id(), Clock::System.now().as_millis());
    let folder: PathBuf = Path::new(&std::env::temp_dir()).join(name);
    Ok((Location::Folder(folder.clone()), format!("sqlite:{}", folder.display()), Some(folder)))
}

fn source(store: &Store, app: &App) -> Source {
    let secret = |role, text: &str| SourceSecret { role, key: Key::current(Secret::new(text)) };
    Source {
        name: "bench".to_owned(),
        secrets: vec![
            secret(SecretRole::Signing, APP_SECRET),
            secret(SecretRole::VerifyToken, "bench-verify"),
        ],
        ..Source::new(store.fresh_id(), app.id, "whatsapp")
    }
}

/// An endpoint that wants messages only, so that one request is one delivery.
fn endpoint(store: &Store, app: AppId, url: &str) -> Endpoint {
    let mut endpoint = Endpoint::new(store.fresh_id(), app, url);
    endpoint.subscription.types = EventPattern::new("message.*").into_iter().collect();
    endpoint.keys = vec![Key::current(Secret::new("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"))];
    endpoint.allow_http = true;
    endpoint
}

/// A WhatsApp text message of about 1 KB. Its text begins with the time it was made.
pub(crate) fn message(number: u64, contact: u64) -> String {
    let now = Clock::System.now();
    let filler = "x".repeat(480);
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"100000000000001","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550000001","phone_number_id":"200000000000001"}},"contacts":[{{"profile":{{"name":"Contact {contact}"}},"wa_id":"1555{contact:07}"}}],"messages":[{{"from":"1555{contact:07}","id":"wamid.BENCH{number:020}","timestamp":"{}","type":"text","text":{{"body":"sent_at={} {filler}"}}}}]}}}}]}}]}}"#,
        now.as_secs(),
        now.as_millis(),
    )
}

/// When a message was made, read from a delivery of it.
pub(crate) fn sent_at(body: &[u8]) -> Option<Timestamp> {
    let mark = b"sent_at=";
    let at = body.windows(mark.len()).position(|window| window == mark)? + mark.len();
    let digits: Vec<u8> = body[at..].iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok().map(Timestamp::from_millis)
}
