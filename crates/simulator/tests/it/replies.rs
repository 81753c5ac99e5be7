//! What the bot hands over to the gateway.

use model::secret::Secret;
use serde_json::{Value, json};
use simulator::switches::Conduct;
use simulator::{Bot, Replies};

use super::bot::{SECRET, delivered};
use super::{DEADLINE, clock};

/// A bot that repeats what it hears, and a bot in the place of the gateway's API.
async fn repeating() -> (Bot, Bot) {
    let api = Bot::start(None, clock()).await.unwrap();
    let bot = Bot::start(Some(Secret::new(SECRET)), clock()).await.unwrap();
    let repeat = |words: &str| (words != "adiós").then(|| format!("dijiste: {words}"));
    bot.replies_with(Some(Replies::in_words(&api.url(), Secret::new("tok"), repeat)));
    (bot, api)
}

fn received(contact: &Value, words: &str) -> String {
    json!({
        "type": "message.received",
        "data": { "contact": contact, "message": { "kind": "text", "text": words } },
        "context": { "account": { "id": "acc_00000000001", "address": "200000000000001" } },
    })
    .to_string()
}

#[tokio::test]
async fn a_received_text_is_replied_to_under_a_key_of_its_own() {
    let (bot, api) = repeating().await;
    let answer = delivered(&bot, &received(&json!({ "wa_id": "5215551112222" }), "hola")).await;
    assert_eq!(answer.result.unwrap().status, 200);
    let replied = bot.wait_for_replies(1, DEADLINE).await.unwrap();
    let call = &api.attempts()[0];
    let expected = json!({
        "from": "acc_00000000001",
        "to": "5215551112222",
        "type": "text",
        "text": { "body": "dijiste: hola" },
    });
    assert_eq!(call.body, Some(expected));
    assert_eq!(call.headers["authorization"], "Bearer tok");
    let id = bot.attempts()[0].id.clone().unwrap();
    assert_eq!(call.headers["idempotency-key"], format!("reply-{id}"));
    assert_eq!((&replied[0].to, replied[0].status), (&id, Some(200)));
}

#[tokio::test]
async fn a_contact_without_a_number_is_replied_to_by_their_id() {
    let (bot, api) = repeating().await;
    delivered(&bot, &received(&json!({ "bsuid": "MX.1349" }), "hola")).await;
    assert_eq!(api.attempts()[0].body.as_ref().unwrap()["to"], json!({ "bsuid": "MX.1349" }));
}

#[tokio::test]
async fn nothing_is_replied_where_there_is_nothing_to_say() {
    let (bot, api) = repeating().await;
    let contact = json!({ "wa_id": "5215551112222" });
    for body in [
        received(&contact, "adiós"),
        r#"{"type":"message.delivered"}"#.to_owned(),
        r#"{"type":"message.received","data":{}}"#.to_owned(),
    ] {
        assert_eq!(delivered(&bot, &body).await.result.unwrap().status, 200);
    }
    assert!(api.attempts().is_empty());
    assert!(bot.replied().is_empty());
}

#[tokio::test]
async fn a_reply_that_could_not_be_handed_over_is_tried_again_under_the_same_key() {
    let (bot, api) = repeating().await;
    api.next(1, Conduct::Status(503));
    api.next(1, Conduct::Status(422));
    let body = received(&json!({ "wa_id": "5215551112222" }), "hola");
    assert_eq!(delivered(&bot, &body).await.result.unwrap().status, 503);
    // Refused for good: coming again would change nothing.
    assert_eq!(delivered(&bot, &body).await.result.unwrap().status, 200);
    let calls = api.attempts();
    assert_eq!(calls[0].headers["idempotency-key"], calls[1].headers["idempotency-key"]);
    let statuses: Vec<Option<u16>> = bot.replied().iter().map(|replied| replied.status).collect();
    assert_eq!(statuses, [Some(503), Some(422)]);
}

#[tokio::test]
async fn a_bot_that_fails_does_not_reply() {
    let (bot, api) = repeating().await;
    bot.fails_next(1);
    delivered(&bot, &received(&json!({ "wa_id": "5215551112222" }), "hola")).await;
    assert!(api.attempts().is_empty());
}
