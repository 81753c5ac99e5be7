//! Listings: newest first, page by page, by each filter.

use model::delivery::DeliveryState;
use model::page::{Page, PageRequest};
use model::receipt::{Reason, ReceiptState};
use store::arrivals::Verdict;
use store::deliveries::DeliveryFilter;
use store::events::EventFilter;
use store::receipts::ReceiptFilter;

use crate::engine::on_every_engine;
use crate::scene::{Scene, arrival, dead, message};

/// Reads all pages of two rows.
async fn pages<T>(list: impl AsyncFn(PageRequest) -> Page<T>) -> Vec<T> {
    let (mut all, mut request) = (Vec::new(), PageRequest::newest(2));
    loop {
        let page = list(request).await;
        assert!(page.items.len() <= 2);
        all.extend(page.items);
        match page.next {
            Some(next) => request.before = Some(next),
            None => return all,
        }
    }
}

async fn events(scene: &Scene, filter: EventFilter) -> Vec<String> {
    let found = pages(async |page| scene.events().list(filter.clone(), page).await.expect("events")).await;
    assert!(found.windows(2).all(|pair| pair[0].id > pair[1].id));
    found.iter().map(|event| event.event_type.as_str().to_owned()).collect()
}

#[tokio::test]
async fn events_are_listed_by_each_filter() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        scene.receive(&source, vec![message("m1", "ana"), message("m2", "ana"), message("m3", "leo")]).await;
        let other = scene.source_that(|source| source.app = model::id::AppId::from_raw(2)).await;
        let mut plain = message("m4", "eva");
        plain.party = None;
        plain.account = None;
        scene.receive(&other, vec![plain]).await;

        assert_eq!(events(&scene, EventFilter::default()).await.len(), 6);
        let filter = EventFilter { app: Some(scene.app()), ..EventFilter::default() };
        assert_eq!(events(&scene, filter).await.len(), 5);
        let filter = EventFilter { source: Some(other.id), ..EventFilter::default() };
        assert_eq!(events(&scene, filter).await, ["message.received"]);
        let filter =
            EventFilter { event_type: Some("conversation.created".to_owned()), ..EventFilter::default() };
        assert_eq!(events(&scene, filter).await.len(), 2);
        let account = scene.routing().account(source.id, "34600").map(|account| account.id);
        let filter = EventFilter { account, ..EventFilter::default() };
        assert_eq!(events(&scene, filter).await.len(), 5);
        let talks = scene.all_conversations().await;
        assert_eq!(talks.len(), 2);
        let ana = talks.last().map(|talk| talk.id);
        let filter = EventFilter { conversation: ana, ..EventFilter::default() };
        assert_eq!(events(&scene, filter).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn receipts_are_listed_by_source_and_state() {
    on_every_engine(async |scene| {
        let (source, other) = (scene.source().await, scene.source().await);
        for n in 0..3 {
            scene.receive(&source, vec![message(&format!("m{n}"), "ana")]).await;
        }
        let rejected = arrival(&other, Verdict::Rejected(Reason::CredentialWrong));
        scene.arrivals().append(rejected).await.expect("kept");
        let list = async |filter: ReceiptFilter| {
            pages(async |page| scene.receipts().list(filter, page).await.expect("receipts")).await
        };
        assert_eq!(list(ReceiptFilter::default()).await.len(), 4);
        assert_eq!(
            list(ReceiptFilter { source: Some(source.id), ..ReceiptFilter::default() }).await.len(),
            3
        );
        let accepted = ReceiptFilter { state: Some(ReceiptState::Accepted), ..ReceiptFilter::default() };
        assert_eq!(list(accepted).await.len(), 3);
        let refused = list(ReceiptFilter {
            source: Some(other.id),
            state: Some(ReceiptState::Rejected),
            ..ReceiptFilter::default()
        })
        .await;
        assert_eq!(refused.iter().map(|one| one.reason).collect::<Vec<_>>(), [Some(Reason::CredentialWrong)]);
    })
    .await;
}

#[tokio::test]
async fn deliveries_are_listed_by_event_endpoint_and_state() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let (one, two) = (scene.endpoint().await, scene.endpoint().await);
        scene.receive(&source, (0..3).map(|n| message(&format!("m{n}"), &format!("c{n}"))).collect()).await;
        let claimed = scene.claim(100).await;
        scene
            .record(claimed.iter().find(|one| one.endpoint.id == two.id).expect("one"), dead())
            .await
            .expect("dead");
        let list = async |filter: DeliveryFilter| {
            pages(async |page| scene.deliveries().list(filter, page).await.expect("deliveries")).await
        };
        assert_eq!(list(DeliveryFilter::default()).await.len(), 6);
        assert_eq!(
            list(DeliveryFilter { endpoint: Some(one.id), ..DeliveryFilter::default() }).await.len(),
            3
        );
        let event = Some(claimed[0].event.id);
        assert_eq!(list(DeliveryFilter { event, ..DeliveryFilter::default() }).await.len(), 2);
        let died = DeliveryFilter { state: Some(DeliveryState::Dead), ..DeliveryFilter::default() };
        assert_eq!(list(died).await.iter().map(|one| one.endpoint).collect::<Vec<_>>(), [two.id]);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_missing() {
    on_every_engine(async |scene| {
        assert!(scene.events().get(scene.fresh_id()).await.is_err());
        assert!(scene.receipts().get(scene.fresh_id()).await.is_err());
        assert!(scene.deliveries().get(scene.fresh_id()).await.is_err());
        assert!(scene.sends().get(scene.fresh_id()).await.is_err());
        assert!(scene.conversations().get(scene.fresh_id()).await.is_err());
        assert!(scene.receipts().came(scene.fresh_id()).await.expect("a read").is_none());
    })
    .await;
}
