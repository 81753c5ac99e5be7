//! Sends requests as a platform does: signed, and again when it was not answered with 200.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use platforms::proof::{Hash, mac};

use crate::scene::APP_SECRET;

/// How long a request may take: longer than the gateway takes to refuse a slow one.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A client without any wisdom of its own.
pub type Plain = Client<HttpConnector, Full<Bytes>>;

/// Makes a client.
pub fn client() -> Plain {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Gets a URL.
pub async fn get(url: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
    send(&client(), Method::GET, url, headers, Bytes::new()).await
}

/// Makes one request.
pub async fn send(
    client: &Plain,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> anyhow::Result<Answer> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let exchange = async {
        let answer = client.request(request.body(Full::new(body))?).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    };
    // Platforms give up too, and send again: a request that was cut off with its server may never end by itself.
    tokio::time::timeout(PATIENCE, exchange).await?
}

/// Posts a body as Meta does, with its signature.
pub async fn post_signed(client: &Plain, url: &str, body: &str) -> anyhow::Result<Answer> {
    let signature = signed(body);
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", signature.as_str())];
    send(client, Method::POST, url, &headers, Bytes::copy_from_slice(body.as_bytes())).await
}

/// The signature that Meta would give a body.
pub fn signed(body: &str) -> String {
    format!("sha256={}", hex::encode(mac(Hash::Sha256, APP_SECRET.as_bytes(), &[body.as_bytes()])))
}

/// A WhatsApp text message from a contact.
pub fn message(id: &str, contact: u64, text: &str) -> String {
    messages(&[(id, contact, text)])
}

/// Several WhatsApp text messages in one request.
pub fn messages(items: &[(&str, u64, &str)]) -> String {
    let contacts: Vec<serde_json::Value> = items
        .iter()
        .map(|(_, contact, _)| {
            serde_json::json!({"profile": {"name": format!("Contact {contact}")}, "wa_id": format!("1555{contact:07}"),
                "user_id": format!("US.{contact}")})
        })
        .collect();
    let items: Vec<serde_json::Value> = items
        .iter()
        .map(|(id, contact, text)| {
            serde_json::json!({
                "from": format!("1555{contact:07}"), "from_user_id": format!("US.{contact}"), "id": id, "timestamp": "1767225600",
                "type": "text", "text": {"body": text},
            })
        })
        .collect();
    serde_json::json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "100000000000001", "changes": [{"field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550000001", "phone_number_id": "200000000000001"},
            "contacts": contacts,
            "messages": items,
        }}]}],
    })
    .to_string()
}
