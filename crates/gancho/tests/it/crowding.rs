//! Too much at once, too slowly, broken off: what is in hand stays within its bound, and comes back to nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::Method;
use model::page::PageRequest;
use model::receipt::ReceiptState;
use serde_json::Value;
use store::receipts::ReceiptFilter;
use testkit::disk::{Disk, Part};
use testkit::place::{Engine, Place};
use testkit::process::{ADMIN_TOKEN, Gancho, free_address};
use testkit::receiver::{Manner, Receiver};
use testkit::scene::{Scene, open};
use testkit::sender::{Answer, client, get, message, messages, post_signed, send};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::story::Story;

const PATIENCE: Duration = Duration::from_secs(60);
/// Room for seven large requests, and a part that is left to small ones.
const IN_HAND_MAX: usize = 16 * 1024 * 1024;
const LARGE: usize = 1_900_000;
const LARGE_AT_ONCE: usize = 7;
/// Items of which one request takes more than half of the room, and its body a part of that.
const MANY: usize = 8_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_is_a_503_and_what_waits_for_it_is_bounded_until_it_goes_on() -> anyhow::Result<()>
{
    let Some(slow) = Slow::begin().await? else { return Ok(()) };
    let large = |n: usize| message(&format!("wamid.X{n}"), 1, &format!("{n} {}", "w".repeat(LARGE)));
    slow.disk.hang_syncs(Part::Log)?;
    let mut posting = JoinSet::new();
    for n in 0..LARGE_AT_ONCE {
        let (url, body) = (slow.url.clone(), large(n));
        posting.spawn(async move { post_signed(&client(), &url, &body).await });
    }
    while let Some(posted) = posting.join_next().await {
        assert_eq!(posted??.status, 503);
    }
    // Nobody waits for them any more, and still they are in hand.
    let metrics = Metrics::of(&slow.gancho).await?;
    assert!(metrics.in_hand > LARGE_AT_ONCE * LARGE && metrics.in_hand < IN_HAND_MAX, "{metrics:?}");
    assert_eq!((metrics.unavailable, metrics.no_room), (LARGE_AT_ONCE, 0));
    for n in 0..3 {
        let refused = slow.post(&large(LARGE_AT_ONCE)).await?;
        assert_eq!(refused.status, 503);
        assert_eq!(refused.headers.get("retry-after").and_then(|value| value.to_str().ok()), Some("1"));
        assert_eq!(Metrics::of(&slow.gancho).await?, Metrics { no_room: n + 1, ..metrics });
    }
    // A small one finds room, and waits for the disk like everybody else.
    let small = message("wamid.S1", 2, "hola");
    assert_eq!(slow.post(&small).await?.status, 503);
    let after = Metrics::of(&slow.gancho).await?;
    assert_eq!((after.unavailable, after.no_room), (LARGE_AT_ONCE + 1, 3));
    assert!(after.in_hand > metrics.in_hand && after.in_hand < metrics.in_hand + 10_000, "{after:?}");

    slow.disk.heal()?;
    until_nothing_is_in_hand(&slow.gancho).await?;
    for n in 0..=LARGE_AT_ONCE {
        assert_eq!(slow.post(&large(n)).await?.status, 200);
    }
    assert_eq!(slow.post(&small).await?.status, 200);
    let all = slow.receiver.wait(PATIENCE, |came| came.len() >= LARGE_AT_ONCE + 2).await;
    assert!(all, "{} of {} came", slow.receiver.came().len(), LARGE_AT_ONCE + 2);
    // A conversation.created for each contact beside the messages.
    slow.keeps(LARGE_AT_ONCE + 2 + 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_items_are_in_hand_with_what_is_read_in_them_not_only_with_their_body()
-> anyhow::Result<()> {
    let Some(slow) = Slow::begin().await? else { return Ok(()) };
    let many = |batch: usize| {
        let ids: Vec<String> = (0..MANY).map(|n| format!("wamid.{batch}.{n}")).collect();
        let items: Vec<(&str, u64, &str)> = ids.iter().map(|id| (id.as_str(), 1, "x")).collect();
        messages(&items)
    };
    assert!(2 * many(1).len() < IN_HAND_MAX / 2, "both bodies would find room");
    slow.disk.hang_syncs(Part::Log)?;
    assert_eq!(slow.post(&many(1)).await?.status, 503);
    let one = Metrics::of(&slow.gancho).await?;
    assert_eq!((one.unavailable, one.no_room), (1, 0));
    assert!(one.in_hand > IN_HAND_MAX / 2, "{one:?}");
    assert_eq!(slow.post(&many(2)).await?.status, 503);
    assert_eq!(Metrics::of(&slow.gancho).await?, Metrics { no_room: 1, ..one });
    slow.disk.heal()?;
    until_nothing_is_in_hand(&slow.gancho).await?;
    slow.keeps(MANY + 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_falls_silent_is_told_so_and_its_connection_ends() -> anyhow::Result<()> {
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    for (framing, part) in
        [("content-length: 5000", "{\"object\""), ("transfer-encoding: chunked", "5\r\n{\"obj\r\n")]
    {
        let answered = story.raw(&format!("{framing}\r\n\r\n{part}")).await?;
        assert!(answered.starts_with("HTTP/1.1 408 "), "{answered}");
        assert!(answered.contains("\r\nconnection: close\r\n"), "{answered}");
    }
    until_nothing_is_in_hand(&story.gancho).await?;
    story.receives("wamid.T1", 1, "hola").await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_in_hand_of_chunks_pipelines_handshakes_and_connections_that_break()
-> anyhow::Result<()> {
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    let path = story.path();
    // Broken off while 2 MB of an announced body are in hand, and in the middle of a chunk.
    for framing in ["content-length: 3000000\r\n\r\n", "transfer-encoding: chunked\r\n\r\n2dc6c0\r\n"] {
        let mut stream = TcpStream::connect(story.gancho.address).await?;
        stream.write_all(format!("POST {path} HTTP/1.1\r\nhost: x\r\n{framing}").as_bytes()).await?;
        stream.write_all(&vec![b'x'; 2_000_000]).await?;
        let deadline = Instant::now() + PATIENCE;
        while Metrics::of(&story.gancho).await?.in_hand < 2_000_000 {
            anyhow::ensure!(Instant::now() < deadline, "what was sent is not in hand");
        }
        drop(stream);
        until_nothing_is_in_hand(&story.gancho).await?;
    }
    // Three on one connection: in chunks, a handshake, and one that nobody asked for; only the last one ends it.
    let handshake = "hub.mode=subscribe&hub.verify_token=story-verify&hub.challenge=42";
    let pipelined = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{{\"a\r\n4\r\n\":1}}\r\n0\r\n\r\n\
         HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\n\
         GET {path}?{handshake} HTTP/1.1\r\nhost: x\r\n\r\n\
         POST /in/nobody HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nxx"
    );
    let answered = story.exchange(&pipelined).await?;
    let statuses: Vec<&str> = answered.split("HTTP/1.1 ").skip(1).filter_map(|one| one.get(..3)).collect();
    assert_eq!(statuses, ["401", "401", "200", "404"], "{answered}");
    until_nothing_is_in_hand(&story.gancho).await?;
    let (store, _place) = story.kept().await?;
    let mut receipts = store.receipts().list(ReceiptFilter::default(), PageRequest::newest(10)).await?.items;
    receipts.reverse();
    let kept: Vec<(ReceiptState, i64)> = receipts.iter().map(|one| (one.state, one.body_bytes)).collect();
    let rejected = ReceiptState::Rejected;
    assert_eq!(
        kept,
        [(rejected, 7), (rejected, 0), (ReceiptState::Answered, 0), (ReceiptState::Unrouted, 0)]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_refused_requests_only_so_many_bytes_are_kept_and_all_of_their_lengths() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(story) = Story::begin(engine).await? else { continue };
        let body = Bytes::from(vec![b'x'; 3_000_000]);
        for _ in 0..10 {
            let headers = [("x-hub-signature-256", "sha256=00")];
            let answer = send(&client(), Method::POST, &story.url, &headers, body.clone()).await?;
            assert_eq!((answer.status, &answer.body[..]), (401, &b"not accepted\n"[..]));
        }
        let listed = story.ask(Method::GET, "?status=rejected", "").await?;
        let listed: Value = serde_json::from_slice(&listed.body)?;
        let ids: Vec<&str> = listed["data"]
            .as_array()
            .context("a list")?
            .iter()
            .filter_map(|one| one["id"].as_str())
            .collect();
        let (newest, oldest) = (ids.first().context("kept")?, ids.last().context("kept")?);
        let refused = story.ask(Method::POST, &format!("/{newest}/release"), r#"{"trust":true}"#).await?;
        let words = String::from_utf8_lossy(&refused.body);
        assert!(refused.status == 409 && words.contains("its body is not kept"), "{words}");
        assert_eq!(story.ask(Method::GET, &format!("/{newest}/request"), "").await?.status, 404);
        let refused = story.ask(Method::POST, &format!("/{oldest}/verify"), "").await?;
        let words = String::from_utf8_lossy(&refused.body);
        assert!(refused.status == 200 && words.contains("signature_malformed"), "{words}");
        let (store, _place) = story.kept().await?;
        let receipts = store.receipts().list(ReceiptFilter::default(), PageRequest::newest(100)).await?.items;
        assert_eq!(receipts.len(), 10);
        let mut whole = 0;
        for receipt in receipts {
            assert_eq!((receipt.state, receipt.body_bytes), (ReceiptState::Rejected, 3_000_000));
            let came = store.receipts().came(receipt.id).await?;
            whole += usize::from(came.is_some_and(|came| came.intact && came.body == body));
        }
        assert!((1..4).contains(&whole), "a minute's worth of one source is 4 MiB: {whole} of 10 are whole");
    }
    Ok(())
}

/// A gateway with little room, on a disk that hangs on request.
struct Slow {
    disk: Disk,
    place: Place,
    gancho: Gancho,
    receiver: Receiver,
    url: String,
}

impl Slow {
    async fn begin() -> anyhow::Result<Option<Slow>> {
        let place = Place::fresh(Engine::Sqlite).await?.context("a folder")?;
        let Some(disk) = Disk::beneath(&place)? else { return Ok(None) };
        let receiver = Receiver::start(Manner::Good).await?;
        let store = open(&place).await?;
        let scene = Scene::build(&store).await?;
        scene.endpoint(&store, receiver.url(), |_| {}).await?;
        drop(store);
        disk.take_over().await?;
        let (variables, in_hand_max) = (disk.variables(), IN_HAND_MAX.to_string());
        let mut with: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        with.push(("GANCHO_IN_HAND_BYTES_MAX", &in_hand_max));
        let binary = Path::new(env!("CARGO_BIN_EXE_gancho"));
        let gancho = Gancho::start(binary, &place, free_address()?, &with).await?;
        let url = format!("http://{}/in/{}", gancho.address, scene.source);
        Ok(Some(Slow { disk, place, gancho, receiver, url }))
    }

    async fn post(&self, body: &str) -> anyhow::Result<Answer> {
        post_signed(&client(), &self.url, body).await
    }

    /// Ends the gateway: so many events are kept, and everything adds up.
    async fn keeps(self, events: usize) -> anyhow::Result<()> {
        assert!(self.gancho.stop().await?);
        let counts = open(&self.place).await?.stats().counts().await?;
        assert_eq!(counts.events, events as u64);
        assert!(counts.is_sound(), "{counts:?}");
        Ok(())
    }
}

/// What the gateway says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Metrics {
    in_hand: usize,
    unavailable: usize,
    no_room: usize,
}

impl Metrics {
    async fn of(gancho: &Gancho) -> anyhow::Result<Metrics> {
        let answer = get(&format!("http://{}/metrics", gancho.address), &[]).await?;
        let text = String::from_utf8(answer.body.to_vec())?;
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).context(text.clone())?;
            anyhow::Ok(line.trim().parse::<usize>()?)
        };
        Ok(Metrics {
            in_hand: number("gancho_ingest_in_hand_bytes ")?,
            unavailable: number("gancho_ingest_requests_total{result=\"unavailable\"} ")?,
            no_room: number("gancho_ingest_requests_total{result=\"no_room\"} ")?,
        })
    }
}

async fn until_nothing_is_in_hand(gancho: &Gancho) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = Metrics::of(gancho).await?;
        if metrics.in_hand == 0 {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "still in hand: {metrics:?}");
    }
}

impl Story {
    fn path(&self) -> String {
        format!("/in/{}", self.scene.source)
    }

    /// Posts to the source, with these last headers and this much of a body; everything that is answered until the
    /// connection ends.
    async fn raw(&self, rest: &str) -> anyhow::Result<String> {
        self.exchange(&format!("POST {} HTTP/1.1\r\nhost: x\r\n{rest}", self.path())).await
    }

    /// Asks the API about receipts.
    async fn ask(&self, method: Method, rest: &str, body: &str) -> anyhow::Result<Answer> {
        let url = format!("http://{}/v1/receipts{rest}", self.gancho.address);
        let token = format!("Bearer {ADMIN_TOKEN}");
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        send(&client(), method, &url, &headers, Bytes::copy_from_slice(body.as_bytes())).await
    }

    async fn exchange(&self, bytes: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.gancho.address).await?;
        stream.write_all(bytes.as_bytes()).await?;
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
        Ok(answer)
    }
}
