//! What each API is known by, what it wants to be shown, and how it answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Called;
use crate::sender::Sample;
use crate::server::{Answer, Heard};

/// Whose API a call is to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Api {
    Telegram,
    Meta,
    Discord,
    Wati,
    Line,
    Slack,
    Viber,
    Twilio,
    OnPremises,
    Dialog360,
}

impl Api {
    /// Whose it is, by the path; and the path without a token that is a part of it.
    pub(super) fn of(heard: &Heard) -> Option<(Api, String)> {
        let path = heard.path.as_str();
        if let Some((_, method)) = path.strip_prefix("/bot").and_then(|rest| rest.split_once('/')) {
            return Some((Api::Telegram, format!("/{method}")));
        }
        let api = match path {
            "/v2/bot/message/push" => Api::Line,
            "/chat.postMessage" => Api::Slack,
            "/pa/send_message" => Api::Viber,
            "/v1/messages" => Api::OnPremises,
            _ if path.starts_with("/v1/messages/") => Api::OnPremises,
            "/messages" => Api::Dialog360,
            _ if path.starts_with("/channels/") || path.starts_with("/webhooks/") => Api::Discord,
            _ if path.starts_with("/api/v1/") => Api::Wati,
            _ if path.starts_with("/2010-04-01/") => Api::Twilio,
            _ if path.starts_with("/v") && path.ends_with("/messages") => Api::Meta,
            _ => return None,
        };
        Some((api, path.to_owned()))
    }

    /// The account that a call of Meta's leaves from, by the path.
    pub(super) fn account(path: &str) -> Option<&str> {
        let (_version, account) = path.strip_prefix("/v")?.strip_suffix("/messages")?.split_once('/')?;
        Some(account)
    }

    /// The platform that a message is for; `None` where it is no message. Both of Meta's are one API, and the account says
    /// which it is.
    pub(super) fn platform(self, path: &str, body: &Value) -> Option<&'static str> {
        let platform = match self {
            Api::Meta if body["message"].is_null() => return None,
            Api::OnPremises | Api::Dialog360 if is_mark(body) => return None,
            Api::Meta => {
                let is_of = |platform: &&str| {
                    let account = Sample::of(platform).next().map(|sample| sample.account);
                    account.is_some() && account == Api::account(path)
                };
                return ["messenger", "instagram"].into_iter().find(is_of);
            }
            Api::Telegram => "telegram",
            Api::Discord => "discord",
            Api::Line => "line",
            Api::Slack => "slack",
            Api::Wati => "wati",
            Api::Viber => "viber",
            Api::Twilio => "twilio",
            Api::OnPremises => "whatsapp_onpremises",
            Api::Dialog360 => "dialog360",
        };
        Some(platform)
    }

    /// Whether a call shows the token in the way of the API.
    pub(super) fn is_shown(self, heard: &Heard, token: &str) -> bool {
        let header = |name: &str| heard.header(name).unwrap_or_default().to_owned();
        match self {
            Api::Telegram => heard.path.starts_with(&format!("/bot{token}/")),
            Api::Discord => header("authorization") == format!("Bot {token}"),
            Api::Viber => header("x-viber-auth-token") == token,
            Api::Twilio => header("authorization") == format!("Basic {}", BASE64.encode(token)),
            Api::OnPremises | Api::Dialog360 => header("d360-api-key") == token,
            Api::Meta | Api::Wati | Api::Line | Api::Slack => {
                header("authorization") == format!("Bearer {token}")
            }
        }
    }

    /// A body as JSON; a form as an object of texts.
    pub(super) fn read(self, body: &[u8]) -> Value {
        match self {
            Api::Twilio => {
                let fields = form_urlencoded::parse(body).into_owned();
                Value::Object(fields.map(|(name, value)| (name, Value::from(value))).collect::<Map<_, _>>())
            }
            _ => serde_json::from_slice(body).unwrap_or(Value::Null),
        }
    }

    /// The id of the message of this number.
    pub(super) fn message_id(self, number: usize) -> String {
        match self {
            Api::Telegram | Api::Discord | Api::Viber => number.to_string(),
            Api::Slack => format!("1739321000.{number:06}"),
            Api::Twilio => format!("SM{number:032x}"),
            Api::Meta | Api::Wati | Api::Line | Api::OnPremises | Api::Dialog360 => format!("m_out{number}"),
        }
    }

    /// The answer to a call that was taken.
    pub(super) fn taken(self, call: &Called) -> Answer {
        if is_mark(&call.body) {
            return Answer::json(StatusCode::OK, &json!({ "success": true }));
        }
        let id = &call.message_id;
        let number = || id.parse::<u64>().unwrap_or(0);
        let told = match self {
            Api::Telegram => {
                json!({ "ok": true, "result": { "message_id": number(), "chat": { "id": call.body["chat_id"] } } })
            }
            Api::Meta => json!({ "recipient_id": call.body["recipient"]["id"], "message_id": id }),
            Api::Discord => json!({ "id": id, "content": call.body["content"] }),
            Api::Wati => json!({ "result": true, "message": { "localMessageId": id } }),
            Api::Line => json!({ "sentMessages": [{ "id": id, "quoteToken": "q" }] }),
            Api::Slack => json!({ "ok": true, "channel": call.body["channel"], "ts": id }),
            Api::Viber => json!({ "status": 0, "status_message": "ok", "message_token": number() }),
            Api::Twilio => json!({ "sid": id, "status": "queued" }),
            Api::OnPremises | Api::Dialog360 => json!({ "messages": [{ "id": id }] }),
        };
        Answer::json(if self == Api::Twilio { StatusCode::CREATED } else { StatusCode::OK }, &told)
    }

    /// The answer to a call that comes too soon: every platform says so in its own words.
    pub(super) fn limited(self) -> Answer {
        let too_many = StatusCode::TOO_MANY_REQUESTS;
        let (status, told) = match self {
            Api::Telegram => (
                too_many,
                json!({ "ok": false, "error_code": 429, "description": "Too Many Requests", "parameters": { "retry_after": 1 } }),
            ),
            Api::Meta => (
                StatusCode::BAD_REQUEST,
                json!({ "error": { "message": "Calls within one hour", "code": 613 } }),
            ),
            Api::Discord => (
                too_many,
                json!({ "message": "You are being rate limited.", "retry_after": 0.3, "global": false }),
            ),
            Api::Viber => (StatusCode::OK, json!({ "status": 12, "status_message": "tooManyRequests" })),
            Api::Slack => (too_many, json!({ "ok": false, "error": "ratelimited" })),
            Api::Twilio => (too_many, json!({ "code": 20429, "message": "Too Many Requests" })),
            Api::OnPremises => {
                (too_many, json!({ "errors": [{ "code": 1015, "title": "Too many requests" }] }))
            }
            Api::Dialog360 => (too_many, json!({ "error": { "message": "Rate limit hit", "code": 130429 } })),
            Api::Line => (too_many, json!({ "message": "The API rate limit has been exceeded." })),
            Api::Wati => (too_many, json!({ "result": false, "info": "Too many requests" })),
        };
        Answer::json(status, &told)
    }

    /// The answer to a call that was taken before: LINE says so, Discord shows the message once more.
    pub(super) fn repeated(self, call: &Called) -> Answer {
        match self {
            Api::Line => {
                Answer::json(StatusCode::CONFLICT, &json!({ "message": "The retry key is already accepted" }))
            }
            _ => self.taken(call),
        }
    }

    /// The answer to whoever does not show the token.
    pub(super) fn unknown(self) -> Answer {
        let told = match self {
            Api::Telegram => json!({ "ok": false, "error_code": 401, "description": "Unauthorized" }),
            Api::Meta | Api::Dialog360 => {
                json!({ "error": { "message": "Invalid OAuth access token", "code": 190 } })
            }
            Api::Discord => json!({ "message": "401: Unauthorized", "code": 0 }),
            Api::Viber => {
                let told = json!({ "status": 2, "status_message": "invalidAuthToken" });
                return Answer::json(StatusCode::OK, &told);
            }
            Api::Slack => {
                return Answer::json(StatusCode::OK, &json!({ "ok": false, "error": "invalid_auth" }));
            }
            Api::Twilio => json!({ "code": 20003, "message": "Authenticate" }),
            Api::Line => json!({ "message": "Authentication failed" }),
            Api::Wati => json!({ "result": false, "info": "Unauthorized" }),
            Api::OnPremises => {
                json!({ "meta": { "success": false, "developer_message": "Invalid api key" } })
            }
        };
        Answer::json(StatusCode::UNAUTHORIZED, &told)
    }
}

/// Whether a call marks a message as read.
fn is_mark(body: &Value) -> bool {
    body["status"] == "read"
}
