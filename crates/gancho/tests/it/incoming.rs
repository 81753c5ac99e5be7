//! What comes in: batches, copies, and everything that is not as it should be.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::page::PageRequest;
use model::receipt::{Reason, ReceiptState};
use store::receipts::ReceiptFilter;
use testkit::place::Engine;
use testkit::process::Gancho;
use testkit::sender::{self, client, message, messages, post_signed, send};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::story::Story;

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_thousand_updates_is_one_receipt_and_a_thousand_events_once() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(story) = Story::begin(engine).await? else { continue };
        let words = "w".repeat(2_500);
        let texts: Vec<(String, String)> =
            (0..1_000).map(|n| (format!("wamid.B{n:04}"), format!("{n:04} {words}"))).collect();
        let items: Vec<(&str, u64, &str)> = texts
            .iter()
            .enumerate()
            .map(|(n, (id, text))| (id.as_str(), n as u64 % 50, text.as_str()))
            .collect();
        let body = messages(&items);
        assert!(body.len() > 2_700_000 && body.len() < 3 * 1024 * 1024, "{} bytes", body.len());
        for _ in 0..2 {
            assert_eq!(post_signed(&client(), &story.url, &body).await?.status, 200);
        }
        let all = story.receiver.wait(Duration::from_secs(60), |came| came.len() >= 1_000).await;
        assert!(all, "{} of 1000 came", story.receiver.came().len());
        let ids: BTreeSet<String> = story.receiver.came().into_iter().map(|came| came.id).collect();
        assert_eq!(ids.len(), 1_000);
        let (store, _place) = story.kept().await?;
        let receipts = store.receipts().list(ReceiptFilter::default(), PageRequest::newest(10)).await?.items;
        let states: Vec<ReceiptState> = receipts.iter().map(|receipt| receipt.state).collect();
        assert_eq!(states, [ReceiptState::Duplicate, ReceiptState::Accepted]);
        assert_eq!((receipts[1].items, receipts[1].items_new), (1_000, 1_000));
        let counts = store.stats().counts().await?;
        // A conversation.created for each contact beside the messages.
        assert_eq!(counts.events, 1_050);
        assert!(counts.is_sound(), "{counts:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_ids_in_a_hundred_copies_across_a_kill_are_a_thousand_events() -> anyhow::Result<()> {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(mut story) = Story::begin(engine).await? else { continue };
        let mut copies = JoinSet::new();
        for copy in 0..100_u64 {
            let url = story.url.clone();
            copies.spawn(async move {
                let client = client();
                for n in 0..1_000_u64 {
                    // Each copy begins elsewhere, so that the same id comes from many at once.
                    let n = (n + copy * 10) % 1_000;
                    let body = message(&format!("wamid.C{n}"), n % 20, "copy");
                    while !post_signed(&client, &url, &body).await.is_ok_and(|answer| answer.status == 200) {
                        tokio::task::yield_now().await;
                    }
                }
            });
        }
        let began = story.receiver.wait(Duration::from_secs(30), |came| came.len() >= 200).await;
        assert!(began);
        let address = story.gancho.address;
        story.gancho.kill()?;
        story.gancho =
            Gancho::start(Path::new(env!("CARGO_BIN_EXE_gancho")), &story.place, address, &[]).await?;
        while let Some(copy) = copies.join_next().await {
            copy?;
        }
        let (store, _place) = story.kept().await?;
        let counts = store.stats().counts().await?;
        assert_eq!(counts.events, 1_000 + 20);
        assert!(counts.is_sound(), "{counts:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_genuine_is_refused_alike_and_kept_with_its_reason() -> anyhow::Result<()> {
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    let body = message("wamid.R1", 1, "hola");
    let signature = |secret: &str| {
        use platforms::proof::{Hash, mac};
        format!("sha256={}", hex::encode(mac(Hash::Sha256, secret.as_bytes(), &[body.as_bytes()])))
    };
    let good = signature(testkit::scene::APP_SECRET);
    let wrong: [(&str, Reason); 5] = [
        ("", Reason::SignatureMissing),
        (&signature("another-secret"), Reason::SignatureWrong),
        (&good.to_uppercase(), Reason::SignatureMalformed),
        (&good[..good.len() - 2], Reason::SignatureMalformed),
        (&good.replace("sha256=", "sha512="), Reason::SignatureMalformed),
    ];
    for (header, _) in &wrong {
        let headers: Vec<(&str, &str)> =
            if header.is_empty() { Vec::new() } else { vec![("x-hub-signature-256", header)] };
        let answer = send(&client(), Method::POST, &story.url, &headers, Bytes::from(body.clone())).await?;
        assert_eq!((answer.status, &answer.body[..]), (401, &b"not accepted\n"[..]), "{header}");
    }
    let elsewhere = story.url.replace("/in/src_", "/in/src_x");
    assert_eq!(post_signed(&client(), &elsewhere, &body).await?.status, 404);
    let (store, _place) = story.kept().await?;
    let receipts = store.receipts().list(ReceiptFilter::default(), PageRequest::newest(10)).await?.items;
    let reasons: Vec<Option<Reason>> = receipts.iter().rev().map(|receipt| receipt.reason).collect();
    let mut expected: Vec<Option<Reason>> = wrong.iter().map(|(_, reason)| Some(*reason)).collect();
    expected.push(Some(Reason::SourceUnknown));
    assert_eq!(reasons, expected);
    assert_eq!(store.stats().counts().await?.events, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genuine_body_that_nobody_can_read_is_kept_and_acknowledged() -> anyhow::Result<()> {
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for body in ["{\"object\":", "", "\u{0}", "[]", deep.as_str()] {
        assert_eq!(post_signed(&client(), &story.url, body).await?.status, 200, "{body:.20}");
    }
    let (store, _place) = story.kept().await?;
    let events = store.events().list(Default::default(), PageRequest::newest(10)).await?.items;
    assert_eq!(events.len(), 5);
    assert!(events.iter().all(|event| event.event_type.as_str() == "whatsapp.unrecognised"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_too_slow_and_too_many_headers_get_a_clear_answer() -> anyhow::Result<()> {
    let Some(story) = Story::begin(Engine::Sqlite).await? else { return Ok(()) };
    let large = "x".repeat(3 * 1024 * 1024 + 1);
    assert_eq!(post_signed(&client(), &story.url, &large).await?.status, 413);
    // Who sends to a URL that is nobody's writes to the end too, and hears so on a connection that goes on.
    let nowhere = story.url.replace("/in/src_", "/in/src_0");
    let client_of_many = client();
    for _ in 0..3 {
        assert_eq!(post_signed(&client_of_many, &nowhere, &large).await?.status, 404);
    }

    let path = story.url.split_once("/in/").map(|(_, id)| format!("/in/{id}")).expect("a source's URL");
    let many: String = (0..150).map(|n| format!("x-{n}: 1\r\n")).collect();
    let head =
        |headers: &str| format!("POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: 5\r\n\r\n");
    assert_eq!(raw(&story, &head(&many)).await?, Some(431));
    assert_eq!(raw(&story, &head(&format!("x: {}\r\n", "y".repeat(40_000)))).await?, Some(431));
    // A head that never ends is cut off, within the time heads are given.
    assert_eq!(raw(&story, &format!("POST {path} HTTP/1.1\r\nhost: x\r\n")).await?, None);
    // A body that never comes is answered when its time is over.
    assert_eq!(raw(&story, &head("")).await?, Some(408));
    // The gateway is as well as before.
    assert_eq!(post_signed(&client(), &story.url, &message("wamid.L1", 1, "hola")).await?.status, 200);
    assert_eq!(sender::get(&story.url.replace(&path, "/readyz"), &[]).await?.status, 200);
    story.kept().await.map(|_| ())
}

/// Sends these bytes and then nothing; the status of the answer, or nothing when the connection was closed.
async fn raw(story: &Story, bytes: &str) -> anyhow::Result<Option<u16>> {
    let mut stream = TcpStream::connect(story.gancho.address).await?;
    stream.write_all(bytes.as_bytes()).await?;
    let mut answer = Vec::new();
    let read = async {
        let mut piece = [0; 1024];
        while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&piece[..count]),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read).await?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()))
}
