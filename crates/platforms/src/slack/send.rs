//! The Web API: posts and reactions.

use model::retry::Outcome;
use model::send::{OutgoingBody, OutgoingMessage, OutgoingReaction};
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::http::{Answer, Call};
use crate::json;
use crate::outgoing::{access_token, base, cause, link, retry, unsupported, within};
use crate::platform::{Interpreted, Sender, Unsupported};

pub(super) const API_BASE: &str = "https://slack.com/api";
/// The longest text of a message, and of a block, in characters.
const TEXT_MAX: usize = 40_000;
const BLOCK_MAX: usize = 3_000;
/// Buttons: how many in a row, the longest title and value in characters.
const BUTTONS_MAX: usize = 25;
const TITLE_MAX: usize = 75;
const VALUE_MAX: usize = 2_000;
/// Errors after which nothing leaves before somebody has looked.
const STOPPED: [&str; 6] = [
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "org_login_required",
];
/// Errors that pass.
const PASSING: [&str; 3] = ["ratelimited", "rate_limited", "service_unavailable"];
/// Errors after which nobody knows.
const UNCLEAR: [&str; 3] = ["internal_error", "fatal_error", "request_timeout"];

/// The call that posts this message, or reacts.
pub(super) fn compose(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
    let (token, base) = (access_token(sender)?, base(&sender.source.settings, API_BASE));
    let channel = message.to.address();
    let is_id = (2..=32).contains(&channel.len()) && channel.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_id {
        return Err(unsupported("the recipient must be the id of a channel or a person, such as C024BE91L"));
    }
    if let OutgoingBody::Reaction { reaction } = &message.body {
        let body = react(channel, reaction)?;
        return Ok(Call::post_json(format!("{base}/reactions.add"), token, body.to_string()));
    }
    let mut fields = content(&message.body)?;
    fields["channel"] = json!(channel);
    if let Some(thread) = &message.reply_to {
        fields["thread_ts"] = json!(thread);
    }
    Ok(Call::post_json(format!("{base}/chat.postMessage"), token, fields.to_string()))
}

fn react(channel: &str, reaction: &OutgoingReaction) -> Result<Value, Unsupported> {
    let name = reaction.emoji.as_deref().unwrap_or_default().trim_matches(':');
    if name.is_empty() {
        return Err(unsupported("to take a reaction back, Slack must be told which: that is not known here"));
    }
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_+-':".contains(&byte);
    if !name.bytes().all(is_name) {
        return Err(unsupported("Slack knows emoji by name, such as thumbsup"));
    }
    Ok(json!({ "channel": channel, "timestamp": reaction.message_id, "name": name }))
}

fn content(body: &OutgoingBody) -> Result<Value, Unsupported> {
    Ok(match body {
        OutgoingBody::Text { text } => {
            within("the text", &text.body, TEXT_MAX)?;
            json!({ "text": text.body, "unfurl_links": text.preview_url })
        }
        OutgoingBody::Image { image } => {
            let words = image.caption.as_deref().unwrap_or("image");
            within("the caption", words, VALUE_MAX)?;
            let block = json!({ "type": "image", "image_url": link(image)?, "alt_text": words });
            json!({ "text": words, "blocks": [block] })
        }
        OutgoingBody::Interactive { interactive } => buttons(interactive)?,
        OutgoingBody::Template { template } if template["blocks"].is_array() => {
            json!({ "text": template["text"], "blocks": template["blocks"] })
        }
        OutgoingBody::Template { .. } => {
            return Err(unsupported(
                "a template of Slack is a list of blocks, with a text for notifications",
            ));
        }
        OutgoingBody::Read { .. } => {
            return Err(unsupported("an app of Slack cannot mark messages as read, nor type"));
        }
        OutgoingBody::Location { .. } | OutgoingBody::Contacts { .. } => {
            return Err(unsupported("Slack has no places and no cards of people: send them as a text"));
        }
        _ => return Err(unsupported("Slack takes only pictures by link: send a link to the file as a text")),
    })
}

fn buttons(interactive: &Value) -> Result<Value, Unsupported> {
    let choices = Choices::read(interactive)?;
    within("the text", &choices.text, BLOCK_MAX)?;
    if choices.all.len() > BUTTONS_MAX {
        return Err(Unsupported(format!("Slack takes {BUTTONS_MAX} buttons in a row")));
    }
    let mut elements = Vec::new();
    for (at, choice) in choices.all.iter().enumerate() {
        within("the title of a choice", &choice.title, TITLE_MAX)?;
        within("the id of a choice", &choice.id, VALUE_MAX)?;
        let title = json!({ "type": "plain_text", "text": choice.title });
        elements.push(json!({ "type": "button", "action_id": format!("choice_{at}"), "text": title, "value": choice.id }));
    }
    let section = json!({ "type": "section", "text": { "type": "plain_text", "text": choices.text } });
    let actions = json!({ "type": "actions", "elements": elements });
    Ok(json!({ "text": choices.text, "blocks": [section, actions] }))
}

/// What an answer means: HTTP 200 with `"ok": false` is a failure.
pub(super) fn interpret(answer: &Answer) -> Interpreted {
    let body = json::object(&answer.body).ok();
    let error = body.as_ref().and_then(|body| body.string("error")).unwrap_or_default();
    let cause = cause(&format!("HTTP {} {error}", answer.status));
    if answer.status == 429 || PASSING.contains(&&*error) {
        return retry(answer, cause);
    }
    let is_taken = body.as_ref().is_some_and(|body| body.flag("ok"));
    Interpreted {
        message_id: body.as_ref().filter(|_| is_taken).and_then(|body| body.string("ts")),
        account_stopped: STOPPED.contains(&&*error) || answer.status == 401,
        outcome: match answer.status {
            200..=299 if is_taken => Outcome::Done,
            // A reaction that is there already is as wanted.
            200..=299 if error == "already_reacted" => Outcome::Done,
            200..=299 if error.is_empty() => {
                Outcome::Unknown("the answer does not say whether the message was taken".to_owned())
            }
            500.. => Outcome::Unknown(cause),
            _ if UNCLEAR.contains(&&*error) => Outcome::Unknown(cause),
            _ => Outcome::Refused(cause),
        },
    }
}
