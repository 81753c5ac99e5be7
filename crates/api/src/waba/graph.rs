//! The Cloud API's own call for messages (platforms.md 1.10): a bot written for Meta needs nothing but another base URL and a token
//! of ours.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use control::messages::NewMessage;
use control::{Actor, Control};
use http::StatusCode;
use model::send::{OutgoingBody, OwedSend, Recipient, SendState};
use serde_json::json;

use super::refusal::graph_error;
use super::wire::Message;
use crate::auth::Caller;
use crate::body::Body;
use crate::problem::Problem;

/// How long a caller waits for the platform's own id of a message, by which its statuses are told.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn send(
    State(control): State<Control>,
    Caller(actor): Caller,
    Path((_, account)): Path<(String, String)>,
    Body(message): Body<Message>,
) -> Result<Response, Problem> {
    if let Some(read) = message.mark() {
        let to = Recipient::Address(read.message_id.clone());
        let new = NewMessage { override_window: true, ..asked(account, to, OutgoingBody::Read { read }) };
        control.messages().send(&actor, new).await?;
        return Ok(Json(json!({ "success": true })).into_response());
    }
    let (to, reply_to) = (message.recipient()?, message.reply_to());
    let new = NewMessage { reply_to, ..asked(account, to.clone(), message.body()?) };
    taken(&control, &actor, new, &to).await
}

fn asked(account: String, to: Recipient, body: OutgoingBody) -> NewMessage {
    NewMessage {
        from: Some(account),
        conversation: None,
        to: Some(to),
        reply_to: None,
        body,
        override_window: false,
        key: None,
    }
}

/// Waits for the platform's answer, and tells it as Meta does. What the platform has not answered by then is known by our id.
async fn taken(
    control: &Control,
    actor: &Actor,
    new: NewMessage,
    to: &Recipient,
) -> Result<Response, Problem> {
    let queued = control.messages().send(actor, new).await?;
    // Whoever may send may follow what they have sent.
    let sent = control.messages().settled(actor, queued.id, PATIENCE).await?;
    if matches!(sent.state, SendState::Dead | SendState::Cancelled) {
        let words = sent.last_error.as_deref().unwrap_or("the platform refused the message");
        return Ok((StatusCode::BAD_REQUEST, Json(graph_error(131000, words))).into_response());
    }
    Ok(Json(told(&sent, to)).into_response())
}

fn told(sent: &OwedSend, to: &Recipient) -> serde_json::Value {
    let id = sent.platform_message_id.clone().unwrap_or_else(|| sent.id.to_string());
    let contact = match to {
        Recipient::Address(address) => json!({ "input": address, "wa_id": address.trim_start_matches('+') }),
        Recipient::Bsuid { bsuid } => json!({ "input": bsuid, "user_id": bsuid }),
    };
    json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [{ "id": id }] })
}
