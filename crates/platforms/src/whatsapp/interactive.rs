//! The limits of buttons and lists, told before the platform refuses them (platforms.md 1.10).

use serde_json::value::RawValue;

use super::send::unsupported;
use crate::json::Object;
use crate::platform::Unsupported;

const BUTTONS_MAX: usize = 3;
const BUTTON_TITLE_MAX: usize = 20;
const BUTTON_ID_MAX: usize = 256;
const ROWS_MAX: usize = 10;
const ROW_TITLE_MAX: usize = 24;

/// Checks buttons and lists; other controls are left to the platform.
pub(super) fn check(interactive: &RawValue) -> Result<(), Unsupported> {
    let interactive = Object::of(interactive).ok_or_else(|| unsupported("interactive must be an object"))?;
    let kind =
        interactive.text("type").ok_or_else(|| unsupported("interactive needs a type, such as button"))?;
    let action = interactive.object("action").ok_or_else(|| unsupported("interactive needs an action"))?;
    match &*kind {
        "button" => buttons(&action),
        "list" => rows(&action),
        _ => Ok(()),
    }
}

fn buttons(action: &Object<'_>) -> Result<(), Unsupported> {
    let buttons = action.items("buttons").unwrap_or_default();
    count("buttons", buttons.len(), BUTTONS_MAX)?;
    for button in buttons {
        let reply = Object::of(button).and_then(|button| button.object("reply"));
        let reply = reply.ok_or_else(|| unsupported("each button needs a reply with an id and a title"))?;
        length("the id of a button", &reply, "id", BUTTON_ID_MAX)?;
        length("the title of a button", &reply, "title", BUTTON_TITLE_MAX)?;
    }
    Ok(())
}

fn rows(action: &Object<'_>) -> Result<(), Unsupported> {
    let sections = action.items("sections").unwrap_or_default().into_iter().filter_map(Object::of);
    let rows: Vec<&RawValue> =
        sections.flat_map(|section| section.items("rows").unwrap_or_default()).collect();
    count("rows, over all sections,", rows.len(), ROWS_MAX)?;
    for row in rows {
        let row = Object::of(row).ok_or_else(|| unsupported("each row needs an id and a title"))?;
        length("the title of a row", &row, "title", ROW_TITLE_MAX)?;
    }
    Ok(())
}

fn count(what: &str, count: usize, most: usize) -> Result<(), Unsupported> {
    match (1..=most).contains(&count) {
        true => Ok(()),
        false => Err(unsupported(format!("there must be 1 to {most} {what} and there are {count}"))),
    }
}

fn length(what: &str, object: &Object<'_>, member: &str, most: usize) -> Result<(), Unsupported> {
    let count = object.text(member).map_or(0, |text| text.chars().count());
    match (1..=most).contains(&count) {
        true => Ok(()),
        false => Err(unsupported(format!("{what} must have 1 to {most} characters and has {count}"))),
    }
}
