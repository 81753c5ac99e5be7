//! Events out of a request of any shape: JSON, a form, or bytes that are kept as they are.

use std::borrow::Cow;

use model::event::{Content, DedupeKey, EventType, NewEvent};
use model::time::Timestamp;
use serde_json::value::RawValue;

use super::settings::{Place, Reading};
use crate::http::Incoming;
use crate::platform::{ITEMS_MAX, Unreadable};
use crate::{json, pointer};

/// Where the event type is when nothing is said: the two members nearly everybody uses.
const TYPE_POINTERS: [&str; 2] = ["/event", "/type"];

/// The events of a request: one, or one for each item of the array the settings point at.
pub(super) fn parse(reading: &Reading<'_>, request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let document = document(reading, request)?;
    let document = document.as_deref();
    let whole = Item { reading, request, json: document, index: None };
    let Some(pointer) = reading.items else {
        return Ok(vec![whole.event(Content::Body)]);
    };
    let Some(items) = document.and_then(|json| pointer::find(json, pointer)).and_then(json::items) else {
        let event_type = EventType::from_foreign(reading.prefix, "unrecognised");
        return Ok(vec![NewEvent { event_type, ..whole.event(Content::Body) }]);
    };
    if items.len() > ITEMS_MAX {
        return Err(Unreadable::too_many());
    }
    let item = |(index, json)| Item { reading, request, json: Some(json), index: Some(index) };
    Ok(items
        .into_iter()
        .enumerate()
        .map(|(index, json)| item((index, json)).event(Content::Raw(json.to_owned())))
        .collect())
}

/// One item of a request, or the whole of it.
struct Item<'r> {
    reading: &'r Reading<'r>,
    request: &'r Incoming,
    json: Option<&'r RawValue>,
    index: Option<usize>,
}

impl Item<'_> {
    fn event(&self, content: Content) -> NewEvent {
        NewEvent {
            event_type: self.event_type(),
            dedupe_key: self.dedupe_key(),
            account: None,
            party: None,
            order_key: self.reading.order.and_then(|place| self.told(place)),
            occurred_at: self.occurred_at().unwrap_or(self.request.received_at),
            content,
        }
    }

    fn told(&self, place: Place<'_>) -> Option<String> {
        match place {
            Place::Header(name) => self.request.header(name).map(str::to_owned),
            Place::Pointer(pointer) => pointer::plain_at(self.json?, pointer),
        }
    }

    fn event_type(&self) -> EventType {
        let name = match self.reading.event_type {
            Some(place) => self.told(place),
            None => TYPE_POINTERS.into_iter().find_map(|pointer| self.told(Place::Pointer(pointer))),
        };
        let name = name.filter(|name| !name.is_empty());
        EventType::from_foreign(self.reading.prefix, name.as_deref().unwrap_or("received"))
    }

    fn dedupe_key(&self) -> Option<DedupeKey> {
        let place = self.reading.dedupe?;
        let id = self.told(place).filter(|id| !id.is_empty())?;
        match (place, self.index) {
            // A header names the request, so that its items are told apart by where they stand.
            (Place::Header(_), Some(index)) => Some(DedupeKey::of(&["request", &id, &index.to_string()])),
            (Place::Header(_), None) => Some(DedupeKey::of(&["request", &id])),
            (Place::Pointer(_), _) => Some(DedupeKey::of(&["item", &id])),
        }
    }

    fn occurred_at(&self) -> Option<Timestamp> {
        read_time(&pointer::plain_at(self.json?, self.reading.occurred?)?)
    }
}

/// RFC 3339, or a number since the epoch: milliseconds from the year 1973 on, where seconds would be the year 5138.
fn read_time(text: &str) -> Option<Timestamp> {
    let Ok(number) = text.parse::<f64>() else {
        return Timestamp::parse(text);
    };
    match number.abs() {
        size if size >= 1e15 || !size.is_finite() => None,
        size if size >= 1e11 => Some(Timestamp::from_millis(number as i64)),
        _ => Some(Timestamp::from_millis((number * 1000.0) as i64)),
    }
}

/// The body as JSON: `None` when it is not JSON and does not claim to be.
fn document<'r>(
    reading: &Reading<'_>,
    request: &'r Incoming,
) -> Result<Option<Cow<'r, RawValue>>, Unreadable> {
    let content_type = request.header("content-type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/x-www-form-urlencoded" {
        return form(reading, &request.body).map(|form| form.map(Cow::Owned));
    }
    if request.body.is_empty() {
        return Ok(None);
    }
    let claims_json = essence == "application/json" || essence.ends_with("+json");
    match pointer::document(&request.body) {
        Err(unreadable) if claims_json => Err(unreadable),
        read => Ok(read.ok().map(Cow::Borrowed)),
    }
}

/// The fields of a form as a flat object, or the JSON that one of them holds.
fn form(reading: &Reading<'_>, body: &[u8]) -> Result<Option<Box<RawValue>>, Unreadable> {
    let mut fields = form_urlencoded::parse(body);
    if let Some(name) = reading.form_json_field {
        let field = fields.find(|(key, _)| key == name).map(|(_, value)| value);
        return field.map(|json| pointer::document(json.as_bytes()).map(ToOwned::to_owned)).transpose();
    }
    let mut object = serde_json::Map::new();
    for (key, value) in fields {
        object.entry(key.into_owned()).or_insert_with(|| value.into_owned().into());
    }
    Ok(Some(json::raw(&object)))
}
