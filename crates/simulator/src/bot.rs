//! A bot as one of the gateway's users would run it: an endpoint that checks signatures, takes or does not take what is
//! delivered, and may reply.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use egress::Egress;
use http::header::{HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Method, StatusCode};
use model::secret::Secret;
use model::time::{Clock, Timestamp};
use platforms::proof::{self, Hash};
use serde_json::Value;

use crate::call;
use crate::log::{Log, TooFew};
use crate::reply::{Replied, Replies};
use crate::server::{Answer, Cut, Handler, Heard, Server};
use crate::switches::{Conduct, Script};

/// How many attempts and replies are remembered; older ones are forgotten.
const REMEMBERED_MAX: usize = 20_000;
/// How far the signed time may be from the bot's own, as the Standard Webhooks libraries have it.
const TOLERANCE: Duration = Duration::from_secs(300);

/// One attempt of a delivery, as the bot saw it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its place in the order of arrival, from 1.
    pub number: usize,
    /// The `webhook-id`: the same in every attempt and replay of one event.
    pub id: Option<String>,
    /// The event type, where the body names one.
    pub event_type: Option<String>,
    /// The body, where it is JSON.
    pub body: Option<Value>,
    /// The body, byte for byte.
    pub raw: Bytes,
    /// The headers.
    pub headers: HeaderMap,
    /// The `webhook-timestamp`: when the gateway made the attempt.
    pub attempted_at: Option<Timestamp>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Whether its signature is right; always true for a bot that checks none.
    pub genuine: bool,
    /// What the bot was told to do instead of taking it at once.
    pub conduct: Option<Conduct>,
}

impl Attempt {
    /// Whether the bot took it: genuine, and not told otherwise. Where a reply cannot be handed over, the gateway still
    /// hears 503, because the next attempt is how the bot tries again.
    pub fn is_taken(&self) -> bool {
        self.genuine && matches!(self.conduct, None | Some(Conduct::Slow(_)))
    }

    fn of(number: usize, heard: &Heard, state: &State) -> Attempt {
        let body: Option<Value> = serde_json::from_slice(&heard.body).ok();
        let event_type = body.as_ref().and_then(|body| body["type"].as_str());
        let received_at = state.clock.now();
        let seconds = heard.header("webhook-timestamp").and_then(|text| text.parse().ok());
        Attempt {
            number,
            id: heard.header("webhook-id").map(str::to_owned),
            event_type: event_type.map(str::to_owned),
            raw: heard.body.clone(),
            headers: heard.headers.clone(),
            attempted_at: seconds.map(Timestamp::from_secs),
            received_at,
            genuine: lock(&state.secret).as_ref().is_none_or(|secret| is_genuine(secret, heard, received_at)),
            conduct: None,
            body,
        }
    }
}

/// A bot. It ends when it is dropped.
pub struct Bot {
    state: Arc<State>,
    server: Server<Doorway>,
}

struct State {
    clock: Clock,
    egress: Egress,
    secret: Mutex<Option<Secret>>,
    script: Mutex<Script<Conduct>>,
    replies: Mutex<Option<Replies>>,
    attempts: Log<Attempt>,
    replied: Log<Replied>,
}

impl Bot {
    /// Starts a bot on a free port of loopback. With a secret, `whsec_…`, it takes nothing without a Standard Webhooks
    /// signature made with it; without one it checks nothing. Fails without a socket or threads.
    pub async fn start(secret: Option<Secret>, clock: Clock) -> io::Result<Bot> {
        let state = Arc::new(State {
            clock,
            egress: call::way_out()?,
            secret: Mutex::new(secret),
            script: Mutex::default(),
            replies: Mutex::default(),
            attempts: Log::keeping(REMEMBERED_MAX),
            replied: Log::keeping(REMEMBERED_MAX),
        });
        let server = Server::start(Doorway(Arc::clone(&state))).await?;
        Ok(Bot { state, server })
    }

    /// The URL to give to an endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/webhooks", self.server.address())
    }

    /// Checks signatures with this secret from now on, or none.
    pub fn expects(&self, secret: Option<Secret>) {
        *lock(&self.state.secret) = secret;
    }

    /// Replies to what is received from now on, or stops doing so.
    pub fn replies_with(&self, replies: Option<Replies>) {
        *lock(&self.state.replies) = replies;
    }

    /// Does this with so many of the next genuine attempts; what was asked for before comes first.
    pub fn next(&self, count: usize, conduct: Conduct) {
        lock(&self.state.script).next(count, conduct);
    }

    /// Answers 500 to so many of the next genuine attempts.
    pub fn fails_next(&self, count: usize) {
        self.next(count, Conduct::Status(500));
    }

    /// Does this with every attempt that nothing else was asked for, or takes it.
    pub fn always(&self, conduct: Option<Conduct>) {
        lock(&self.state.script).always(conduct);
    }

    /// Breaks off every connection and refuses new ones, as a bot that has crashed. Fails if the port cannot be kept.
    pub async fn refuse_connections(&mut self) -> io::Result<()> {
        self.server.refuse().await
    }

    /// Is back on the same port after [`Bot::refuse_connections`]. Fails if somebody else has taken it.
    pub fn accept_connections(&mut self) -> io::Result<()> {
        self.server.open()
    }

    /// The last 20,000 attempts, in the order of arrival.
    pub fn attempts(&self) -> Vec<Arc<Attempt>> {
        self.state.attempts.all()
    }

    /// Those of them that were taken.
    pub fn taken(&self) -> Vec<Arc<Attempt>> {
        let mut taken = self.attempts();
        taken.retain(|attempt| attempt.is_taken());
        taken
    }

    /// The last 20,000 replies, in the order they were handed over.
    pub fn replied(&self) -> Vec<Arc<Replied>> {
        self.state.replied.all()
    }

    /// Waits until so many attempts have come since the start, taken or not, and gives those remembered.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> Result<Vec<Arc<Attempt>>, TooFew> {
        self.state.attempts.wait_for(count, deadline).await
    }

    /// Waits until the remembered attempts satisfy `enough`, and gives them.
    pub async fn wait_until(
        &self,
        deadline: Duration,
        enough: impl Fn(&[Arc<Attempt>]) -> bool,
    ) -> Result<Vec<Arc<Attempt>>, TooFew> {
        self.state.attempts.wait_until(deadline, enough).await
    }

    /// Waits until so many replies have been handed over since the start, and gives those remembered.
    pub async fn wait_for_replies(
        &self,
        count: usize,
        deadline: Duration,
    ) -> Result<Vec<Arc<Replied>>, TooFew> {
        self.state.replied.wait_for(count, deadline).await
    }
}

/// Where attempts arrive.
#[derive(Clone)]
struct Doorway(Arc<State>);

impl Handler for Doorway {
    async fn handle(&self, heard: Heard) -> Result<Answer, Cut> {
        let state = &*self.0;
        if heard.method != Method::POST {
            return Ok(Answer::empty(StatusCode::METHOD_NOT_ALLOWED));
        }
        let attempt = state.note(&heard);
        if !attempt.genuine {
            return Ok(Answer::empty(StatusCode::UNAUTHORIZED));
        }
        match &attempt.conduct {
            Some(Conduct::Status(code)) => return Ok(status(*code)),
            Some(Conduct::RetryAfter(code, seconds)) => {
                return Ok(status(*code).with(RETRY_AFTER, HeaderValue::from(*seconds)));
            }
            Some(Conduct::Redirect(to)) => return Ok(redirect(to)),
            Some(Conduct::Hang(time)) => {
                tokio::time::sleep(*time).await;
                return Err(Cut::Close);
            }
            Some(Conduct::Slow(time)) => tokio::time::sleep(*time).await,
            None => {}
        }
        match state.reply(&attempt).await {
            true => Ok(Answer::empty(StatusCode::OK)),
            false => Ok(Answer::empty(StatusCode::SERVICE_UNAVAILABLE)),
        }
    }
}

impl State {
    fn note(&self, heard: &Heard) -> Arc<Attempt> {
        self.attempts.push(|number| {
            let mut attempt = Attempt::of(number, heard, self);
            // What does not come from the gateway uses up nothing that was meant for it.
            if attempt.genuine {
                attempt.conduct = lock(&self.script).take();
            }
            attempt
        })
    }

    /// Replies before the attempt is acknowledged, so that no reply is lost; says whether it may be acknowledged.
    async fn reply(&self, attempt: &Attempt) -> bool {
        let Some(replies) = lock(&self.replies).clone() else {
            return true;
        };
        let Some(replied) = replies.hand_over(&self.egress, attempt).await else {
            return true;
        };
        self.replied.push(|_| replied).is_settled()
    }
}

fn status(code: u16) -> Answer {
    // What is no status at all is at least no success.
    Answer::empty(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

fn redirect(to: &str) -> Answer {
    let answer = Answer::empty(StatusCode::FOUND);
    match HeaderValue::from_str(to) {
        Ok(to) => answer.with(LOCATION, to),
        Err(_) => answer,
    }
}

/// Whether one of the `v1` signatures is right and its time is near (Standard Webhooks 1.0.0).
fn is_genuine(secret: &Secret, heard: &Heard, now: Timestamp) -> bool {
    let header = |name| heard.header(name).unwrap_or_default();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let text = secret.expose();
    let Ok(key) = BASE64.decode(text.strip_prefix("whsec_").unwrap_or(text)) else {
        return false;
    };
    let near = timestamp
        .parse()
        .map(Timestamp::from_secs)
        .is_ok_and(|at| now.since(at).max(at.since(now)) <= TOLERANCE);
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &heard.body];
    let expected = format!("v1,{}", BASE64.encode(proof::mac(Hash::Sha256, &key, &signed)));
    let mut signatures = header("webhook-signature").split(' ');
    !id.is_empty() && near && signatures.any(|signature| signature == expected)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
