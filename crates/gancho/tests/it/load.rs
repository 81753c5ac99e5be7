//! Senders that never give up, and what must hold of what they were told: nothing acknowledged is lost, and the order
//! of each conversation is kept.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use model::page::PageRequest;
use store::Store;
use store::events::EventFilter;
use testkit::receiver::{Came, Receiver};
use testkit::sender;
use tokio::task::JoinSet;

const SENDERS: u64 = 8;
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// Senders that repeat each message until it is acknowledged, as platforms do.
pub(crate) struct Load {
    acknowledged: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    senders: JoinSet<BTreeSet<String>>,
}

impl Load {
    /// Starts them: each is one contact and numbers its messages, which are a little longer than `bytes`.
    pub(crate) fn start(url: &str, bytes: usize) -> Load {
        let (acknowledged, stopped) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut senders = JoinSet::new();
        for contact in 0..SENDERS {
            let (url, rest) = (url.to_owned(), "w".repeat(bytes));
            let (acknowledged, stopped) = (Arc::clone(&acknowledged), Arc::clone(&stopped));
            senders.spawn(async move { send(&url, contact, &rest, &acknowledged, &stopped).await });
        }
        Load { acknowledged, stopped, senders }
    }

    /// How many messages were acknowledged so far.
    pub(crate) fn count(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many were acknowledged.
    pub(crate) async fn wait_for(&self, count: u64) {
        while self.count() < count {
            tokio::task::yield_now().await;
        }
    }

    /// Ends them when their last message is acknowledged; returns all that were.
    pub(crate) async fn stop(mut self) -> anyhow::Result<BTreeSet<String>> {
        self.stopped.store(true, Ordering::Relaxed);
        let mut all = BTreeSet::new();
        while let Some(names) = self.senders.join_next().await {
            all.extend(names?);
        }
        Ok(all)
    }
}

async fn send(
    url: &str,
    contact: u64,
    rest: &str,
    count: &AtomicU64,
    stopped: &AtomicBool,
) -> BTreeSet<String> {
    let client = sender::client();
    let mut acknowledged = BTreeSet::new();
    let mut number = 0_u64;
    while !stopped.load(Ordering::Relaxed) {
        let name = format!("c{contact} {number}");
        let body = sender::message(&format!("wamid.{contact}.{number}"), contact, &format!("{name} {rest}"));
        match sender::post_signed(&client, url, &body).await {
            Ok(answer) if answer.status == 200 => {
                acknowledged.insert(name);
                count.fetch_add(1, Ordering::Relaxed);
                number += 1;
            }
            // Not acknowledged: the same message again, until it is.
            _ => tokio::task::yield_now().await,
        }
    }
    acknowledged
}

/// Waits until an endpoint has everything that was acknowledged, and looks at the order.
pub(crate) async fn assert_arrived(receiver: &Receiver, acknowledged: &BTreeSet<String>) {
    // Each delivery is read once, however often it is waited for.
    let seen = RefCell::new((0, BTreeSet::new()));
    let all = receiver.wait(SETTLE_MAX, |came| {
        let (read, names) = &mut *seen.borrow_mut();
        names.extend(came[*read..].iter().filter(|one| one.answered == 200).filter_map(name_in));
        *read = came.len();
        acknowledged.is_subset(names)
    });
    let all = all.await;
    let missing: Vec<String> = acknowledged.difference(&seen.borrow().1).take(5).cloned().collect();
    assert!(all, "acknowledged and not delivered: {missing:?} of {}", acknowledged.len());
    assert_in_order(receiver);
}

/// Everything that was acknowledged is still in the store, and everything there adds up.
pub(crate) async fn assert_kept(store: &Store, acknowledged: &BTreeSet<String>) -> anyhow::Result<()> {
    let (mut kept, mut doubled) = (BTreeSet::new(), Vec::new());
    let mut page = PageRequest::newest(50);
    loop {
        let events = store.events().list(EventFilter::default(), page).await?;
        for event in &events.items {
            let Some(content) = &event.content else { continue };
            let json: serde_json::Value = serde_json::from_str(content)?;
            let name = json.pointer("/message/text").and_then(|text| name(text.as_str()?));
            doubled.extend(name.filter(|name| !kept.insert(name.clone())));
        }
        let Some(next) = events.next else { break };
        page.before = Some(next);
    }
    let lost: Vec<&String> = acknowledged.difference(&kept).take(5).collect();
    assert!(lost.is_empty(), "acknowledged and not in the store: {lost:?} of {}", acknowledged.len());
    assert!(doubled.is_empty(), "stored more than once: {doubled:?}");
    let counts = store.stats().counts().await?;
    assert!(counts.is_sound(), "{counts:?}");
    Ok(())
}

/// The first delivery of each message must come in the order of its contact's messages.
fn assert_in_order(receiver: &Receiver) {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for one in receiver.came().iter().filter(|one| one.answered == 200) {
        let Some(name) = name_in(one) else { continue };
        if !seen.insert(name.clone()) {
            continue;
        }
        let (contact, number) = name.split_once(' ').expect("names are a contact and a number");
        let number: u64 = number.parse().expect("a number");
        let before = last.insert(contact.to_owned(), number);
        assert!(before.is_none_or(|before| before < number), "{contact}: {number} came after {before:?}");
    }
}

fn name_in(came: &Came) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(&came.body).ok()?;
    name(json.pointer("/data/message/text")?.as_str()?)
}

/// The contact and the number, without the rest of the text.
fn name(text: &str) -> Option<String> {
    let mut words = text.split(' ');
    Some(format!("{} {}", words.next()?, words.next()?))
}
