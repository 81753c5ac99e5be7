//! Where platforms are told to call: each keeps a URL, some check it first, and all say what they have
//! (platforms.md, part (a) of each section).

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use egress::Egress;
use http::{Method, StatusCode};
use platforms::proof::{Hash, mac};
use serde_json::{Value, json};

use crate::call;
use crate::server::{Answer, Heard};

/// How many registrations are remembered; more are refused.
const HOOKS_MAX: usize = 1_000;
const CHALLENGE: &str = "1158201444";

/// One registration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hook {
    /// What it is for: the path that it was registered at, without a token.
    pub of: String,
    /// Where the platform calls; empty where an app was only subscribed to an account.
    pub url: String,
    /// Headers that come along with each call.
    pub headers: Value,
}

/// What a call about a registration is to.
pub(super) struct Place {
    kind: Kind,
    of: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Telegram,
    Line,
    Viber,
    Client,
    Wati,
    MetaApp,
    MetaAccount,
    MetaNumber,
}

impl Place {
    pub(super) fn of(heard: &Heard) -> Option<Place> {
        let path = heard.path.as_str();
        let of = |kind, of: &str| Some(Place { kind, of: of.to_owned() });
        if path.starts_with("/bot") && (path.ends_with("/setWebhook") || path.ends_with("/getWebhookInfo")) {
            return of(Kind::Telegram, "/bot");
        }
        match path {
            "/v2/bot/channel/webhook/endpoint" => of(Kind::Line, path),
            "/pa/set_webhook" | "/pa/get_account_info" => of(Kind::Viber, "/pa"),
            "/v1/configs/webhook" => of(Kind::Client, path),
            "/api/v2/webhookEndpoints" => of(Kind::Wati, path),
            _ if !path.starts_with("/v25.0/") => None,
            _ if path.ends_with("/subscriptions") => of(Kind::MetaApp, path),
            _ if path.ends_with("/subscribed_apps") => of(Kind::MetaAccount, path),
            _ if path.matches('/').count() == 2 => of(Kind::MetaNumber, path),
            _ => None,
        }
    }
}

/// Every registration, and a way to check URLs.
pub(super) struct Hooks {
    egress: Egress,
    held: Mutex<Vec<Hook>>,
}

impl Hooks {
    pub(super) fn new() -> io::Result<Hooks> {
        Ok(Hooks { egress: call::way_out()?, held: Mutex::default() })
    }

    pub(super) fn all(&self) -> Vec<Hook> {
        self.held().clone()
    }

    pub(super) fn replace(&self, url: Option<&str>) {
        let mut held = self.held();
        match url {
            None => held.clear(),
            Some(url) => held.iter_mut().for_each(|hook| url.clone_into(&mut hook.url)),
        }
    }

    /// Answers as the platform does; a URL that does not prove to be the caller's is not taken.
    pub(super) async fn answer(&self, place: &Place, heard: &Heard, token: &str) -> Answer {
        if !is_shown(place.kind, heard, token) {
            return refused(place.kind, StatusCode::UNAUTHORIZED, "the token is not known");
        }
        let told = serde_json::from_slice(&heard.body).unwrap_or(Value::Null);
        let is_question = heard.method == Method::GET || heard.path.ends_with("/get_account_info");
        if is_question {
            return self.has(place);
        }
        let hook = read(place, &told);
        if !self.is_proven(place.kind, &hook.url, &told, token).await {
            return refused(place.kind, StatusCode::BAD_REQUEST, "the URL does not answer as it should");
        }
        let mut held = self.held();
        held.retain(|other| other.of != hook.of);
        if held.len() < HOOKS_MAX {
            held.push(hook);
        }
        Answer::json(StatusCode::OK, &taken(place.kind, &told))
    }

    /// Meta sends a challenge, Viber a callback of its own; the others call when there is something to tell.
    async fn is_proven(&self, kind: Kind, url: &str, told: &Value, token: &str) -> bool {
        let verify_token = match kind {
            Kind::Viber => return self.is_called_back(url, token).await,
            Kind::MetaApp => &told["verify_token"],
            Kind::MetaNumber => &told["webhook_configuration"]["verify_token"],
            Kind::MetaAccount if !url.is_empty() => &told["verify_token"],
            _ => return true,
        };
        let verify_token = verify_token.as_str().unwrap_or_default();
        let asked =
            format!("{url}?hub.mode=subscribe&hub.challenge={CHALLENGE}&hub.verify_token={verify_token}");
        let exchange = call::exchange(&self.egress, Method::GET, asked, Vec::new(), Bytes::new()).await;
        exchange.result.is_ok_and(|answer| answer.status == 200 && answer.body == CHALLENGE)
    }

    async fn is_called_back(&self, url: &str, token: &str) -> bool {
        let body = r#"{"event":"webhook","timestamp":1700000000000,"message_token":1}"#;
        let signature = hex::encode(mac(Hash::Sha256, token.as_bytes(), &[body.as_bytes()]));
        let headers = vec![("x-viber-content-signature".to_owned(), signature)];
        let exchange =
            call::exchange(&self.egress, Method::POST, url.to_owned(), headers, Bytes::from(body)).await;
        exchange.result.is_ok_and(|answer| answer.status == 200)
    }

    /// What the platform has.
    fn has(&self, place: &Place) -> Answer {
        let held = self.held();
        let hook = held.iter().find(|hook| hook.of == place.of);
        let url = hook.map(|hook| hook.url.as_str());
        let told = match place.kind {
            Kind::Telegram => {
                json!({ "ok": true, "result": { "url": url.unwrap_or_default(), "pending_update_count": 0 } })
            }
            Kind::Viber => json!({ "status": 0, "webhook": url.unwrap_or_default() }),
            Kind::Line | Kind::Client if hook.is_none() => {
                return Answer::json(StatusCode::NOT_FOUND, &json!({ "message": "not found" }));
            }
            Kind::Line => json!({ "endpoint": url, "active": true }),
            Kind::Client => json!({ "url": url, "headers": hook.map(|hook| &hook.headers) }),
            Kind::MetaApp => {
                let objects = hook.map(|hook| json!({ "object": hook.headers, "callback_url": hook.url }));
                json!({ "data": objects.into_iter().collect::<Vec<Value>>() })
            }
            Kind::MetaAccount => {
                let apps = hook.map(|hook| json!({ "id": "77", "override_callback_uri": hook.url }));
                json!({ "data": apps.into_iter().collect::<Vec<Value>>() })
            }
            Kind::MetaNumber => json!({ "webhook_configuration": { "phone_number": url } }),
            Kind::Wati => json!({ "result": false }),
        };
        Answer::json(StatusCode::OK, &told)
    }

    fn held(&self) -> MutexGuard<'_, Vec<Hook>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_shown(kind: Kind, heard: &Heard, token: &str) -> bool {
    let header = |name: &str| heard.header(name).unwrap_or_default().to_owned();
    match kind {
        Kind::Telegram => heard.path.starts_with(&format!("/bot{token}/")),
        Kind::Viber => header("x-viber-auth-token") == token,
        Kind::Client => header("d360-api-key") == token,
        // An app shows its id and its secret: here the one text that opens everything.
        Kind::MetaApp => header("authorization").ends_with(&format!("|{token}")),
        Kind::Line | Kind::Wati | Kind::MetaAccount | Kind::MetaNumber => {
            header("authorization") == format!("Bearer {token}")
        }
    }
}

fn read(place: &Place, told: &Value) -> Hook {
    let (url, headers) = match place.kind {
        Kind::Telegram | Kind::Viber => (&told["url"], &Value::Null),
        Kind::Line => (&told["endpoint"], &Value::Null),
        Kind::Client => (&told["url"], &told["headers"]),
        Kind::Wati => (&told[0]["url"], &Value::Null),
        Kind::MetaApp => (&told["callback_url"], &told["object"]),
        Kind::MetaAccount => (&told["override_callback_uri"], &Value::Null),
        Kind::MetaNumber => (&told["webhook_configuration"]["override_callback_uri"], &Value::Null),
    };
    Hook { of: place.of.clone(), url: url.as_str().unwrap_or_default().to_owned(), headers: headers.clone() }
}

fn taken(kind: Kind, told: &Value) -> Value {
    match kind {
        Kind::Telegram => json!({ "ok": true, "result": true, "description": "Webhook was set" }),
        Kind::Viber => json!({ "status": 0, "status_message": "ok", "event_types": told["event_types"] }),
        Kind::Line => json!({}),
        Kind::Client => json!({ "url": told["url"], "headers": told["headers"] }),
        Kind::Wati => json!({ "result": true }),
        Kind::MetaApp | Kind::MetaAccount | Kind::MetaNumber => json!({ "success": true }),
    }
}

fn refused(kind: Kind, status: StatusCode, words: &str) -> Answer {
    match kind {
        Kind::Telegram => {
            let told = json!({ "ok": false, "error_code": status.as_u16(), "description": words });
            Answer::json(status, &told)
        }
        Kind::Viber => Answer::json(StatusCode::OK, &json!({ "status": 1, "status_message": words })),
        Kind::Client => {
            Answer::json(status, &json!({ "meta": { "success": false, "developer_message": words } }))
        }
        Kind::Line | Kind::Wati => Answer::json(status, &json!({ "message": words, "result": false })),
        Kind::MetaApp | Kind::MetaAccount | Kind::MetaNumber => {
            Answer::json(status, &json!({ "error": { "message": words, "code": 100 } }))
        }
    }
}
