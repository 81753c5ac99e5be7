//! The REST API: one call a message.

use bytes::Bytes;
use http::Method;
use model::retry::Outcome;
use model::send::{OutgoingBody, OutgoingMessage};
use model::source::Settings;
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::http::{Answer, Call};
use crate::json;
use crate::outgoing::{access_token, base, cause, check_base, link, retry, unsupported, within};
use crate::platform::{Interpreted, Sender, Unsupported};
use crate::settings;

pub(super) const API_BASE: &str = "https://chatapi.viber.com";
/// The longest text, words under a picture, and name of a sender, in characters.
const TEXT_MAX: usize = 7_000;
const CAPTION_MAX: usize = 768;
const NAME_MAX: usize = 28;
/// Buttons: how many, and the longest title and id of one, in characters.
const BUTTONS_MAX: usize = 24;
const BUTTON_MAX: usize = 250;
/// Statuses of an answer: taken; the token is not known; too much at once.
const TAKEN: &str = "0";
const BAD_TOKEN: &str = "2";
const TOO_MANY: &str = "12";

/// Says what is wrong with the settings for sending.
pub(super) fn check(of: &Settings) -> Result<(), String> {
    check_base(of, API_BASE)?;
    match settings::text(of, "sender_name")? {
        Some(name) if name.chars().count() > NAME_MAX => {
            Err(format!("setting \"sender_name\" has at most {NAME_MAX} characters"))
        }
        _ => Ok(()),
    }
}

/// The call that sends this message.
pub(super) fn compose(sender: &Sender<'_>, message: &OutgoingMessage) -> Result<Call, Unsupported> {
    let token = access_token(sender)?;
    let name = sender.source.settings.text("sender_name");
    let name =
        name.ok_or_else(|| unsupported("set \"sender_name\" first: Viber shows it beside each message"))?;
    if message.reply_to.is_some() {
        return Err(unsupported("a bot of Viber cannot answer a certain message: leave reply_to out"));
    }
    let mut fields = content(&message.body)?;
    fields["receiver"] = json!(message.to.address());
    fields["sender"] = json!({ "name": name });
    // It comes back with what the person writes next.
    fields["tracking_data"] = json!(sender.correlation);
    Ok(Call {
        method: Method::POST,
        url: format!("{}/pa/send_message", base(&sender.source.settings, API_BASE)),
        headers: vec![
            ("x-viber-auth-token".to_owned(), token.to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ],
        body: Bytes::from(fields.to_string()),
    })
}

fn content(body: &OutgoingBody) -> Result<Value, Unsupported> {
    Ok(match body {
        OutgoingBody::Text { text } => {
            within("the text", &text.body, TEXT_MAX)?;
            json!({ "type": "text", "text": text.body })
        }
        OutgoingBody::Image { image } => {
            let words = image.caption.as_deref().unwrap_or_default();
            if words.chars().count() > CAPTION_MAX {
                return Err(Unsupported(format!(
                    "the words under a picture have at most {CAPTION_MAX} characters"
                )));
            }
            json!({ "type": "picture", "text": words, "media": link(image)? })
        }
        OutgoingBody::Sticker { sticker } => {
            let number = sticker.id.as_deref().and_then(|id| id.parse::<u32>().ok());
            json!({ "type": "sticker", "sticker_id": number.ok_or_else(|| unsupported("a sticker of Viber has a number for an id"))? })
        }
        OutgoingBody::Location { location } => {
            json!({ "type": "location", "location": { "lat": location.latitude, "lon": location.longitude } })
        }
        OutgoingBody::Contacts { contacts } => card(contacts)?,
        OutgoingBody::Interactive { interactive } => keyboard(interactive)?,
        OutgoingBody::Video { .. } | OutgoingBody::Audio { .. } | OutgoingBody::Document { .. } => {
            return Err(unsupported(
                "Viber wants to know how large a film or a file is: send a link as a text",
            ));
        }
        OutgoingBody::Template { .. } => {
            return Err(unsupported("a bot of Viber has no templates: send a text"));
        }
        OutgoingBody::Reaction { .. } | OutgoingBody::Read { .. } => {
            return Err(unsupported("a bot of Viber cannot react, nor mark a message as read"));
        }
    })
}

/// One card: Viber's own, or the shape that WhatsApp has.
fn card(contacts: &Value) -> Result<Value, Unsupported> {
    let only = contacts.as_array().filter(|cards| cards.len() == 1).map(|cards| &cards[0]);
    let only = only.ok_or_else(|| unsupported("Viber sends one contact at a time: a list of one card"))?;
    let text = |pointers: [&str; 2]| pointers.iter().find_map(|pointer| only.pointer(pointer)?.as_str());
    let name = text(["/name", "/name/formatted_name"]);
    let phone = text(["/phone_number", "/phones/0/phone"]);
    match name.zip(phone) {
        Some((name, phone)) => {
            Ok(json!({ "type": "contact", "contact": { "name": name, "phone_number": phone } }))
        }
        None => Err(unsupported("a card needs a name and a phone_number")),
    }
}

fn keyboard(interactive: &Value) -> Result<Value, Unsupported> {
    let choices = Choices::read(interactive)?;
    within("the text", &choices.text, TEXT_MAX)?;
    if choices.all.len() > BUTTONS_MAX {
        return Err(Unsupported(format!("Viber takes {BUTTONS_MAX} buttons")));
    }
    let mut buttons = Vec::new();
    for choice in &choices.all {
        within("the title of a choice", &choice.title, BUTTON_MAX)?;
        within("the id of a choice", &choice.id, BUTTON_MAX)?;
        buttons.push(json!({ "ActionType": "reply", "ActionBody": choice.id, "Text": choice.title }));
    }
    let keyboard = json!({ "Type": "keyboard", "Buttons": buttons });
    Ok(json!({ "type": "text", "text": choices.text, "keyboard": keyboard, "min_api_version": 1 }))
}

/// What an answer means: HTTP 200 with a status that is not 0 is a failure.
pub(super) fn interpret(answer: &Answer) -> Interpreted {
    let body = json::object(&answer.body).ok();
    let told = |name: &str| body.as_ref().and_then(|body| body.string(name));
    let status = told("status");
    let words = told("status_message").unwrap_or_default();
    let cause = cause(&format!("HTTP {} status {} {words}", answer.status, status.as_deref().unwrap_or("-")));
    match (answer.status, status.as_deref()) {
        (429, _) | (_, Some(TOO_MANY)) => retry(answer, cause),
        (200..=299, Some(TAKEN)) => {
            Interpreted { message_id: told("message_token"), ..Interpreted::of(Outcome::Done) }
        }
        (401, _) | (_, Some(BAD_TOKEN)) => {
            Interpreted { account_stopped: true, ..Interpreted::of(Outcome::Refused(cause)) }
        }
        (200..=299, Some(_)) => Interpreted::of(Outcome::Refused(cause)),
        (200..=299, None) => Interpreted::of(Outcome::Unknown(
            "the answer does not say whether the message was taken".to_owned(),
        )),
        (500.., _) => Interpreted::of(Outcome::Unknown(cause)),
        _ => Interpreted::of(Outcome::Refused(cause)),
    }
}
