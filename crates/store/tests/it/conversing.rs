//! Conversations and contacts, as arrivals make, touch and merge them.

use std::time::Duration;

use model::conversation::{ConversationState, Identifier, Touch};
use model::event::{EventType, NewEvent};
use model::page::PageRequest;
use model::retry::Next;
use store::conversations::ConversationFilter;
use store::sends::NewSend;

use crate::engine::on_every_engine;
use crate::scene::{Scene, message, message_touching};
use crate::sending::{claim, desk, queue, record, words};

async fn conversations(scene: &Scene) -> Vec<model::conversation::Conversation> {
    let filter = ConversationFilter { app: Some(scene.app()), ..ConversationFilter::default() };
    scene.conversations().list(filter, PageRequest::newest(50)).await.expect("conversations").items
}

async fn contacts(scene: &Scene) -> Vec<model::conversation::Contact> {
    scene.conversations().contacts(Some(scene.app()), PageRequest::newest(50)).await.expect("contacts").items
}

#[tokio::test]
async fn a_conversation_is_created_once_handed_off_by_an_echo_and_reopened_by_the_contact() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        scene.receive(&source, vec![message("m1", "ana"), message("m2", "ana")]).await;
        scene.receive(&source, vec![message_touching("m3", &[("wa_id", "ana")], Touch::HumanEcho)]).await;
        let conversation = conversations(&scene).await.remove(0);
        assert_eq!(conversation.state, ConversationState::HandedOff);
        let resolve = async || {
            let conversations = scene.conversations();
            conversations
                .change(conversation.id, ConversationState::Resolved, "conversation.resolved")
                .await
                .expect("a change")
        };
        assert!(resolve().await);
        assert!(!resolve().await, "it is resolved already");
        scene.receive(&source, vec![message("m4", "ana")]).await;
        assert_eq!(
            scene
                .event_types()
                .await
                .iter()
                .filter(|name| name.starts_with("conversation"))
                .collect::<Vec<_>>(),
            [
                "conversation.created",
                "conversation.handoff",
                "conversation.resolved",
                "conversation.reopened"
            ]
        );
        let conversation = scene.conversations().get(conversation.id).await.expect("it is there");
        assert_eq!(conversation.state, ConversationState::Open);
        assert!(conversation.last_inbound_at.is_some());
        assert_eq!(conversations(&scene).await.len(), 1);
    })
    .await;
}

/// An echo of a message to Ana, from a platform that cannot tell our own calls from a person.
fn echo(id: &str) -> NewEvent {
    echo_to("ana", id)
}

fn echo_to(name: &str, id: &str) -> NewEvent {
    let event_type = EventType::from_foreign("message", "echo");
    NewEvent { event_type, ..message_touching(id, &[("wa_id", name)], Touch::UnclearEcho) }
}

#[tokio::test]
async fn an_echo_of_what_we_sent_ourselves_hands_nothing_off() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let state = async || scene.conversations().get(desk.conversation).await.expect("it is there").state;
        let sent = queue(&scene, words(&desk, "from the bot")).await;
        let taken = format!("wamid.{sent}");
        let claimed = claim(&scene).await.remove(0);
        // The platform may echo what it has not answered for yet, and then its id means nothing to us.
        scene.receive(&desk.source, vec![echo(&taken)]).await;
        assert_eq!(state().await, ConversationState::Open);
        record(&scene, &claimed, Next::Delivered).await;
        scene.receive(&desk.source, vec![NewEvent { dedupe_key: None, ..echo(&taken) }]).await;
        assert_eq!(state().await, ConversationState::Open);
        scene.receive(&desk.source, vec![echo("wamid.typed")]).await;
        assert_eq!(state().await, ConversationState::HandedOff);
    })
    .await;
}

#[tokio::test]
async fn a_send_that_nobody_knows_the_end_of_may_come_back_as_an_echo_for_an_hour() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let state = async || scene.conversations().get(desk.conversation).await.expect("it is there").state;
        queue(&scene, NewSend { conversation: None, ..words(&desk, "from the bot") }).await;
        let claimed = claim(&scene).await.remove(0);
        record(&scene, &claimed, Next::Unknown("no answer came".to_owned())).await;
        let to_leo = echo_to("leo", "wamid.leo");
        scene.receive(&desk.source, vec![echo("wamid.first"), to_leo]).await;
        assert_eq!(state().await, ConversationState::Open);
        let leos = scene.all_conversations().await.remove(0);
        assert_eq!(leos.state, ConversationState::HandedOff, "what is somebody else's is not held back");
        scene.clock.advance(Duration::from_secs(3_601));
        scene.receive(&desk.source, vec![echo("wamid.second")]).await;
        assert_eq!(state().await, ConversationState::HandedOff);
    })
    .await;
}

#[tokio::test]
async fn what_a_person_surely_typed_hands_off_whatever_is_under_way() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let state = async || scene.conversations().get(desk.conversation).await.expect("it is there").state;
        queue(&scene, words(&desk, "from the bot")).await;
        let claimed = claim(&scene).await.remove(0);
        let typed = |id: &str| message_touching(id, &[("wa_id", "ana")], Touch::HumanEcho);
        record(&scene, &claimed, Next::Delivered).await;
        scene.receive(&desk.source, vec![typed(&format!("wamid.{}", claimed.send.id))]).await;
        assert_eq!(state().await, ConversationState::Open, "an id of ours is ours");
        queue(&scene, words(&desk, "once more")).await;
        claim(&scene).await;
        scene.receive(&desk.source, vec![typed("wamid.typed")]).await;
        assert_eq!(state().await, ConversationState::HandedOff);
    })
    .await;
}

#[tokio::test]
async fn what_tells_of_a_change_stands_in_the_line_of_the_conversation() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let everything =
            |endpoint: &mut model::endpoint::Endpoint| endpoint.subscription = Default::default();
        scene.endpoint_that(everything).await;
        scene.receive(&source, vec![message("m1", "ana")]).await;
        let id = conversations(&scene).await[0].id;
        let conversations = scene.conversations();
        let change = conversations.change(id, ConversationState::HandedOff, "conversation.handoff");
        assert!(change.await.expect("handed off"));
        let delivered = scene.deliver_all().await;
        let types: Vec<&str> = delivered.iter().map(|one| one.event.event_type.as_str()).collect();
        assert_eq!(types, ["conversation.created", "message.received", "conversation.handoff"]);
        assert!(delivered.iter().all(|one| one.event.conversation == Some(id)));
    })
    .await;
}

#[tokio::test]
async fn an_account_that_was_given_away_tells_its_new_owner_nothing_of_old_contacts() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        scene.receive(&source, vec![message("m1", "ana")]).await;
        let conversation = conversations(&scene).await.remove(0);
        let mut account = scene.sources().account(conversation.account).await.expect("an account");
        account.thing.app = model::id::AppId::from_raw(2);
        scene.sources().replace_account(account).await.expect("given away");
        let before = scene.event_types().await.len();
        let conversations = scene.conversations();
        let change =
            conversations.change(conversation.id, ConversationState::Resolved, "conversation.resolved");
        assert!(change.await.expect("resolved"));
        assert_eq!(scene.event_types().await.len(), before);
    })
    .await;
}

#[tokio::test]
async fn two_who_resolve_at_once_tell_it_once() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        scene.receive(&source, vec![message("m1", "ana")]).await;
        let id = conversations(&scene).await[0].id;
        let store = &scene.store;
        let resolve = || async {
            store.conversations().change(id, ConversationState::Resolved, "conversation.resolved").await
        };
        let arriving = scene.receive(&source, vec![message_touching("m2", &[("wa_id", "ana")], Touch::None)]);
        let (done, _) = tokio::join!(futures_util::future::join_all((0..5).map(|_| resolve())), arriving);
        let changed = done.into_iter().filter(|one| *one.as_ref().expect("a change")).count();
        let told = scene.event_types().await.iter().filter(|name| *name == "conversation.resolved").count();
        assert_eq!((changed, told), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_contact_is_found_by_any_of_its_names() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let both = [("wa_id", "34611"), ("bsuid", "US.1")];
        scene.receive(&source, vec![message_touching("m1", &both, Touch::Inbound)]).await;
        scene.receive(&source, vec![message_touching("m2", &[("bsuid", "US.1")], Touch::Inbound)]).await;
        scene.receive(&source, vec![message_touching("m3", &[("wa_id", "34611")], Touch::Inbound)]).await;
        assert_eq!(contacts(&scene).await.len(), 1);
        let conversation = conversations(&scene).await.remove(0);
        let names = vec![Identifier::new("wa_id", "unknown"), Identifier::new("bsuid", "US.1")];
        let found =
            scene.conversations().with(scene.app(), conversation.account, names).await.expect("a read");
        assert_eq!(found.map(|found| found.id), Some(conversation.id));
    })
    .await;
}

#[tokio::test]
async fn two_contacts_that_one_event_names_become_the_older_one() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        scene.receive(&source, vec![message_touching("m1", &[("wa_id", "34611")], Touch::Inbound)]).await;
        let older = contacts(&scene).await.remove(0);
        let mut elsewhere = message_touching("m2", &[("bsuid", "US.1")], Touch::Inbound);
        elsewhere.account = Some("34700".to_owned());
        scene.receive(&source, vec![elsewhere]).await;
        let both = [("wa_id", "34611"), ("bsuid", "US.1")];
        scene.receive(&source, vec![message_touching("m3", &both, Touch::Inbound)]).await;
        let left = contacts(&scene).await;
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].id, left[0].identifiers.len()), (older.id, 2));
        let talks = conversations(&scene).await;
        assert_eq!(talks.len(), 2, "one on each account");
        assert!(talks.iter().all(|talk| talk.contact == older.id));
    })
    .await;
}

#[tokio::test]
async fn contacts_of_one_request_that_prove_to_be_one_share_their_conversation() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let both = [("wa_id", "34611"), ("bsuid", "US.1")];
        let appended = scene
            .receive(
                &source,
                vec![
                    message_touching("m1", &[("wa_id", "34611")], Touch::Inbound),
                    message_touching("m2", &[("bsuid", "US.1")], Touch::Inbound),
                    message_touching("m3", &both, Touch::Inbound),
                    message_touching("m4", &[("bsuid", "US.1")], Touch::Inbound),
                ],
            )
            .await;
        assert_eq!(appended.items_new, 4);
        assert_eq!((contacts(&scene).await.len(), conversations(&scene).await.len()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn the_same_person_on_two_accounts_has_two_conversations() {
    on_every_engine(async |scene| {
        let source = scene.source().await;
        let mut elsewhere = message("m2", "ana");
        elsewhere.account = Some("34700".to_owned());
        scene.receive(&source, vec![message("m1", "ana"), elsewhere]).await;
        assert_eq!((contacts(&scene).await.len(), conversations(&scene).await.len()), (1, 2));
    })
    .await;
}
