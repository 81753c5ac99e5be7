//! What a store already holds when a measurement begins: messages, read by the same adapter as those over the wire.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, Method};
use model::delivery::{Attempt, AttemptOf, Phases};
use model::endpoint::Endpoint;
use model::page::{PageRequest, Span};
use model::retry::Next;
use model::source::Source;
use model::time::{Clock, ManualClock, Timestamp};
use platforms::http::Incoming;
use platforms::proof::{Hash, mac};
use platforms::registry;
use store::Store;
use store::arrivals::{Arrival, Request, Verdict};
use store::claims::{Claimed, Wish};
use store::events::EventFilter;
use store::receipts::ReceiptFilter;
use store::records::Recorded;
use store::retention::Keep;

use super::scene::{APP_SECRET, message};

/// How many arrivals are under way at a time.
const ARRIVALS_AT_ONCE: usize = 2_048;
/// How many deliveries are claimed at a time.
const CLAIMED_AT_ONCE: u16 = 512;
/// Longer than any record takes.
const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Stores so many messages. The next ones are made while the store is busy with those before.
pub(crate) async fn fill(store: &Store, source: &Arc<Source>, count: u64) -> anyhow::Result<()> {
    let append =
        |number| async move { Ok(store.arrivals().append(arrival(source, number)?).await.map(drop)?) };
    stream::iter(0..count).map(append).buffer_unordered(ARRIVALS_AT_ONCE).try_collect().await
}

/// Stores so many messages, each of which an endpoint then has. The endpoint is left with more places than it has.
pub(crate) async fn fill_and_deliver(
    store: &Store,
    source: &Arc<Source>,
    mut endpoint: Endpoint,
    count: u64,
) -> anyhow::Result<()> {
    endpoint.concurrency = CLAIMED_AT_ONCE;
    store.endpoints().save(endpoint).await?;
    fill(store, source, count).await?;
    deliver(store).await
}

/// Records everything owed as delivered at the first attempt.
async fn deliver(store: &Store) -> anyhow::Result<()> {
    let deliveries = store.deliveries();
    loop {
        let claimed = deliveries.claim(Wish::new(usize::from(CLAIMED_AT_ONCE), LEASE)).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        try_join_all(claimed.iter().map(|one| deliveries.record(delivered(store, one)))).await?;
    }
}

/// Lets the days pass until now, as they do for a gateway that runs: retention doubts a clock that leaps. It keeps
/// everything meanwhile.
pub(crate) async fn pass(store: &Store, clock: &ManualClock) -> anyhow::Result<()> {
    let keep = Keep { bodies: Duration::MAX, metadata: Duration::MAX, ..Keep::default() };
    while clock.now() < Clock::System.now() {
        clock.advance(DAY);
        store.retention().step(keep).await?;
    }
    Ok(())
}

/// Whether anything that was stored before a time is still there. Requests go last.
pub(crate) async fn is_there(store: &Store, before: Timestamp) -> anyhow::Result<bool> {
    let span = Span { until: Some(before), ..Span::default() };
    let newest = PageRequest::newest(1);
    let events = store.events().list(EventFilter { span, ..EventFilter::default() }, newest).await?;
    let receipts = store.receipts().list(ReceiptFilter { span, ..ReceiptFilter::default() }, newest).await?;
    Ok(!events.items.is_empty() || !receipts.items.is_empty())
}

fn delivered(store: &Store, claimed: &Claimed) -> Recorded {
    let attempt = Attempt {
        id: store.fresh_id(),
        of: AttemptOf::Delivery(claimed.id),
        number: claimed.attempts + 1,
        status: Some(200),
        error: None,
        peer: Some("127.0.0.1:9".to_owned()),
        phases: Phases::default(),
        answer_headers: "content-length: 0\n".to_owned(),
        answer_excerpt: Vec::new(),
    };
    Recorded {
        lease: claimed.lease,
        id: claimed.id,
        endpoint: claimed.endpoint.id,
        line: claimed.line,
        on_dead: claimed.endpoint.on_dead,
        attempt: Some(attempt),
        next: Next::Delivered,
    }
}

fn arrival(source: &Arc<Source>, number: u64) -> anyhow::Result<Arrival> {
    let body = Bytes::from(message(1 << 40 | number, number % super::CONTACTS));
    let mut headers = HeaderMap::new();
    let signature = hex::encode(mac(Hash::Sha256, APP_SECRET.as_bytes(), &[&body]));
    headers.insert("x-hub-signature-256", HeaderValue::from_str(&format!("sha256={signature}"))?);
    let incoming = Incoming {
        method: Method::POST,
        path: "/".to_owned(),
        query: None,
        headers,
        body: body.clone(),
        received_at: Clock::System.now(),
    };
    let platform = registry::find("whatsapp").context("the adapter is always there")?;
    let verified = platform.verify(source, &incoming)?;
    let events = platform.parse(source, &verified)?;
    let request = Request {
        receipt: None,
        method: "POST".to_owned(),
        path: "/in/bench".to_owned(),
        peer: "127.0.0.1".to_owned(),
        headers: "content-type: application/json\n".to_owned(),
        body,
        is_whole: true,
    };
    Ok(Arrival {
        source: Some(Arc::clone(source)),
        app: None,
        request: Some(request),
        verdict: Verdict::Genuine(events.into()),
    })
}
