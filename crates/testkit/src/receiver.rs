//! An endpoint that notes what came and in which order, and misbehaves on request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How an endpoint answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// 200 at once.
    Good,
    /// This status at once.
    Answers(u16),
    /// Never.
    Hangs,
    /// 500 for every n-th request, 200 for the others.
    FailsEvery(u32),
}

/// One delivery as it came.
#[derive(Clone, Debug)]
pub struct Came {
    /// The `webhook-id`.
    pub id: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What it was answered; 0 when it was not.
    pub answered: u16,
}

/// A running endpoint.
#[derive(Clone, Debug)]
pub struct Receiver {
    address: SocketAddr,
    noted: Arc<Noted>,
}

#[derive(Debug)]
struct Noted {
    came: Mutex<Vec<Came>>,
    manner: Mutex<Manner>,
    news: Notify,
}

impl Receiver {
    /// Starts one on a free port.
    pub async fn start(manner: Manner) -> anyhow::Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let noted =
            Arc::new(Noted { came: Mutex::default(), manner: Mutex::new(manner), news: Notify::new() });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&noted));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Receiver { address, noted })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Behaves otherwise from now on.
    pub fn becomes(&self, manner: Manner) {
        *lock(&self.noted.manner) = manner;
    }

    /// Everything that came so far, in order.
    pub fn came(&self) -> Vec<Came> {
        lock(&self.noted.came).clone()
    }

    /// Waits until `enough` says so; false when it did not in time.
    pub async fn wait(&self, most: Duration, enough: impl Fn(&[Came]) -> bool) -> bool {
        let deadline = Instant::now() + most;
        loop {
            let news = self.noted.news.notified();
            if enough(&lock(&self.noted.came)) {
                return true;
            }
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                return enough(&lock(&self.noted.came));
            }
        }
    }
}

async fn receive(State(noted): State<Arc<Noted>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let answered = note(&noted, headers, body);
    noted.news.notify_waiters();
    match StatusCode::from_u16(answered) {
        Ok(status) => status,
        Err(_) => std::future::pending().await,
    }
}

fn note(noted: &Noted, headers: HeaderMap, body: Bytes) -> u16 {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let manner = *lock(&noted.manner);
    let mut came = lock(&noted.came);
    let answered = match manner {
        Manner::Answers(status) => status,
        Manner::FailsEvery(n) if (came.len() as u32 + 1).is_multiple_of(n) => 500,
        Manner::Good | Manner::FailsEvery(_) => 200,
        Manner::Hangs => 0,
    };
    came.push(Came { id, headers, body, answered });
    answered
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
