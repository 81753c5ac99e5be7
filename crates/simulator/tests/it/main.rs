//! The simulated parties against the real adapters, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails, in its helpers too")]

mod bot;
mod chats;
mod faults;
mod graph;
mod replies;
mod senders;
mod webhooks;

use std::time::Duration;

use egress::{Config, Egress, Exchange, Failure, Limits, Request, Roots};
use http::Method;
use model::event::{Content, NewEvent};
use model::id::{AppId, SourceId};
use model::secret::{Key, Secret};
use model::send::OutgoingMessage;
use model::source::{SecretRole, Settings, Source, SourceSecret};
use model::time::{Clock, ManualClock, Timestamp};
use platforms::http::{Answer, Call, Incoming};
use platforms::platform::{Interpreted, Platform, Sender};
use platforms::proof::Rejection;
use platforms::registry;
use serde_json::{Value, json};
use simulator::bot::Attempt;
use simulator::whatsapp::{self, Number};
use simulator::{Bot, WhatsApp};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const APP_SECRET: &str = "app-secret-of-the-tests";
const VERIFY_TOKEN: &str = "verify token / ñ";
const ACCESS_TOKEN: &str = "access-token-of-the-tests";
/// Enough time for anything on loopback, so that only what never comes runs into it.
const DEADLINE: Duration = Duration::from_secs(30);

fn clock() -> Clock {
    Clock::Manual(ManualClock::starting_at(NOW))
}

fn settings() -> whatsapp::Settings {
    whatsapp::Settings::new(Secret::new(APP_SECRET), Secret::new(ACCESS_TOKEN), 7, clock())
}

/// A platform, and a bot that checks nothing in the place of the gateway.
async fn started() -> (WhatsApp, Bot) {
    started_with(settings()).await
}

async fn started_with(settings: whatsapp::Settings) -> (WhatsApp, Bot) {
    let whatsapp = WhatsApp::start(settings).await.unwrap();
    let gateway = Bot::start(None, clock()).await.unwrap();
    whatsapp.webhooks_to(&gateway.url());
    (whatsapp, gateway)
}

/// A source of a platform with these settings, and every secret that the tests use.
fn source(platform: &str, settings: &Value) -> Source {
    let secrets = [
        (SecretRole::Signing, APP_SECRET),
        (SecretRole::VerifyToken, VERIFY_TOKEN),
        (SecretRole::AccessToken, ACCESS_TOKEN),
    ];
    Source {
        name: "under test".to_owned(),
        secrets: secrets
            .map(|(role, text)| SourceSecret { role, key: Key::current(Secret::new(text)) })
            .to_vec(),
        settings: Settings::new(settings.as_object().unwrap().clone()),
        ..Source::new(SourceId::from_raw(1), AppId::from_raw(1), platform)
    }
}

fn adapter() -> &'static dyn Platform {
    registry::find("whatsapp").unwrap()
}

/// What the gateway's adapter makes of a webhook.
fn read(webhook: &Attempt) -> Result<Vec<NewEvent>, Rejection> {
    let source = source("whatsapp", &json!({}));
    let incoming = Incoming {
        method: Method::POST,
        path: "/in/src_1".to_owned(),
        query: None,
        headers: webhook.headers.clone(),
        body: webhook.raw.clone(),
        received_at: NOW,
    };
    let verified = adapter().verify(&source, &incoming)?;
    Ok(adapter().parse(&source, &verified).unwrap())
}

/// The only event of a webhook, and its content as JSON.
fn read_one(webhook: &Attempt) -> (NewEvent, Value) {
    let mut events = read(webhook).unwrap();
    assert_eq!(events.len(), 1);
    let event = events.remove(0);
    let content = content(&event);
    (event, content)
}

fn content(event: &NewEvent) -> Value {
    assert!(!matches!(event.content, Content::Body));
    serde_json::from_str(&event.content.to_json(event.party.as_ref()).unwrap()).unwrap()
}

/// The types of the events in webhooks, in the order of arrival.
fn types(webhooks: &[std::sync::Arc<Attempt>]) -> Vec<String> {
    let events = webhooks.iter().flat_map(|webhook| read(webhook).unwrap());
    events.map(|event| event.event_type.to_string()).collect()
}

/// The way out of a gateway under test.
fn egress() -> Egress {
    let config =
        Config { allowed: vec!["127.0.0.0/8".parse().unwrap()], roots: Roots::Bundled, ..Config::default() };
    Egress::new(&config).unwrap()
}

/// Sends a message as the gateway does, within a time.
async fn exchanged(whatsapp: &WhatsApp, message: &Value, deadline: Duration) -> Exchange {
    let source = source("whatsapp", &json!({ "api_base": whatsapp.api_base() }));
    let message: OutgoingMessage = serde_json::from_value(message.clone()).unwrap();
    let sender = Sender {
        source: &source,
        account: &Number::default().phone_number_id,
        correlation: "snd_77",
        now: NOW,
    };
    let call = adapter().compose(&sender, &message).unwrap();
    called(call, deadline).await
}

async fn called(call: Call, deadline: Duration) -> Exchange {
    let request = Request {
        on_behalf_of: AppId::from_raw(1),
        method: call.method,
        url: call.url,
        headers: call.headers,
        body: call.body,
        allow_http: true,
    };
    let limits = Limits { deadline, ..Limits::default() };
    egress().exchange(request, limits).await
}

/// What the gateway's adapter makes of the platform's answer to a message.
async fn sent(whatsapp: &WhatsApp, message: &Value) -> Interpreted {
    interpreted(exchanged(whatsapp, message, DEADLINE).await)
}

fn interpreted(exchange: Exchange) -> Interpreted {
    let answer = exchange.result.unwrap();
    let answer = Answer { status: answer.status, retry_after_secs: None, body: answer.body };
    adapter().interpret(&source("whatsapp", &json!({})), &answer)
}

async fn failed(whatsapp: &WhatsApp, message: &Value, deadline: Duration) -> Failure {
    exchanged(whatsapp, message, deadline).await.result.unwrap_err()
}

fn text(words: &str) -> Value {
    json!({ "to": "5215551112222", "type": "text", "text": { "body": words } })
}
