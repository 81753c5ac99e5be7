//! What a bot sends back through the gateway.

use std::sync::Arc;

use bytes::Bytes;
use egress::Egress;
use http::Method;
use model::secret::Secret;
use serde_json::{Value, json};

use crate::bot::Attempt;
use crate::call;

/// Says what to send for an attempt: the JSON of a message, or nothing.
type Compose = dyn Fn(&Attempt) -> Option<Value> + Send + Sync;

/// How a bot replies: what it sends for what it received, where, and with which token.
#[derive(Clone)]
pub struct Replies {
    url: String,
    token: Secret,
    compose: Arc<Compose>,
}

/// One reply and what the gateway said to it.
#[derive(Clone, Debug)]
pub struct Replied {
    /// The `webhook-id` of what was replied to.
    pub to: String,
    /// The key that makes it one reply, however often it is handed over.
    pub idempotency_key: String,
    /// The HTTP status, or nothing when no answer came.
    pub status: Option<u16>,
    /// The answer's body, where it is JSON.
    pub answer: Option<Value>,
}

impl Replied {
    /// Whether handing it over again could change nothing.
    pub fn is_settled(&self) -> bool {
        self.status.is_some_and(|status| status < 500 && status != 409 && status != 429)
    }
}

impl Replies {
    /// Replies to each text that `words` has words for; `gateway` is its address, without a path.
    pub fn in_words(
        gateway: &str,
        token: Secret,
        words: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Replies {
        let url = format!("{}/v1/messages", gateway.trim_end_matches('/'));
        Replies::composed(url, token, move |attempt| {
            let body = attempt.body.as_ref()?;
            text_message(body, &words(body["data"]["message"]["text"].as_str()?)?)
        })
    }

    /// Sends to `url` whatever `compose` makes of a `message.received`.
    pub fn composed(
        url: String,
        token: Secret,
        compose: impl Fn(&Attempt) -> Option<Value> + Send + Sync + 'static,
    ) -> Replies {
        Replies { url, token, compose: Arc::new(compose) }
    }

    /// Replies to an attempt, if there is something to say.
    pub(crate) async fn hand_over(&self, egress: &Egress, attempt: &Attempt) -> Option<Replied> {
        if attempt.event_type.as_deref() != Some("message.received") {
            return None;
        }
        let to = attempt.id.clone()?;
        let message = (self.compose)(attempt)?;
        let idempotency_key = format!("reply-{to}");
        let headers = vec![
            ("authorization".to_owned(), format!("Bearer {}", self.token.expose())),
            ("idempotency-key".to_owned(), idempotency_key.clone()),
        ];
        let body = Bytes::from(message.to_string());
        let exchange = call::exchange(egress, Method::POST, self.url.clone(), headers, body).await;
        let answer = exchange.result.ok();
        Some(Replied {
            to,
            idempotency_key,
            status: answer.as_ref().map(|answer| answer.status),
            answer: answer.and_then(|answer| serde_json::from_slice(&answer.body).ok()),
        })
    }
}

/// A text to whoever is at the other end of an event, from the account it happened on.
fn text_message(event: &Value, words: &str) -> Option<Value> {
    let contact = &event["data"]["contact"];
    let to = match contact["wa_id"].as_str().or(contact["phone"].as_str()) {
        Some(number) => json!(number),
        None => json!({ "bsuid": contact["bsuid"].as_str()? }),
    };
    let account = event["context"]["account"]["id"].as_str()?;
    Some(json!({ "from": account, "to": to, "type": "text", "text": { "body": words } }))
}
