//! Turns: each send leaves once, at its own time, and no account keeps another waiting.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::id::{AccountId, AppId, SendId};
use model::pace::Pacing;
use model::retry::Next;
use model::send::{OutgoingBody, OutgoingMessage, Recipient, TextBody};
use model::time::Timestamp;
use store::retention::Keep;
use store::sends::{NewSend, PacingOf, SendPacing, Turns, WantedSends};

use crate::engine::{on_every_engine, on_postgres};
use crate::scene::{LEASE, Scene};
use crate::sending::{outcome, record, wanted};

const BROADCASTER: AccountId = AccountId::from_raw(10);
const OTHER: AccountId = AccountId::from_raw(20);
const SECOND: Duration = Duration::from_secs(1);

/// Ten a second of an account, two at once; one contact gets a message every 6 s, three at once.
fn ten_a_second() -> PacingOf {
    let account = Pacing::new(Duration::from_millis(100), 2);
    let line = Some(Pacing::new(Duration::from_secs(6), 3));
    Arc::new(move |_| Some(SendPacing { account, line }))
}

pub(crate) fn paced() -> WantedSends {
    WantedSends { pacing: ten_a_second(), ..wanted() }
}

fn to(account: AccountId, contact: &str) -> NewSend {
    let body = OutgoingBody::Text { text: TextBody { body: "hello".to_owned(), preview_url: false } };
    NewSend {
        app: AppId::from_raw(1),
        account,
        conversation: None,
        message: OutgoingMessage { to: Recipient::Address(contact.to_owned()), reply_to: None, body },
        key: None,
    }
}

/// Owes one message to each of so many contacts of an account.
async fn broadcast(scene: &Scene, account: AccountId, contacts: usize) {
    let sends = scene.sends();
    let queued = (0..contacts).map(|n| sends.queue(to(account, &format!("contact {n}"))));
    assert!(join_all(queued).await.iter().all(Result::is_ok));
}

async fn turns(scene: &Scene, wanted: WantedSends) -> Turns {
    scene.sends().claim(wanted).await.expect("a claim")
}

/// Sends everything there is, waiting from turn to turn; says when each was claimed, and how often something was.
async fn send_all(scene: &Scene) -> (Vec<(SendId, Timestamp)>, usize) {
    let (mut claimed, mut claims) = (Vec::new(), 0);
    loop {
        let turns = turns(scene, paced()).await;
        claims += 1;
        for one in &turns.sends {
            claimed.push((one.send.id, scene.now()));
            record(scene, one, Next::Delivered).await;
        }
        match turns.next_at {
            Some(at) => scene.clock.advance(at.since(scene.now())),
            None if turns.sends.is_empty() => return (claimed, claims),
            None => {}
        }
    }
}

#[tokio::test]
async fn each_send_of_a_broadcast_is_claimed_once_when_its_turn_has_come() {
    on_every_engine(async |scene| {
        broadcast(&scene, BROADCASTER, 60).await;
        let start = scene.now();
        let (claimed, claims) = send_all(&scene).await;
        let apart: HashSet<SendId> = claimed.iter().map(|(id, _)| *id).collect();
        assert_eq!((claimed.len(), apart.len()), (60, 60));
        let took = scene.now().since(start);
        assert!(took >= SECOND * 5 && took < SECOND * 7, "{took:?}");
        for (_, at) in &claimed {
            let within = claimed.iter().filter(|(_, other)| *other >= *at && other.since(*at) < SECOND);
            assert!(within.count() <= 12, "ten a second, and two at once");
        }
        assert!(claims <= 130, "nothing is looked at again and again: {claims}");
    })
    .await;
}

#[tokio::test]
async fn many_sends_to_one_number_leave_in_order_each_at_its_own_time() {
    on_every_engine(async |scene| {
        let mut queued = Vec::new();
        for _ in 0..10 {
            queued.push(crate::sending::queue(&scene, to(BROADCASTER, "ana")).await);
        }
        let start = scene.now();
        let (claimed, claims) = send_all(&scene).await;
        assert_eq!(claimed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), queued);
        let waits: Vec<u64> = claimed.iter().map(|(_, at)| at.since(start).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 6, 12, 18, 24, 30, 36, 42]);
        assert!(claims <= 40, "{claims}");
    })
    .await;
}

#[tokio::test]
async fn a_send_that_waits_for_its_contact_keeps_no_other_from_leaving() {
    on_every_engine(async |scene| {
        for _ in 0..5 {
            crate::sending::queue(&scene, to(BROADCASTER, "ana")).await;
        }
        for _ in 0..3 {
            let claimed = turns(&scene, paced()).await.sends.remove(0);
            record(&scene, &claimed, Next::Delivered).await;
            scene.clock.advance(SECOND / 2);
        }
        let put_off = turns(&scene, paced()).await;
        assert!(put_off.sends.is_empty());
        let at = put_off.next_at.expect("it has a time");
        assert!(at.since(scene.now()) > SECOND * 4, "{at}");
        let shown = scene
            .sends()
            .list(Default::default(), model::page::PageRequest::newest(10))
            .await
            .expect("a list");
        assert!(shown.items.iter().any(|send| send.due_at == Some(at)), "its due time is its own");
        let beside = crate::sending::queue(&scene, to(BROADCASTER, "leo")).await;
        let claimed = turns(&scene, paced()).await.sends;
        assert_eq!(claimed.iter().map(|one| one.send.id).collect::<Vec<_>>(), [beside]);
    })
    .await;
}

#[tokio::test]
async fn turns_are_kept_over_a_restart() {
    on_every_engine(async |scene| {
        broadcast(&scene, BROADCASTER, 10).await;
        assert_eq!(turns(&scene, paced()).await.sends.len(), 2);
        let again = scene.node(1).await;
        let first = turns(&again, paced()).await;
        assert!(first.sends.is_empty());
        assert_eq!(first.next_at, Some(scene.now().plus(SECOND / 10)));
        scene.clock.advance(SECOND / 10);
        assert_eq!(turns(&again, paced()).await.sends.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn two_nodes_share_the_turns_of_an_account() {
    on_postgres(async |one| {
        let two = one.node(1).await;
        broadcast(&one, BROADCASTER, 200).await;
        let mut claimed = Vec::new();
        for _ in 0..20 {
            let (left, right) = tokio::join!(turns(&one, paced()), turns(&two, paced()));
            claimed.extend(left.sends.into_iter().chain(right.sends).map(|one| one.send.id));
            one.clock.advance(SECOND / 2);
        }
        let apart: HashSet<SendId> = claimed.iter().copied().collect();
        assert_eq!(claimed.len(), apart.len());
        assert_eq!(claimed.len(), 40, "two at once, every half second");
    })
    .await;
}

#[tokio::test]
async fn a_broadcast_of_a_hundred_thousand_keeps_no_other_account_waiting() {
    on_every_engine(async |scene| {
        let made = scene.now().as_millis();
        let doc = r#"{"to":"ana","type":"text","text":{"body":"hello"}}"#;
        scene
            .raw(&format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                INSERT INTO sends (id, app, account, line, state, attempts, due_at, doc)
                SELECT i, 1, {}, -i, 0, 0, {made}, '{doc}' FROM n",
                BROADCASTER.raw()
            ))
            .await;
        assert_eq!(turns(&scene, wanted()).await.sends.len(), 10);
        let reply = crate::sending::queue(&scene, to(OTHER, "leo")).await;
        let batch = turns(&scene, wanted()).await.sends;
        assert!(batch.iter().any(|one| one.send.id == reply), "it leaves with the next batch");
        assert!(batch.len() > 1, "and the broadcast goes on");
    })
    .await;
}

#[tokio::test]
async fn accounts_are_served_one_after_another() {
    on_every_engine(async |scene| {
        for account in 1..=10 {
            broadcast(&scene, AccountId::from_raw(account), 5).await;
        }
        let mut served: BTreeMap<AccountId, usize> = BTreeMap::new();
        for _ in 0..5 {
            for one in turns(&scene, WantedSends { limit: 4, ..wanted() }).await.sends {
                *served.entry(one.send.account).or_default() += 1;
            }
        }
        assert_eq!(served.values().copied().collect::<Vec<_>>(), [2; 10], "{served:?}");
    })
    .await;
}

#[tokio::test]
async fn an_account_whose_calls_hang_leaves_places_to_others() {
    on_every_engine(async |scene| {
        broadcast(&scene, BROADCASTER, 50).await;
        let places = 16;
        let mut busy: HashMap<AccountId, usize> = HashMap::new();
        for _ in 0..5 {
            let limit = places - busy.values().sum::<usize>();
            let claimed = turns(&scene, WantedSends { limit, busy: busy.clone(), ..wanted() }).await;
            assert!(claimed.next_at.is_none(), "there is nothing to wake up for but the end of a call");
            *busy.entry(BROADCASTER).or_default() += claimed.sends.len();
        }
        assert_eq!(busy[&BROADCASTER], places / 2);
        broadcast(&scene, OTHER, 3).await;
        let limit = places / 2;
        let claimed = turns(&scene, WantedSends { limit, busy, ..wanted() }).await.sends;
        assert_eq!(claimed.iter().map(|one| one.send.account).collect::<Vec<_>>(), [OTHER; 3]);
    })
    .await;
}

#[tokio::test]
async fn an_account_that_was_refused_rests_and_others_do_not() {
    on_every_engine(async |scene| {
        broadcast(&scene, BROADCASTER, 3).await;
        let first = turns(&scene, WantedSends { limit: 1, ..wanted() }).await.sends.remove(0);
        let until = scene.now().plus(SECOND * 300);
        let refused = outcome(&scene, &first, Next::Dead("the token is not valid".to_owned()));
        let refused = store::sends::RecordedSend { rest_until: Some(until), ..refused };
        scene.sends().record(refused).await.expect("a record");
        broadcast(&scene, OTHER, 1).await;
        let again = scene.node(1).await;
        let claimed = turns(&again, paced()).await;
        assert_eq!(claimed.sends.iter().map(|one| one.send.account).collect::<Vec<_>>(), [OTHER]);
        assert_eq!(claimed.next_at, Some(until));
        scene.clock.set(until);
        assert_eq!(turns(&again, paced()).await.sends.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_no_account_resting_or_waiting_for_its_turn() {
    on_every_engine(async |scene| {
        let start = scene.now();
        scene.clock.set(start.plus(SECOND * 24 * 3600));
        broadcast(&scene, BROADCASTER, 1).await;
        let claimed = turns(&scene, paced()).await.sends.remove(0);
        let rested = outcome(&scene, &claimed, Next::Delivered);
        let until = Some(scene.now().plus(SECOND * 300));
        scene
            .sends()
            .record(store::sends::RecordedSend { rest_until: until, ..rested })
            .await
            .expect("a record");
        scene.clock.set(start);
        broadcast(&scene, BROADCASTER, 1).await;
        assert_eq!(turns(&scene, paced()).await.sends.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_end_of_a_retry_is_waited_for_and_not_looked_for() {
    on_every_engine(async |scene| {
        broadcast(&scene, BROADCASTER, 1).await;
        let claimed = turns(&scene, wanted()).await.sends.remove(0);
        let at = scene.now().plus(SECOND * 60);
        record(&scene, &claimed, Next::RetryAt(at)).await;
        let none = turns(&scene, wanted()).await;
        assert!(none.sends.is_empty());
        assert_eq!(none.next_at, Some(at));
    })
    .await;
}

#[tokio::test]
async fn turns_that_lie_far_back_are_forgotten() {
    on_every_engine(async |scene| {
        broadcast(&scene, BROADCASTER, 3).await;
        let claimed = turns(&scene, paced()).await.sends;
        assert_eq!(claimed.len(), 2);
        let count = async || scene.raw("SELECT '' || count(*) FROM turns").await[0][0].clone();
        assert_eq!(count().await, "3", "the account's, and one of each contact");
        scene.retention().step(Keep::default()).await.expect("a step");
        assert_eq!(count().await, "3");
        scene.clock.advance(SECOND * 2 * 3600);
        scene.retention().step(Keep::default()).await.expect("a step");
        assert_eq!(count().await, "0");
        scene.clock.advance(LEASE);
    })
    .await;
}
