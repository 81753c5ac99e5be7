//! Chat platforms in front of a gateway that takes what it is sent, or does not.

use bytes::Bytes;
use http::Method;
use model::secret::Secret;
use model::source::Settings;
use model::time::Timestamp;
use platforms::http::Call;
use serde_json::{Value, json};
use simulator::sender::{self, Sender};
use simulator::{Bot, Chats};

use super::{ACCESS_TOKEN, APP_SECRET, DEADLINE, NOW, called, clock};

fn sender(platform: &str) -> Sender {
    Sender::of(platform, Secret::new(APP_SECRET), Settings::default(), None).unwrap()
}

/// Messenger and Viber, and a bot that checks nothing in the place of the gateway.
async fn started() -> (Chats, Bot) {
    let chats = Chats::start(Secret::new(ACCESS_TOKEN)).await.unwrap();
    let gateway = Bot::start(None, clock()).await.unwrap();
    for platform in ["messenger", "viber"] {
        chats.webhooks_to(&gateway.url(), sender(platform), clock()).unwrap();
    }
    (chats, gateway)
}

/// Calls an API as the gateway does, and says whether the call was taken.
async fn asked(chats: &Chats, path: &str, body: &Value) -> bool {
    let headers = [
        ("authorization", format!("Bearer {ACCESS_TOKEN}")),
        ("x-viber-auth-token", ACCESS_TOKEN.to_owned()),
    ];
    let call = Call {
        method: Method::POST,
        url: format!("{}{path}", chats.url()),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        body: Bytes::from(body.to_string()),
    };
    called(call, DEADLINE).await.result.is_ok_and(|answer| answer.status == 200)
}

fn viber() -> Value {
    json!({ "receiver": "01234567890A=", "type": "text", "text": "hola" })
}

/// What the gateway was told, in order, each as its adapter reads it.
fn told(gateway: &Bot, platform: &str) -> Vec<String> {
    let attempts = gateway.attempts();
    let request = |attempt: &simulator::bot::Attempt| sender::Request {
        method: Method::POST,
        url: gateway.url(),
        headers: attempt
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: attempt.raw.clone(),
    };
    let now: Timestamp = NOW;
    attempts.iter().flat_map(|one| sender(platform).becomes(&request(one), now).unwrap()).collect()
}

#[tokio::test]
async fn statuses_follow_a_message_in_order_and_are_sent_again_until_they_are_taken() {
    let (chats, gateway) = started().await;
    gateway.fails_next(2);
    assert!(asked(&chats, "/pa/send_message", &viber()).await);
    chats.settled().await;
    let delivered = "message.delivered";
    assert_eq!(told(&gateway, "viber"), [delivered, delivered, delivered, "message.read"]);
    let bodies: Vec<Value> = gateway.attempts().iter().map(|attempt| attempt.body.clone().unwrap()).collect();
    assert!(bodies.iter().all(|body| body["message_token"] == 1 && body["user_id"] == "01234567890A="));
    assert_eq!(bodies[0], bodies[2], "a try is the same webhook again");
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_has_statuses_and_what_is_no_message_has_none() {
    let (chats, gateway) = started().await;
    let typing = json!({ "recipient": { "id": "5550001" }, "sender_action": "typing_on" });
    assert!(asked(&chats, "/v25.0/PAGE1/messages", &typing).await);
    chats.settled().await;
    assert!(gateway.attempts().is_empty());
    chats.lose_answers(1);
    let message = json!({ "recipient": { "id": "5550001" }, "message": { "text": "hola" } });
    assert!(!asked(&chats, "/v25.0/PAGE1/messages", &message).await);
    chats.settled().await;
    assert_eq!(told(&gateway, "messenger"), ["message.delivered", "messenger.read"]);
}

#[tokio::test]
async fn customers_write_and_react_once_it_is_known_where_to() {
    let (chats, gateway) = started().await;
    assert!(chats.customer("telegram", "Ana").is_none());
    let ana = chats.customer("messenger", "Ana").unwrap().known_as("77");
    assert!(ana.says("hola").await.unwrap().is_acknowledged());
    assert!(ana.does("reaction", "").await.unwrap().is_acknowledged());
    assert!(ana.does("somersault", "").await.is_err());
    assert_eq!(told(&gateway, "messenger"), ["message.received", "message.reaction"]);
    let said = gateway.attempts()[0].body.clone().unwrap();
    let item = &said["entry"][0]["messaging"][0];
    assert_eq!((&item["sender"]["id"], &item["message"]["text"]), (&json!("77"), &json!("hola")));
}

#[tokio::test]
async fn what_a_customer_writes_is_sent_again_until_it_is_taken() {
    let (chats, gateway) = started().await;
    let ana = chats.customer("messenger", "Ana").unwrap();
    gateway.fails_next(2);
    assert!(!ana.says("hola").await.unwrap().is_acknowledged(), "the first try is what is told");
    chats.settled().await;
    let bodies: Vec<Value> = gateway.attempts().iter().map(|attempt| attempt.body.clone().unwrap()).collect();
    assert_eq!(bodies.len(), 3, "two failures and a success");
    assert!(bodies.iter().all(|body| *body == bodies[0]), "a try is the same webhook again");
}
