//! What customers write, as the gateway gets it.

use std::time::Duration;

use model::receipt::Reason;
use platforms::http::Incoming;
use platforms::proof::Rejection;
use serde_json::json;
use simulator::switches::Conduct;
use simulator::whatsapp::{Number, Settings};
use simulator::{Bot, WhatsApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{DEADLINE, NOW, VERIFY_TOKEN, adapter, clock, content, read, read_one, settings, source};
use super::{started, started_with};

#[tokio::test]
async fn a_text_is_genuine_and_read_by_the_adapter() {
    let (whatsapp, gateway) = started().await;
    let answered = whatsapp.customer("Ana Ruiz", "5215551112222").says("¿abren 24/7? 👍").await;
    assert!(answered.is_acknowledged());
    let (event, content) = read_one(&gateway.attempts()[0]);
    assert_eq!(event.event_type.as_str(), "message.received");
    assert_eq!(event.account, Some(Number::default().phone_number_id));
    assert_eq!(event.occurred_at, NOW);
    let known = json!({ "name": "Ana Ruiz", "wa_id": "5215551112222", "bsuid": "US.5215551112222" });
    assert_eq!(content["contact"], known);
    assert_eq!(
        content["message"],
        json!({ "id": answered.wamids[0], "kind": "text", "text": "¿abren 24/7? 👍" })
    );
}

#[tokio::test]
async fn bytes_are_spelled_as_meta_spells_them() {
    let (whatsapp, gateway) = started().await;
    whatsapp.customer("Ana", "5215551112222").says("ñ/👍").await;
    let raw = String::from_utf8(gateway.attempts()[0].raw.to_vec()).unwrap();
    assert!(raw.contains(r#""\u00f1\/\ud83d\udc4d""#), "{raw}");
}

#[tokio::test]
async fn a_batch_is_one_webhook_of_different_messages() {
    let (whatsapp, gateway) = started().await;
    let answered = whatsapp.customer("Ana", "5215551112222").batch(1000).await;
    let attempts = gateway.attempts();
    assert_eq!(attempts.len(), 1);
    let events = read(&attempts[0]).unwrap();
    let ids: Vec<String> =
        events.iter().map(|event| content(event)["message"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, answered.wamids);
    let mut different = ids;
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 1000);
}

#[tokio::test]
async fn reactions_and_pictures_are_read_by_the_adapter() {
    let (whatsapp, gateway) = started().await;
    let ana = whatsapp.customer("Ana", "5215551112222");
    ana.reacts("wamid.X", Some("👍")).await;
    ana.reacts("wamid.X", None).await;
    ana.sends_image(Some("El recibo")).await;
    let attempts = gateway.attempts();
    let (reaction, told) = read_one(&attempts[0]);
    assert_eq!(reaction.event_type.as_str(), "message.reaction");
    assert_eq!(
        (&told["reaction"]["message_id"], &told["reaction"]["emoji"]),
        (&json!("wamid.X"), &json!("👍"))
    );
    assert!(read_one(&attempts[1]).1["reaction"]["emoji"].is_null());
    let (_, image) = read_one(&attempts[2]);
    assert_eq!(
        (&image["message"]["kind"], &image["message"]["caption"]),
        (&json!("image"), &json!("El recibo"))
    );
}

#[tokio::test]
async fn a_customer_may_write_to_a_number_the_business_does_not_have() {
    let (whatsapp, gateway) = started().await;
    let other = Number { phone_number_id: "299".to_owned(), ..Number::default() };
    whatsapp.customer("Ana", "5215551112222").writing_to(other).says("hola").await;
    assert_eq!(read_one(&gateway.attempts()[0]).0.account.as_deref(), Some("299"));
}

#[tokio::test]
async fn a_duplicate_is_the_same_bytes_again() {
    let (whatsapp, gateway) = started().await;
    whatsapp.switches().duplicates(true);
    whatsapp.customer("Ana", "5215551112222").says("hola").await;
    let attempts = gateway.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].raw, attempts[1].raw);
}

#[tokio::test]
async fn a_wrong_signature_is_refused_by_the_adapter() {
    let (whatsapp, gateway) = started().await;
    whatsapp.switches().wrong_signature(true);
    whatsapp.customer("Ana", "5215551112222").says("hola").await;
    let refused = read(&gateway.attempts()[0]).unwrap_err();
    assert_eq!(refused, Rejection(Reason::SignatureWrong));
}

#[tokio::test]
async fn a_webhook_is_tried_again_until_the_answer_is_exactly_200() {
    let (whatsapp, gateway) = started_with(trying_at_once(5)).await;
    gateway.fails_next(1);
    gateway.next(1, Conduct::Status(201));
    let answered = whatsapp.customer("Ana", "5215551112222").says("hola").await;
    assert_eq!(answered.status, Some(500));
    whatsapp.settled().await;
    let attempts = gateway.attempts();
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|attempt| attempt.raw == attempts[0].raw));
}

#[tokio::test]
async fn a_webhook_that_is_never_acknowledged_is_dropped_in_the_end() {
    let (whatsapp, gateway) = started_with(trying_at_once(2)).await;
    gateway.always(Some(Conduct::Status(503)));
    whatsapp.customer("Ana", "5215551112222").says("hola").await;
    whatsapp.settled().await;
    assert_eq!(gateway.attempts().len(), 3);
}

#[tokio::test]
async fn a_webhook_survives_a_gateway_that_is_away() {
    let mut settings = settings();
    settings.retry_waits = vec![Duration::from_millis(10); 500];
    let (whatsapp, mut gateway) = started_with(settings).await;
    gateway.refuse_connections().await.unwrap();
    let answered = whatsapp.customer("Ana", "5215551112222").says("hola").await;
    assert_eq!(answered.status, None);
    assert!(answered.failure.is_some());
    gateway.accept_connections().unwrap();
    gateway.wait_for(1, DEADLINE).await.unwrap();
    whatsapp.settled().await;
}

#[tokio::test]
async fn nobody_hears_a_customer_before_the_platform_knows_the_gateway() {
    let mut settings = settings();
    settings.retry_waits = Vec::new();
    let whatsapp = WhatsApp::start(settings).await.unwrap();
    let answered = whatsapp.customer("Ana", "5215551112222").says("hola").await;
    assert_eq!(answered.status, None);
    assert!(answered.failure.unwrap().contains("where webhooks go"));
}

#[tokio::test]
async fn a_business_without_a_number_does_not_start() {
    let mut settings = settings();
    settings.numbers = Vec::new();
    let error = WhatsApp::start(settings).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_ids_and_another_makes_others() {
    let mut ids = Vec::new();
    for seed in [7, 7, 8] {
        let (whatsapp, _gateway) = started_with(Settings { seed, ..settings() }).await;
        ids.extend(whatsapp.customer("Ana", "5215551112222").says("hola").await.wamids);
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

#[tokio::test]
async fn a_url_is_subscribed_when_the_adapter_echoes_its_challenge() {
    let whatsapp = WhatsApp::start(settings()).await.unwrap();
    let url = handshaking().await;
    assert!(!whatsapp.subscribes(&url, "another token").await);
    assert!(whatsapp.subscribes(&url, VERIFY_TOKEN).await);
    let deaf = Bot::start(None, clock()).await.unwrap();
    assert!(!whatsapp.subscribes(&deaf.url(), VERIFY_TOKEN).await);
}

/// A URL that answers checks as the adapter says, and everything else with 403.
async fn handshaking() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let count = stream.read(&mut bytes).await.unwrap();
            let head = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let target = head.split(' ').nth(1).unwrap();
            let query = target.split_once('?').map(|(_, query)| query.to_owned());
            let incoming = Incoming {
                method: http::Method::GET,
                path: "/in".to_owned(),
                query,
                headers: http::HeaderMap::new(),
                body: bytes::Bytes::new(),
                received_at: NOW,
            };
            let source = source("whatsapp", &json!({}));
            let reply = adapter()
                .verify(&source, &incoming)
                .ok()
                .and_then(|verified| adapter().handshake(&source, &verified));
            let answer = match reply {
                Some(reply) => format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                    reply.body.len(),
                    String::from_utf8_lossy(&reply.body)
                ),
                None => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}/in")
}

fn trying_at_once(retries: usize) -> Settings {
    let mut settings = settings();
    settings.retry_waits = vec![Duration::ZERO; retries];
    settings
}
