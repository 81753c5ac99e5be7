//! Statuses: how far a message of ours came, in whatever order that is told.

use model::message::MessageState;
use model::retry::Next;
use model::send::SendState;

use crate::engine::on_every_engine;
use crate::scene::status;
use crate::sending::{claim, desk, queue, record, state, words};

#[tokio::test]
async fn the_state_of_a_message_only_rises() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let id = queue(&scene, words(&desk, "hello")).await;
        record(&scene, &claim(&scene).await[0], Next::Delivered).await;
        let message_id = format!("wamid.{id}");
        for (told, expected) in [
            (MessageState::Read, MessageState::Read),
            (MessageState::Sent, MessageState::Read),
            (MessageState::Delivered, MessageState::Read),
            (MessageState::Failed, MessageState::Read),
        ] {
            scene.receive(&desk.source, vec![status(&message_id, told, None)]).await;
            assert_eq!(state(&scene, id).await, (SendState::Taken, Some(expected)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_status_tells_the_conversation_of_its_send() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let id = queue(&scene, words(&desk, "hello")).await;
        record(&scene, &claim(&scene).await[0], Next::Delivered).await;
        scene.endpoint().await;
        scene.receive(&desk.source, vec![status(&format!("wamid.{id}"), MessageState::Sent, None)]).await;
        assert_eq!(scene.claim(10).await[0].event.conversation, Some(desk.conversation));
    })
    .await;
}

#[tokio::test]
async fn a_status_that_came_before_the_answer_is_applied_when_the_send_is_recorded() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let id = queue(&scene, words(&desk, "hello")).await;
        let claimed = claim(&scene).await.remove(0);
        let early = |told| status(&format!("wamid.{id}"), told, None);
        scene.receive(&desk.source, vec![early(MessageState::Delivered), early(MessageState::Sent)]).await;
        assert_eq!(state(&scene, id).await, (SendState::InFlight, None));
        record(&scene, &claimed, Next::Delivered).await;
        assert_eq!(state(&scene, id).await, (SendState::Taken, Some(MessageState::Delivered)));
        assert!(scene.raw("SELECT * FROM parked").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_we_sent_along_names_the_send_before_the_platforms_id_does() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let id = queue(&scene, words(&desk, "hello")).await;
        let next = queue(&scene, words(&desk, "and more")).await;
        let claimed = claim(&scene).await.remove(0);
        record(&scene, &claimed, Next::RetryAt(scene.now())).await;
        scene.receive(&desk.source, vec![status("wamid.x", MessageState::Read, None)]).await;
        let told = vec![
            status("wamid.x", MessageState::Sent, Some(id.to_string())),
            status("wamid.x", MessageState::Delivered, None),
        ];
        scene.receive(&desk.source, told).await;
        assert_eq!(state(&scene, id).await, (SendState::Taken, Some(MessageState::Read)));
        assert_eq!(scene.sends().get(id).await.expect("it").platform_message_id.as_deref(), Some("wamid.x"));
        assert_eq!(claim(&scene).await[0].send.id, next, "its line goes on");
    })
    .await;
}

#[tokio::test]
async fn a_status_during_the_call_lets_the_line_go_on_whatever_the_call_comes_to() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let id = queue(&scene, words(&desk, "hello")).await;
        let next = queue(&scene, words(&desk, "and more")).await;
        let claimed = claim(&scene).await.remove(0);
        scene.receive(&desk.source, vec![status("wamid.x", MessageState::Sent, Some(id.to_string()))]).await;
        record(&scene, &claimed, Next::RetryAt(scene.now())).await;
        assert_eq!(state(&scene, id).await, (SendState::Taken, Some(MessageState::Sent)), "it was taken");
        assert_eq!(claim(&scene).await.iter().map(|one| one.send.id).collect::<Vec<_>>(), [next]);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_send_is_settled_by_its_status() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let id = queue(&scene, words(&desk, "hello")).await;
        let claimed = claim(&scene).await.remove(0);
        record(&scene, &claimed, Next::Unknown("the connection was lost".to_owned())).await;
        scene
            .receive(&desk.source, vec![status("wamid.x", MessageState::Delivered, Some(id.to_string()))])
            .await;
        assert_eq!(state(&scene, id).await, (SendState::Taken, Some(MessageState::Delivered)));
    })
    .await;
}
