//! What goes out: in order, again until it arrives, and one endpoint's trouble is its own.

use std::collections::BTreeMap;
use std::time::Duration;

use model::delivery::DeliveryState;
use model::endpoint::{EndpointState, Format};
use model::page::PageRequest;
use store::deliveries::DeliveryFilter;
use testkit::place::Engine;
use testkit::receiver::{Came, Manner, Receiver};
use testkit::scene::open;
use testkit::sender::{client, messages, post_signed};

use crate::story::Story;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_endpoint_delays_no_other() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(story) = Story::begin(engine).await? else { continue };
        let hanging = Receiver::start(Manner::Hangs).await?;
        let store = open(&story.place).await?;
        story
            .scene
            .endpoint(&store, hanging.url(), |endpoint| endpoint.timeout = Duration::from_secs(20))
            .await?;
        for n in 0..200 {
            story.receives(&format!("wamid.H{n}"), n % 20, "hola").await?;
        }
        // The hanging one would take minutes for its own; the other has all of them long before.
        assert!(story.receiver.wait(PATIENCE, |came| came.len() == 200).await);
        drop(store);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_head_holds_its_own_line_and_no_other() -> anyhow::Result<()> {
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    story.receiver.becomes(Manner::FailsEvery(3));
    for n in 0..60_u64 {
        story.receives(&format!("wamid.O{n}"), n % 4, &format!("{n}")).await?;
    }
    let taken = |came: &[Came]| came.iter().filter(|one| one.answered == 200).count();
    assert!(story.receiver.wait(PATIENCE, |came| taken(came) == 60).await);
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for one in story.receiver.came().iter().filter(|one| one.answered == 200) {
        let json: serde_json::Value = serde_json::from_slice(&one.body)?;
        let number: u64 = json["data"]["message"]["text"].as_str().expect("a text").parse()?;
        let before = last.insert(number % 4, number);
        assert!(before.is_none_or(|before| before < number), "{number} came after {before:?}");
    }
    let (store, _place) = story.kept().await?;
    assert!(store.stats().counts().await?.is_sound());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_bears_the_same_id_and_is_written_down() -> anyhow::Result<()> {
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    story.receiver.becomes(Manner::Answers(302));
    story.receives("wamid.A1", 1, "hola").await?;
    assert!(
        story.receiver.wait(PATIENCE, |came| came.len() >= 3).await,
        "a redirect is a failure, tried again"
    );
    story.receiver.becomes(Manner::Good);
    assert!(story.receiver.wait(PATIENCE, |came| came.iter().any(|one| one.answered == 200)).await);
    let came = story.receiver.came();
    assert!(came.iter().all(|one| one.id == came[0].id), "the id is the event's");
    let (store, _place) = story.kept().await?;
    let delivery =
        store.deliveries().list(DeliveryFilter::default(), PageRequest::newest(1)).await?.items.remove(0);
    assert_eq!((delivery.state, delivery.attempts as usize), (DeliveryState::Delivered, came.len()));
    let attempts = store.deliveries().attempts(model::delivery::AttemptOf::Delivery(delivery.id)).await?;
    let statuses: Vec<Option<u16>> = attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, came.iter().map(|one| Some(one.answered)).collect::<Vec<_>>());
    assert!(attempts.iter().all(|attempt| attempt.peer.is_some() && !attempt.phases.total.is_zero()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_disabled_holds_what_it_is_owed_and_goes_on_when_enabled()
-> anyhow::Result<()> {
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    story.receiver.becomes(Manner::Answers(410));
    story.receives("wamid.G1", 1, "hola").await?;
    assert!(story.receiver.wait(PATIENCE, |came| !came.is_empty()).await);
    let store = open(&story.place).await?;
    let endpoint = store.endpoints().all().await?.remove(0).id;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while store.endpoints().all().await?[0].state != EndpointState::Disabled {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "it was not disabled");
        tokio::task::yield_now().await;
    }
    let tried = story.receiver.came().len();
    story.receives("wamid.G2", 2, "hola").await?;
    story.receiver.becomes(Manner::Good);
    store.endpoints().set_state(endpoint, EndpointState::Enabled, None).await?;
    let taken = |came: &[Came]| came.iter().filter(|one| one.answered == 200).count();
    assert!(story.receiver.wait(PATIENCE, |came| taken(came) == 2).await, "what was held arrives");
    assert_eq!(story.receiver.came().len(), tried + 2, "nothing was tried while it was disabled");
    drop(store);
    let (store, _place) = story.kept().await?;
    let types: Vec<String> = store
        .events()
        .list(store::events::EventFilter::default(), PageRequest::newest(50))
        .await?
        .items
        .iter()
        .map(|event| event.event_type.to_string())
        .collect();
    assert!(types.contains(&"endpoint.disabled".to_owned()), "{types:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_endpoint_gets_the_original_bytes_of_a_batch_once() -> anyhow::Result<()> {
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    let original = Receiver::start(Manner::Good).await?;
    let store = open(&story.place).await?;
    story.scene.endpoint(&store, original.url(), |endpoint| endpoint.format = Format::Platform).await?;
    drop(store);
    // The gateway notices what another process has configured within a second or two.
    let body = messages(&[("wamid.M1", 1, "uno"), ("wamid.M2", 2, "dos"), ("wamid.M3", 1, "tres")]);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while original.came().is_empty() {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "the new endpoint got nothing");
        let n = tokio::time::Instant::now().elapsed().as_nanos();
        let probe = messages(&[(&format!("wamid.probe{n}{}", story.receiver.came().len()), 9, "probe")]);
        post_signed(&client(), &story.url, &probe).await?;
        original.wait(Duration::from_millis(300), |came| !came.is_empty()).await;
    }
    let before = original.came().len();
    assert_eq!(post_signed(&client(), &story.url, &body).await?.status, 200);
    let has_body = |came: &[Came]| came.iter().any(|one| one.body == body.as_bytes());
    assert!(original.wait(PATIENCE, has_body).await, "the bytes are the ones that came");
    let three = |came: &[Came]| {
        came.iter().filter(|one| String::from_utf8_lossy(&one.body).contains("wamid.M")).count()
    };
    assert!(story.receiver.wait(PATIENCE, |came| three(came) == 3).await);
    let (store, _place) = story.kept().await?;
    assert!(store.stats().counts().await?.is_sound());
    assert_eq!(original.came().iter().filter(|one| one.body == body.as_bytes()).count(), 1);
    assert!(original.came().len() > before);
    Ok(())
}
