//! The APIs of chat platforms that take messages, in their simplest: what is well asked is taken and remembered
//! (platforms.md sections 6 to 9).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use model::secret::Secret;
use serde_json::{Value, json};

use crate::log::{Log, TooFew};
use crate::server::{Answer, Cut, Handler, Heard, Server};

/// How many calls are remembered; older ones are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// A call that was taken.
#[derive(Clone, PartialEq, Debug)]
pub struct Called {
    /// The method of HTTP.
    pub method: Method,
    /// The path, without a token that is a part of it.
    pub path: String,
    /// The body; `null` where there is none.
    pub body: Value,
    /// The id that its message was given.
    pub message_id: String,
}

/// The Bot API of Telegram, the Send API of Messenger and Instagram, and the API of Discord, on one port.
pub struct Chats {
    server: Server<Desk>,
    desk: Desk,
}

impl Chats {
    /// Starts on a free port of loopback. Whoever shows the token may send.
    pub async fn start(token: Secret) -> io::Result<Chats> {
        let calls = Arc::new(Log::keeping(REMEMBERED_MAX));
        let desk = Desk { token: Arc::new(token), calls, limited: Arc::default() };
        Ok(Chats { server: Server::start(desk.clone()).await?, desk })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Has the next so many calls come back later: every platform says so in its own words.
    pub fn limit(&self, calls: u32) {
        self.desk.limited.store(calls, Ordering::Relaxed);
    }

    /// Waits until so many calls were taken, and gives them.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> Result<Vec<Called>, TooFew> {
        let calls = self.desk.calls.wait_for(count, deadline).await?;
        Ok(calls.into_iter().map(|call| Called::clone(&call)).collect())
    }
}

#[derive(Clone)]
struct Desk {
    token: Arc<Secret>,
    calls: Arc<Log<Called>>,
    limited: Arc<AtomicU32>,
}

/// Whose API a call is to.
#[derive(Clone, Copy)]
enum Api {
    Telegram,
    Meta,
    Discord,
}

impl Handler for Desk {
    async fn handle(&self, heard: Heard) -> Result<Answer, Cut> {
        let Some((api, path, is_allowed)) = self.read(&heard) else {
            return Ok(Answer::empty(StatusCode::NOT_FOUND));
        };
        if !is_allowed {
            return Ok(api.unknown());
        }
        let less = |left: u32| left.checked_sub(1);
        if self.limited.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return Ok(api.limited());
        }
        let body = serde_json::from_slice(&heard.body).unwrap_or(Value::Null);
        let call = self.calls.push(|number| {
            let message_id = api.message_id(number);
            Called { method: heard.method, path, body, message_id }
        });
        Ok(api.taken(&call))
    }
}

impl Desk {
    /// Whose it is, the path without the token, and whether the token is the right one.
    fn read(&self, heard: &Heard) -> Option<(Api, String, bool)> {
        let token = self.token.expose();
        if let Some((shown, method)) = heard.path.strip_prefix("/bot").and_then(|rest| rest.split_once('/')) {
            return Some((Api::Telegram, format!("/{method}"), shown == token));
        }
        let shown = heard.header("authorization").unwrap_or_default();
        let is_of_discord = heard.path.starts_with("/channels/") || heard.path.starts_with("/webhooks/");
        if is_of_discord {
            return Some((Api::Discord, heard.path.clone(), shown == format!("Bot {token}")));
        }
        let is_of_meta = heard.path.starts_with("/v") && heard.path.ends_with("/messages");
        is_of_meta.then(|| (Api::Meta, heard.path.clone(), shown == format!("Bearer {token}")))
    }
}

impl Api {
    fn message_id(self, number: usize) -> String {
        match self {
            Api::Telegram | Api::Discord => number.to_string(),
            Api::Meta => format!("m_out{number}"),
        }
    }

    fn taken(self, call: &Called) -> Answer {
        let told = match self {
            Api::Telegram => {
                let id: u64 = call.message_id.parse().unwrap_or(0);
                json!({ "ok": true, "result": { "message_id": id, "chat": { "id": call.body["chat_id"] } } })
            }
            Api::Meta => {
                json!({ "recipient_id": call.body["recipient"]["id"], "message_id": call.message_id })
            }
            Api::Discord => json!({ "id": call.message_id, "content": call.body["content"] }),
        };
        Answer::json(StatusCode::OK, &told)
    }

    fn limited(self) -> Answer {
        let (status, told) = match self {
            Api::Telegram => (
                StatusCode::TOO_MANY_REQUESTS,
                json!({ "ok": false, "error_code": 429, "description": "Too Many Requests", "parameters": { "retry_after": 1 } }),
            ),
            Api::Meta => (
                StatusCode::BAD_REQUEST,
                json!({ "error": { "message": "Calls within one hour", "code": 613 } }),
            ),
            Api::Discord => (
                StatusCode::TOO_MANY_REQUESTS,
                json!({ "message": "You are being rate limited.", "retry_after": 0.3, "global": false }),
            ),
        };
        Answer::json(status, &told)
    }

    fn unknown(self) -> Answer {
        let told = match self {
            Api::Telegram => json!({ "ok": false, "error_code": 401, "description": "Unauthorized" }),
            Api::Meta => json!({ "error": { "message": "Invalid OAuth access token", "code": 190 } }),
            Api::Discord => json!({ "message": "401: Unauthorized", "code": 0 }),
        };
        Answer::json(StatusCode::UNAUTHORIZED, &told)
    }
}
