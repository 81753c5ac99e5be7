//! The bot's webhook: `setWebhook`, `getWebhookInfo`.

use http::Method;
use model::retry::Outcome;
use model::source::SecretRole;
use serde_json::json;

use super::send::{API_BASE, bot_token};
use crate::http::{Answer, Call};
use crate::outgoing::base;
use crate::platform::Unsupported;
use crate::registration::{self, Found, Look, Step, Wanted, told_by};

/// Every kind of update there is; three of them do not come unless they are asked for.
const UPDATES: [&str; 25] = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "message_reaction",
    "message_reaction_count",
    "chat_boost",
    "removed_chat_boost",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "purchased_paid_media",
    "managed_bot",
    "guest_message",
];

/// The one step there is.
pub(super) fn steps(wanted: &Wanted<'_>) -> Result<Vec<Step>, Unsupported> {
    let token = bot_token(wanted.newest(SecretRole::AccessToken))?;
    let proof = wanted.secret(SecretRole::Credential)?;
    let bot = format!("{}/bot{token}", base(&wanted.source.settings, API_BASE));
    let body = json!({ "url": wanted.url, "secret_token": proof, "allowed_updates": UPDATES });
    let look = Look {
        call: Call::get(format!("{bot}/getWebhookInfo"), &[]),
        ours: wanted.url.to_owned(),
        read: found,
    };
    Ok(vec![Step {
        what: "the webhook of the bot".to_owned(),
        look: Some(look),
        set: registration::send(Method::POST, format!("{bot}/setWebhook"), &[], &body),
        read,
    }])
}

fn found(answer: &Answer, ours: &str) -> Found {
    let body = told_by(answer);
    match body.as_ref().filter(|body| body.flag("ok")).and_then(|body| body.object("result")) {
        Some(info) => Found::url(info.text("url").as_deref(), ours),
        None => Found::unclear(answer, body.and_then(|body| body.text("description")).as_deref()),
    }
}

fn read(answer: &Answer) -> Outcome {
    let body = told_by(answer);
    let is_done = body.as_ref().is_some_and(|body| body.flag("ok"));
    registration::outcome(answer, is_done, body.and_then(|body| body.text("description")).as_deref())
}
