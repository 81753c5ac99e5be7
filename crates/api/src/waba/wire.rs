//! What is said on the wire.

use std::collections::BTreeMap;

use control::Words;
use model::endpoint::Endpoint;
use model::id::FileId;
use model::send::{OutgoingBody, ReadMark, Recipient};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::problem::Problem;

/// The most contacts that are checked at once.
const CONTACTS_MAX: usize = 1_000;
/// The digits of a number: the longest E.164 allows, and the shortest there is.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Where the number's events go, and the headers that come along.
#[derive(Deserialize, Serialize)]
pub(super) struct Webhook {
    pub(super) url: String,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
}

impl Webhook {
    pub(super) fn of(endpoint: &Endpoint) -> Webhook {
        let header = |(name, value): &(String, String)| (name.clone(), Value::from(value.as_str()));
        Webhook { url: endpoint.url.clone(), headers: endpoint.headers.iter().map(header).collect() }
    }

    pub(super) fn header_pairs(&self) -> Result<Vec<(String, String)>, Problem> {
        let pair = |(name, value): (&String, &Value)| {
            let text = value.as_str().ok_or_else(|| {
                Problem::invalid(&format!("headers/{name}"), Words::new("a text", "un texto"))
            })?;
            Ok((name.clone(), text.to_owned()))
        };
        self.headers.iter().map(pair).collect()
    }
}

/// A message to send; what it holds is named by its type.
#[derive(Deserialize)]
pub(super) struct Message {
    to: Option<String>,
    context: Option<Context>,
    #[serde(flatten)]
    members: Map<String, Value>,
}

#[derive(Deserialize)]
struct Context {
    message_id: Option<String>,
}

impl Message {
    /// Who gets it: a number, or a user id, which is named apart.
    pub(super) fn recipient(&self) -> Result<Recipient, Problem> {
        let bsuid = self.members.get("recipient").and_then(Value::as_str);
        match (self.to(), bsuid) {
            (Err(_), Some(bsuid)) => Ok(Recipient::Bsuid { bsuid: bsuid.to_owned() }),
            (to, _) => Ok(Recipient::Address(to?.to_owned())),
        }
    }

    /// The message that it marks as read, and whether to show that we are typing; nothing where it is a message itself.
    pub(super) fn mark(&self) -> Option<ReadMark> {
        let is_mark = self.members.get("status").is_some_and(|status| status == "read");
        let message_id = self.members.get("message_id").and_then(Value::as_str).filter(|_| is_mark)?;
        let typing = self.members.contains_key("typing_indicator");
        Some(ReadMark { message_id: message_id.to_owned(), typing })
    }

    pub(super) fn to(&self) -> Result<&str, Problem> {
        let to = self.to.as_deref().filter(|to| !to.is_empty());
        to.ok_or_else(|| Problem::invalid("to", Words::new("say who gets it", "indica quién lo recibe")))
    }

    pub(super) fn reply_to(&self) -> Option<String> {
        self.context.as_ref()?.message_id.clone()
    }

    /// The member that the type names; a text where none is.
    pub(super) fn body(self) -> Result<OutgoingBody, Problem> {
        let kind = self.members.get("type").and_then(Value::as_str).unwrap_or("text").to_owned();
        if kind == "read" {
            return Err(unknown(&kind));
        }
        let what = self.members.get(&kind).cloned().ok_or_else(|| {
            Problem::invalid(
                &kind,
                Words::new("the type names it, and it is missing", "el tipo lo nombra, y falta"),
            )
        })?;
        let told = json!({ "type": kind, &kind: what });
        // What is wrong is told by a member of the message, as its sender wrote it.
        let read: Result<OutgoingBody, _> = serde_path_to_error::deserialize(&told);
        let mut body = read.map_err(|error| match error.inner().to_string() {
            words if words.contains("unknown variant") => unknown(&kind),
            words => Problem::invalid(&kind, Words::untranslated(words)),
        })?;
        // The ids of files that we give out are ours; those of the platform go on to it.
        if let Some(media) = body.media_mut() {
            media.file = media.id.take_if(|id| id.parse::<FileId>().is_ok());
        }
        Ok(body)
    }
}

fn unknown(kind: &str) -> Problem {
    let words = Words::new(format!("\"{kind}\" cannot be sent"), format!("\"{kind}\" no se puede enviar"));
    Problem::invalid("type", words)
}

/// A message of the contact's that was read.
#[derive(Deserialize)]
pub(super) struct Mark {
    pub(super) status: Read,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Read {
    Read,
}

/// Numbers to be checked.
#[derive(Deserialize)]
pub(super) struct Contacts {
    contacts: Vec<String>,
}

impl Contacts {
    pub(super) fn checked(&self) -> Result<Vec<Value>, Problem> {
        if self.contacts.len() > CONTACTS_MAX {
            let words = Words::new(
                format!("at most {CONTACTS_MAX} at once"),
                format!("como máximo {CONTACTS_MAX} a la vez"),
            );
            return Err(Problem::invalid("contacts", words));
        }
        let checked = |input: &String| {
            let digits: String = input.chars().filter(char::is_ascii_digit).collect();
            match DIGITS.contains(&digits.len()) {
                true => json!({ "input": input, "status": "valid", "wa_id": digits }),
                false => json!({ "input": input, "status": "invalid" }),
            }
        };
        Ok(self.contacts.iter().map(checked).collect())
    }
}
