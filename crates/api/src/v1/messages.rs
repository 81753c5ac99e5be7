//! Messages out over REST.

use axum::Json;
use axum::extract::State;
use control::messages::{NewMessage, SendFilter};
use control::{Control, Words};
use http::StatusCode;
use model::id::kind;
use model::send::{OutgoingBody, OwedSend, ReadMark, Recipient, SendState};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{IntoParams, ToSchema};

use super::deliveries::AttemptsView;
use super::outgoing::{BODIES, OutgoingLocation, OutgoingMedia, OutgoingReaction, OutgoingText, json};
use crate::auth::Caller;
use crate::body::{Body, Named, Query, id_if, one_of_if};
use crate::idempotency::Key;
use crate::members;
use crate::page::{PageView, span, wanted};
use crate::problem::Problem;

/// An outgoing message with where it stands; what it says is shown by getting it alone.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageView {
    id: String,
    /// Who asked for it.
    app: String,
    /// The account it leaves from.
    account: String,
    /// The conversation it belongs to.
    conversation: Option<String>,
    /// `pending`, `in_flight`, `taken`, `unknown`, `dead` or `cancelled`.
    state: String,
    /// How far the message itself came: `sent`, `delivered`, `read`, `played`, `failed`.
    message_state: Option<String>,
    /// The platform's id of the message.
    platform_message_id: Option<String>,
    /// How many calls were made.
    attempts: u32,
    /// From when on the next call may be made; it leaves when its account's turn comes.
    due_at: Option<String>,
    /// What the last call came to.
    last_error: Option<String>,
    /// When it was asked for.
    created_at: String,
}

impl MessageView {
    fn of(send: OwedSend) -> MessageView {
        MessageView {
            id: send.id.to_string(),
            app: send.app.to_string(),
            account: send.account.to_string(),
            conversation: send.conversation.map(|id| id.to_string()),
            state: send.state.as_str().to_owned(),
            message_state: send.message_state.map(|state| state.as_str().to_owned()),
            platform_message_id: send.platform_message_id,
            attempts: send.attempts,
            due_at: send.due_at.map(|at| at.to_string()),
            last_error: send.last_error,
            created_at: send.id.made_at().to_string(),
        }
    }
}

/// An outgoing message with what it says.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageDetail {
    #[serde(flatten)]
    message: MessageView,
    /// What was asked for.
    #[schema(value_type = Object)]
    content: Value,
}

impl MessageDetail {
    fn of(send: OwedSend) -> MessageDetail {
        let content = serde_json::to_value(&send.message).unwrap_or_default();
        MessageDetail { message: MessageView::of(send), content }
    }
}

/// A message to be sent: `type` names the one member that says what it holds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendMessage {
    /// The account it leaves from, by id or address; the conversation's when absent.
    from: Option<String>,
    /// The conversation it belongs to.
    conversation: Option<String>,
    /// Who gets it: a number, jid or chat id, or `{"bsuid": …}`; the conversation's contact when absent.
    #[schema(schema_with = to)]
    to: Option<Value>,
    /// The platform's id of the message it answers.
    reply_to: Option<String>,
    /// Whether to try even when the 24-hour window seems closed.
    #[serde(default)]
    override_window: bool,
    /// `text`, `image`, `video`, `audio`, `document`, `sticker`, `template`, `interactive`, `reaction`, `location` or `contacts`.
    r#type: String,
    text: Option<OutgoingText>,
    image: Option<OutgoingMedia>,
    video: Option<OutgoingMedia>,
    audio: Option<OutgoingMedia>,
    document: Option<OutgoingMedia>,
    sticker: Option<OutgoingMedia>,
    /// A template the platform has approved, in the platform's shape.
    #[schema(value_type = Option<Object>)]
    template: Option<Map<String, Value>>,
    /// Buttons or a list, in the platform's shape.
    #[schema(value_type = Option<Object>)]
    interactive: Option<Map<String, Value>>,
    reaction: Option<OutgoingReaction>,
    location: Option<OutgoingLocation>,
    /// Cards of people, in the platform's shape.
    contacts: Option<Vec<Value>>,
}

impl SendMessage {
    fn read(self, key: Option<String>) -> Result<NewMessage, Problem> {
        let to = self.to.clone().map(recipient).transpose()?;
        let conversation = id_if(self.conversation.as_deref(), "conversation")?;
        let (from, reply_to, override_window) =
            (self.from.clone(), self.reply_to.clone(), self.override_window);
        let body = self.body()?;
        Ok(NewMessage { from, conversation, to, reply_to, body, override_window, key })
    }

    /// What it holds: the member that `type` names, and no other.
    fn body(self) -> Result<OutgoingBody, Problem> {
        let given = [
            json(self.text),
            json(self.image),
            json(self.video),
            json(self.audio),
            json(self.document),
            json(self.sticker),
            json(self.template),
            json(self.interactive),
            json(self.reaction),
            json(self.location),
            json(self.contacts),
        ];
        let members: Vec<(&str, Option<Value>)> = BODIES.into_iter().zip(given).collect();
        if !BODIES.contains(&self.r#type.as_str()) {
            let words = Words::new("not a type of message", "no es un tipo de mensaje");
            return Err(Problem::invalid("type", words));
        }
        let other = members.iter().find(|(name, member)| member.is_some() && *name != self.r#type);
        if let Some((other, _)) = other {
            let words = Words::new("`type` names another member", "`type` nombra otro miembro");
            return Err(Problem::invalid(other, words));
        }
        let mut body = Map::new();
        body.insert("type".to_owned(), Value::from(self.r#type.as_str()));
        let given = members.into_iter().filter_map(|(name, member)| Some((name.to_owned(), member?)));
        body.extend(given);
        serde_json::from_value(body.into())
            .map_err(|error| Problem::invalid(&self.r#type, Words::untranslated(error.to_string())))
    }
}

/// The schema of who gets a message.
fn to() -> Schema {
    let words =
        "Who gets it: a number, jid or chat id, or `{\"bsuid\": …}`; the conversation's contact when absent.";
    let line = || ObjectBuilder::new().schema_type(Type::String).pattern(Some(members::LINE_OF_SOME));
    let user = ObjectBuilder::new().property("bsuid", line()).required("bsuid");
    let null = ObjectBuilder::new().schema_type(Type::Null);
    OneOfBuilder::new().item(line()).item(user).item(null).description(Some(words)).build().into()
}

fn recipient(value: Value) -> Result<Recipient, Problem> {
    let words = || Words::new("a text, or {\"bsuid\": …}", "un texto, o {\"bsuid\": …}");
    serde_json::from_value(value).map_err(|_| Problem::invalid("to", words()))
}

/// A message of the contact's to mark as read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkRead {
    /// The platform's id of the message.
    message_id: String,
    /// Whether to show that we are typing.
    #[serde(default)]
    typing: bool,
}

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Those of one app.
    app: Option<String>,
    /// Those of one conversation.
    conversation: Option<String>,
    /// Those from one account.
    account: Option<String>,
    /// Those in one state.
    status: Option<String>,
    /// Those asked for at this time or later.
    since: Option<String>,
    /// Those asked for before this time.
    until: Option<String>,
    /// At most so many rows, up to 250.
    limit: Option<u32>,
    /// Where a page before ended.
    cursor: Option<String>,
}

fn state(name: &str) -> Option<SendState> {
    SendState::ALL.into_iter().find(|state| state.as_str() == name)
}

pub(crate) async fn list(
    State(control): State<Control>,
    Caller(actor): Caller,
    Query(query): Query<List>,
) -> Result<Json<PageView<MessageView>>, Problem> {
    let page = wanted(query.limit, query.cursor.as_deref())?;
    let filter = SendFilter {
        app: id_if(query.app.as_deref(), "app")?,
        conversation: id_if(query.conversation.as_deref(), "conversation")?,
        account: id_if(query.account.as_deref(), "account")?,
        state: one_of_if(query.status.as_deref(), state, "status")?,
        span: span(query.since.as_deref(), query.until.as_deref())?,
    };
    Ok(PageView::of(control.messages().list(&actor, filter, page).await?, MessageView::of))
}

pub(crate) async fn send(
    State(control): State<Control>,
    Caller(actor): Caller,
    Key(key): Key,
    Body(new): Body<SendMessage>,
) -> Result<(StatusCode, Json<MessageView>), Problem> {
    let sent = control.messages().send(&actor, new.read(key)?).await?;
    Ok((StatusCode::ACCEPTED, Json(MessageView::of(sent))))
}

pub(crate) async fn mark_read(
    State(control): State<Control>,
    Caller(actor): Caller,
    Key(key): Key,
    Named(id): Named<kind::Conversation>,
    Body(body): Body<MarkRead>,
) -> Result<(StatusCode, Json<MessageView>), Problem> {
    let mark = ReadMark { message_id: body.message_id, typing: body.typing };
    let sent = control.messages().mark_read(&actor, id, mark, key).await?;
    Ok((StatusCode::ACCEPTED, Json(MessageView::of(sent))))
}

pub(crate) async fn get(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Send>,
) -> Result<Json<MessageDetail>, Problem> {
    Ok(Json(MessageDetail::of(control.messages().get(&actor, id).await?)))
}

pub(crate) async fn cancel(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Send>,
) -> Result<Json<MessageView>, Problem> {
    Ok(Json(MessageView::of(control.messages().cancel(&actor, id).await?)))
}

pub(crate) async fn attempts(
    State(control): State<Control>,
    Caller(actor): Caller,
    Named(id): Named<kind::Send>,
) -> Result<Json<AttemptsView>, Problem> {
    Ok(AttemptsView::of(control.messages().attempts(&actor, id).await?))
}
