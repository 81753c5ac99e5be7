//! Platforms that misbehave: bursts, everything twice at the same time, statuses before the answer and the last one first, forged
//! webhooks. What arrives is the same.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use simulator::Chats;
use simulator::chats::{PLATFORMS, steps};
use testkit::place::Engine;
use testkit::process::{ADMIN_TOKEN, Gancho};
use testkit::receiver::{Came, Receiver};
use testkit::sender::{client, get, send};

use crate::platforms::{Stage, said};

const PATIENCE: Duration = Duration::from_secs(60);
const BURST: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_platforms_do_each_message_arrives_once_and_each_status_counts_once() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(stage) = Stage::set(engine, |_| ()).await? else { continue };
        stage.connect()?;
        let Stage { gancho, chats, receiver, .. } = &stage;
        chats.duplicates(true);
        chats.early_statuses(true);
        chats.backward_statuses(true);
        burst(chats, receiver).await?;
        answer(gancho, chats, receiver).await?;
        forge(chats, receiver).await?;
        anyhow::ensure!(stage.gancho.stop().await?, "it ends well");
    }
    Ok(())
}

fn told(came: &[Came], event_type: &str) -> Vec<(String, Value)> {
    let bodies = came.iter().filter_map(|came| serde_json::from_slice::<Value>(&came.body).ok());
    let of = bodies.filter(|body| body["type"] == event_type);
    of.map(|body| (body["context"]["platform"].as_str().unwrap_or_default().to_owned(), body)).collect()
}

fn texts(came: &[Came], platform: &str) -> Vec<String> {
    let received = told(came, "message.received").into_iter().filter(|(of, _)| of == platform);
    received
        .map(|(_, body)| body["data"]["message"]["text"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Each customer writes many texts at once, and each of them comes twice.
async fn burst(chats: &Chats, receiver: &Receiver) -> anyhow::Result<()> {
    for platform in PLATFORMS {
        let customer = chats.customer(platform, "Ana").context("the platform knows where webhooks go")?;
        let texts: Vec<String> = (1..=BURST).map(|n| format!("{platform} {n}")).collect();
        let answered = customer.bursts(&texts).await?;
        assert!(answered.iter().all(|one| one.is_acknowledged()), "{platform}: {answered:?}");
    }
    chats.settled().await;
    let all = PLATFORMS.len() * BURST as usize;
    let enough = |came: &[Came]| told(came, "message.received").len() >= all;
    assert!(receiver.wait(PATIENCE, enough).await, "everything arrived");
    for platform in PLATFORMS {
        let came = texts(&receiver.came(), platform);
        let expected: BTreeSet<String> = (1..=BURST).map(|n| said(platform, n)).collect();
        assert_eq!(came.len(), expected.len(), "{platform}: once");
        assert_eq!(came.into_iter().collect::<BTreeSet<_>>(), expected, "{platform}");
    }
    Ok(())
}

/// Each conversation is answered; its statuses come before the answer to the call, the last one first, and twice.
async fn answer(gancho: &Gancho, chats: &Chats, receiver: &Receiver) -> anyhow::Result<()> {
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let base = format!("http://{}/v1", gancho.address);
    let listed: Value = serde_json::from_slice(&get(&format!("{base}/conversations"), &headers).await?.body)?;
    let conversations = listed["data"].as_array().context("a page")?;
    assert_eq!(conversations.len(), PLATFORMS.len());
    for conversation in conversations {
        let message =
            json!({ "conversation": conversation["id"], "type": "text", "text": { "body": "¡hola!" } });
        let url = format!("{base}/messages");
        let queued = send(&client(), Method::POST, &url, &headers, Bytes::from(message.to_string())).await?;
        assert_eq!(queued.status, 202, "{:?}", queued.body);
    }
    chats.wait_for(PLATFORMS.len(), PATIENCE).await?;
    chats.settled().await;
    let of_all = |came: &[Came]| told(came, "message.accepted").len() >= PLATFORMS.len();
    assert!(receiver.wait(PATIENCE, of_all).await, "each was taken, and is told so");
    for step in ["sent", "delivered", "read"] {
        let event_type = format!("message.{step}");
        let telling: Vec<&str> =
            PLATFORMS.into_iter().filter(|platform| steps(platform).contains(&step)).collect();
        let enough = |came: &[Came]| told(came, &event_type).len() >= telling.len();
        assert!(receiver.wait(PATIENCE, enough).await, "{step} of {telling:?}");
        let mut came: Vec<String> =
            told(&receiver.came(), &event_type).into_iter().map(|(platform, _)| platform).collect();
        came.sort();
        let mut telling = telling;
        telling.sort_unstable();
        assert_eq!(came, telling, "{step}: once of each that tells of it");
    }
    let listed: Value = serde_json::from_slice(&get(&format!("{base}/messages"), &headers).await?.body)?;
    let messages = listed["data"].as_array().context("a page")?;
    let reached = |state: &str| messages.iter().filter(|message| message["message_state"] == state).count();
    assert_eq!((reached("accepted"), reached("delivered"), reached("read")), (4, 1, 6), "{listed}");
    Ok(())
}

/// Forged webhooks are refused; the platform's tries arrive once they are genuine again.
async fn forge(chats: &Chats, receiver: &Receiver) -> anyhow::Result<()> {
    chats.duplicates(false);
    chats.wrong_signature(true);
    for platform in PLATFORMS {
        let customer = chats.customer(platform, "Ana").context("the platform knows where webhooks go")?;
        let answered = customer.says("otra vez").await?;
        assert_eq!(answered.status, Some(401), "{platform}: {answered:?}");
    }
    chats.wrong_signature(false);
    chats.settled().await;
    let again = |came: &[Came], platform: &str| {
        texts(came, platform).iter().filter(|text| text.contains("otra vez")).count()
    };
    let all = |came: &[Came]| PLATFORMS.iter().all(|platform| again(came, platform) >= 1);
    assert!(receiver.wait(PATIENCE, all).await, "what was tried again arrived");
    assert!(PLATFORMS.iter().all(|platform| again(&receiver.came(), platform) == 1));
    Ok(())
}
