//! A customer's phone: what is written on it arrives at the gateway as a signed webhook (platforms.md 1.4, 1.5).

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Answered, Number, State, webhook};

/// How many items a webhook carries at most (platforms.md 1.3).
const BATCH_MAX: usize = 1000;

/// A person with WhatsApp.
#[derive(Clone)]
pub struct Customer {
    state: Arc<State>,
    name: String,
    wa_id: String,
    number: Number,
}

impl Customer {
    pub(super) fn new(state: Arc<State>, name: &str, wa_id: &str) -> Customer {
        let number = state.numbers.first().cloned().unwrap_or_default();
        Customer { state, name: name.to_owned(), wa_id: wa_id.to_owned(), number }
    }

    /// The same person writing to another number, whether the business has it or not.
    pub fn writing_to(mut self, number: Number) -> Customer {
        self.number = number;
        self
    }

    /// The person's number, as webhooks name it.
    pub fn wa_id(&self) -> &str {
        &self.wa_id
    }

    /// Writes a text and waits for the gateway's answer.
    pub async fn says(&self, text: &str) -> Answered {
        self.writes(vec![("text", json!({ "body": text }))]).await
    }

    /// Writes this many texts, 1 to 1000, which arrive in one webhook.
    pub async fn batch(&self, count: usize) -> Answered {
        let texts =
            (1..=count.clamp(1, BATCH_MAX)).map(|number| ("text", json!({ "body": format!("{number}") })));
        self.writes(texts.collect()).await
    }

    /// Reacts to a message with an emoji, or takes the reaction back with none.
    pub async fn reacts(&self, wamid: &str, emoji: Option<&str>) -> Answered {
        let mut reaction = json!({ "message_id": wamid });
        if let Some(emoji) = emoji {
            reaction["emoji"] = json!(emoji);
        }
        self.writes(vec![("reaction", reaction)]).await
    }

    /// Sends a picture.
    pub async fn sends_image(&self, caption: Option<&str>) -> Answered {
        self.sends_file("image", ("image/jpeg", Bytes::from_static(b"simulated picture")), caption).await
    }

    /// Sends a file as a message of a kind that holds one: its media type, and its bytes.
    pub async fn sends_file(
        &self,
        kind: &str,
        (mime_type, bytes): (&str, Bytes),
        caption: Option<&str>,
    ) -> Answered {
        let mut file = self.state.files.keep(mime_type, bytes);
        if let Some(caption) = caption {
            file["caption"] = json!(caption);
        }
        self.writes(vec![(kind, file)]).await
    }

    async fn writes(&self, contents: Vec<(&str, Value)>) -> Answered {
        let said_at = self.state.clock.now().as_secs().to_string();
        let (mut wamids, mut messages) = (Vec::new(), Vec::new());
        for (kind, content) in contents {
            let wamid = self.state.wamids.next();
            let mut message = json!({
                "from": self.wa_id,
                "from_user_id": user_id(&self.wa_id),
                "id": wamid,
                "timestamp": said_at,
                "type": kind,
            });
            message[kind] = content;
            messages.push(message);
            wamids.push(wamid);
        }
        let items = json!({
            "contacts": [{
                "profile": { "name": self.name },
                "wa_id": self.wa_id,
                "user_id": user_id(&self.wa_id),
            }],
            "messages": messages,
        });
        let answered = self.state.webhooks.send(webhook::envelope(&self.number, items)).await;
        Answered { wamids, ..answered }
    }
}

/// The user id that the business knows a person by (platforms.md 1.13).
pub(super) fn user_id(wa_id: &str) -> String {
    format!("US.{wa_id}")
}
