//! The Send API: one call a message (platforms.md sections 7 and 8).

use model::send::{OutgoingBody, OutgoingMedia, OutgoingMessage};
use model::source::Settings;
use serde_json::{Value, json};

use super::Product;
use crate::choices::Choices;
use crate::http::Call;
use crate::outgoing::{access_token, unsupported};
use crate::platform::{Sender, Unsupported};
use crate::settings;

const API_VERSION: &str = "v25.0";
/// The most quick replies of a message, and the longest title of one, in characters.
const REPLIES_MAX: usize = 13;
const TITLE_MAX: usize = 20;

/// Says what is wrong with the settings of the address that messages are sent to.
pub(super) fn check(of: &Settings) -> Result<(), String> {
    let base = settings::text(of, "api_base")?.unwrap_or("https://");
    let is_web = base.starts_with("https://") || base.starts_with("http://");
    if !is_web || base.contains(['?', '#']) || base.contains(char::is_whitespace) {
        return Err("setting \"api_base\" must be an address such as https://graph.facebook.com".to_owned());
    }
    let version = settings::text(of, "api_version")?.unwrap_or(API_VERSION);
    match version.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
    {
        true => Ok(()),
        false => Err(format!("setting \"api_version\" must be a version such as {API_VERSION}")),
    }
}

/// Where the API is, with its version.
pub(crate) fn graph(product: &Product, of: &Settings) -> String {
    let base = of.text("api_base").unwrap_or(product.api_base).trim_end_matches('/');
    format!("{base}/{}", of.text("api_version").unwrap_or(API_VERSION))
}

/// The call that sends this message, or shows that one was seen.
pub(crate) fn compose(
    product: &Product,
    sender: &Sender<'_>,
    message: &OutgoingMessage,
) -> Result<Call, Unsupported> {
    let token = access_token(sender)?;
    if sender.account.is_empty() || !sender.account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Unsupported(format!("\"{}\" is not the id of a page or an account", sender.account)));
    }
    if message.reply_to.is_some() {
        return Err(unsupported("an answer to a certain message cannot be sent here: leave reply_to out"));
    }
    let to = json!({ "id": message.to.address() });
    let body = match &message.body {
        OutgoingBody::Read { read } => {
            json!({ "recipient": to, "sender_action": if read.typing { "typing_on" } else { "mark_seen" } })
        }
        OutgoingBody::Reaction { reaction } if product.reacts => {
            let emoji = reaction.emoji.as_deref().filter(|emoji| !emoji.is_empty());
            let action = if emoji.is_some() { "react" } else { "unreact" };
            let payload = json!({ "message_id": reaction.message_id, "reaction": emoji });
            json!({ "recipient": to, "sender_action": action, "payload": payload })
        }
        body => json!({ "recipient": to, "messaging_type": "RESPONSE", "message": wire(product, body)? }),
    };
    let url = format!("{}/{}/messages", graph(product, &sender.source.settings), sender.account);
    Ok(Call::post_json(url, token, body.to_string()))
}

fn wire(product: &Product, body: &OutgoingBody) -> Result<Value, Unsupported> {
    match body {
        OutgoingBody::Text { text } => {
            within(product, &text.body)?;
            Ok(json!({ "text": text.body }))
        }
        OutgoingBody::Image { image } => file("image", image),
        OutgoingBody::Video { video } => file("video", video),
        OutgoingBody::Audio { audio } => file("audio", audio),
        OutgoingBody::Document { document } => file("file", document),
        OutgoingBody::Interactive { interactive } => replies(product, interactive),
        OutgoingBody::Template { template } => {
            Ok(json!({ "attachment": { "type": "template", "payload": template } }))
        }
        OutgoingBody::Sticker { .. } => Err(cannot(product, "stickers")),
        OutgoingBody::Location { .. } => Err(cannot(product, "places")),
        OutgoingBody::Contacts { .. } => Err(cannot(product, "contacts")),
        OutgoingBody::Reaction { .. } => Err(cannot(product, "reactions")),
        OutgoingBody::Read { .. } => Err(cannot(product, "this")),
    }
}

fn file(kind: &str, media: &OutgoingMedia) -> Result<Value, Unsupported> {
    if media.caption.is_some() {
        return Err(unsupported("a file takes no caption here: send the words as a text of its own"));
    }
    let payload = match (&media.id, &media.link) {
        (Some(id), None) => json!({ "attachment_id": id }),
        (None, Some(link)) if link.starts_with("https://") || link.starts_with("http://") => {
            json!({ "url": link, "is_reusable": false })
        }
        (None, Some(_)) => return Err(unsupported("the link of a file must begin with https:// or http://")),
        _ => return Err(unsupported("a file needs exactly one of id and link")),
    };
    Ok(json!({ "attachment": { "type": kind, "payload": payload } }))
}

/// Buttons and rows of a list are quick replies.
fn replies(product: &Product, interactive: &Value) -> Result<Value, Unsupported> {
    let choices = Choices::read(interactive)?;
    within(product, &choices.text)?;
    if choices.all.len() > REPLIES_MAX {
        return Err(Unsupported(format!("at most {REPLIES_MAX} choices can be offered here")));
    }
    if let Some(long) = choices.all.iter().find(|choice| choice.title.chars().count() > TITLE_MAX) {
        return Err(Unsupported(format!("\"{}\" has more than {TITLE_MAX} characters", long.title)));
    }
    let reply = |choice: &crate::choices::Choice| json!({ "content_type": "text", "title": choice.title, "payload": choice.id });
    Ok(
        json!({ "text": choices.text, "quick_replies": choices.all.iter().map(reply).collect::<Vec<Value>>() }),
    )
}

fn within(product: &Product, text: &str) -> Result<(), Unsupported> {
    let max = product.text_bytes_max;
    match text.len() {
        0 => Err(unsupported("the text is empty")),
        count if count > max => {
            Err(Unsupported(format!("the text has {count} bytes and {max} are taken: split it")))
        }
        _ => Ok(()),
    }
}

fn cannot(product: &Product, what: &str) -> Unsupported {
    Unsupported(format!("{} cannot send {what}", product.kind))
}
