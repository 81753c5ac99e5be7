//! Sends: queued once, called in order, and never called again when the platform may have taken them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::delivery::AttemptOf;
use model::id::{AccountId, ConversationId, SendId};
use model::message::MessageState;
use model::page::PageRequest;
use model::retry::Next;
use model::send::{OutgoingBody, OutgoingMessage, ReadMark, Recipient, SendState, TextBody};
use model::source::Source;
use store::sends::{CalledOff, ClaimedSend, NewSend, Queued, RecordedSend, SendFilter, WantedSends};

use crate::engine::on_every_engine;
use crate::scene::{LEASE, Scene, attempt, dead, message, status};

/// A source with one account and an open conversation on it.
pub(crate) struct Desk {
    pub(crate) source: Arc<Source>,
    pub(crate) account: AccountId,
    pub(crate) conversation: ConversationId,
}

pub(crate) async fn desk(scene: &Scene) -> Desk {
    let source = scene.source().await;
    scene.receive(&source, vec![message("first", "ana")]).await;
    let talk = scene.all_conversations().await.remove(0);
    Desk { source, account: talk.account, conversation: talk.id }
}

pub(crate) fn words(desk: &Desk, text: &str) -> NewSend {
    let body = OutgoingBody::Text { text: TextBody { body: text.to_owned(), preview_url: false } };
    NewSend {
        app: desk.source.app,
        account: desk.account,
        conversation: Some(desk.conversation),
        message: OutgoingMessage { to: Recipient::Address("ana".to_owned()), reply_to: None, body },
        key: None,
    }
}

pub(crate) async fn queue(scene: &Scene, new: NewSend) -> SendId {
    match scene.sends().queue(new).await.expect("queued") {
        Queued::New(id) => id,
        other => panic!("it should be new: {other:?}"),
    }
}

/// Up to ten of each account, as fast as it likes.
pub(crate) fn wanted() -> WantedSends {
    WantedSends { limit: 20, lease: LEASE, busy: HashMap::new(), pacing: Arc::new(|_| None) }
}

pub(crate) async fn claim(scene: &Scene) -> Vec<ClaimedSend> {
    scene.sends().claim(wanted()).await.expect("a claim").sends
}

pub(crate) fn outcome(scene: &Scene, claimed: &ClaimedSend, next: Next) -> RecordedSend {
    let message_id = (next == Next::Delivered).then(|| format!("wamid.{}", claimed.send.id));
    let number = claimed.send.attempts + 1;
    RecordedSend {
        claimed: claimed.clone(),
        attempt: Some(attempt(scene, AttemptOf::Send(claimed.send.id), number)),
        next,
        message_id,
        rest_until: None,
    }
}

pub(crate) async fn record(scene: &Scene, claimed: &ClaimedSend, next: Next) {
    scene.sends().record(outcome(scene, claimed, next)).await.expect("a record");
}

pub(crate) async fn state(scene: &Scene, id: SendId) -> (SendState, Option<MessageState>) {
    let send = scene.sends().get(id).await.expect("the send");
    (send.state, send.message_state)
}

#[tokio::test]
async fn a_send_that_was_taken_tells_so_by_an_event() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        scene.endpoint().await;
        let id = queue(&scene, words(&desk, "hello")).await;
        let claimed = claim(&scene).await.remove(0);
        assert!(claim(&scene).await.is_empty());
        record(&scene, &claimed, Next::Delivered).await;
        assert_eq!(state(&scene, id).await, (SendState::Taken, Some(MessageState::Accepted)));
        assert_eq!(scene.event_types().await.last().map(String::as_str), Some("message.accepted"));
        let told = scene.claim(10).await.remove(0);
        assert_eq!(told.event.conversation, Some(desk.conversation));
        assert!(told.event.content.expect("content").contains(&id.to_string()));
        assert_eq!(scene.deliveries().attempts(AttemptOf::Send(id)).await.expect("attempts").len(), 1);
        let filter = SendFilter { conversation: Some(desk.conversation), ..SendFilter::default() };
        let listed = scene.sends().list(filter, PageRequest::newest(10)).await.expect("a list");
        assert_eq!(listed.items.iter().map(|send| send.id).collect::<Vec<_>>(), [id]);
    })
    .await;
}

#[tokio::test]
async fn the_same_key_makes_one_send_and_is_bound_to_its_message() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let keyed = |text: &str| NewSend { key: Some((7, "order 12".to_owned())), ..words(&desk, text) };
        let id = queue(&scene, keyed("hello")).await;
        assert_eq!(scene.sends().queue(keyed("hello")).await.expect("asked again"), Queued::Before(id));
        assert_eq!(scene.sends().queue(keyed("goodbye")).await.expect("asked otherwise"), Queued::KeyReused);
        assert_eq!(claim(&scene).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn parallel_copies_of_one_key_make_one_send() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let keyed = || NewSend { key: Some((7, "order 12".to_owned())), ..words(&desk, "hello") };
        let sends = scene.sends();
        let queued = futures_util::future::join_all((0..20).map(|_| sends.queue(keyed()))).await;
        let new = queued.iter().filter(|one| matches!(one, Ok(Queued::New(_)))).count();
        assert_eq!((new, queued.iter().filter(|one| one.is_ok()).count()), (1, 20));
    })
    .await;
}

#[tokio::test]
async fn sends_of_one_conversation_go_one_after_another() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let ids = [queue(&scene, words(&desk, "one")).await, queue(&scene, words(&desk, "two")).await];
        let elsewhere = NewSend { conversation: None, ..words(&desk, "beside") };
        let beside = queue(&scene, elsewhere).await;
        let mut claimed: Vec<_> = claim(&scene).await;
        claimed.sort_by_key(|one| one.send.id);
        assert_eq!(claimed.iter().map(|one| one.send.id).collect::<Vec<_>>(), [ids[0], beside]);
        let retry = Next::RetryAt(scene.now().plus(Duration::from_secs(5)));
        record(&scene, &claimed[0], retry).await;
        assert!(claim(&scene).await.is_empty(), "the second waits for the first");
        scene.clock.advance(Duration::from_secs(5));
        let first = claim(&scene).await.remove(0);
        assert_eq!((first.send.id, first.send.attempts), (ids[0], 1));
        record(&scene, &first, dead()).await;
        assert_eq!(state(&scene, ids[0]).await.0, SendState::Dead);
        assert_eq!(scene.event_types().await.last().map(String::as_str), Some("message.failed"));
        assert_eq!(claim(&scene).await[0].send.id, ids[1]);
    })
    .await;
}

#[tokio::test]
async fn a_call_whose_worker_died_is_unknown_and_its_line_goes_on() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let (lost, next) =
            (queue(&scene, words(&desk, "one")).await, queue(&scene, words(&desk, "two")).await);
        let claimed = claim(&scene).await.remove(0);
        scene.clock.advance(LEASE);
        assert_eq!(claim(&scene).await[0].send.id, next);
        assert_eq!(state(&scene, lost).await.0, SendState::Unknown);
        record(&scene, &claimed, Next::Delivered).await;
        assert_eq!(state(&scene, lost).await.0, SendState::Taken, "the worker was only slow, and knows");
    })
    .await;
}

#[tokio::test]
async fn a_send_that_cannot_be_read_keeps_no_other_from_leaving() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let damaged = queue(&scene, words(&desk, "one")).await;
        let next = queue(&scene, words(&desk, "two")).await;
        let beside = queue(&scene, NewSend { conversation: None, ..words(&desk, "beside") }).await;
        scene.raw(&format!("UPDATE sends SET doc = '{{' WHERE id = {}", damaged.raw())).await;
        assert_eq!(claim(&scene).await.iter().map(|one| one.send.id).collect::<Vec<_>>(), [beside]);
        scene.clock.advance(LEASE);
        assert_eq!(claim(&scene).await.iter().map(|one| one.send.id).collect::<Vec<_>>(), [next]);
    })
    .await;
}

#[tokio::test]
async fn a_call_that_failed_too_late_is_not_made_again() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let lost = queue(&scene, words(&desk, "one")).await;
        queue(&scene, words(&desk, "two")).await;
        let claimed = claim(&scene).await.remove(0);
        scene.clock.advance(LEASE);
        assert_eq!(claim(&scene).await.len(), 1);
        record(&scene, &claimed, Next::RetryAt(scene.now())).await;
        assert_eq!(state(&scene, lost).await.0, SendState::Dead);
        assert!(claim(&scene).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_may_have_been_taken_is_unknown_and_tells_nothing() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let id = queue(&scene, words(&desk, "one")).await;
        let claimed = claim(&scene).await.remove(0);
        record(&scene, &claimed, Next::Unknown("the connection was lost".to_owned())).await;
        record(&scene, &claimed, Next::Unknown("the connection was lost".to_owned())).await;
        let send = scene.sends().get(id).await.expect("the send");
        assert_eq!((send.state, send.attempts), (SendState::Unknown, 1), "a record told twice counts once");
        assert!(!scene.event_types().await.iter().any(|name| name == "message.accepted"));
    })
    .await;
}

async fn cancel(scene: &Scene, id: SendId) -> CalledOff {
    scene.sends().cancel(id).await.expect("an answer")
}

#[tokio::test]
async fn a_send_that_waits_is_called_off_and_stays_visible() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        scene.endpoint().await;
        let ids = [
            queue(&scene, words(&desk, "one")).await,
            queue(&scene, words(&desk, "two")).await,
            queue(&scene, words(&desk, "three")).await,
        ];
        assert_eq!(cancel(&scene, ids[1]).await, CalledOff::Done, "it stands in its line");
        assert_eq!(cancel(&scene, ids[0]).await, CalledOff::Done, "it is due");
        assert_eq!(cancel(&scene, ids[0]).await, CalledOff::Ended);
        let called_off = scene.sends().get(ids[0]).await.expect("it is visible");
        assert_eq!((called_off.state, called_off.due_at), (SendState::Cancelled, None));
        assert_eq!(claim(&scene).await.iter().map(|one| one.send.id).collect::<Vec<_>>(), [ids[2]]);
        let told = scene.event_types().await.iter().filter(|name| *name == "message.failed").count();
        assert_eq!(told, 2, "each is told once");
        let told = scene.claim(1).await.remove(0).event.content.expect("content");
        assert!(told.contains("called off before it was sent"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_send_that_waits_for_another_try_is_called_off() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let id = queue(&scene, words(&desk, "one")).await;
        let next = queue(&scene, words(&desk, "two")).await;
        let claimed = claim(&scene).await.remove(0);
        assert_eq!(cancel(&scene, id).await, CalledOff::UnderWay);
        record(&scene, &claimed, Next::RetryAt(scene.now().plus(Duration::from_secs(60)))).await;
        assert_eq!(cancel(&scene, id).await, CalledOff::Done);
        let claimed = claim(&scene).await.remove(0);
        assert_eq!(claimed.send.id, next, "its line goes on at once");
        record(&scene, &claimed, Next::Unknown("the connection was lost".to_owned())).await;
        assert_eq!(cancel(&scene, next).await, CalledOff::Ended, "it may have been taken");
        assert_eq!(state(&scene, next).await.0, SendState::Unknown);
        assert!(scene.sends().cancel(SendId::from_raw(5)).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_send_that_was_called_off_stays_so_whatever_is_told_of_it() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let id = queue(&scene, words(&desk, "one")).await;
        assert_eq!(cancel(&scene, id).await, CalledOff::Done);
        let stray = status("wamid.stray", MessageState::Sent, Some(id.to_string()));
        scene.receive(&desk.source, vec![stray]).await;
        assert_eq!(state(&scene, id).await.0, SendState::Cancelled);
        assert!(claim(&scene).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn nothing_is_told_of_a_read_mark_that_is_called_off() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        let read = ReadMark { message_id: "first".to_owned(), typing: false };
        let mut mark = words(&desk, "");
        mark.message.body = OutgoingBody::Read { read };
        let id = queue(&scene, mark).await;
        assert_eq!(cancel(&scene, id).await, CalledOff::Done);
        assert!(!scene.event_types().await.iter().any(|name| name == "message.failed"));
    })
    .await;
}

#[tokio::test]
async fn one_conversation_does_not_fill_the_disk_with_what_waits() {
    on_every_engine(async |scene| {
        let desk = desk(&scene).await;
        for n in 0..1_000 {
            queue(&scene, words(&desk, &n.to_string())).await;
        }
        assert!(matches!(scene.sends().queue(words(&desk, "more")).await, Err(store::Error::Busy)));
        let other = NewSend { conversation: None, ..words(&desk, "to somebody else") };
        queue(&scene, other).await;
    })
    .await;
}
