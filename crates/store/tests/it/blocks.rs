//! Blocks: what is rare and far back is found at once, and lists are the same with them and without.

use std::sync::Arc;
use std::time::Duration;

use model::event::{EventType, NewEvent};
use model::id::EventId;
use model::page::{Page, PageRequest};
use model::source::Source;
use store::events::EventFilter;
use store::retention::Keep;

use crate::engine::on_every_engine;
use crate::scene::{Scene, message};

/// More rows than one page looks at.
const MANY: usize = 22_000;

fn named(id: &str, event_type: &str) -> NewEvent {
    let mut event = message(id, "ana");
    (event.party, event.event_type) = (None, EventType::new(event_type).expect("an event type"));
    event
}

/// Takes in so many events, of types that follow from their numbers.
async fn fill(scene: &Scene, source: &Arc<Source>, count: usize, event_type: impl Fn(usize) -> &'static str) {
    let numbers: Vec<usize> = (0..count).collect();
    for some in numbers.chunks(1_000) {
        let events = some.iter().map(|n| named(&format!("{}.{n}", source.id), event_type(*n))).collect();
        scene.receive(source, events).await;
    }
}

/// Writes every block that is complete.
async fn summarise(scene: &Scene) -> u64 {
    scene.clock.advance(Duration::from_secs(120));
    let mut steps = 0;
    while scene.blocks().step().await.expect("a step") > 0 {
        steps += 1;
    }
    steps
}

fn of_type(event_type: &str) -> EventFilter {
    EventFilter { event_type: Some(event_type.to_owned()), ..EventFilter::default() }
}

async fn page(scene: &Scene, filter: &EventFilter, before: Option<i64>) -> Page<EventId> {
    let request = PageRequest { before, ..PageRequest::newest(50) };
    let page = scene.events().list(filter.clone(), request).await.expect("a page");
    Page { items: page.items.iter().map(|event| event.id).collect(), next: page.next }
}

/// Every page; how many there were.
async fn all(scene: &Scene, filter: &EventFilter) -> (Vec<EventId>, usize) {
    let (mut found, mut before, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = page(scene, filter, before).await;
        found.extend(page.items);
        pages += 1;
        match page.next {
            Some(next) => before = Some(next),
            None => return (found, pages),
        }
    }
}

#[tokio::test]
async fn what_is_rare_and_far_back_is_on_the_first_page() {
    on_every_engine(async |scene| {
        let (rare, common) = (scene.source().await, scene.source().await);
        fill(&scene, &rare, 3, |_| "message.edited").await;
        fill(&scene, &common, MANY, |_| "message.received").await;
        let filters =
            [of_type("message.edited"), EventFilter { source: Some(rare.id), ..EventFilter::default() }];
        for filter in &filters {
            let first = page(&scene, filter, None).await;
            assert!(first.items.is_empty() && first.next.is_some(), "a page looks only so far");
        }
        assert!(summarise(&scene).await >= 20);
        for filter in &filters {
            let first = page(&scene, filter, None).await;
            assert_eq!((first.items.len(), first.next), (3, None));
        }
        let both = EventFilter { source: Some(rare.id), ..of_type("message.received") };
        assert_eq!(page(&scene, &both, None).await, Page { items: Vec::new(), next: None });
    })
    .await;
}

#[tokio::test]
async fn lists_are_the_same_before_blocks_are_written_and_after() {
    on_every_engine(async |scene| {
        let sources = [scene.source().await, scene.source().await];
        let types = ["message.received", "message.read", "message.sent", "message.edited"];
        // Some all over, some in places, one never again.
        let event_type = |n: usize| {
            types[usize::from(n.is_multiple_of(3)) + usize::from(n % 1_500 < 40) + usize::from(n == 0)]
        };
        fill(&scene, &sources[0], 4_000, event_type).await;
        fill(&scene, &sources[1], 3_000, event_type).await;
        let mut filters: Vec<EventFilter> = types.iter().map(|name| of_type(name)).collect();
        for source in &sources {
            let of_source = |filter| EventFilter { source: Some(source.id), ..filter };
            filters.extend(types.iter().map(|name| of_source(of_type(name))));
            filters.push(of_source(EventFilter::default()));
        }
        let mut before = Vec::new();
        for filter in &filters {
            before.push(all(&scene, filter).await.0);
        }
        assert_eq!(before.iter().skip(4).filter(|found| found.is_empty()).count(), 0);
        summarise(&scene).await;
        for (filter, before) in filters.iter().zip(before) {
            assert_eq!(all(&scene, filter).await.0, before, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn blocks_go_with_their_rows_and_a_step_that_fails_changes_nothing() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        fill(&scene, &source, 2_500, |_| "message.received").await;
        scene.clock.advance(Duration::from_secs(120));
        let mut statements = 0;
        loop {
            scene.faults.fail_after(statements);
            let step = scene.blocks().step().await;
            if !scene.faults.clear() {
                break;
            }
            assert!(step.is_err() && count(&scene).await == "0", "statement {statements}");
            statements += 1;
        }
        summarise(&scene).await;
        assert_ne!(count(&scene).await, "0");
        scene.days_pass(100).await;
        while scene.retention().step(Keep::default()).await.expect("a step") > 0 {}
        summarise(&scene).await;
        assert_eq!(count(&scene).await, "0");
        assert_eq!(all(&scene, &of_type("message.received")).await.0, []);
    })
    .await;
}

async fn count(scene: &Scene) -> String {
    let rows = scene.raw("SELECT count(*) FROM blocks").await;
    rows[0][0].chars().filter(char::is_ascii_digit).collect()
}
