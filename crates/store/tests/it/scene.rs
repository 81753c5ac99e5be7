//! What tests are written with: a store, its clock, and the things that come and go.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::conversation::{Identifier, Party, Touch};
use model::delivery::{Attempt, AttemptOf, Phases};
use model::endpoint::Endpoint;
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::id::{AppId, EndpointId, SourceId};
use model::message::{Body, Message, MessageState, Status};
use model::page::PageRequest;
use model::retry::Next;
use model::source::Source;
use model::time::{Clock, ManualClock, Timestamp};
use store::arrivals::{Appended, Arrival, Request, Verdict};
use store::claims::{Claimed, Wish};
use store::conversations::ConversationFilter;
use store::deliveries::DeliveryFilter;
use store::events::EventFilter;
use store::records::Recorded;
use store::retention::Keep;
use store::{Config, Error, Faults, Location, Store};

/// How long tests lease things for.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// A store under test.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
    pub(crate) faults: Faults,
    pub(crate) location: Location,
}

impl Deref for Scene {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Scene {
    pub(crate) async fn open(location: Location) -> Scene {
        let clock = ManualClock::starting_at(Timestamp::parse("2026-03-01T12:00:00Z").expect("a time"));
        let faults = Faults::default();
        let store = open(&location, 0, &faults, &clock).await.expect("a store");
        Scene { store, clock, faults, location }
    }

    /// Another process on the same database.
    pub(crate) async fn node(&self, node: u16) -> Scene {
        let faults = Faults::default();
        let store = open(&self.location, node, &faults, &self.clock).await.expect("a second store");
        Scene { store, clock: self.clock.clone(), faults, location: self.location.clone() }
    }

    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.location, Location::Folder(_))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn app(&self) -> AppId {
        AppId::from_raw(1)
    }

    /// A saved source that adopts unknown accounts.
    pub(crate) async fn source(&self) -> Arc<Source> {
        self.source_that(|_| ()).await
    }

    pub(crate) async fn source_that(&self, change: impl FnOnce(&mut Source)) -> Arc<Source> {
        let id: SourceId = self.fresh_id();
        let mut source = Source { name: "numbers".to_owned(), ..Source::new(id, self.app(), "whatsapp") };
        change(&mut source);
        self.sources().save(source.clone()).await.expect("a saved source");
        Arc::new(source)
    }

    /// A saved endpoint that wants messages, in order of conversations.
    pub(crate) async fn endpoint(&self) -> Endpoint {
        self.endpoint_that(|_| ()).await
    }

    pub(crate) async fn endpoint_that(&self, change: impl FnOnce(&mut Endpoint)) -> Endpoint {
        let id: EndpointId = self.fresh_id();
        let mut endpoint = Endpoint::new(id, self.app(), "https://bot.example/hook");
        endpoint.subscription.types = vec![model::event::EventPattern::new("message.*").expect("a pattern")];
        change(&mut endpoint);
        self.endpoints().save(endpoint.clone()).await.expect("a saved endpoint");
        endpoint
    }

    /// Appends one request with these events.
    pub(crate) async fn receive(&self, source: &Arc<Source>, events: Vec<NewEvent>) -> Appended {
        self.try_receive(source, events).await.expect("an appended arrival")
    }

    pub(crate) async fn try_receive(
        &self,
        source: &Arc<Source>,
        events: Vec<NewEvent>,
    ) -> Result<Appended, Error> {
        self.arrivals().append(arrival(source, Verdict::Genuine(events.into()))).await
    }

    pub(crate) async fn claim(&self, limit: usize) -> Vec<Claimed> {
        self.deliveries().claim(Wish::new(limit, LEASE)).await.expect("a claim")
    }

    pub(crate) async fn record(&self, claimed: &Claimed, next: Next) -> Result<(), Error> {
        self.deliveries().record(recorded(self, claimed, next)).await
    }

    /// Claims everything that is due and delivers it; returns what was delivered, in that order.
    pub(crate) async fn deliver_all(&self) -> Vec<Claimed> {
        let mut delivered = Vec::new();
        loop {
            let claimed = self.claim(100).await;
            if claimed.is_empty() {
                return delivered;
            }
            for one in claimed {
                self.record(&one, Next::Delivered).await.expect("a record");
                delivered.push(one);
            }
        }
    }

    /// Lets days pass as they do where retention runs: a clock that leaps would be in doubt.
    pub(crate) async fn days_pass(&self, days: u32) {
        let all = Duration::from_secs(1_000 * 24 * 3600);
        for _ in 0..days {
            self.clock.advance(Duration::from_secs(24 * 3600));
            let keep = Keep { bodies: all, metadata: all, ..Keep::default() };
            self.retention().step(keep).await.expect("a step");
        }
    }

    /// The types of all events, oldest first.
    pub(crate) async fn event_types(&self) -> Vec<String> {
        let page =
            self.events().list(EventFilter::default(), PageRequest::newest(250)).await.expect("events");
        page.items.iter().rev().map(|event| event.event_type.as_str().to_owned()).collect()
    }

    pub(crate) async fn all_conversations(&self) -> Vec<model::conversation::Conversation> {
        let page = self.conversations().list(ConversationFilter::default(), PageRequest::newest(250)).await;
        page.expect("conversations").items
    }

    pub(crate) async fn all_deliveries(&self) -> Vec<model::delivery::Delivery> {
        let page = self.deliveries().list(DeliveryFilter::default(), PageRequest::newest(250)).await;
        page.expect("deliveries").items
    }

    pub(crate) async fn raw(&self, sql: &str) -> Vec<Vec<String>> {
        crate::engine::raw(&self.location, sql).await
    }
}

pub(crate) async fn open(
    location: &Location,
    node: u16,
    faults: &Faults,
    clock: &ManualClock,
) -> Result<Store, Error> {
    let config = Config { location: location.clone(), node, faults: faults.clone() };
    Store::open(&config, Clock::Manual(clock.clone())).await
}

pub(crate) fn request() -> Request {
    Request {
        receipt: None,
        method: "POST".to_owned(),
        path: "/in/numbers".to_owned(),
        peer: "192.0.2.7".to_owned(),
        headers: "content-type: application/json\n".to_owned(),
        body: Bytes::from_static(b"{\"entry\":[]}"),
        is_whole: true,
    }
}

pub(crate) fn arrival(source: &Arc<Source>, verdict: Verdict) -> Arrival {
    Arrival { source: Some(Arc::clone(source)), app: None, request: Some(request()), verdict }
}

/// A message from somebody on the account `34600`.
pub(crate) fn message(id: &str, from: &str) -> NewEvent {
    message_touching(id, &[("wa_id", from)], Touch::Inbound)
}

pub(crate) fn message_touching(id: &str, names: &[(&'static str, &str)], touch: Touch) -> NewEvent {
    let event_type = if touch == Touch::HumanEcho { "message.echo" } else { "message.received" };
    let said =
        Message { id: id.to_owned(), body: Body::Text { text: format!("hello {id}") }, ..Message::default() };
    NewEvent {
        event_type: EventType::new(event_type).expect("an event type"),
        dedupe_key: Some(DedupeKey::of(&["message", id])),
        account: Some("34600".to_owned()),
        party: Some(Party {
            identifiers: names.iter().map(|(kind, value)| Identifier::new(*kind, *value)).collect(),
            name: Some("Ana".to_owned()),
            touch,
        }),
        order_key: None,
        occurred_at: Timestamp::parse("2026-03-01T11:59:00Z").expect("a time"),
        content: Content::Message { message: Box::new(said) },
    }
}

/// A step of a message of ours on the account `34600`.
pub(crate) fn status(message_id: &str, state: MessageState, correlation: Option<String>) -> NewEvent {
    NewEvent {
        event_type: EventType::from_foreign("message", state.as_str()),
        dedupe_key: Some(DedupeKey::of(&["status", message_id, state.as_str()])),
        account: Some("34600".to_owned()),
        party: None,
        order_key: None,
        occurred_at: Timestamp::parse("2026-03-01T11:59:30Z").expect("a time"),
        content: Content::Status {
            status: Box::new(Status {
                message_id: message_id.to_owned(),
                state,
                recipient: None,
                correlation,
                errors: Vec::new(),
                pricing: None,
                platform_conversation: None,
                extra: None,
            }),
        },
    }
}

pub(crate) fn recorded(scene: &Scene, claimed: &Claimed, next: Next) -> Recorded {
    Recorded {
        lease: claimed.lease,
        id: claimed.id,
        endpoint: claimed.endpoint.id,
        line: claimed.line,
        on_dead: claimed.endpoint.on_dead,
        attempt: Some(attempt(scene, AttemptOf::Delivery(claimed.id), claimed.attempts + 1)),
        next,
    }
}

pub(crate) fn attempt(scene: &Scene, of: AttemptOf, number: u32) -> Attempt {
    Attempt {
        id: scene.fresh_id(),
        of,
        number,
        status: Some(503),
        error: Some("the answer was 503".to_owned()),
        peer: Some("192.0.2.9:443".to_owned()),
        phases: Phases { total: Duration::from_micros(1500), ..Phases::default() },
        answer_headers: "retry-after: 1\n".to_owned(),
        answer_excerpt: b"busy".to_vec(),
    }
}

pub(crate) fn dead() -> Next {
    Next::Dead("no attempts left".to_owned())
}
