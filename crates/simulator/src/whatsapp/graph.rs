//! The Graph API as far as messages go: takes sends and read marks, and answers in Graph's own shapes
//! (platforms.md 1.7, 1.10).

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Number, State, Taken, status};
use crate::server::{Answer, Cut, Handler, Heard};
use crate::switches::Fault;

/// The types of message that can be sent; each names the member that holds the content.
const KINDS: [&str; 11] = [
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "template",
    "interactive",
    "reaction",
    "location",
    "contacts",
];
/// The longest text, in characters.
const TEXT_MAX: usize = 4096;

/// The Graph API of one platform.
#[derive(Clone)]
pub(super) struct Graph {
    state: Arc<State>,
}

/// An error in Graph's shape.
struct Refusal {
    status: StatusCode,
    code: i64,
    details: String,
}

impl Refusal {
    fn bad(code: i64, details: impl Into<String>) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, code, details: details.into() }
    }

    fn into_answer(self) -> Answer {
        let Refusal { status, code, details } = self;
        let error = json!({
            "message": format!("(#{code}) {details}"),
            "type": "OAuthException",
            "code": code,
            "error_data": { "messaging_product": "whatsapp", "details": details },
            "fbtrace_id": "simulated",
        });
        Answer::json(status, &json!({ "error": error }))
    }
}

/// What a request asks for.
enum Asked {
    /// To send a message.
    Send(Box<Taken>),
    /// To mark a message as read.
    Mark(String),
}

impl Handler for Graph {
    async fn handle(&self, heard: Heard) -> Result<Answer, Cut> {
        match self.authorised(&heard) {
            Err(refusal) => return Ok(refusal.into_answer()),
            Ok(()) => {
                if let Some(answer) = self.state.files.answer(&heard) {
                    return Ok(answer);
                }
            }
        }
        let (number, asked) = match self.read(&heard) {
            Ok(read) => read,
            Err(refusal) => return Ok(refusal.into_answer()),
        };
        let fault = self.state.switches.take_fault();
        match fault {
            Some(Fault::PairLimit) => return Ok(pair_limit().into_answer()),
            Some(Fault::ServerError) => return Ok(Answer::empty(StatusCode::INTERNAL_SERVER_ERROR)),
            Some(Fault::Reset) => return Err(Cut::Reset),
            Some(Fault::TakenThenClosed) | None => {}
        }
        let answer = match asked {
            Asked::Send(taken) => self.take(&number, *taken).await,
            Asked::Mark(wamid) => {
                self.state.reads.push(|_| wamid);
                Answer::json(StatusCode::OK, &json!({ "success": true }))
            }
        };
        let delay = self.state.switches.answer_delay();
        // Even a sleep of no time waits for the timer's next millisecond.
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match fault {
            None => Ok(answer),
            Some(_) => Err(Cut::Close),
        }
    }
}

fn pair_limit() -> Refusal {
    Refusal {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: 131_056,
        details: "too many messages to this person in a short time".to_owned(),
    }
}

impl Graph {
    /// The Graph API over what customers share with it.
    pub(super) fn new(state: Arc<State>) -> Graph {
        Graph { state }
    }

    fn read(&self, heard: &Heard) -> Result<(Number, Asked), Refusal> {
        let number = self.number(heard)?;
        let body: Value = serde_json::from_slice(&heard.body)
            .map_err(|error| Refusal::bad(100, format!("the body is not JSON: {error}")))?;
        if body["messaging_product"] != "whatsapp" {
            return Err(Refusal::bad(100, "messaging_product must be \"whatsapp\""));
        }
        let asked = match body["status"] == "read" {
            true => self.mark(&body)?,
            false => Asked::Send(Box::new(self.message(&number, body)?)),
        };
        Ok((number, asked))
    }

    fn authorised(&self, heard: &Heard) -> Result<(), Refusal> {
        let expected = format!("Bearer {}", self.state.access_token.expose());
        match heard.header("authorization") == Some(expected.as_str()) {
            true => Ok(()),
            false => Err(Refusal {
                status: StatusCode::UNAUTHORIZED,
                code: 190,
                details: "the access token is missing or not the one that may send".to_owned(),
            }),
        }
    }

    /// The number whose messages the path names.
    fn number(&self, heard: &Heard) -> Result<Number, Refusal> {
        let unknown = || Refusal::bad(100, format!("there is no {} {}", heard.method, heard.path));
        let mut parts = heard.path.trim_start_matches('/').split('/');
        let (Some(version), Some(id), Some("messages"), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unknown());
        };
        if heard.method != Method::POST || !version.starts_with('v') {
            return Err(unknown());
        }
        let number = self.state.numbers.iter().find(|number| number.phone_number_id == id);
        number.cloned().ok_or_else(|| Refusal::bad(33, format!("{id} is not a number of this business")))
    }

    fn mark(&self, body: &Value) -> Result<Asked, Refusal> {
        let wamid = body["message_id"].as_str().unwrap_or_default();
        match self.state.wamids.knows(wamid) {
            true => Ok(Asked::Mark(wamid.to_owned())),
            false => Err(Refusal::bad(131_009, "message_id is not the id of a message")),
        }
    }

    fn message(&self, number: &Number, body: Value) -> Result<Taken, Refusal> {
        let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
        let kind = text("type").unwrap_or("text");
        if !KINDS.contains(&kind) {
            return Err(Refusal::bad(131_051, format!("no message has the type {kind:?}")));
        }
        if body.get(kind).is_none() {
            return Err(Refusal::bad(131_008, format!("the member {kind:?} is missing")));
        }
        if kind == "text" && !(1..=TEXT_MAX).contains(&body["text"]["body"].as_str().map_or(0, count)) {
            return Err(Refusal::bad(131_009, "text.body has 1 to 4096 characters"));
        }
        let to = text("to").or(text("recipient"));
        let to = to.ok_or_else(|| Refusal::bad(131_008, "to or recipient is needed"))?;
        Ok(Taken {
            wamid: self.state.wamids.next(),
            phone_number_id: number.phone_number_id.clone(),
            to: to.to_owned(),
            kind: kind.to_owned(),
            correlation: text("biz_opaque_callback_data").map(str::to_owned),
            at: self.state.clock.now(),
            body,
        })
    }

    /// Remembers the message and owes its statuses, which come after the answer or before it.
    async fn take(&self, number: &Number, taken: Taken) -> Answer {
        let state = &self.state;
        // From here on nothing waits until the statuses are owed: a caller who goes away does not call them off.
        let place = state.webhooks.place().await;
        let taken = state.sends.push(|_| taken);
        let steps = state.switches.status_webhooks();
        let statuses = status::webhooks(number, &taken, &steps, taken.at);
        let (until_given, given) = oneshot::channel();
        let told = state.webhooks.owe(place, given, statuses);
        let mut answer = Answer::json(StatusCode::OK, &accepted(&taken));
        if state.switches.is_early() {
            drop(until_given);
            // Nothing is ever said in it: it only ends.
            let _ = told.await;
        } else {
            answer.until_given = Some(until_given);
        }
        answer
    }
}

fn count(text: &str) -> usize {
    text.chars().count()
}

fn accepted(taken: &Taken) -> Value {
    let contact = match taken.body.get("to") {
        Some(_) => json!({ "input": taken.to, "wa_id": taken.to.trim_start_matches('+') }),
        None => json!({ "input": taken.to, "user_id": taken.to }),
    };
    json!({
        "messaging_product": "whatsapp",
        "contacts": [contact],
        "messages": [{ "id": taken.wamid, "message_status": "accepted" }],
    })
}
