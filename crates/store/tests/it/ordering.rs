//! Order: at most one delivery of a line is under way, and they go in the order they came.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use model::delivery::DeliveryState;
use model::endpoint::OnDead;
use model::id::EventId;
use model::retry::Next;
use store::claims::Claimed;

use crate::engine::on_every_engine;
use crate::scene::{LEASE, Scene, dead, message};

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What a run has seen: who is under way in each line, and what has ended there last.
#[derive(Default)]
struct Seen {
    under_way: Vec<Claimed>,
    ended: HashMap<i64, EventId>,
}

impl Seen {
    fn claimed(&mut self, claimed: Vec<Claimed>) {
        self.under_way.extend(claimed);
        let lines: Vec<i64> = self.under_way.iter().filter_map(|one| one.line).collect();
        let apart: HashSet<i64> = lines.iter().copied().collect();
        assert_eq!(lines.len(), apart.len(), "two of one line are under way");
    }

    fn end(&mut self, one: &Claimed) {
        let line = one.line.expect("every message has a line");
        let before = self.ended.insert(line, one.event.id);
        assert!(before.is_none_or(|before| before < one.event.id), "order was lost");
    }
}

async fn run(scene: &Scene, seed: u64) {
    let (mut dice, mut seen, mut next_id) = (Dice(seed), Seen::default(), 0);
    let source = scene.source().await;
    for _ in 0..120 {
        match dice.below(4) {
            0 => {
                let events = (0..=dice.below(4)).map(|_| {
                    next_id += 1;
                    message(&format!("{seed}.{next_id}"), &format!("contact {}", dice.below(3)))
                });
                scene.receive(&source, events.collect()).await;
            }
            1 => seen.claimed(scene.claim(1 + dice.below(5) as usize).await),
            2 => scene.clock.advance(Duration::from_millis(dice.below(900))),
            _ if seen.under_way.is_empty() => {}
            _ => {
                let one = seen.under_way.swap_remove(dice.below(seen.under_way.len() as u64) as usize);
                let next = match dice.below(4) {
                    0 => Next::RetryAt(scene.now().plus(Duration::from_millis(dice.below(700)))),
                    1 => dead(),
                    _ => Next::Delivered,
                };
                if !matches!(next, Next::RetryAt(_)) {
                    seen.end(&one);
                }
                scene.record(&one, next).await.expect("a record");
            }
        }
        scene.clock.set(scene.now());
    }
    for one in std::mem::take(&mut seen.under_way) {
        seen.end(&one);
        scene.record(&one, Next::Delivered).await.expect("a record");
    }
    scene.clock.advance(Duration::from_secs(1));
    for one in scene.deliver_all().await {
        seen.end(&one);
    }
    let backlog = scene.stats().backlog().await.expect("a backlog");
    assert_eq!((backlog.due, backlog.in_line), (0, 0));
}

#[tokio::test]
async fn whatever_happens_one_of_a_line_is_under_way_and_their_order_is_kept() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        for seed in [0x9e37_79b9, 0x1234_5678_9abc, 0xfeed_beef_cafe, 0x2026_0301] {
            run(&scene, seed).await;
        }
    })
    .await;
}

async fn three_of_one_line(scene: &Scene) -> Vec<model::id::DeliveryId> {
    let source = scene.source().await;
    for n in 0..3 {
        scene.receive(&source, vec![message(&format!("m{n}"), "ana")]).await;
    }
    scene.all_deliveries().await.iter().rev().map(|one| one.id).collect()
}

#[tokio::test]
async fn a_head_that_is_retried_keeps_the_others_waiting() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        let ids = three_of_one_line(&scene).await;
        let head = scene.claim(10).await.remove(0);
        assert_eq!(head.id, ids[0]);
        scene
            .record(&head, Next::RetryAt(scene.now().plus(Duration::from_secs(60))))
            .await
            .expect("a record");
        assert!(scene.claim(10).await.is_empty());
        scene.clock.advance(Duration::from_secs(60));
        let order: Vec<_> = scene.deliver_all().await.iter().map(|one| one.id).collect();
        assert_eq!(order, ids);
    })
    .await;
}

#[tokio::test]
async fn a_line_skips_its_dead_head_where_the_endpoint_says_so() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        let ids = three_of_one_line(&scene).await;
        scene.record(&scene.claim(10).await[0], dead()).await.expect("a record");
        assert_eq!(scene.deliveries().get(ids[0]).await.expect("it").state, DeliveryState::Dead);
        assert_eq!(scene.deliver_all().await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_line_is_held_by_its_dead_head_until_a_person_calls_that_off() {
    on_every_engine(async |scene| {
        scene.endpoint_that(|endpoint| endpoint.on_dead = OnDead::Hold).await;
        let ids = three_of_one_line(&scene).await;
        scene.record(&scene.claim(10).await[0], dead()).await.expect("a record");
        let head = scene.deliveries().get(ids[0]).await.expect("it");
        assert_eq!((head.state, head.last_error.as_deref()), (DeliveryState::Held, Some("no attempts left")));
        assert!(scene.claim(10).await.is_empty());
        scene.deliveries().cancel(ids[1]).await.expect("one that waits behind it");
        assert!(scene.claim(10).await.is_empty(), "the line is held all the same");
        scene.deliveries().cancel(ids[0]).await.expect("the head is called off");
        let order: Vec<_> = scene.deliver_all().await.iter().map(|one| one.id).collect();
        assert_eq!(order, [ids[2]]);
    })
    .await;
}

#[tokio::test]
async fn a_line_that_nobody_was_waiting_in_is_held_for_those_who_come_later() {
    on_every_engine(async |scene| {
        scene.endpoint_that(|endpoint| endpoint.on_dead = OnDead::Hold).await;
        let source = scene.source().await;
        scene.receive(&source, vec![message("m1", "ana")]).await;
        let head = scene.claim(10).await.remove(0);
        scene.record(&head, dead()).await.expect("a record");
        scene.receive(&source, vec![message("m2", "ana"), message("m3", "leo")]).await;
        let others = scene.claim(10).await;
        assert_eq!(others.len(), 1, "only the other contact's");
        assert_ne!(others[0].line, head.line);
        scene.deliveries().cancel(head.id).await.expect("the head is called off");
        assert_eq!(scene.claim(10).await[0].line, head.line);
    })
    .await;
}

#[tokio::test]
async fn when_an_attempt_is_called_off_its_line_goes_on_after_the_lease() {
    on_every_engine(async |scene| {
        scene.endpoint().await;
        let ids = three_of_one_line(&scene).await;
        let under_way = scene.claim(10).await.remove(0);
        scene.deliveries().cancel(under_way.id).await.expect("called off");
        assert!(scene.claim(10).await.is_empty(), "the attempt may still be running");
        scene.clock.advance(LEASE);
        assert_eq!(scene.claim(10).await[0].id, ids[1]);
    })
    .await;
}
