//! The lane over a store and a clock that moves only when told to.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails, in its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dispatcher::Lane;
use egress::{Config, Egress};
use model::event::{Content, EventType, NewEvent};
use model::id::AppId;
use model::page::PageRequest;
use model::source::{Settings, Source};
use model::time::{Clock, ManualClock, Timestamp};
use model::watch::Watchdog;
use serde_json::{Value, json, value::to_raw_value};
use store::arrivals::{Arrival, Request, Verdict};
use store::events::EventFilter;
use store::{Faults, Location, Store};
use watching::WatchingLane;
use watching::registrar::Registrar;

const MINUTE: Duration = Duration::from_secs(60);

/// A store, a lane over it, and a source that nobody has to register.
struct Scene {
    store: Store,
    lane: WatchingLane,
    clock: ManualClock,
    source: Arc<Source>,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::starting_at(Timestamp::parse("2026-03-01T12:00:00Z").unwrap());
        let location = Location::Folder(folder.path().to_owned());
        let config = store::Config { location, node: 1, faults: Faults::default() };
        let store = Store::open(&config, Clock::Manual(clock.clone())).await.unwrap();
        let egress = Egress::new(&Config::default()).unwrap();
        let registrar = Registrar::new(egress, Clock::Manual(clock.clone()), false);
        let lane = WatchingLane::new(store.clone(), registrar, None);
        let source = Source {
            name: "the shop".to_owned(),
            settings: Settings::new(json!({ "scheme": "unsigned" }).as_object().unwrap().clone()),
            watchdog: Watchdog::Tells,
            ..Source::new(store.fresh_id(), AppId::from_raw(1), "generic")
        };
        store.sources().save(source.clone()).await.unwrap();
        Scene { store, lane, clock, source: Arc::new(source), _folder: folder }
    }

    /// Something genuine comes.
    async fn hear(&self) {
        let content = Content::Raw(to_raw_value(&json!({})).unwrap());
        let event = NewEvent::of(EventType::ours("shop.order"), self.clock.now(), content);
        let request = Request {
            receipt: None,
            method: "POST".to_owned(),
            path: "/in/x".to_owned(),
            peer: "192.0.2.1".to_owned(),
            headers: String::new(),
            body: Bytes::from_static(b"{}"),
            is_whole: true,
        };
        let verdict = Verdict::Genuine(Arc::from([event]));
        let source = Some(Arc::clone(&self.source));
        let arrival = Arrival { source, app: None, request: Some(request), verdict };
        self.store.arrivals().append(arrival).await.unwrap();
    }

    /// Lets time pass in steps of five minutes, and looks as often; something comes with each second step where `heard`.
    async fn pass(&self, time: Duration, heard: bool) {
        for step in 0..time.as_secs() / (5 * 60) {
            self.clock.advance(5 * MINUTE);
            if heard && step % 2 == 0 {
                self.hear().await;
            }
            for claimed in self.lane.claim(10).await.unwrap() {
                let done = self.lane.attempt(&claimed).await;
                self.lane.record(&claimed, &done).await.unwrap();
            }
        }
    }

    /// What was told of the source.
    async fn told(&self) -> Vec<(String, Value)> {
        let all = self.store.events().list(EventFilter::default(), PageRequest::newest(250)).await.unwrap();
        let told = all.items.into_iter().filter(|event| event.event_type.as_str().starts_with("source."));
        let content = |content: Option<String>| serde_json::from_str(&content.unwrap()).unwrap();
        told.map(|event| (event.event_type.as_str().to_owned(), content(event.content))).collect()
    }
}

#[tokio::test]
async fn a_source_that_falls_silent_is_told_of_once_and_again_after_it_was_heard() {
    let scene = Scene::new().await;
    scene.pass(36 * 60 * MINUTE, true).await;
    assert!(scene.told().await.is_empty());
    scene.pass(3 * 60 * MINUTE, false).await;
    let told = scene.told().await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0.as_str(), &told[0].1["name"]), ("source.silent", &json!("the shop")));
    let (watch, _) = scene.store.watches().get(scene.source.id, None).await.unwrap();
    assert!(watch.silences.is_silent);
    scene.pass(60 * MINUTE, true).await;
    let (watch, _) = scene.store.watches().get(scene.source.id, None).await.unwrap();
    assert!(!watch.silences.is_silent);
    scene.pass(10 * 60 * MINUTE, false).await;
    assert_eq!(scene.told().await.len(), 2);
}

#[tokio::test]
async fn a_source_that_nobody_watches_is_not_looked_at() {
    let scene = Scene::new().await;
    let mut seen = scene.store.sources().get(scene.source.id).await.unwrap();
    seen.thing.watchdog = Watchdog::Off;
    scene.store.sources().replace(seen).await.unwrap();
    scene.pass(36 * 60 * MINUTE, true).await;
    scene.pass(9 * 60 * MINUTE, false).await;
    assert!(scene.told().await.is_empty());
    assert!(scene.lane.claim(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_look_that_fails_is_repeated_and_leaves_what_was_known() {
    let scene = Scene::new().await;
    let claimed = scene.lane.claim(10).await.unwrap().remove(0);
    let done = scene.lane.panicked(&claimed);
    scene.lane.record(&claimed, &done).await.unwrap();
    let (watch, _) = scene.store.watches().get(scene.source.id, None).await.unwrap();
    assert!(watch.words.is_some_and(|words| words.contains("repeated")));
    scene.clock.advance(5 * MINUTE);
    assert_eq!(scene.lane.claim(10).await.unwrap().len(), 1);
}
