//! Nodes whose own clocks are wrong, on one PostgreSQL: leases end, and things are due, by the database's time.

use std::time::Duration;

use model::delivery::DeliveryState;
use model::retry::Next;
use model::send::SendState;
use model::time::{Clock, SetClock, Timestamp};
use store::claims::{Claimed, Wish};
use store::sends::WantedSends;
use store::{Config, Error, Faults, Store};

use crate::engine::on_postgres;
use crate::scene::{LEASE, Scene, message};
use crate::sending::{claim as claim_sends, desk, queue, record as record_send, state, wanted, words};

/// How far a clock is off: more than a lease.
const OFF: Duration = Duration::from_secs(40);
/// A lease that has run out by the time anybody else looks.
const SHORT: Duration = Duration::from_millis(1);

/// Two more nodes on the database of a scene: the clock of one is ahead, that of the other behind, and either way round.
async fn on_nodes_that_are_off(test: impl AsyncFn(Scene, Scene)) {
    on_postgres(async |scene| {
        let ahead = node_at(&scene, 1, Clock::System.now().plus(OFF)).await;
        let behind = node_at(&scene, 2, Clock::System.now().minus(OFF)).await;
        test(ahead.clone(), behind.clone()).await;
        test(behind, ahead).await;
    })
    .await;
}

async fn node_at(scene: &Scene, node: u16, at: Timestamp) -> Scene {
    let config = Config { location: scene.location.clone(), node, faults: Faults::default() };
    let store = Store::open(&config, Clock::Set(SetClock::starting_at(at))).await.expect("a store");
    Scene { store, ..scene.clone() }
}

async fn claim_for(node: &Scene, lease: Duration) -> Vec<Claimed> {
    node.deliveries().claim(Wish::new(10, lease)).await.expect("a claim")
}

/// Claims until there is something.
async fn claim_at_last(node: &Scene) -> Claimed {
    let claims = async {
        loop {
            if let Some(claimed) = claim_for(node, LEASE).await.pop() {
                return claimed;
            }
        }
    };
    tokio::time::timeout(LEASE / 2, claims).await.expect("long before a lease ends by a wrong clock")
}

#[tokio::test]
async fn what_one_node_has_under_a_lease_no_other_attempts() {
    on_nodes_that_are_off(async |holder, other| {
        let source = holder.source().await;
        let endpoint = holder.endpoint().await;
        other.refresh_routing().await.expect("read anew");
        holder.receive(&source, vec![message(&format!("to {}", endpoint.id), "ana")]).await;
        let held = claim_for(&holder, LEASE).await.remove(0);
        assert!(claim_for(&other, LEASE).await.is_empty(), "it is under a lease");
        holder.record(&held, Next::Delivered).await.expect("the lease is still good");
        holder.endpoints().remove(endpoint.id).await.expect("removed");
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_ran_out_passes_on_and_its_late_record_is_refused() {
    on_nodes_that_are_off(async |late, next| {
        let source = late.source().await;
        let endpoint = late.endpoint().await;
        late.receive(&source, vec![message(&format!("to {}", endpoint.id), "ana")]).await;
        next.refresh_routing().await.expect("read anew");
        let lost = claim_for(&late, SHORT).await.remove(0);
        let held = claim_at_last(&next).await;
        assert_eq!(held.id, lost.id);
        assert!(matches!(late.record(&lost, Next::Delivered).await, Err(Error::LeaseLost)));
        next.record(&held, Next::Delivered).await.expect("the lease is its own");
        let delivery = next.deliveries().get(held.id).await.expect("a delivery");
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 1));
        late.endpoints().remove(endpoint.id).await.expect("removed");
    })
    .await;
}

#[tokio::test]
async fn what_one_node_makes_due_is_due_on_every_node_at_that_time() {
    on_nodes_that_are_off(async |one, other| {
        let source = one.source().await;
        let endpoint = one.endpoint().await;
        other.refresh_routing().await.expect("read anew");
        one.receive(&source, vec![message(&format!("to {}", endpoint.id), "ana")]).await;
        let held = claim_at_last(&other).await;
        let later = other.clock().now().plus(LEASE);
        other.record(&held, Next::RetryAt(later)).await.expect("a record");
        assert!(claim_for(&one, LEASE).await.is_empty(), "it waits for its next attempt");
        assert!(other.deliveries().retry(held.id).await.expect("an answer"), "due now instead");
        assert_eq!(claim_at_last(&one).await.id, held.id);
        one.endpoints().remove(endpoint.id).await.expect("removed");
    })
    .await;
}

#[tokio::test]
async fn a_call_under_way_is_unknown_only_when_its_lease_ran_out() {
    on_nodes_that_are_off(async |caller, other| {
        let desk = desk(&caller).await;
        let id = queue(&caller, words(&desk, "hello")).await;
        let held = claim_sends(&caller).await.remove(0);
        assert!(claim_sends(&other).await.is_empty());
        assert_eq!(state(&other, id).await.0, SendState::InFlight, "the call is under way");
        record_send(&caller, &held, Next::Delivered).await;
        assert_eq!(state(&other, id).await.0, SendState::Taken);

        let id = queue(&caller, words(&desk, "goodbye")).await;
        let short = WantedSends { lease: SHORT, ..wanted() };
        assert_eq!(caller.sends().claim(short).await.expect("a claim").sends.len(), 1);
        let given_up = async {
            while state(&other, id).await.0 == SendState::InFlight {
                claim_sends(&other).await;
            }
        };
        tokio::time::timeout(LEASE / 2, given_up).await.expect("long before a lease ends by a wrong clock");
        assert_eq!(state(&other, id).await.0, SendState::Unknown);
    })
    .await;
}
