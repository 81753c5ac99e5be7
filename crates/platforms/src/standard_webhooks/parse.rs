//! Standard Webhooks bodies: `type` and `timestamp` are read, the rest is passed on as it came.

use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::source::Source;
use model::time::Timestamp;

use super::KIND;
use super::verify::Signed;
use crate::http::Incoming;
use crate::platform::Unreadable;
use crate::{pointer, settings};

/// The event of a request. JSON is recommended and not required: any other body is an event without a type of
/// its own.
pub(super) fn parse(source: &Source, request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let prefix = settings::event_prefix(&source.settings, KIND).map_err(Unreadable)?;
    let signed =
        Signed::of(request).map_err(|_| Unreadable("the webhook-id header is missing".to_owned()))?;
    let json = pointer::document(&request.body).ok();
    let told =
        |pointer| json.and_then(|json| pointer::plain_at(json, pointer)).filter(|text| !text.is_empty());
    let happened = told("/timestamp").and_then(|text| Timestamp::parse(&text));
    Ok(vec![NewEvent {
        dedupe_key: Some(DedupeKey::of(&[signed.id])),
        ..NewEvent::of(
            EventType::from_foreign(prefix, told("/type").as_deref().unwrap_or("received")),
            happened.unwrap_or(request.received_at),
            Content::Body,
        )
    }])
}
