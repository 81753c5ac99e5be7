//! One message, or one step of a message, a request; as a form, or as the query of a GET.

use std::collections::BTreeMap;

use model::conversation::{Identifier, Party, Touch};
use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::message::{
    Body, ChoiceControl, Forwarded, Location, Media, Message, MessageState, PlatformError, Status,
};

use super::{KIND, WHATSAPP};
use crate::http::Incoming;
use crate::json::raw;
use crate::platform::Unreadable;

/// Steps of a message, and what they are to us.
const STEPS: [(&str, MessageState); 11] = [
    ("accepted", MessageState::Accepted),
    ("scheduled", MessageState::Accepted),
    ("queued", MessageState::Accepted),
    ("sending", MessageState::Accepted),
    ("sent", MessageState::Sent),
    ("delivered", MessageState::Delivered),
    ("partially_delivered", MessageState::Delivered),
    ("undelivered", MessageState::Failed),
    ("failed", MessageState::Failed),
    ("canceled", MessageState::Failed),
    ("read", MessageState::Read),
];
/// Parameters that are told under names of ours, or say nothing more.
const TOLD: [&str; 23] = [
    "MessageSid",
    "SmsMessageSid",
    "SmsSid",
    "SmsStatus",
    "From",
    "To",
    "Body",
    "NumMedia",
    "MediaUrl0",
    "MediaContentType0",
    "WaId",
    "ProfileName",
    "ButtonText",
    "ButtonPayload",
    "ListId",
    "ListTitle",
    "Latitude",
    "Longitude",
    "Address",
    "Label",
    "Forwarded",
    "FrequentlyForwarded",
    "OriginalRepliedMessageSid",
];

/// The event of a request.
pub(super) fn parse(request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let text = match request.body.is_empty() {
        true => request.query.as_deref().unwrap_or_default().as_bytes(),
        false => &request.body,
    };
    // A text of a database holds no NUL.
    let fields: BTreeMap<String, String> = form_urlencoded::parse(text)
        .map(|(name, value)| (name.replace('\0', "\u{fffd}"), value.replace('\0', "\u{fffd}")))
        .collect();
    let form = Form { request, fields: &fields };
    if let Some(step) =
        form.get("MessageStatus").or_else(|| form.get("SmsStatus").filter(|s| *s != "received"))
    {
        return Ok(vec![form.step(step).unwrap_or_else(|| form.other("status"))]);
    }
    if form.sid().is_some() {
        return Ok(vec![form.message().unwrap_or_else(|| form.other("message"))]);
    }
    if fields.is_empty() {
        return Err(Unreadable("a request of Twilio is a form".to_owned()));
    }
    Ok(vec![form.other("unrecognised")])
}

struct Form<'f> {
    request: &'f Incoming,
    fields: &'f BTreeMap<String, String>,
}

impl Form<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn sid(&self) -> Option<&str> {
        ["MessageSid", "SmsMessageSid", "SmsSid"].iter().find_map(|name| self.get(name))
    }

    /// An event of one of our numbers, which is the account.
    fn of(
        &self,
        event_type: EventType,
        account: Option<&str>,
        key: Option<DedupeKey>,
        content: Content,
    ) -> NewEvent {
        NewEvent {
            dedupe_key: key,
            account: account.map(str::to_owned),
            ..NewEvent::of(event_type, self.request.received_at, content)
        }
    }

    fn ours(&self, name: &str, account: &str, key: &[&str], content: Content) -> NewEvent {
        let event_type = EventType::ours(name);
        self.of(event_type, Some(account), Some(DedupeKey::of(key)), content)
    }

    /// What cannot be told in words of ours.
    fn other(&self, name: &str) -> NewEvent {
        let account = self.get("To").filter(|_| self.get("MessageStatus").is_none());
        self.of(EventType::from_foreign(KIND, name), account, None, Content::Raw(raw(self.fields)))
    }

    fn party(&self, address: &str, name: Option<String>, touch: Touch) -> Party {
        let number = address.strip_prefix(WHATSAPP);
        let is_number = |text: &str| {
            let digits = text.strip_prefix('+').unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        let first = match number {
            Some(number) if is_number(number) => Identifier::new("wa_id", number.trim_start_matches('+')),
            Some(other) => Identifier::new("bsuid", other),
            None => Identifier::new("phone", address.trim_start_matches('+')),
        };
        let mut identifiers = vec![first];
        let more = self.owned("ExternalUserId").map(|id| Identifier::new("bsuid", id));
        identifiers.extend(more.filter(|more| !identifiers.contains(more)));
        Party { identifiers, name, touch }
    }

    fn message(&self) -> Option<NewEvent> {
        let (sid, from, to) = (self.sid()?, self.get("From")?, self.get("To")?);
        let rest: BTreeMap<&String, &String> = self
            .fields
            .iter()
            .filter(|(name, value)| !TOLD.contains(&name.as_str()) && !value.is_empty())
            .collect();
        let forwarded = match (self.get("FrequentlyForwarded"), self.get("Forwarded")) {
            (Some("true"), _) => Some(Forwarded::Frequently),
            (_, Some("true")) => Some(Forwarded::Once),
            _ => None,
        };
        let message = Message {
            id: sid.to_owned(),
            body: self.body(),
            reply_to: self.owned("OriginalRepliedMessageSid"),
            forwarded,
            extra: (!rest.is_empty()).then(|| raw(&rest)),
            ..Message::default()
        };
        let content = Content::Message { message: Box::new(message) };
        let party = self.party(from, self.owned("ProfileName"), Touch::Inbound);
        Some(NewEvent { party: Some(party), ..self.ours("message.received", to, &["message", sid], content) })
    }

    /// The first file with the words beside it; further files are with what has no name of ours.
    fn body(&self) -> Body {
        let text = self.owned("Body");
        if self.get("ButtonPayload").is_some() || self.get("ButtonText").is_some() {
            let title = self.owned("ButtonText").or(text);
            return choice(ChoiceControl::QuickReply, self.owned("ButtonPayload"), title);
        }
        if let Some(id) = self.owned("ListId") {
            return choice(ChoiceControl::List, Some(id), self.owned("ListTitle").or(text));
        }
        let degrees = |name: &str| self.get(name).and_then(|text| text.parse::<f64>().ok());
        if let Some((latitude, longitude)) = degrees("Latitude").zip(degrees("Longitude")) {
            let (name, address) = (self.owned("Label"), self.owned("Address"));
            return Body::Location(Location { latitude, longitude, name, address, url: None });
        }
        let Some(url) = self.owned("MediaUrl0") else {
            return Body::Text { text: text.unwrap_or_default() };
        };
        let mime_type = self.owned("MediaContentType0");
        Body::of_file(Media { url: Some(url), mime_type, caption: text, ..Media::default() })
    }

    fn step(&self, step: &str) -> Option<NewEvent> {
        let (_, state) = *STEPS.iter().find(|(known, _)| *known == step)?;
        let (sid, from, to) = (self.sid()?, self.get("From")?, self.get("To")?);
        let errors = match state {
            MessageState::Failed => vec![PlatformError {
                code: self.get("ErrorCode").and_then(|code| code.parse().ok()).unwrap_or(0),
                title: Some(step.to_owned()),
                details: self.owned("ChannelStatusMessage").or_else(|| self.owned("ErrorMessage")),
            }],
            _ => Vec::new(),
        };
        let status = Status {
            message_id: sid.to_owned(),
            state,
            recipient: Some(to.to_owned()),
            correlation: None,
            errors,
            pricing: None,
            platform_conversation: None,
            extra: None,
        };
        let content = Content::Status { status: Box::new(status) };
        let name = format!("message.{}", state.as_str());
        let party = self.party(to, None, Touch::None);
        Some(NewEvent { party: Some(party), ..self.ours(&name, from, &["status", sid, step], content) })
    }
}

fn choice(from: ChoiceControl, id: Option<String>, title: Option<String>) -> Body {
    Body::Choice { from, id, title, description: None }
}
