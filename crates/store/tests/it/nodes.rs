//! Two nodes on one PostgreSQL: one configuration, one event of many copies, one claim of each delivery.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::retry::Next;

use crate::engine::on_postgres;
use crate::scene::message;

#[tokio::test]
async fn what_one_node_configures_the_other_knows_when_it_appends() {
    on_postgres(async |one| {
        let two = one.node(1).await;
        let source = one.source().await;
        let endpoint = one.endpoint().await;
        assert!(two.routing().endpoint(endpoint.id).is_none());
        let appended = two.receive(&source, vec![message("m1", "ana")]).await;
        assert_eq!(appended.deliveries, 1);
        one.endpoints().remove(endpoint.id).await.expect("removed");
        two.refresh_routing().await.expect("read anew");
        assert!(two.routing().endpoint(endpoint.id).is_none());
    })
    .await;
}

#[tokio::test]
async fn a_hundred_copies_over_two_nodes_are_one_event() {
    on_postgres(async |one| {
        let two = one.node(1).await;
        let source = one.source().await;
        one.endpoint().await;
        let copies = (0..100).map(|n| {
            let (node, source) = (if n % 2 == 0 { one.clone() } else { two.clone() }, Arc::clone(&source));
            async move { node.receive(&source, vec![message("m1", "ana")]).await.items_new }
        });
        assert_eq!(join_all(copies).await.iter().sum::<u32>(), 1);
        assert_eq!(one.event_types().await, ["conversation.created", "message.received"].map(str::to_owned));
        assert_eq!(one.all_deliveries().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn two_nodes_never_claim_the_same_delivery() {
    on_postgres(async |one| {
        let two = one.node(1).await;
        let source = one.source().await;
        one.endpoint_that(|endpoint| endpoint.concurrency = 500).await;
        let events = (0..200).map(|n| message(&format!("m{n}"), &format!("c{n}"))).collect();
        one.receive(&source, events).await;
        let mut claimed = Vec::new();
        for _ in 0..30 {
            let (left, right) = tokio::join!(one.claim(7), two.claim(7));
            claimed.extend(left);
            claimed.extend(right);
        }
        claimed.extend(one.claim(500).await);
        let apart: HashSet<_> = claimed.iter().map(|one| one.id).collect();
        assert_eq!((claimed.len(), apart.len()), (200, 200));
        join_all(claimed.iter().map(|claim| two.record(claim, Next::Delivered))).await.into_iter().for_each(
            |outcome| {
                outcome.expect("any node may record what it has the lease of");
            },
        );
    })
    .await;
}

#[tokio::test]
async fn a_line_is_kept_over_two_nodes_whose_clocks_differ() {
    on_postgres(async |ahead| {
        let source = ahead.source().await;
        ahead.endpoint().await;
        let behind = ahead.node(1).await;
        let start = ahead.now();
        for n in 0..3 {
            ahead.clock.set(start.plus(Duration::from_secs(10)));
            ahead.receive(&source, vec![message(&format!("ahead {n}"), "ana")]).await;
            ahead.clock.set(start);
            behind.receive(&source, vec![message(&format!("behind {n}"), "ana")]).await;
        }
        ahead.clock.set(start.plus(Duration::from_secs(20)));
        let order: Vec<String> =
            behind.deliver_all().await.iter().filter_map(|one| one.event.content.clone()).collect();
        let expected = ["ahead 0", "behind 0", "ahead 1", "behind 1", "ahead 2", "behind 2"];
        assert_eq!(order.len(), 6);
        assert!(order.iter().zip(expected).all(|(content, id)| content.contains(id)), "{order:?}");
    })
    .await;
}

#[tokio::test]
async fn arrivals_of_one_person_on_both_nodes_make_one_contact_and_one_conversation() {
    on_postgres(async |one| {
        let two = one.node(1).await;
        let source = one.source().await;
        let arrivals = (0..40).map(|n| {
            let (node, source) = (if n % 2 == 0 { one.clone() } else { two.clone() }, Arc::clone(&source));
            async move { node.receive(&source, vec![message(&format!("m{n}"), "ana")]).await }
        });
        join_all(arrivals).await;
        let created = one.event_types().await.iter().filter(|name| *name == "conversation.created").count();
        assert_eq!(created, 1);
    })
    .await;
}
