//! Stripe's events: their id, type and time are read, the rest is passed on as it came.

use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::time::Timestamp;

use super::KIND;
use crate::http::Incoming;
use crate::json;
use crate::platform::Unreadable;

/// The event of a request: a snapshot, or a thin event of version 2, whose time is a text.
pub(super) fn parse(request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let body = json::object(&request.body)?;
    let (Some(id), Some(name)) = (body.text("id"), body.text("type")) else {
        return Err(Unreadable("an event of Stripe has an id and a type".to_owned()));
    };
    let created = body.text("created");
    let happened = created
        .and_then(|text| text.parse().ok().map(Timestamp::from_secs).or_else(|| Timestamp::parse(&text)));
    // A connected account: snapshots name it at the top, thin events as their context.
    let account = body.string("account").or_else(|| body.string("context"));
    Ok(vec![NewEvent {
        dedupe_key: Some(DedupeKey::of(&[&id])),
        account,
        ..NewEvent::of(
            EventType::from_foreign(KIND, &name),
            happened.unwrap_or(request.received_at),
            Content::Body,
        )
    }])
}
