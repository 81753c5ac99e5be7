//! The Messaging API: a push to a chat. Its retry key makes a repeat harmless.

use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use model::send::{OutgoingBody, OutgoingMessage};
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::http::{Answer, Call};
use crate::json;
use crate::outgoing::{access_token, base, cause, link, retry, unsupported, within};
use crate::platform::{Interpreted, Sender, Unsupported};

pub(super) const API_BASE: &str = "https://api.line.me";
/// How long LINE remembers a retry key.
pub(super) const RETRY_KEY_LASTS: Duration = Duration::from_secs(24 * 3600);
/// The longest text, in characters.
const TEXT_MAX: usize = 5_000;
/// Quick replies: how many, the longest label in characters, the longest data in characters.
const REPLIES_MAX: usize = 13;
const LABEL_MAX: usize = 20;
const DATA_MAX: usize = 300;
/// What LINE says of a channel that has used up its messages of the month.
const QUOTA: &str = "monthly limit";

/// The call that pushes this message, or shows that we are typing.
pub(super) fn compose(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
    let token = access_token(sender)?;
    let base = base(&sender.source.settings, API_BASE);
    let to = message.to.address();
    if message.reply_to.is_some() {
        return Err(unsupported("LINE quotes a message by a token of its own: leave reply_to out"));
    }
    if let OutgoingBody::Read { read } = &message.body {
        if !read.typing {
            return Err(unsupported(
                "LINE marks messages as read by a token of its own, which is not known here",
            ));
        }
        let body = json!({ "chatId": to, "loadingSeconds": 20 });
        let url = format!("{base}/v2/bot/chat/loading/start");
        return Ok(Call::post_json(url, token, body.to_string()));
    }
    let body = json!({ "to": to, "messages": [content(&message.body)?] }).to_string();
    let headers = [
        ("authorization", format!("Bearer {token}")),
        ("content-type", "application/json".to_owned()),
        ("x-line-retry-key", retry_key(sender.correlation)),
    ];
    Ok(Call {
        method: Method::POST,
        url: format!("{base}/v2/bot/message/push"),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        body: Bytes::from(body),
    })
}

/// A UUID that is the same for every attempt at one send.
fn retry_key(correlation: &str) -> String {
    let hash = digest::digest(&digest::SHA256, correlation.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    // Version 8 and the usual variant (RFC 9562 section 5.8): made of a hash.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn content(body: &OutgoingBody) -> Result<Value, Unsupported> {
    Ok(match body {
        OutgoingBody::Text { text } => {
            within("the text", &text.body, TEXT_MAX)?;
            json!({ "type": "text", "text": text.body })
        }
        OutgoingBody::Image { image } if image.caption.is_some() => {
            return Err(unsupported("a picture of LINE has no caption: send the words as a text"));
        }
        OutgoingBody::Image { image } => {
            let link = link(image)?;
            json!({ "type": "image", "originalContentUrl": link, "previewImageUrl": link })
        }
        OutgoingBody::Sticker { sticker } => {
            let named = sticker.id.as_deref().and_then(|id| id.split_once('/'));
            let (package, number) =
                named.ok_or_else(|| unsupported("a sticker of LINE has the id <packageId>/<stickerId>"))?;
            json!({ "type": "sticker", "packageId": package, "stickerId": number })
        }
        OutgoingBody::Location { location } => {
            let title = location.name.as_deref().or(location.address.as_deref());
            let (Some(title), Some(address)) = (title, location.address.as_deref()) else {
                return Err(unsupported("a place of LINE needs an address"));
            };
            json!({ "type": "location", "title": title, "address": address,
                "latitude": location.latitude, "longitude": location.longitude })
        }
        OutgoingBody::Interactive { interactive } => choices(interactive)?,
        OutgoingBody::Template { template } if template["type"].is_string() => template.clone(),
        OutgoingBody::Template { .. } => {
            return Err(unsupported(
                "a template of LINE is a message in LINE's own shape, with a type such as flex",
            ));
        }
        OutgoingBody::Video { .. } | OutgoingBody::Audio { .. } | OutgoingBody::Document { .. } => {
            return Err(unsupported(
                "LINE wants a preview of a film and the length of a sound, and takes no files: send a link as a text",
            ));
        }
        OutgoingBody::Contacts { .. } | OutgoingBody::Reaction { .. } | OutgoingBody::Read { .. } => {
            return Err(unsupported("LINE's API has no contacts and no reactions to send"));
        }
    })
}

fn choices(interactive: &Value) -> Result<Value, Unsupported> {
    let choices = Choices::read(interactive)?;
    within("the text", &choices.text, TEXT_MAX)?;
    if choices.all.len() > REPLIES_MAX {
        return Err(Unsupported(format!("LINE takes {REPLIES_MAX} quick replies")));
    }
    let mut items = Vec::new();
    for choice in &choices.all {
        within("the title of a choice", &choice.title, LABEL_MAX)?;
        within("the id of a choice", &choice.id, DATA_MAX)?;
        let (title, data) = (&choice.title, &choice.id);
        let action = json!({ "type": "postback", "label": title, "data": data, "displayText": title });
        items.push(json!({ "type": "action", "action": action }));
    }
    Ok(json!({ "type": "text", "text": choices.text, "quickReply": { "items": items } }))
}

/// What an answer means. Whatever broke on LINE's side may be tried again: the retry key is the same.
pub(super) fn interpret(answer: &Answer) -> Interpreted {
    let body = json::object(&answer.body).ok();
    let words = body.as_ref().and_then(|body| body.string("message")).unwrap_or_default();
    let cause = cause(&format!("HTTP {} {words}", answer.status));
    match answer.status {
        200..=299 => {
            let sent = body.as_ref().and_then(|body| body.items("sentMessages"));
            let id = sent.and_then(|sent| json::object(sent.first()?.get().as_bytes()).ok()?.string("id"));
            Interpreted { message_id: id, ..Interpreted::of(Outcome::Done) }
        }
        // Accepted before under the same retry key.
        409 => Interpreted::of(Outcome::Done),
        401 | 403 => Interpreted { account_stopped: true, ..Interpreted::of(Outcome::Refused(cause)) },
        429 if words.contains(QUOTA) => Interpreted::of(Outcome::Refused(cause)),
        429 | 500.. => retry(answer, cause),
        _ => Interpreted::of(Outcome::Refused(cause)),
    }
}
