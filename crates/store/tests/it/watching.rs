//! Watches: due sources are looked at by one node each, what was asked for is seen to, what was found is kept and told.

use std::time::Duration;

use model::page::PageRequest;
use model::time::Timestamp;
use model::watch::{Registered, Watch, Watchdog};
use store::Error;
use store::events::EventFilter;
use store::watches::{ClaimedWatch, RecordedWatch};

use crate::engine::on_every_engine;
use crate::scene::{LEASE, Scene};

async fn claim(scene: &Scene) -> Vec<ClaimedWatch> {
    scene.watches().claim(10, LEASE).await.expect("a claim")
}

fn found(claimed: &ClaimedWatch, next_at: Option<Timestamp>) -> RecordedWatch {
    let watch = Watch { registered: Registered::Yes, ..claimed.watch.clone() };
    RecordedWatch { claimed: claimed.clone(), watch, next_at, told: Vec::new() }
}

#[tokio::test]
async fn a_source_is_looked_at_by_one_node_until_the_lease_ends() {
    on_every_engine(async |scene| {
        let source = scene.source_that(|source| source.watchdog = Watchdog::Tells).await;
        let nodes = if scene.is_embedded() { scene.clone() } else { scene.node(1).await };
        let (mine, theirs) = tokio::join!(claim(&scene), claim(&nodes));
        assert_eq!(mine.len() + theirs.len(), 1);
        let first = mine.into_iter().chain(theirs).next().expect("one");
        assert_eq!((first.source, first.asked), (source.id, None));
        scene.clock.advance(LEASE + Duration::from_secs(1));
        let second = claim(&scene).await.remove(0);
        let late = scene.watches().record(found(&first, None)).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "whoever is late has nothing to say");
        let next_at = Some(scene.now().plus(Duration::from_secs(300)));
        scene.watches().record(found(&second, next_at)).await.expect("a record");
        assert!(claim(&scene).await.is_empty());
        let (watch, _) = scene.watches().get(source.id, None).await.expect("a watch");
        assert_eq!(watch.registered, Registered::Yes);
        scene.clock.advance(Duration::from_secs(300));
        assert_eq!(claim(&scene).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_for_is_due_at_once_and_takes_the_place_of_a_look_under_way() {
    on_every_engine(async |scene| {
        let source = scene.source_that(|source| source.watchdog = Watchdog::Off).await;
        assert!(claim(&scene).await.is_empty(), "nobody looks");
        let asked = scene.watches().ask(source.id).await.expect("asked");
        let under_way = claim(&scene).await.remove(0);
        assert_eq!(under_way.asked, Some(asked));
        let again = scene.watches().ask(source.id).await.expect("asked again");
        let late = scene.watches().record(found(&under_way, None)).await;
        assert!(matches!(late, Err(Error::LeaseLost)));
        let is_done = async || scene.watches().get(source.id, Some(again)).await.expect("a watch").1;
        assert!(!is_done().await);
        let claimed = claim(&scene).await.remove(0);
        scene.watches().record(found(&claimed, None)).await.expect("a record");
        assert!(is_done().await);
        assert!(claim(&scene).await.is_empty(), "once is enough");
        let gone = scene.watches().ask(scene.fresh_id()).await;
        assert!(matches!(gone, Err(Error::NotFound("source"))));
    })
    .await;
}

#[tokio::test]
async fn at_a_start_all_are_due_but_those_under_way_and_those_nobody_watches() {
    on_every_engine(async |scene| {
        for watchdog in [Watchdog::Tells, Watchdog::Registers, Watchdog::Off] {
            scene.source_that(|source| source.watchdog = watchdog).await;
        }
        let claimed = claim(&scene).await;
        assert_eq!(claimed.len(), 2);
        let later = Some(scene.now().plus(Duration::from_secs(3600)));
        scene.watches().record(found(&claimed[0], later)).await.expect("a record");
        scene.watches().look_now().await.expect("a start");
        let due: Vec<_> = claim(&scene).await.iter().map(|one| one.source).collect();
        assert_eq!(due, [claimed[0].source]);
    })
    .await;
}

#[tokio::test]
async fn a_removed_source_is_forgotten_and_one_that_is_switched_off_no_longer_due() {
    on_every_engine(async |scene| {
        let source = scene.source_that(|source| source.watchdog = Watchdog::Tells).await;
        let mut seen = scene.sources().get(source.id).await.expect("the source");
        seen.thing.watchdog = Watchdog::Off;
        scene.sources().replace(seen).await.expect("a change");
        assert!(claim(&scene).await.is_empty());
        scene.sources().remove(source.id).await.expect("a removal");
        assert!(matches!(scene.watches().get(source.id, None).await, Err(Error::NotFound(_))));
        let told = scene.events().list(EventFilter::default(), PageRequest::newest(1)).await.expect("events");
        assert!(told.items.is_empty());
    })
    .await;
}
