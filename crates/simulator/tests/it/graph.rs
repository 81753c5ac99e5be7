//! What the Graph API says to the gateway, and the statuses it sends after.

use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use platforms::http::Call;
use serde_json::{Value, json};
use simulator::WhatsApp;
use simulator::switches::Step;

use super::{ACCESS_TOKEN, DEADLINE, called, content, interpreted, read, sent, started, text, types};

const WHOM: &str = "5215551112222";

#[tokio::test]
async fn every_type_of_message_is_taken() {
    let (whatsapp, _gateway) = started().await;
    let bodies = [
        json!({ "type": "text", "text": { "body": "hola" } }),
        json!({ "type": "image", "image": { "id": "7" } }),
        json!({ "type": "video", "video": { "link": "https://files.example/a.mp4" } }),
        json!({ "type": "audio", "audio": { "id": "7" } }),
        json!({ "type": "document", "document": { "id": "7", "filename": "a.pdf" } }),
        json!({ "type": "sticker", "sticker": { "id": "7" } }),
        json!({ "type": "template", "template": { "name": "hola", "language": { "code": "es_MX" } } }),
        json!({ "type": "interactive", "interactive": {
            "type": "button",
            "body": { "text": "¿Sí?" },
            "action": { "buttons": [{ "type": "reply", "reply": { "id": "a", "title": "Sí" } }] },
        } }),
        json!({ "type": "reaction", "reaction": { "message_id": "wamid.X", "emoji": "👍" } }),
        json!({ "type": "location", "location": { "latitude": 19.4, "longitude": -99.1 } }),
        json!({ "type": "contacts", "contacts": [{ "name": { "formatted_name": "Luis" } }] }),
    ];
    for mut message in bodies.clone() {
        message["to"] = json!(WHOM);
        let answer = sent(&whatsapp, &message).await;
        assert_eq!(answer.outcome, Outcome::Done, "{message}");
        assert!(answer.message_id.unwrap().starts_with("wamid."), "{message}");
    }
    let sends = whatsapp.sends();
    assert_eq!(sends.len(), bodies.len());
    assert!(sends.iter().zip(&bodies).all(|(taken, body)| body["type"] == taken.kind));
}

#[tokio::test]
async fn what_was_sent_is_remembered() {
    let (whatsapp, _gateway) = started().await;
    let answer = sent(&whatsapp, &text("hola")).await;
    let taken = &whatsapp.wait_for_sends(1, DEADLINE).await.unwrap()[0];
    assert_eq!(Some(&taken.wamid), answer.message_id.as_ref());
    assert_eq!(taken.to, format!("+{WHOM}"));
    assert_eq!(taken.correlation.as_deref(), Some("snd_77"));
    assert_eq!(taken.body["text"]["body"], "hola");
}

#[tokio::test]
async fn statuses_follow_in_order_and_bring_the_correlation_back() {
    let (whatsapp, gateway) = started().await;
    let wamid = sent(&whatsapp, &text("hola")).await.message_id;
    whatsapp.settled().await;
    let attempts = gateway.attempts();
    assert_eq!(types(&attempts), ["message.sent", "message.delivered", "message.read"]);
    for attempt in &attempts {
        let status = content(&read(attempt).unwrap()[0]);
        assert_eq!(status["status"]["message_id"], json!(wamid));
        assert_eq!(status["status"]["correlation"], "snd_77");
        assert_eq!(status["contact"]["wa_id"], WHOM);
    }
}

#[tokio::test]
async fn statuses_come_in_the_order_asked_for_and_as_many_to_a_webhook() {
    let (whatsapp, gateway) = started().await;
    whatsapp.switches().statuses(&[Step::Read, Step::Delivered, Step::Sent]);
    whatsapp.switches().statuses_per_webhook(2);
    sent(&whatsapp, &text("hola")).await;
    whatsapp.settled().await;
    let attempts = gateway.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(types(&attempts), ["message.read", "message.delivered", "message.sent"]);
}

#[tokio::test]
async fn early_statuses_have_come_when_the_answer_does() {
    let (whatsapp, gateway) = started().await;
    whatsapp.switches().early_statuses(true);
    let answer = sent(&whatsapp, &text("hola")).await;
    assert_eq!(answer.outcome, Outcome::Done);
    assert_eq!(types(&gateway.attempts()).len(), 3);
}

#[tokio::test]
async fn a_message_can_fail_later_with_a_code() {
    let (whatsapp, gateway) = started().await;
    whatsapp.switches().statuses(&[Step::Failed(131_047)]);
    sent(&whatsapp, &text("hola")).await;
    whatsapp.settled().await;
    let event = &read(&gateway.attempts()[0]).unwrap()[0];
    assert_eq!(event.event_type.as_str(), "message.failed");
    assert!(content(event)["status"]["errors"].to_string().contains("131047"));
}

#[tokio::test]
async fn people_without_a_number_and_groups_are_answered_too() {
    let (whatsapp, gateway) = started().await;
    whatsapp.switches().statuses(&[Step::Sent]);
    for to in [json!({ "bsuid": "MX.1349" }), json!("group-of-friends")] {
        let message = json!({ "to": to, "type": "text", "text": { "body": "hola" } });
        assert_eq!(sent(&whatsapp, &message).await.outcome, Outcome::Done);
        whatsapp.settled().await;
    }
    let attempts = gateway.attempts();
    let known_as = |at: usize| {
        let event = read(&attempts[at]).unwrap().remove(0);
        event.party.unwrap().identifiers[0].value.clone()
    };
    assert_eq!(known_as(0), "MX.1349");
    assert_eq!(known_as(1), "group-of-friends");
}

#[tokio::test]
async fn a_message_of_a_customer_is_marked_as_read_and_an_unknown_one_is_not() {
    let (whatsapp, _gateway) = started().await;
    let answered = whatsapp.customer("Ana", WHOM).says("hola").await;
    let mark =
        |wamid: &str| json!({ "to": WHOM, "type": "read", "read": { "message_id": wamid, "typing": true } });
    assert_eq!(sent(&whatsapp, &mark(&answered.wamids[0])).await.outcome, Outcome::Done);
    assert_eq!(*whatsapp.reads()[0], answered.wamids[0]);
    for unknown in ["wamid.X", "wamid.AAAAAAAAAAcAAAAAAAAAZA=="] {
        let refused = sent(&whatsapp, &mark(unknown)).await;
        assert!(matches!(refused.outcome, Outcome::Refused(cause) if cause.contains("131009")));
    }
    assert_eq!(whatsapp.reads().len(), 1);
}

#[tokio::test]
async fn what_graph_would_refuse_is_refused_in_its_shape() {
    let (whatsapp, _gateway) = started().await;
    let path = "/v25.0/200000000000001/messages";
    let whole =
        json!({ "messaging_product": "whatsapp", "to": WHOM, "type": "text", "text": { "body": "hola" } });
    let without = |name: &str| {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    };
    let mut of_no_type = whole.clone();
    of_no_type["type"] = json!("smell");
    let mut empty = whole.clone();
    empty["text"]["body"] = json!("");
    let cases: [(&str, &Value, &str); 8] = [
        ("/v25.0/299/messages", &whole, "error 33 "),
        ("/v25.0/200000000000001/letters", &whole, "error 100 "),
        ("/messages", &whole, "error 100 "),
        (path, &without("messaging_product"), "error 100 "),
        (path, &without("to"), "error 131008 "),
        (path, &without("text"), "error 131008 "),
        (path, &of_no_type, "error 131051 "),
        (path, &empty, "error 131009 "),
    ];
    for (path, body, expected) in cases {
        let answer = posted(&whatsapp, path, ACCESS_TOKEN, &body.to_string()).await;
        let Outcome::Refused(cause) = answer.outcome else {
            panic!("{path} {body} was not refused: {:?}", answer.outcome);
        };
        assert!(cause.starts_with(expected) && cause.contains("HTTP 400"), "{cause}");
        assert!(!answer.account_stopped);
    }
    let unreadable = posted(&whatsapp, path, ACCESS_TOKEN, "hola").await;
    assert!(matches!(unreadable.outcome, Outcome::Refused(cause) if cause.starts_with("error 100 ")));
    assert!(whatsapp.sends().is_empty());
}

#[tokio::test]
async fn a_wrong_token_stops_the_account() {
    let (whatsapp, _gateway) = started().await;
    let body = json!({ "messaging_product": "whatsapp", "to": WHOM, "text": { "body": "hola" } }).to_string();
    let path = "/v25.0/200000000000001/messages";
    let refused = posted(&whatsapp, path, "another", &body).await;
    assert!(refused.account_stopped);
    let taken = posted(&whatsapp, path, ACCESS_TOKEN, &body).await;
    assert_eq!(taken.outcome, Outcome::Done);
    assert_eq!(whatsapp.sends().len(), 1);
}

async fn posted(
    whatsapp: &WhatsApp,
    path: &str,
    token: &str,
    body: &str,
) -> platforms::platform::Interpreted {
    let call = Call {
        method: Method::POST,
        url: format!("{}{path}", whatsapp.api_base()),
        headers: vec![("authorization".to_owned(), format!("Bearer {token}"))],
        body: Bytes::from(body.to_owned()),
    };
    interpreted(called(call, DEADLINE).await)
}
