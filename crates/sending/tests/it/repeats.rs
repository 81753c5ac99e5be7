//! Answers that are lost: nothing is sent twice, and where a platform knows a repeat, nothing is left unknown either.

use std::time::Duration;

use model::secret::Secret;
use model::send::SendState;
use simulator::Chats;

use crate::{ACCESS_TOKEN, Scene};

#[tokio::test]
async fn a_platform_that_knows_repeats_is_asked_again_and_any_other_is_not() {
    let scene = Scene::new().await;
    let chats = Chats::start(Secret::new(ACCESS_TOKEN)).await.unwrap();
    for (platform, to, after_loss, at_last) in [
        ("line", "U42", SendState::Pending, SendState::Taken),
        ("discord", "55", SendState::Pending, SendState::Taken),
        ("slack", "C1", SendState::Unknown, SendState::Unknown),
    ] {
        let account = scene.account_at(platform, &chats.url(), ACCESS_TOKEN).await;
        let id = scene.queue(account, to).await;
        let taken_before = chats.count();
        chats.lose_answers(1);
        assert_eq!(scene.send_due().await, 1, "{platform}");
        assert_eq!(scene.store.sends().get(id).await.unwrap().state, after_loss, "{platform}");
        // As long as the first retry waits: Discord knows a repeat for minutes only.
        scene.clock.advance(Duration::from_secs(10));
        scene.send_due().await;
        assert_eq!(scene.store.sends().get(id).await.unwrap().state, at_last, "{platform}");
        assert_eq!(chats.count() - taken_before, 1, "{platform}: once, whatever was lost");
    }
}

#[tokio::test]
async fn a_repeat_that_the_platform_no_longer_knows_is_not_made() {
    let scene = Scene::new().await;
    let chats = Chats::start(Secret::new(ACCESS_TOKEN)).await.unwrap();
    for (platform, to, lasts) in
        [("line", "U42", Duration::from_secs(24 * 3600)), ("discord", "55", Duration::from_secs(120))]
    {
        let account = scene.account_at(platform, &chats.url(), ACCESS_TOKEN).await;
        let id = scene.queue(account, to).await;
        scene.clock.advance(lasts);
        chats.lose_answers(1);
        assert_eq!(scene.send_due().await, 1, "{platform}");
        assert_eq!(scene.store.sends().get(id).await.unwrap().state, SendState::Unknown, "{platform}");
    }
}

#[tokio::test]
async fn a_message_that_may_have_been_taken_is_not_told_as_one_that_was_not() {
    let scene = Scene::new().await;
    let chats = Chats::start(Secret::new(ACCESS_TOKEN)).await.unwrap();
    let account = scene.account_at("line", &chats.url(), ACCESS_TOKEN).await;
    let id = scene.queue(account, "U42").await;
    chats.lose_answers(1);
    assert_eq!(scene.send_due().await, 1);
    drop(chats);
    for attempt in 2..=6 {
        scene.clock.advance(Duration::from_secs(3600));
        assert_eq!(scene.send_due().await, 1, "attempt {attempt}");
    }
    assert_eq!(scene.store.sends().get(id).await.unwrap().state, SendState::Unknown);
}
