//! What Meta says about an account: fields other than messages (platforms.md 1.8), and errors outside of items.

use model::event::{Content, NewEvent};
use model::message::{AccountNotice, PlatformError};
use serde_json::value::RawValue;

use super::place::{Change, Place, digest_of};
use crate::json::Object;

/// The fields that tell about an account; those of groups begin with `group_`.
const FIELDS: [&str; 18] = [
    "account_alerts",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "business_capability_update",
    "business_username_update",
    "calls",
    "history",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "messaging_handovers",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "smb_app_state_sync",
    "template_category_update",
    "user_preferences",
];

/// Notices that ask for a person: field, member, and words in its value; no words mean that any value counts.
const ALERTS: [(&str, &str, &[&str]); 8] = [
    ("account_update", "violation_info", &[]),
    ("account_update", "ban_info", &[]),
    ("account_update", "restriction_info", &[]),
    ("account_update", "event", &["VIOLATION", "RESTRICT", "DISABLE", "DELETED"]),
    ("account_review_update", "decision", &["REJECTED"]),
    ("phone_number_quality_update", "event", &["FLAGGED", "DOWNGRADE"]),
    ("message_template_status_update", "event", &["REJECTED", "PAUSED", "DISABLED", "FLAGGED"]),
    ("phone_number_name_update", "decision", &["REJECTED"]),
];

/// Whether a field tells about an account.
pub(super) fn is_about_account(field: &str) -> bool {
    FIELDS.contains(&field) || field.starts_with("group_")
}

/// The event of a field that tells about an account.
pub(super) fn event(change: &Change<'_>, value: &Object<'_>) -> NewEvent {
    let name = if is_alert(&change.field, value) { "account.alert" } else { "account.updated" };
    let errors = platform_errors(value.items("errors").unwrap_or_default());
    let notice = Box::new(AccountNotice {
        field: change.field.clone().into_owned(),
        errors,
        raw: change.said.to_owned(),
    });
    let event = change.event(name, Content::Account { notice });
    // The last notice of a field is the one that holds.
    let order_key = event.account.as_ref().map(|account| format!("{account} {}", change.field));
    NewEvent { order_key, ..event }
}

fn is_alert(field: &str, value: &Object<'_>) -> bool {
    let asks = |member: &str, words: &[&str]| match value.text(member) {
        Some(text) => words.iter().any(|word| text.contains(word)),
        None => words.is_empty() && value.get(member).is_some(),
    };
    let named = ALERTS.iter().any(|(alert, member, words)| *alert == field && asks(member, words));
    named || matches!(field, "account_alerts" | "security")
}

/// Reads an error that belongs to no item: the account's, the app's or the platform's.
pub(super) fn error(place: &Place<'_>, raw: &RawValue) -> Option<NewEvent> {
    Object::of(raw)?;
    let field = place.change.field.clone().into_owned();
    let notice = Box::new(AccountNotice { field, errors: platform_errors(vec![raw]), raw: raw.to_owned() });
    let (said_at, digest) = (place.change.said_at(), digest_of(raw));
    let event = place.event("account.alert", ("error", &[said_at, &digest]), Content::Account { notice });
    // The same limit may be hit twice; without a time nothing tells a second time from a repeat.
    let dedupe_key = event.dedupe_key.filter(|_| !said_at.is_empty());
    Some(NewEvent { dedupe_key, ..event })
}

/// Reads errors; one without a readable code gets -1, which Meta does not use.
pub(super) fn platform_errors(errors: Vec<&RawValue>) -> Vec<PlatformError> {
    let read = errors.into_iter().filter_map(Object::of);
    read.map(|error| PlatformError {
        code: error.text("code").and_then(|code| code.parse().ok()).unwrap_or(-1),
        title: error.string("title").or_else(|| error.string("message")),
        details: error
            .object("error_data")
            .and_then(|data| data.string("details"))
            .or_else(|| error.string("details"))
            .or_else(|| error.string("message")),
    })
    .collect()
}
