//! What an endpoint receives, version 1. Fields are only ever added.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use model::event::Event;
use platforms::{registry, whatsapp_onpremises};
use serde::Serialize;
use serde_json::value::RawValue;
use store::claims::{Claimed, Original};
use store::routing::Routing;

/// The `standard` format of Standard Webhooks, with where it came from beside it.
#[derive(Serialize)]
struct Envelope<'e> {
    r#type: &'e str,
    timestamp: String,
    data: Box<RawValue>,
    context: Context<'e>,
}

/// Where an event came from.
#[derive(Serialize)]
struct Context<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountContext<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

#[derive(Serialize)]
struct AccountContext<'e> {
    id: String,
    address: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
}

/// The body of a `standard` delivery; the same bytes in every attempt, for the same configuration.
pub fn standard(claimed: &Claimed, routing: &Routing) -> Vec<u8> {
    let event = &claimed.event;
    let source = event.source.and_then(|id| routing.source(id));
    let account = event.account.and_then(|id| routing.account_by_id(id));
    let envelope = Envelope {
        r#type: event.event_type.as_str(),
        timestamp: event.occurred_at.to_string(),
        data: data(event, claimed.original.as_ref(), source.map(|source| source.platform.as_str())),
        context: Context {
            platform: source.map(|source| source.platform.as_str()),
            source: event.source.map(|id| id.to_string()),
            account: account.map(|account| AccountContext {
                id: account.id.to_string(),
                address: &account.address,
                name: account.name.as_deref(),
            }),
            conversation: event.conversation.map(|id| id.to_string()),
            receipt: event.receipt.map(|id| id.to_string()),
        },
    };
    serde_json::to_vec(&envelope).expect("an envelope has text keys only")
}

/// The content as JSON: its own, or the request's body, without credentials, as JSON, as text, or as `{"base64": …}`.
fn data(event: &Event, original: Option<&Original>, platform: Option<&str>) -> Box<RawValue> {
    let own = || event.content.as_ref().map(|content| Bytes::copy_from_slice(content.as_bytes()));
    let whole = || original.map(|original| registry::redacted(platform, original.body.clone()));
    let bytes = own().or_else(whole).unwrap_or(Bytes::from_static(b"null"));
    if let Ok(json) = serde_json::from_slice::<&RawValue>(&bytes) {
        return json.to_owned();
    }
    let made = match std::str::from_utf8(&bytes) {
        Ok(text) => serde_json::value::to_raw_value(text),
        Err(_) => serde_json::value::to_raw_value(&serde_json::json!({ "base64": BASE64.encode(&bytes) })),
    };
    made.expect("text and a map of text can be written as JSON")
}

/// The body of a `client` delivery, or why there can be none.
pub fn client(claimed: &Claimed) -> Result<Bytes, String> {
    let event = &claimed.event;
    let content = event.content.as_deref().unwrap_or_default();
    let told = whatsapp_onpremises::tell::tell(&event.event_type, event.occurred_at, content);
    told.map(Bytes::from).ok_or_else(|| {
        format!("the on-premises client has no shape for {}: subscribe to others", event.event_type)
    })
}
