//! Power cuts under load: nothing acknowledged is lost, nothing is out of order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use testkit::place::{Engine, Place};
use testkit::process::{Gancho, free_address};
use testkit::receiver::{Manner, Receiver};
use testkit::scene::{Scene, open};
use testkit::sender;
use tokio::task::JoinSet;

const CYCLES: u32 = 30;
const SENDERS: u64 = 8;
const SETTLE_MAX: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_over_thirty_power_cuts_on_sqlite() -> anyhow::Result<()> {
    power_cuts(Engine::Sqlite, CYCLES).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_over_power_cuts_on_postgres() -> anyhow::Result<()> {
    power_cuts(Engine::Postgres, 10).await
}

async fn power_cuts(engine: Engine, cycles: u32) -> anyhow::Result<()> {
    let Some(place) = Place::fresh(engine).await? else { return Ok(()) };
    let store = open(&place).await?;
    let scene = Scene::build(&store).await?;
    let good = [
        Receiver::start(Manner::Good).await?,
        Receiver::start(Manner::Good).await?,
        Receiver::start(Manner::FailsEvery(7)).await?,
    ];
    let failing = Receiver::start(Manner::Answers(500)).await?;
    let hanging = Receiver::start(Manner::Hangs).await?;
    for receiver in good.iter().chain([&failing, &hanging]) {
        scene.endpoint(&store, receiver.url(), |_| {}).await?;
    }
    drop(store);

    let address = free_address()?;
    let binary = Path::new(env!("CARGO_BIN_EXE_gancho"));
    let load = Load::start(&format!("http://{address}/in/{}", scene.source));
    let mut slowest_start = Duration::ZERO;
    for cycle in 0..cycles {
        let gancho = Gancho::start(binary, &place, address, &[]).await?;
        slowest_start = slowest_start.max(gancho.ready_after);
        let before = load.acknowledged.load(Ordering::Relaxed);
        // The cut comes at another moment of the work in every cycle.
        load.wait_for(before + 20 + u64::from(cycle) * 7).await;
        gancho.kill()?;
    }
    let gancho = Gancho::start(binary, &place, address, &[]).await?;
    let acknowledged = load.stop().await?;
    for receiver in &good {
        let all = receiver.wait(SETTLE_MAX, |came| acknowledged.is_subset(&texts(came))).await;
        let came = texts(&receiver.came());
        let missing: Vec<&String> = acknowledged.difference(&came).take(5).collect();
        assert!(all, "acknowledged and not delivered: {missing:?} of {}", acknowledged.len());
        assert_in_order(receiver);
    }
    assert!(gancho.stop().await?, "it ends well when asked");
    let counts = open(&place).await?.stats().counts().await?;
    assert!(counts.is_sound(), "{counts:?}");
    testkit::announce(&format!(
        "{} acknowledged over {cycles} power cuts; slowest start {slowest_start:?}",
        acknowledged.len()
    ));
    Ok(())
}

/// The texts of the messages that were answered 2xx.
fn texts(came: &[testkit::receiver::Came]) -> BTreeSet<String> {
    came.iter().filter(|one| one.answered == 200).filter_map(|one| text(&one.body)).collect()
}

fn text(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(json.pointer("/data/message/text")?.as_str()?.to_owned())
}

/// Each sender is one contact and numbers its messages: the first delivery of each must come in that order.
fn assert_in_order(receiver: &Receiver) {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for one in receiver.came().iter().filter(|one| one.answered == 200) {
        let Some(text) = text(&one.body) else { continue };
        if !seen.insert(text.clone()) {
            continue;
        }
        let (contact, number) = text.split_once(' ').expect("texts are a contact and a number");
        let number: u64 = number.parse().expect("a number");
        let before = last.insert(contact.to_owned(), number);
        assert!(before.is_none_or(|before| before < number), "{contact}: {number} came after {before:?}");
    }
}

/// Senders that repeat each message until it is acknowledged, as platforms do.
struct Load {
    acknowledged: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    senders: JoinSet<BTreeSet<String>>,
}

impl Load {
    fn start(url: &str) -> Load {
        let (acknowledged, stopped) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut senders = JoinSet::new();
        for contact in 0..SENDERS {
            senders.spawn(sender(url.to_owned(), contact, Arc::clone(&acknowledged), Arc::clone(&stopped)));
        }
        Load { acknowledged, stopped, senders }
    }

    async fn wait_for(&self, count: u64) {
        while self.acknowledged.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
    }

    async fn stop(mut self) -> anyhow::Result<BTreeSet<String>> {
        self.stopped.store(true, Ordering::Relaxed);
        let mut all = BTreeSet::new();
        while let Some(texts) = self.senders.join_next().await {
            all.extend(texts?);
        }
        Ok(all)
    }
}

async fn sender(
    url: String,
    contact: u64,
    count: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
) -> BTreeSet<String> {
    let client = sender::client();
    let mut acknowledged = BTreeSet::new();
    let mut number = 0_u64;
    while !stopped.load(Ordering::Relaxed) {
        let text = format!("c{contact} {number}");
        let body = sender::message(&format!("wamid.{contact}.{number}"), contact, &text);
        match sender::post_signed(&client, &url, &body).await {
            Ok(answer) if answer.status == 200 => {
                acknowledged.insert(text);
                count.fetch_add(1, Ordering::Relaxed);
                number += 1;
            }
            // Not acknowledged: the same message again, until it is.
            _ => tokio::task::yield_now().await,
        }
    }
    acknowledged
}
