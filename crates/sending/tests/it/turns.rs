//! Turns as the lane takes them: each message leaves once, no faster than the platform allows.

use std::collections::HashSet;
use std::time::Duration;

use dispatcher::Lane;
use model::send::SendState;
use tokio::time::Instant;

use crate::{ACCESS_TOKEN, Scene};

const TENTH: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_broadcast_leaves_message_by_message_also_over_a_restart() {
    let mut scene = Scene::new().await;
    let account = scene.account("201", ACCESS_TOKEN).await;
    for n in 0..12 {
        scene.queue(account, &format!("1555000{n:04}")).await;
    }
    for turn in 0..12 {
        if turn == 6 {
            scene = scene.restarted().await;
        }
        assert_eq!((scene.send_due().await, scene.send_due().await), (1, 0), "turn {turn}");
        scene.clock.advance(TENTH);
    }
    let sends = scene.whatsapp.sends();
    let apart: HashSet<&str> = sends.iter().map(|taken| taken.to.as_str()).collect();
    assert_eq!((sends.len(), apart.len()), (12, 12));
}

#[tokio::test]
async fn messages_to_one_number_wait_for_each_other_and_for_the_pair() {
    let scene = Scene::new().await;
    let account = scene.account("201", ACCESS_TOKEN).await;
    let mut ids = Vec::new();
    for _ in 0..47 {
        ids.push(scene.queue(account, "15550000042").await.to_string());
    }
    for _ in 0..45 {
        assert_eq!(scene.send_due().await, 1, "forty-five at once are the platform's rule");
        scene.clock.advance(TENTH);
    }
    assert_eq!((scene.send_due().await, scene.send_due().await), (0, 0));
    scene.clock.advance(Duration::from_secs(6));
    assert_eq!((scene.send_due().await, scene.send_due().await), (1, 0));
    scene.clock.advance(Duration::from_secs(6));
    assert_eq!(scene.send_due().await, 1);
    let sends = scene.whatsapp.sends();
    let order: Vec<String> = sends.iter().filter_map(|taken| taken.correlation.clone()).collect();
    assert_eq!(order, ids);
}

#[tokio::test]
async fn an_account_that_the_platform_refuses_rests_and_others_go_on() {
    let scene = Scene::new().await;
    let refused = scene.account("201", "an-old-token").await;
    let works = scene.account("202", ACCESS_TOKEN).await;
    let first = scene.queue(refused, "15550000001").await;
    assert_eq!(scene.send_due().await, 1);
    assert_eq!(scene.store.sends().get(first).await.unwrap().state, SendState::Dead);
    let second = scene.queue(refused, "15550000002").await;
    scene.queue(works, "15550000003").await;
    scene.clock.advance(Duration::from_secs(60));
    let scene = scene.restarted().await;
    assert_eq!(scene.send_due().await, 1);
    assert_eq!(scene.whatsapp.sends()[0].phone_number_id, "202");
    let waits = scene.store.sends().get(second).await.unwrap();
    assert_eq!((waits.state, waits.attempts), (SendState::Pending, 0));
    scene.clock.advance(Duration::from_secs(240));
    assert_eq!(scene.send_due().await, 1, "it is tried again after a rest");
}

#[tokio::test]
async fn what_is_under_way_holds_its_places_until_it_has_ended() {
    let scene = Scene::new().await;
    let (one, two) = (scene.account("201", ACCESS_TOKEN).await, scene.account("202", ACCESS_TOKEN).await);
    for n in 0..8 {
        scene.queue(one, &format!("1555000{n:04}")).await;
    }
    let mut hung = Vec::new();
    for places in [4, 3, 2] {
        hung.extend(scene.lane.claim(places).await.unwrap());
        scene.clock.advance(TENTH);
    }
    assert_eq!(hung.len(), 2, "half of the places");
    scene.queue(two, "15550000099").await;
    assert_eq!(scene.lane.claim(2).await.unwrap().len(), 1, "another account finds one");
    drop(hung);
    assert_eq!(scene.lane.claim(4).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_lane_wakes_when_the_next_turn_comes() {
    let scene = Scene::new().await;
    let account = scene.account("201", ACCESS_TOKEN).await;
    scene.queue(account, "15550000001").await;
    scene.queue(account, "15550000002").await;
    assert_eq!(scene.claim().await.len(), 1);
    scene.lane.woken().await;
    let began = Instant::now();
    scene.lane.woken().await;
    assert_eq!(began.elapsed().as_millis() / 10, 10, "the first time it was for what was queued");
}
