//! The load: many connections, each sending the next signed message as soon as the last was answered.
//!
//! Written on plain sockets so that the generator takes as little of the shared machine as it can.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use platforms::proof::{Hash, mac};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{CONTACTS, scene};

/// Numbers messages over all loads of a process, so that no two are ever the same fact.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What to send, and how fast.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) connections: usize,
    /// Requests a second over all connections; as many as possible when absent.
    pub(crate) rate: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) count: u64,
    pub(crate) took: Duration,
    pub(crate) latencies: Vec<Duration>,
}

impl Taken {
    /// What came of two loads, one after the other.
    pub(crate) fn add(&mut self, other: Taken) {
        self.count += other.count;
        self.took += other.took;
        self.latencies.extend(other.latencies);
    }

    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// The latency that this share of the answers stayed below.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or_default()
    }
}

impl Load {
    /// Sends for `span`. Any answer but 200 fails the run.
    pub(crate) async fn run(&self, span: Duration) -> anyhow::Result<Taken> {
        let started = Instant::now();
        let turn = Arc::new(AtomicU64::new(0));
        let mut connections = JoinSet::new();
        for _ in 0..self.connections {
            connections.spawn(connection(self.clone(), started, span, Arc::clone(&turn)));
        }
        let mut taken = Taken::default();
        while let Some(latencies) = connections.join_next().await {
            taken.latencies.extend(latencies??);
        }
        taken.count = taken.latencies.len() as u64;
        taken.took = started.elapsed();
        Ok(taken)
    }
}

async fn connection(
    load: Load,
    started: Instant,
    span: Duration,
    turn: Arc<AtomicU64>,
) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Vec::new();
    let mut answer = Vec::with_capacity(1024);
    while started.elapsed() < span {
        if let Some(rate) = load.rate {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            let at = started + Duration::from_nanos(1_000_000_000 * turn / rate.max(1));
            if at >= started + span {
                break;
            }
            tokio::time::sleep_until(at).await;
        }
        let request = signed_request(&load.path);
        let sent = Instant::now();
        stream.write_all(&request).await?;
        let status = read_answer(&mut stream, &mut answer).await?;
        if status != 200 {
            bail!("answered {status}: {}", String::from_utf8_lossy(&answer));
        }
        latencies.push(sent.elapsed());
    }
    Ok(latencies)
}

/// One WhatsApp text message of about 1 KB with an id of its own; its text says when it was made.
fn signed_request(path: &str) -> Vec<u8> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let body = scene::message(number, number % CONTACTS);
    let signature = hex::encode(mac(Hash::Sha256, scene::APP_SECRET.as_bytes(), &[body.as_bytes()]));
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nuser-agent: facebookexternalua\r\n\
         x-hub-signature-256: sha256={signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads one answer; returns its status and leaves its bytes in `answer`.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<u16> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            bail!("the server closed the connection");
        }
        let Some(head_end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&answer[..head_end])?.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|text| text.trim().parse::<usize>().ok())
            .unwrap_or(0);
        while answer.len() < head_end + 4 + length {
            if stream.read_buf(answer).await? == 0 {
                bail!("the server closed the connection");
            }
        }
        return head.get(9..12).and_then(|text| text.parse().ok()).context("the answer has no status");
    }
}

/// Asks for one path again and again over one connection.
pub(crate) async fn get_many(
    address: SocketAddr,
    path: &str,
    token: &str,
    times: u64,
) -> anyhow::Result<Taken> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    let (mut taken, mut answer) = (Taken::default(), Vec::new());
    let started = Instant::now();
    while taken.latencies.len() < usize::try_from(times)? {
        let sent = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        match read_answer(&mut stream, &mut answer).await? {
            200 => taken.latencies.push(sent.elapsed()),
            // A token has so many requests a second.
            429 => tokio::time::sleep(Duration::from_secs(1)).await,
            status => bail!("answered {status}: {}", String::from_utf8_lossy(&answer)),
        }
    }
    taken.count = times;
    taken.took = started.elapsed();
    Ok(taken)
}
