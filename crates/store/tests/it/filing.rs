//! Files: what a message brings is to be fetched once, by one node, and what becomes of it is kept and told.

use std::sync::Arc;
use std::time::Duration;

use model::event::{Content, EventType, NewEvent};
use model::file::{FileContent, FileState};
use model::id::FileId;
use model::message::{Body, Media, Message};
use model::page::PageRequest;
use model::send::{OutgoingBody, OutgoingMedia, OutgoingMessage, Recipient};
use model::source::Source;
use serde_json::{Value, json, value::to_raw_value};
use store::Error;
use store::arrivals::Arrival;
use store::events::EventFilter;
use store::files::{ClaimedFile, FileFilter, FileOutcome};

use crate::engine::on_every_engine;
use crate::scene::{LEASE, Scene, message};

const ORIGIN: &str = "https://hooks.example.com";

/// A picture from somebody on the account `34600`.
pub(crate) fn picture(id: &str, from: &str) -> NewEvent {
    let media = Media { id: Some(format!("media-{id}")), ..Media::default() };
    let said = Message { id: id.to_owned(), body: Body::Image(media), ..Message::default() };
    NewEvent { content: Content::Message { message: Box::new(said) }, ..message(id, from) }
}

pub(crate) async fn fetching_source(scene: &Scene) -> Arc<Source> {
    scene.source_that(|source| source.fetches_files = true).await
}

pub(crate) fn content() -> FileContent {
    FileContent { bytes: 3, sha256: "00".repeat(32), mime_type: "image/png".to_owned() }
}

/// The event that tells of a file that could not be had.
pub(crate) fn failure(scene: &Scene, source: &Arc<Source>) -> Arrival {
    let raw = to_raw_value(&json!({ "words": "gone" })).expect("JSON");
    let event = NewEvent::of(EventType::ours("file.failed"), scene.now(), Content::Raw(raw));
    Arrival::ours(source.app, Some(Arc::clone(source)), event)
}

async fn claim(scene: &Scene) -> Vec<ClaimedFile> {
    scene.files().claim(10, LEASE).await.expect("a claim")
}

/// What the newest event says.
async fn told(scene: &Scene) -> Value {
    let events = scene.events().list(EventFilter::default(), PageRequest::newest(1)).await.expect("events");
    serde_json::from_str(events.items[0].content.as_deref().expect("content")).expect("JSON")
}

#[tokio::test]
async fn a_file_is_to_be_fetched_once_where_its_source_asks_for_it_and_the_event_says_where_it_will_be() {
    on_every_engine(async |scene| {
        scene.serve_files(ORIGIN.to_owned(), vec![7; 32]).await.expect("links");
        let plain = scene.source().await;
        scene.receive(&plain, vec![picture("p1", "100")]).await;
        assert!(told(&scene).await.get("file").is_none());
        assert!(claim(&scene).await.is_empty(), "its source does not ask for it");

        let source = fetching_source(&scene).await;
        scene.receive(&source, vec![picture("p2", "100"), message("m1", "100")]).await;
        scene.receive(&source, vec![picture("p2", "100")]).await;
        let claimed = claim(&scene).await;
        assert_eq!(claimed.len(), 1, "a duplicate brings nothing, and a text has no file");
        let file = &claimed[0].file;
        assert_eq!(file.media.id.as_deref(), Some("media-p2"));
        assert_eq!((file.app, file.state, file.attempts), (scene.app(), FileState::Waiting, 0));
        let event = scene.events().get(file.event.expect("its event")).await.expect("the event");
        let said: Value = serde_json::from_str(event.content.as_deref().expect("content")).expect("JSON");
        assert_eq!(said["file"]["id"], file.id.to_string());
        let url = said["file"]["url"].as_str().expect("a link");
        let query = url.strip_prefix(&format!("{ORIGIN}/files/{}?until=", file.id)).expect("its link");
        let (until, proof) = query.split_once("&proof=").expect("a proof");
        assert!(scene.is_link(file.id, until, proof));
        scene.clock.advance(store::links::LASTS);
        assert!(!scene.is_link(file.id, until, proof), "it has expired");
    })
    .await;
}

#[tokio::test]
async fn links_of_one_node_are_known_to_another_and_after_a_restart() {
    on_every_engine(async |scene| {
        scene.serve_files(ORIGIN.to_owned(), vec![7; 32]).await.expect("links");
        let id: FileId = scene.fresh_id();
        let url = scene.link(id, scene.now().plus(LEASE)).url.expect("a link");
        let other = scene.node(1).await;
        assert_eq!(other.link(id, scene.now()).url, None, "it serves no files yet");
        other.serve_files("https://other.example".to_owned(), vec![8; 32]).await.expect("links");
        let (until, proof) =
            url.split_once("until=").and_then(|(_, query)| query.split_once("&proof=")).expect("a link");
        assert!(other.is_link(id, until, proof), "the first key is kept");
    })
    .await;
}

#[tokio::test]
async fn a_file_is_fetched_by_one_node_until_the_lease_ends() {
    on_every_engine(async |scene| {
        let source = fetching_source(&scene).await;
        scene.receive(&source, vec![picture("p1", "100")]).await;
        let nodes = if scene.is_embedded() { scene.clone() } else { scene.node(1).await };
        let (mine, theirs) = tokio::join!(claim(&scene), claim(&nodes));
        assert_eq!(mine.len() + theirs.len(), 1);
        let first = mine.into_iter().chain(theirs).next().expect("one");
        scene.clock.advance(LEASE + Duration::from_secs(1));
        let second = claim(&scene).await.remove(0);
        let late = scene.files().record(first, FileOutcome::Failed("late".to_owned()), None).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "whoever is late has nothing to say");
        let id = second.file.id;
        let at = scene.now().plus(Duration::from_secs(10));
        let retry = FileOutcome::RetryAt(at, "HTTP 500".to_owned());
        scene.files().record(second, retry, None).await.expect("a record");
        let file = scene.files().get(id).await.expect("the file");
        assert_eq!((file.attempts, file.due_at, file.words.as_deref()), (1, Some(at), Some("HTTP 500")));
        assert!(claim(&scene).await.is_empty());
        scene.clock.advance(Duration::from_secs(10));
        let third = claim(&scene).await.remove(0);
        scene.files().record(third, FileOutcome::Stored(content()), None).await.expect("a record");
        let file = scene.files().get(id).await.expect("the file");
        assert_eq!((file.state, file.attempts, file.due_at), (FileState::Stored, 2, None));
        assert_eq!((file.content, file.words), (Some(content()), None));
    })
    .await;
}

#[tokio::test]
async fn what_was_under_way_when_the_process_ended_is_due_at_its_next_start() {
    on_every_engine(async |scene| {
        let source = fetching_source(&scene).await;
        scene.receive(&source, vec![picture("p1", "100")]).await;
        assert_eq!(claim(&scene).await.len(), 1);
        scene.files().resume().await.expect("resumed");
        // On PostgreSQL another node may be fetching it.
        assert_eq!(claim(&scene).await.len(), usize::from(scene.is_embedded()));
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_had_is_told_with_the_record_and_fetched_again_when_somebody_says_so() {
    on_every_engine(async |scene| {
        let source = fetching_source(&scene).await;
        scene.receive(&source, vec![picture("p1", "100")]).await;
        let claimed = claim(&scene).await.remove(0);
        let id = claimed.file.id;
        assert!(matches!(scene.files().retry(id).await, Err(Error::Conflict(_))), "it has not failed");
        let failed = FileOutcome::Failed("gone".to_owned());
        scene.files().record(claimed, failed, Some(failure(&scene, &source))).await.expect("a record");
        assert_eq!(scene.event_types().await.last().map(String::as_str), Some("file.failed"));
        let failed = FileFilter { state: Some(FileState::Failed), ..FileFilter::default() };
        let listed = scene.files().list(failed, PageRequest::newest(10)).await.expect("files");
        assert_eq!(listed.items.iter().map(|file| file.id).collect::<Vec<_>>(), [id]);
        scene.files().retry(id).await.expect("a retry");
        let again = claim(&scene).await.remove(0);
        assert_eq!((again.file.id, again.file.attempts), (id, 0));
        let missing = scene.files().retry(scene.fresh_id()).await;
        assert!(matches!(missing, Err(Error::NotFound("file"))));
    })
    .await;
}

#[tokio::test]
async fn old_files_are_removed_oldest_first_and_forgotten_later() {
    on_every_engine(async |scene| {
        let old = scene.files().begin(scene.app(), None, Media::default()).await.expect("an upload");
        scene.files().finish(old, FileOutcome::Stored(content())).await.expect("it is here");
        let broken = scene.files().begin(scene.app(), None, Media::default()).await.expect("an upload");
        scene.clock.advance(Duration::from_secs(3600));
        assert_eq!(scene.files().abandoned(scene.now(), 9).await.expect("the abandoned"), [broken]);
        let young = scene.files().begin(scene.app(), None, Media::default()).await.expect("an upload");
        let before = scene.now().minus(Duration::from_secs(60));
        assert_eq!(scene.files().aged(before, 1).await.expect("the aged"), [old]);
        assert_eq!(scene.files().aged(before, 9).await.expect("the aged"), [old, broken]);
        scene.files().removed(vec![old]).await.expect("it is gone");
        assert_eq!(scene.files().get(old).await.expect("the file").state, FileState::Removed);
        assert_eq!(scene.files().aged(before, 9).await.expect("the aged"), [broken]);
        assert_eq!(scene.files().forgettable(before, 9).await.expect("those to forget"), [old]);
        scene.files().forget(vec![old]).await.expect("it is forgotten");
        assert!(matches!(scene.files().get(old).await, Err(Error::NotFound("file"))));
        assert!(scene.files().get(broken).await.is_ok() && scene.files().get(young).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_message_that_names_a_file_is_told_to_its_platform_with_a_link() {
    on_every_engine(async |scene| {
        scene.serve_files(ORIGIN.to_owned(), vec![7; 32]).await.expect("links");
        let id: FileId = scene.fresh_id();
        let image = OutgoingMedia { file: Some(id.to_string()), ..OutgoingMedia::default() };
        let to = Recipient::Address("34600".to_owned());
        let message = OutgoingMessage { to, reply_to: None, body: OutgoingBody::Image { image } };
        let linked = scene.linked(&message);
        let media = linked.body.media().expect("a file");
        assert_eq!(media.file, None);
        assert!(media.link.as_ref().is_some_and(|link| link.starts_with(&format!("{ORIGIN}/files/{id}?"))));
    })
    .await;
}
