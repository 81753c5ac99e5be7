//! Buttons and lists in one shape for every platform: WhatsApp's, which most callers know.

use serde_json::Value;

use crate::platform::Unsupported;

/// The most that are read of one message.
const CHOICES_MAX: usize = 100;

/// A question and the answers a person can choose from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Choices {
    pub(crate) text: String,
    pub(crate) all: Vec<Choice>,
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Choice {
    pub(crate) id: String,
    pub(crate) title: String,
}

impl Choices {
    /// Reads `{"type": "button" | "list", "body": {"text"}, "action": {…}}`; header and footer stand above and below.
    pub(crate) fn read(interactive: &Value) -> Result<Choices, Unsupported> {
        let part =
            |pointer: &str| interactive.pointer(pointer).and_then(Value::as_str).filter(|s| !s.is_empty());
        let parts = ["/header/text", "/body/text", "/footer/text"].into_iter().filter_map(part);
        let text = parts.collect::<Vec<&str>>().join("\n");
        let values: Vec<&Value> = match part("/type") {
            Some("button") => {
                listed(interactive, "/action/buttons").filter_map(|one| one.get("reply")).collect()
            }
            Some("list") => {
                listed(interactive, "/action/sections").flat_map(|section| listed(section, "/rows")).collect()
            }
            _ => return Err(refusal("is of type \"button\" or \"list\" on this platform")),
        };
        let choice = |value: &Value| {
            let text = |name: &str| value.get(name)?.as_str().filter(|s| !s.is_empty()).map(str::to_owned);
            Some(Choice { id: text("id")?, title: text("title")? })
        };
        let all: Option<Vec<Choice>> = values.into_iter().take(CHOICES_MAX).map(choice).collect();
        match all.filter(|all| !all.is_empty() && !text.is_empty()) {
            Some(all) => Ok(Choices { text, all }),
            None => Err(refusal("needs a body with a text, and choices that each have an id and a title")),
        }
    }
}

fn listed<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn refusal(what: &str) -> Unsupported {
    Unsupported(format!("interactive {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn buttons_and_lists_are_read_alike() {
        let one = |id: &str, title: &str| Choice { id: id.to_owned(), title: title.to_owned() };
        let buttons = json!({ "type": "button", "body": { "text": "?" }, "footer": { "text": "now" },
            "action": { "buttons": [{ "type": "reply", "reply": { "id": "a", "title": "Yes" } }] } });
        let expected = Choices { text: "?\nnow".to_owned(), all: vec![one("a", "Yes")] };
        assert_eq!(Choices::read(&buttons), Ok(expected));
        let list = json!({ "type": "list", "body": { "text": "?" }, "action": { "button": "Menu", "sections": [
            { "title": "S", "rows": [{ "id": "1", "title": "R", "description": "d" }] },
            { "rows": [{ "id": "2", "title": "T" }] } ] } });
        let all = vec![one("1", "R"), one("2", "T")];
        assert_eq!(Choices::read(&list), Ok(Choices { text: "?".to_owned(), all }));
        for bad in [
            json!({}),
            json!({ "type": "flow", "body": { "text": "?" } }),
            json!({ "type": "button", "body": { "text": "?" } }),
            json!({ "type": "button", "action": { "buttons": [{ "reply": { "id": "a", "title": "Yes" } }] } }),
            json!({ "type": "list", "body": { "text": "?" }, "action": { "sections": [{ "rows": [{ "id": "1" }] }] } }),
        ] {
            assert!(Choices::read(&bad).is_err(), "{bad}");
        }
    }
}
