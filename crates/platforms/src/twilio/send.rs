//! The Messages resource: a form for each message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use model::send::{OutgoingBody, OutgoingMedia, OutgoingMessage};
use model::source::Settings;
use serde_json::Value;

use super::WHATSAPP;
use crate::http::{Answer, Call};
use crate::json;
use crate::outgoing::{access_token, base, cause, check_base, link, retry, unsupported, within};
use crate::platform::{Interpreted, Sender, Unsupported};
use crate::settings;

pub(super) const API_BASE: &str = "https://api.twilio.com";
const SETTINGS: [&str; 5] =
    ["public_url", "account_sid", "status_callback", "api_base", "messages_per_second"];
/// The longest text, in characters.
const TEXT_MAX: usize = 1_600;
/// Errors that pass: too much at once, a queue that is full, a channel's own rate.
const PASSING: [i64; 4] = [20429, 14107, 30001, 63018];
/// The account is refused: its credential, its state.
const STOPPED: [i64; 3] = [20003, 20005, 30002];

/// Says what is wrong with the settings for sending.
pub(super) fn check(of: &Settings) -> Result<(), String> {
    settings::known(of, &SETTINGS)?;
    settings::text(of, "status_callback")?;
    settings::number(of, "messages_per_second", 1..=1000)?;
    check_base(of, API_BASE)?;
    match settings::text(of, "account_sid")? {
        Some(sid) if !is_sid(sid) => {
            Err("setting \"account_sid\" must be AC and 32 digits and letters".to_owned())
        }
        _ => Ok(()),
    }
}

fn is_sid(text: &str) -> bool {
    text.len() == 34 && text.starts_with("AC") && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The call that sends this message.
pub(super) fn compose(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
    let of = &sender.source.settings;
    let (sid, shown) = credential(sender)?;
    if message.reply_to.is_some() {
        return Err(unsupported("through Twilio no certain message can be answered: leave reply_to out"));
    }
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("To", &address(sender.account, message.to.address())?);
    let from = if sender.account.starts_with("MG") { "MessagingServiceSid" } else { "From" };
    form.append_pair(from, sender.account);
    for (name, value) in content(&message.body)? {
        form.append_pair(name, &value);
    }
    if let Some(url) = of.text("status_callback") {
        form.append_pair("StatusCallback", url);
    }
    let headers =
        [("authorization", shown), ("content-type", "application/x-www-form-urlencoded".to_owned())];
    Ok(Call {
        method: Method::POST,
        url: format!("{}/2010-04-01/Accounts/{sid}/Messages.json", base(of, API_BASE)),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        body: Bytes::from(form.finish()),
    })
}

/// The account's SID, and the header that shows our credential.
pub(super) fn credential<'s>(sender: &Sender<'s>) -> Result<(&'s str, String), Unsupported> {
    let sid = sender.source.settings.text("account_sid");
    let sid = sid.ok_or_else(|| unsupported("set \"account_sid\" to your account's AC… first"))?;
    let credential = access_token(sender)?;
    // An Auth Token alone belongs to the account.
    let credential =
        if credential.contains(':') { credential.to_owned() } else { format!("{sid}:{credential}") };
    Ok((sid, format!("Basic {}", BASE64.encode(credential))))
}

/// A number is written to in the way of the account it leaves from.
fn address(account: &str, to: &str) -> Result<String, Unsupported> {
    let bare = to.strip_prefix(WHATSAPP).unwrap_or(to);
    let digits: String = bare.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '+')).collect();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_whatsapp = account.starts_with(WHATSAPP) || to.starts_with(WHATSAPP);
    match (is_whatsapp, is_number) {
        (true, true) => Ok(format!("{WHATSAPP}+{digits}")),
        (true, false) if !bare.is_empty() => Ok(format!("{WHATSAPP}{bare}")),
        (false, true) => Ok(format!("+{digits}")),
        _ => Err(unsupported("the recipient must be a phone number")),
    }
}

fn content(body: &OutgoingBody) -> Result<Vec<(&'static str, String)>, Unsupported> {
    match body {
        OutgoingBody::Text { text } => {
            within("the text", &text.body, TEXT_MAX)?;
            Ok(vec![("Body", text.body.clone())])
        }
        OutgoingBody::Image { image: media }
        | OutgoingBody::Video { video: media }
        | OutgoingBody::Audio { audio: media }
        | OutgoingBody::Document { document: media } => file(media),
        OutgoingBody::Template { template } => content_template(template),
        OutgoingBody::Interactive { .. } => Err(unsupported(
            "Twilio keeps buttons and lists as templates: send its content_sid as a template",
        )),
        OutgoingBody::Read { .. } => Err(unsupported("Twilio cannot mark a message as read")),
        _ => Err(unsupported("through Twilio texts, files and templates can be sent")),
    }
}

fn file(media: &OutgoingMedia) -> Result<Vec<(&'static str, String)>, Unsupported> {
    let mut fields = vec![("MediaUrl", link(media)?.to_owned())];
    if let Some(caption) = &media.caption {
        within("the caption", caption, TEXT_MAX)?;
        fields.push(("Body", caption.clone()));
    }
    Ok(fields)
}

fn content_template(template: &Value) -> Result<Vec<(&'static str, String)>, Unsupported> {
    let sid = template["content_sid"].as_str();
    let sid =
        sid.ok_or_else(|| unsupported("a template of Twilio has a content_sid, HX…, and content_variables"))?;
    let mut fields = vec![("ContentSid", sid.to_owned())];
    match &template["content_variables"] {
        Value::Null => {}
        Value::String(text) => fields.push(("ContentVariables", text.clone())),
        variables => fields.push(("ContentVariables", variables.to_string())),
    }
    Ok(fields)
}

/// What an answer means. There is no key that would make a repeat harmless.
pub(super) fn interpret(answer: &Answer) -> Interpreted {
    let body = json::object(&answer.body).ok();
    let told = |name: &str| body.as_ref().and_then(|body| body.string(name));
    let code = told("code").and_then(|code| code.parse::<i64>().ok()).unwrap_or(0);
    let words = told("message").unwrap_or_default();
    let cause = cause(&format!("HTTP {} error {code} {words}", answer.status));
    match (answer.status, code) {
        (200..=299, _) => match told("sid") {
            Some(sid) => Interpreted { message_id: Some(sid), ..Interpreted::of(Outcome::Done) },
            None => Interpreted::of(Outcome::Unknown("the answer names no message".to_owned())),
        },
        (429, _) => retry(answer, cause),
        (_, code) if PASSING.contains(&code) => retry(answer, cause),
        (401, _) => Interpreted { account_stopped: true, ..Interpreted::of(Outcome::Refused(cause)) },
        (_, code) if STOPPED.contains(&code) => {
            Interpreted { account_stopped: true, ..Interpreted::of(Outcome::Refused(cause)) }
        }
        (500.., _) => Interpreted::of(Outcome::Unknown(cause)),
        _ => Interpreted::of(Outcome::Refused(cause)),
    }
}
