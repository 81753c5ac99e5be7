//! Messages to channels, and answers to interactions.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use model::send::{OutgoingBody, OutgoingMedia, OutgoingMessage};
use model::source::{SecretRole, Settings};
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::http::{Answer, Call};
use crate::json;
use crate::outgoing::{base, cause, check_base, escaped, unsupported};
use crate::platform::{Interpreted, Sender, Unsupported};
use crate::settings;

const API_BASE: &str = "https://discord.com/api/v10";
const SETTINGS: [&str; 4] = ["tolerance_s", "ephemeral", "api_base", "messages_per_second"];
/// How long Discord surely knows a nonce again: it says "the next few minutes".
pub(super) const NONCE_LASTS: Duration = Duration::from_secs(120);
/// Discord asks who calls.
const USER_AGENT: &str = "DiscordBot (https://gancho.example, 1)";
/// The longest content, in characters.
const CONTENT_MAX: usize = 2_000;
/// Buttons: rows of a message, buttons of a row, characters of a label, bytes of an id.
const ROWS_MAX: usize = 5;
const ROW_MAX: usize = 5;
const LABEL_MAX: usize = 80;
const CHOICE_BYTES_MAX: usize = 100;

/// Says what is wrong with the settings for sending.
pub(super) fn check(of: &Settings) -> Result<(), String> {
    settings::known(of, &SETTINGS)?;
    settings::flag(of, "ephemeral")?;
    settings::number(of, "messages_per_second", 1..=1000)?;
    check_base(of, API_BASE)
}

/// The call that sends this message, answers an interaction, reacts, or shows that we are typing.
pub(super) fn compose(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
    let base = base(&sender.source.settings, API_BASE);
    let channel = format!("{base}/channels/{}", id(message.to.address(), "the recipient")?);
    let (method, url, body) = match &message.body {
        OutgoingBody::Reaction { reaction } => {
            let emoji = reaction.emoji.as_deref().filter(|emoji| !emoji.is_empty());
            let named = emoji.ok_or_else(|| {
                unsupported("to take a reaction back, Discord must be told which: that is not known here")
            })?;
            let message = id(&reaction.message_id, "the message_id")?;
            (
                Method::PUT,
                format!("{channel}/messages/{message}/reactions/{}/@me", escaped(named)),
                Value::Null,
            )
        }
        OutgoingBody::Read { read } if read.typing => {
            (Method::POST, format!("{channel}/typing"), Value::Null)
        }
        OutgoingBody::Read { .. } => {
            return Err(unsupported("Discord has no way to mark a message as read"));
        }
        body => said(sender, message, content(body)?, (base, &channel))?,
    };
    call(sender, method, url, &body)
}

/// An answer to an interaction takes the place of the one that is awaited; anything else is a new message. The nonce lets
/// Discord know a second try from a second message.
fn said(
    sender: &Sender<'_>,
    message: &OutgoingMessage,
    mut content: Value,
    (base, channel): (&str, &str),
) -> Result<(Method, String, Value), Unsupported> {
    if let Some((application, token)) = message.reply_to.as_deref().and_then(|text| text.split_once(':')) {
        let (application, token) = (id(application, "reply_to")?, escaped(token));
        let url = format!("{base}/webhooks/{application}/{token}/messages/@original");
        return Ok((Method::PATCH, url, content));
    }
    content["nonce"] = Value::from(sender.correlation);
    content["enforce_nonce"] = Value::from(true);
    if let Some(replied) = &message.reply_to {
        content["message_reference"] = json!({ "message_id": id(replied, "reply_to")? });
    }
    Ok((Method::POST, format!("{channel}/messages"), content))
}

fn call(sender: &Sender<'_>, method: Method, url: String, body: &Value) -> Result<Call, Unsupported> {
    let token = sender.source.secrets(SecretRole::AccessToken, sender.now).next();
    let token = token
        .filter(|token| !token.expose().is_empty())
        .ok_or_else(|| unsupported("the source has no bot token: add a secret with role \"access_token\""))?;
    let headers = vec![
        ("authorization".to_owned(), format!("Bot {}", token.expose())),
        ("content-type".to_owned(), "application/json".to_owned()),
        ("user-agent".to_owned(), USER_AGENT.to_owned()),
    ];
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    Ok(Call { method, url, headers, body })
}

fn content(body: &OutgoingBody) -> Result<Value, Unsupported> {
    match body {
        OutgoingBody::Text { text } => Ok(json!({ "content": within(&text.body)? })),
        OutgoingBody::Image { image } => {
            let (link, caption) = linked(image)?;
            Ok(json!({ "content": caption, "embeds": [{ "image": { "url": link } }] }))
        }
        OutgoingBody::Video { video: file }
        | OutgoingBody::Audio { audio: file }
        | OutgoingBody::Document { document: file }
        | OutgoingBody::Sticker { sticker: file } => {
            let (link, caption) = linked(file)?;
            let text = [caption, link].join("\n");
            Ok(json!({ "content": within(text.trim_start())? }))
        }
        OutgoingBody::Interactive { interactive } => buttons(interactive),
        OutgoingBody::Location { .. } => Err(cannot("places")),
        OutgoingBody::Contacts { .. } => Err(cannot("contacts")),
        OutgoingBody::Template { .. } => Err(cannot("templates")),
        OutgoingBody::Reaction { .. } | OutgoingBody::Read { .. } => Err(cannot("this")),
    }
}

/// Discord shows what a link leads to; it fetches no file for us.
fn linked(media: &OutgoingMedia) -> Result<(&str, &str), Unsupported> {
    let link =
        media.link.as_deref().filter(|link| link.starts_with("https://") || link.starts_with("http://"));
    let link = link.ok_or_else(|| unsupported("a file is sent by its link, which begins with https://"))?;
    Ok((link, media.caption.as_deref().unwrap_or_default()))
}

fn buttons(interactive: &Value) -> Result<Value, Unsupported> {
    let choices = Choices::read(interactive)?;
    if choices.all.len() > ROWS_MAX * ROW_MAX {
        return Err(Unsupported(format!("at most {} choices can be offered here", ROWS_MAX * ROW_MAX)));
    }
    let mut made = Vec::new();
    for choice in &choices.all {
        if choice.title.chars().count() > LABEL_MAX || choice.id.len() > CHOICE_BYTES_MAX {
            let words = format!(
                "\"{}\": titles have at most {LABEL_MAX} characters, ids {CHOICE_BYTES_MAX} bytes",
                choice.title
            );
            return Err(Unsupported(words));
        }
        made.push(json!({ "type": 2, "style": 1, "label": choice.title, "custom_id": choice.id }));
    }
    let rows: Vec<Value> = made.chunks(ROW_MAX).map(|row| json!({ "type": 1, "components": row })).collect();
    Ok(json!({ "content": within(&choices.text)?, "components": rows }))
}

fn within(text: &str) -> Result<&str, Unsupported> {
    match text.chars().count() {
        0 => Err(unsupported("the text is empty")),
        count if count > CONTENT_MAX => Err(Unsupported(format!(
            "the text has {count} characters and Discord takes {CONTENT_MAX}: split it"
        ))),
        _ => Ok(text),
    }
}

/// Ids are numbers, and parts of paths.
fn id<'t>(text: &'t str, what: &str) -> Result<&'t str, Unsupported> {
    match (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(text),
        false => Err(Unsupported(format!("{what} must be an id of Discord's: a number"))),
    }
}

fn cannot(what: &str) -> Unsupported {
    Unsupported(format!("Discord has no {what}: send a text"))
}

/// What an answer means. The nonce makes a second try harmless for some minutes, so a failure of Discord's is a retry.
pub(super) fn interpret(answer: &Answer) -> Interpreted {
    let body = json::object(&answer.body).ok();
    let told = |name: &str| body.as_ref().and_then(|body| body.string(name));
    if (200..300).contains(&answer.status) {
        return Interpreted { message_id: told("id"), ..Interpreted::of(Outcome::Done) };
    }
    let code = told("code").map(|code| format!("/{code}")).unwrap_or_default();
    let words = told("message").unwrap_or_else(|| "without a reason".to_owned());
    let cause = cause(&format!("HTTP {}{code} {words}", answer.status));
    let outcome = match answer.status {
        429 | 500.. => {
            let asked = body.as_ref().and_then(|body| body.number("retry_after")).filter(|secs| *secs >= 0.0);
            let asked = asked.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
            Outcome::Retry { after: asked.or(answer.retry_after_secs.map(Duration::from_secs)), cause }
        }
        _ => Outcome::Refused(cause),
    };
    Interpreted { account_stopped: answer.status == 401, ..Interpreted::of(outcome) }
}
