//! WhatzMeAPI's send contract, so that a client of theirs can be pointed at us.

use axum::Json;
use axum::extract::State;
use control::Control;
use control::messages::NewMessage;
use model::send::{OutgoingBody, Recipient, TextBody};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::body::{Body, Query};
use crate::idempotency::Key;
use crate::problem::Problem;

/// Which account sends it.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    /// An account, by id or address; the only WhatzMeAPI account when absent.
    from: Option<String>,
}

/// A text to send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendText {
    /// Who gets it: a number in digits, or a jid.
    to: String,
    /// Always `text`.
    r#type: TextOnly,
    /// The text.
    text: Text,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TextOnly {
    Text,
}

/// The text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    /// The words.
    body: String,
}

/// What WhatzMeAPI answers.
#[derive(Serialize, ToSchema)]
#[schema(as = Sent)]
pub(crate) struct SentView {
    /// Always true.
    ok: bool,
    /// Our id of the message.
    id: String,
}

pub(crate) async fn send(
    State(control): State<Control>,
    Caller(actor): Caller,
    Key(key): Key,
    Query(query): Query<From>,
    Body(message): Body<SendText>,
) -> Result<Json<SentView>, Problem> {
    let TextOnly::Text = message.r#type;
    let from = match query.from {
        Some(from) => from,
        None => control.messages().sole_account(&actor, "whatzme").await?.to_string(),
    };
    let new = NewMessage {
        from: Some(from),
        conversation: None,
        to: Some(Recipient::Address(message.to)),
        reply_to: None,
        body: OutgoingBody::Text { text: TextBody { body: message.text.body, preview_url: false } },
        override_window: false,
        key,
    };
    let sent = control.messages().send(&actor, new).await?;
    Ok(Json(SentView { ok: true, id: sent.id.to_string() }))
}
