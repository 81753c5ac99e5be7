//! The bot against deliveries that are signed, badly signed, and unwelcome.

use std::time::Duration;

use bytes::Bytes;
use egress::{Egress, Exchange, FailureKind, Limits, Request};
use http::Method;
use model::id::AppId;
use model::secret::Secret;
use model::time::{Clock, ManualClock, Timestamp};
use platforms::platform::ToSign;
use platforms::registry;
use serde_json::json;
use simulator::Bot;
use simulator::switches::Conduct;

use super::{DEADLINE, NOW, clock, egress, source};

pub(crate) const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// Delivers a body, signed by the adapter of Standard Webhooks.
pub(crate) async fn delivered(bot: &Bot, body: &str) -> Exchange {
    delivered_by(&egress(), bot, body).await
}

async fn delivered_by(egress: &Egress, bot: &Bot, body: &str) -> Exchange {
    posted(egress, bot, body, signed(body, NOW)).await
}

fn signed(body: &str, at: Timestamp) -> Vec<(String, String)> {
    let adapter = registry::find("standard_webhooks").unwrap();
    let source = source("standard_webhooks", &json!({}));
    let keys = [&Secret::new(SECRET)];
    adapter.sign(&source, &ToSign { keys: &keys, id: "evt_1", body: body.as_bytes(), now: at })
}

async fn posted(egress: &Egress, bot: &Bot, body: &str, headers: Vec<(String, String)>) -> Exchange {
    let request = Request {
        on_behalf_of: AppId::from_raw(1),
        method: Method::POST,
        url: bot.url(),
        headers,
        body: Bytes::from(body.to_owned()),
        allow_http: true,
    };
    let limits = Limits { deadline: DEADLINE, ..Limits::default() };
    egress.exchange(request, limits).await
}

fn status(exchange: Exchange) -> u16 {
    exchange.result.unwrap().status
}

async fn checking() -> Bot {
    Bot::start(Some(Secret::new(SECRET)), clock()).await.unwrap()
}

const BODY: &str = r#"{"type":"message.received"}"#;

#[tokio::test]
async fn a_signed_attempt_is_taken_and_remembered_as_it_came() {
    let bot = checking().await;
    assert_eq!(status(delivered(&bot, BODY).await), 200);
    let taken = bot.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].number, 1);
    assert_eq!(taken[0].id.as_deref(), taken[0].headers["webhook-id"].to_str().ok());
    assert_eq!(taken[0].event_type.as_deref(), Some("message.received"));
    assert_eq!(taken[0].body, Some(json!({ "type": "message.received" })));
    assert_eq!(taken[0].raw, BODY);
    assert_eq!(taken[0].attempted_at, Some(NOW));
    assert_eq!(taken[0].received_at, NOW);
}

#[tokio::test]
async fn the_vector_of_the_reference_is_genuine() {
    let at = Clock::Manual(ManualClock::starting_at(Timestamp::from_secs(1_700_000_000)));
    let bot = Bot::start(Some(Secret::new(SECRET)), at).await.unwrap();
    let headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", "v1a,AAAA v1,Des36p45N1wTJvr5hlIiGk/HwUW8cHCtGoRHmqMa3gM="),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(status(posted(&egress(), &bot, BODY, headers.to_vec()).await), 200);
}

#[tokio::test]
async fn what_is_not_genuine_is_refused_and_uses_up_nothing() {
    let bot = checking().await;
    bot.fails_next(1);
    let out = egress();
    let wrong = signed("another body", NOW);
    assert_eq!(status(posted(&out, &bot, BODY, wrong).await), 401);
    assert_eq!(status(posted(&out, &bot, BODY, Vec::new()).await), 401);
    let old = signed(BODY, NOW.minus(Duration::from_secs(301)));
    assert_eq!(status(posted(&out, &bot, BODY, old).await), 401);
    bot.expects(Some(Secret::new("whsec_b3RoZXI=")));
    assert_eq!(status(delivered(&bot, BODY).await), 401);
    assert!(bot.taken().is_empty());
    assert!(bot.attempts().iter().all(|attempt| !attempt.genuine));
    bot.expects(Some(Secret::new(SECRET)));
    assert_eq!(status(delivered(&bot, BODY).await), 500);
    bot.expects(None);
    assert_eq!(status(posted(&out, &bot, "no JSON", Vec::new()).await), 200);
}

#[tokio::test]
async fn conduct_is_used_up_in_the_order_it_was_asked_for() {
    let bot = checking().await;
    bot.fails_next(2);
    bot.next(1, Conduct::Status(410));
    bot.next(1, Conduct::RetryAfter(429, 7));
    bot.next(1, Conduct::Redirect("https://elsewhere.example/".to_owned()));
    bot.next(1, Conduct::Slow(Duration::from_millis(1)));
    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(delivered(&bot, BODY).await.result.unwrap());
    }
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [500, 500, 410, 429, 302, 200, 200]);
    assert_eq!(answers[3].headers["retry-after"], "7");
    assert_eq!(answers[4].headers["location"], "https://elsewhere.example/");
    let taken: Vec<usize> = bot.taken().iter().map(|attempt| attempt.number).collect();
    assert_eq!(taken, [6, 7]);
}

#[tokio::test]
async fn a_lasting_conduct_ends_when_told() {
    let bot = checking().await;
    bot.always(Some(Conduct::Status(503)));
    bot.next(1, Conduct::Status(500));
    assert_eq!(status(delivered(&bot, BODY).await), 500);
    assert_eq!(status(delivered(&bot, BODY).await), 503);
    assert_eq!(status(delivered(&bot, BODY).await), 503);
    bot.always(None);
    assert_eq!(status(delivered(&bot, BODY).await), 200);
}

#[tokio::test]
async fn a_bot_that_hangs_closes_without_an_answer() {
    let bot = checking().await;
    bot.next(1, Conduct::Hang(Duration::from_millis(1)));
    let failure = delivered(&bot, BODY).await.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Closed);
    assert!(failure.may_have_arrived);
    assert!(bot.taken().is_empty());
}

#[tokio::test]
async fn a_bot_that_was_away_is_back_on_the_same_port() {
    let mut bot = checking().await;
    let (out, url) = (egress(), bot.url());
    assert_eq!(status(delivered_by(&out, &bot, BODY).await), 200);
    for _ in 0..3 {
        bot.refuse_connections().await.unwrap();
        bot.refuse_connections().await.unwrap();
        let failure = delivered_by(&out, &bot, BODY).await.result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Connect);
        assert!(!failure.may_have_arrived);
        bot.accept_connections().unwrap();
        bot.accept_connections().unwrap();
        assert_eq!(status(delivered_by(&out, &bot, BODY).await), 200);
    }
    assert_eq!(bot.url(), url);
    assert_eq!(bot.attempts().len(), 4);
}

#[tokio::test]
async fn attempts_can_be_waited_for() {
    let bot = checking().await;
    let (waited, _, _) =
        tokio::join!(bot.wait_for(2, DEADLINE), delivered(&bot, BODY), delivered(&bot, BODY));
    assert_eq!(waited.unwrap().len(), 2);
    let third = |attempts: &[std::sync::Arc<simulator::bot::Attempt>]| {
        attempts.iter().any(|attempt| attempt.raw == "{}")
    };
    let (waited, _) = tokio::join!(bot.wait_until(DEADLINE, third), delivered(&bot, "{}"));
    assert_eq!(waited.unwrap().len(), 3);
    let too_few = bot.wait_for(4, Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(too_few.seen, 3);
}
