//! GitHub's deliveries: what happened stands in headers, the body is JSON or a form with JSON in it.

use std::borrow::Cow;

use model::event::{Content, DedupeKey, EventType, NewEvent};
use serde_json::value::RawValue;

use super::KIND;
use crate::http::Incoming;
use crate::json::{self, Object};
use crate::platform::Unreadable;

/// The event of a request.
pub(super) fn parse(request: &Incoming) -> Result<Vec<NewEvent>, Unreadable> {
    let name = request.header("x-github-event").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Unreadable("the header X-GitHub-Event is missing".to_owned()))?;
    let form = payload_of_form(request);
    let body = form.as_deref().map_or(&request.body[..], str::as_bytes);
    let read = json::object(body)?;
    // A hook made by hand may carry no delivery id: then every request is a fact of its own.
    let delivery = request.header("x-github-delivery").filter(|id| !id.is_empty());
    let account = account(&read);
    let content = match &form {
        None => Content::Body,
        Some(text) => Content::Raw(raw(text)?),
    };
    Ok(vec![NewEvent {
        dedupe_key: delivery.map(|id| DedupeKey::of(&[id])),
        account,
        ..NewEvent::of(EventType::from_foreign(KIND, name), request.received_at, content)
    }])
}

/// What it happened to: a repository, or the organisation or person it belongs to.
fn account(body: &Object<'_>) -> Option<String> {
    let owner = |name: &str| body.object(name).and_then(|owner| owner.string("login"));
    let installed_on = || {
        body.object("installation").and_then(|one| one.object("account")).and_then(|one| one.string("login"))
    };
    let repository = body.object("repository").and_then(|one| one.string("full_name"));
    repository.or_else(|| owner("organization")).or_else(installed_on)
}

/// The JSON in a form, where the hook is set to send one.
fn payload_of_form(request: &Incoming) -> Option<String> {
    let is_form = request.header("content-type")?.starts_with("application/x-www-form-urlencoded");
    let mut fields = form_urlencoded::parse(&request.body).filter(|_| is_form);
    fields.find(|(name, _)| name == "payload").map(|(_, payload)| Cow::into_owned(payload))
}

fn raw(text: &str) -> Result<Box<RawValue>, Unreadable> {
    RawValue::from_string(text.to_owned()).map_err(|error| json::unreadable(&error))
}
