//! What comes as a form: interactions, as JSON in it, and slash commands.

use std::collections::BTreeMap;

use model::conversation::Touch;
use model::event::{Content, NewEvent};
use model::message::{Body, ChoiceControl, Message};
use serde_json::value::RawValue;

use super::parse::Item;
use crate::json::{self, Object, raw};
use crate::platform::Unreadable;

/// Members that are credentials, or good for a moment only: an event keeps none of them.
const TOKEN: &str = "token";
/// Kinds of interaction that hold choices under a message.
const ACTIONS: &str = "block_actions";

/// The events of a form.
pub(super) fn parse(item: &Item<'_>) -> Result<Vec<NewEvent>, Unreadable> {
    let fields: BTreeMap<String, String> = form_urlencoded::parse(&item.request.body).into_owned().collect();
    if let Some(payload) = fields.get("payload") {
        return interaction(item, payload);
    }
    let (Some(command), Some(team)) = (fields.get("command"), fields.get("team_id")) else {
        return Err(Unreadable("a form of Slack has a payload or a command".to_owned()));
    };
    let told: BTreeMap<&String, &String> = fields.iter().filter(|(name, _)| *name != TOKEN).collect();
    let content = Content::Raw(raw(&told));
    let event = item.other("command", team, content);
    let party = fields.get("channel_id").map(|channel| super::parse::party(channel, Touch::None));
    // Each use of a command has a trigger of its own.
    let key = fields.get("trigger_id").map(|trigger| item.key(team, &["command", command, trigger]));
    Ok(vec![NewEvent { party, dedupe_key: key, ..event }])
}

fn interaction(item: &Item<'_>, payload: &str) -> Result<Vec<NewEvent>, Unreadable> {
    let body = json::object(payload.as_bytes())?;
    let kind = body.text("type").ok_or_else(|| Unreadable("an interaction has a type".to_owned()))?;
    let team = body.object("team").and_then(|team| team.string("id")).unwrap_or_default();
    let actions = body.items("actions").filter(|_| kind == ACTIONS).unwrap_or_default();
    let chosen: Option<Vec<NewEvent>> =
        actions.iter().map(|action| choice(item, &body, &team, &Object::of(action)?)).collect();
    if let Some(events) = chosen.filter(|events| !events.is_empty()) {
        return Ok(events);
    }
    let told: BTreeMap<&str, &RawValue> = body.members().filter(|(name, _)| *name != TOKEN).collect();
    let key = body.string("trigger_id").map(|trigger| item.key(&team, &[&kind, &trigger]));
    let event = item.other(&kind, &team, Content::Raw(raw(&told)));
    let party = channel(&body).map(|id| super::parse::party(&id, Touch::None));
    Ok(vec![NewEvent { party, dedupe_key: key, ..event }])
}

fn channel(body: &Object<'_>) -> Option<String> {
    let container = || body.object("container").and_then(|container| container.string("channel_id"));
    body.object("channel").and_then(|channel| channel.string("id")).or_else(container)
}

/// A button that was pressed, or what was selected.
fn choice(item: &Item<'_>, body: &Object<'_>, team: &str, action: &Object<'_>) -> Option<NewEvent> {
    let (at, name) = (action.string("action_ts")?, action.string("action_id")?);
    let selected = action.object("selected_option");
    let (from, value, words) = match &selected {
        Some(option) => (ChoiceControl::List, option.string("value"), option.object("text")),
        None => (ChoiceControl::Button, action.string("value"), action.object("text")),
    };
    let told = |key: &str| [TOKEN, "type", "team", "channel", "user", "actions", "message"].contains(&key);
    let message = Message {
        id: at.clone(),
        author: body.object("user").and_then(|user| user.string("id")),
        body: Body::Choice {
            from,
            id: value.or_else(|| Some(name.clone())),
            title: words.and_then(|words| words.string("text")),
            description: None,
        },
        reply_to: body.object("message").and_then(|message| message.string("ts")),
        extra: body.rest(told).map(|rest| raw(&rest)),
        ..Message::default()
    };
    let key = item.key(team, &["action", &at, &name]);
    let event = item.ours("message.received", team, Content::Message { message: Box::new(message) });
    let party = super::parse::party(&channel(body)?, Touch::Inbound);
    Some(NewEvent { party: Some(party), dedupe_key: Some(key), occurred_at: item.time(&at), ..event })
}
