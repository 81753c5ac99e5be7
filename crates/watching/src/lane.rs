//! The lane of watches: claim a source, look, and record what was found.

use std::sync::Arc;
use std::time::Duration;

use dispatcher::{Lane, LaneError};
use model::event::{Content, EventType, NewEvent};
use model::page::PageRequest;
use model::receipt::ReceiptState;
use model::source::Source;
use model::time::Timestamp;
use model::watch::{Registered, Watch, Watchdog};
use platforms::registration::{Found, Step, Wanted};
use platforms::registry;
use serde_json::{Value, json, value::to_raw_value};
use store::arrivals::Arrival;
use store::receipts::ReceiptFilter;
use store::watches::{ClaimedWatch, RecordedWatch};
use store::{Error, Queue, Store};
use tokio::time::timeout;

use crate::registrar::Registrar;

/// How long a claim lasts: longer than the calls for a source may take together.
const LEASE: Duration = Duration::from_secs(300);
/// How long the calls for one source may take together.
const LOOK_MAX: Duration = Duration::from_secs(240);
/// How often it is looked whether a source has fallen silent, and a registration that was lost is tried again.
const LISTEN_EVERY: Duration = Duration::from_secs(300);
/// How often a platform is asked where it calls.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// Sources to be watched.
pub struct WatchingLane {
    store: Store,
    registrar: Registrar,
    /// Where platforms reach us: scheme and host; without it they cannot be told.
    public_url: Option<String>,
    /// Whatever was known before the start is looked at again.
    started_at: Timestamp,
}

impl WatchingLane {
    /// A lane over a store and those who call.
    pub fn new(store: Store, registrar: Registrar, public_url: Option<String>) -> WatchingLane {
        let started_at = store.clock().now();
        WatchingLane { store, registrar, public_url, started_at }
    }

    fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    async fn look(&self, source: &Arc<Source>, claimed: &ClaimedWatch) -> Result<Done, Error> {
        let mut watch = claimed.watch.clone();
        let mut told = Vec::new();
        let heard_at = self.heard_at(source).await?;
        let is_news = watch.silences.look(heard_at, self.now());
        if is_news && source.watchdog != Watchdog::Off {
            told.push(self.about(
                source,
                "source.silent",
                &json!({ "heard_at": heard_at.map(|at| at.to_string()) }),
            ));
        }
        if claimed.asked.is_some() {
            self.register(source, &mut watch).await;
        } else if is_news || self.is_due(source, &watch) {
            told.extend(self.compare(source, &mut watch).await);
        }
        let next_at = (source.watchdog != Watchdog::Off).then(|| self.now().plus(LISTEN_EVERY));
        Ok(Done { watch, told, next_at })
    }

    async fn heard_at(&self, source: &Arc<Source>) -> Result<Option<Timestamp>, Error> {
        let state = Some(ReceiptState::Accepted);
        let filter = ReceiptFilter { source: Some(source.id), state, ..ReceiptFilter::default() };
        let newest = self.store.receipts().list(filter, PageRequest::newest(1)).await?;
        Ok(newest.items.first().map(|receipt| receipt.id.made_at()))
    }

    fn is_due(&self, source: &Arc<Source>, watch: &Watch) -> bool {
        let is_lost = watch.registered == Registered::No && source.watchdog == Watchdog::Registers;
        let is_old = |at: Timestamp| at < self.started_at || self.now().since(at) >= LOOK_EVERY;
        is_lost || watch.looked_at.is_none_or(is_old)
    }

    /// What there is to register; `None` where the platform cannot be told.
    fn steps(&self, source: &Arc<Source>) -> Option<Result<Vec<Step>, String>> {
        let url = format!("{}{}", self.public_url.as_deref()?, source.url_path());
        let routing = self.store.routing();
        let accounts: Vec<&str> =
            routing.accounts_of(source.id).map(|account| account.address.as_str()).collect();
        let wanted = Wanted { source, accounts: &accounts, url: &url, now: self.now() };
        let steps = registry::find(&source.platform)?.registration(&wanted)?;
        Some(steps.map_err(|missing| missing.to_string()))
    }

    /// Registers all there is, because somebody asked for it.
    async fn register(&self, source: &Arc<Source>, watch: &mut Watch) {
        let done = match self.steps(source) {
            None => Err("this platform cannot be told our URL by its API".to_owned()),
            Some(Err(missing)) => Err(missing),
            Some(Ok(steps)) => self.set(source, &steps.iter().collect::<Vec<_>>()).await,
        };
        self.note(watch, done);
    }

    async fn set(&self, source: &Arc<Source>, steps: &[&Step]) -> Result<(), String> {
        let late = || "the platform took too long".to_owned();
        timeout(LOOK_MAX, self.registrar.set(source, steps)).await.unwrap_or_else(|_| Err(late()))
    }

    fn note(&self, watch: &mut Watch, done: Result<(), String>) {
        let now = self.now();
        watch.looked_at = Some(now);
        (watch.registered, watch.words) = match done {
            Ok(()) => (Registered::Yes, None),
            Err(words) => (Registered::No, Some(words)),
        };
        if watch.registered == Registered::Yes {
            watch.registered_at = Some(now);
        }
    }

    /// Compares what the platform has with what we want; registers what is lost, if it should; tells of it when it is news.
    async fn compare(&self, source: &Arc<Source>, watch: &mut Watch) -> Option<Arrival> {
        let steps = match self.steps(source)? {
            Ok(steps) => steps,
            Err(missing) => {
                (watch.looked_at, watch.words) = (Some(self.now()), Some(missing));
                return None;
            }
        };
        let (lost, words) = self.lost(source, &steps).await;
        watch.looked_at = Some(self.now());
        if lost.is_empty() {
            // What nobody could say leaves what was known.
            watch.registered = if words.is_some() { watch.registered } else { Registered::Yes };
            watch.words = words;
            return None;
        }
        // What was never registered has not been lost.
        let is_news = watch.registered == Registered::Yes;
        (watch.registered, watch.words) = (Registered::No, words.clone());
        let registers = source.watchdog == Watchdog::Registers;
        if registers {
            let done = self.set(source, &lost).await;
            self.note(watch, done);
        }
        let again = registers && watch.registered == Registered::Yes;
        tracing::warn!(source = %source.id, registered_again = again, "the platform no longer calls our URL");
        let about = json!({ "found": words, "registered_again": again, "error": watch.words });
        is_news.then(|| self.about(source, "source.unregistered", &about))
    }

    /// The steps that are not as we want them, and why; or why that is not known.
    async fn lost<'s>(&self, source: &Arc<Source>, steps: &'s [Step]) -> (Vec<&'s Step>, Option<String>) {
        let (mut lost, mut words) = (Vec::new(), None);
        let looking = async {
            for step in steps {
                match self.registrar.look(source, step).await {
                    Found::Ours => {}
                    Found::Other(what) => {
                        lost.push(step);
                        words = Some(format!("{}: {what}", step.what));
                    }
                    Found::Unclear(why) if lost.is_empty() => words = Some(format!("{}: {why}", step.what)),
                    Found::Unclear(_) => {}
                }
            }
        };
        if timeout(LOOK_MAX, looking).await.is_err() && lost.is_empty() {
            words = Some("the platform took too long".to_owned());
        }
        (lost, words)
    }

    /// An event of our own making about a source.
    fn about(&self, source: &Arc<Source>, event_type: &str, what: &Value) -> Arrival {
        let mut about =
            json!({ "source": source.id.to_string(), "name": source.name, "platform": source.platform });
        if let (Some(about), Some(what)) = (about.as_object_mut(), what.as_object()) {
            about.extend(what.clone());
        }
        let raw = to_raw_value(&about).expect("a map of text can be written as JSON");
        let event = NewEvent::of(EventType::ours(event_type), self.now(), Content::Raw(raw));
        Arrival::ours(source.app, Some(Arc::clone(source)), event)
    }
}

/// What a look came to.
pub struct Done {
    watch: Watch,
    told: Vec<Arrival>,
    next_at: Option<Timestamp>,
}

impl Lane for WatchingLane {
    type Claimed = ClaimedWatch;
    type Done = Done;

    fn name(&self) -> &'static str {
        "watches"
    }

    async fn woken(&self) {
        self.store.woken(Queue::Watches).await;
    }

    async fn claim(&self, limit: usize) -> Result<Vec<ClaimedWatch>, LaneError> {
        self.store.watches().claim(limit, LEASE).await.map_err(failed)
    }

    async fn attempt(&self, claimed: &ClaimedWatch) -> Done {
        let routing = self.store.routing();
        let Some(source) = routing.source(claimed.source) else {
            return Done { watch: claimed.watch.clone(), told: Vec::new(), next_at: None };
        };
        match self.look(source, claimed).await {
            Ok(done) => done,
            Err(error) => {
                tracing::warn!(%error, source = %source.id, "the source could not be looked at; it is tried again");
                self.panicked(claimed)
            }
        }
    }

    fn panicked(&self, claimed: &ClaimedWatch) -> Done {
        let words = Some("the last look failed inside Gancho; it is repeated in five minutes".to_owned());
        let watch = Watch { words, ..claimed.watch.clone() };
        Done { watch, told: Vec::new(), next_at: Some(self.now().plus(LISTEN_EVERY)) }
    }

    async fn record(&self, claimed: &ClaimedWatch, done: &Done) -> Result<(), LaneError> {
        let recorded = RecordedWatch {
            claimed: claimed.clone(),
            watch: done.watch.clone(),
            next_at: done.next_at,
            told: done.told.clone(),
        };
        self.store.watches().record(recorded).await.map_err(failed)
    }
}

fn failed(error: Error) -> LaneError {
    match error {
        Error::LeaseLost => LaneError::LeaseLost,
        other => LaneError::Failed(Box::new(other)),
    }
}
