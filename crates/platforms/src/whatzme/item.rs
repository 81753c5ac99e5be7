//! One item of an envelope: a message, a step of one, an edit or a deletion.

use aws_lc_rs::digest;
use model::conversation::{Party, Touch};
use model::event::{Content, DedupeKey, NewEvent};
use model::message::{Body, Message, MessageState, PlatformError, Reaction, Status};
use model::time::Timestamp;
use serde_json::Value;

use super::content::{self, Said, Spoken, text};
use super::jid::{Jid, Sort};
use super::parse::Envelope;
use crate::json;

/// Names of events that tell an edit or a deletion by what Baileys calls a `protocolMessage`.
const EDIT_EVENTS: [&str; 2] = ["messages.edited", "send.message.update"];

/// One item and the key that names it.
pub(super) struct Item<'r> {
    envelope: &'r Envelope<'r>,
    value: &'r Value,
    key: &'r Value,
    from_me: Option<bool>,
}

impl<'r> Item<'r> {
    /// Reads the key: a member of its own, or the item's own members.
    pub(super) fn new(envelope: &'r Envelope<'r>, value: &'r Value) -> Item<'r> {
        let key = value.get("key").filter(|key| key.is_object()).unwrap_or(value);
        Item { envelope, value, key, from_me: key.get("fromMe").and_then(Value::as_bool) }
    }

    /// The events of the item; one, but for a deletion of several messages.
    pub(super) fn events(&self) -> Vec<NewEvent> {
        if self.envelope.name == "messages.delete" {
            let keys = self.value.get("keys").and_then(Value::as_array).filter(|keys| !keys.is_empty());
            let deletion = |value| Item::new(self.envelope, value).deleted_by_key();
            return keys
                .map_or_else(|| vec![self.deleted_by_key()], |keys| keys.iter().map(deletion).collect());
        }
        let read = match self.value.get("update") {
            Some(update) => self.update(update),
            None if EDIT_EVENTS.contains(&self.envelope.name) => self.changed_by_event(),
            None if self.is_status() => self.status(self.value),
            None => {
                self.value.get("message").filter(|message| message.is_object()).and_then(|m| self.message(m))
            }
        };
        vec![read.unwrap_or_else(|| self.unrecognised())]
    }

    /// Evolution's messages carry a status too; it is a step only in an update, or where there is no message.
    fn is_status(&self) -> bool {
        let updated = self.envelope.name.ends_with(".update")
            || !self.value.get("message").is_some_and(Value::is_object);
        updated && self.value.get("status").is_some()
    }

    fn update(&self, update: &Value) -> Option<NewEvent> {
        if update.get("status").is_some() {
            return self.status(update);
        }
        if update.get("messageStubType").is_some_and(|stub| *stub == 1 || *stub == "REVOKE") {
            return self.deleted(&self.id()?);
        }
        match content::read(update.get("message")?, update)? {
            Said::Edit { target, spoken } => {
                let at = read_time(update.get("messageTimestamp"));
                self.edited(&target.or_else(|| self.id())?, *spoken, at)
            }
            Said::Revocation { target } => self.deleted(&target),
            Said::Something(_) | Said::Reaction { .. } => None,
        }
    }

    fn message(&self, message: &Value) -> Option<NewEvent> {
        let (id, mut party) = (self.id()?, self.party()?);
        let name = if self.from_me == Some(true) { "message.echo" } else { "message.received" };
        let (name, content) = match content::read(message, self.value)? {
            Said::Something(spoken) => {
                (name, Content::Message { message: Box::new(self.with_author(id, *spoken)) })
            }
            Said::Reaction { target, emoji } => {
                let reaction = Reaction { id: Some(id), message_id: target, emoji };
                // Nobody has to answer it, so that it takes up no conversation again.
                party.touch = Touch::None;
                ("message.reaction", Content::Reaction { reaction })
            }
            Said::Edit { target, spoken } => {
                let millis = read_time(message.pointer("/protocolMessage/timestampMs"));
                return self.edited(&target.unwrap_or(id), *spoken, millis.or_else(|| self.time()));
            }
            Said::Revocation { target } => return self.deleted(&target),
        };
        Some(NewEvent {
            dedupe_key: self.message_key(),
            party: Some(party),
            occurred_at: self.occurred_at(),
            ..self.envelope.event(name, content)
        })
    }

    fn with_author(&self, id: String, spoken: Spoken) -> Message {
        let in_group = self.jid().filter(|jid| jid.sort() == Sort::Group);
        let mut extra = spoken.extra;
        // In a group the party is the group, so that the name of who speaks has no other place.
        let name = in_group.as_ref().and_then(|_| self.value.get("pushName")).filter(|name| name.is_string());
        extra.extend(name.map(|name| ("pushName".to_owned(), name.clone())));
        Message {
            id,
            author: in_group.as_ref().and_then(|_| self.author()),
            group: in_group.map(|jid| jid.to_string()),
            body: spoken.body,
            reply_to: spoken.reply_to,
            forwarded: spoken.forwarded,
            referral: spoken.referral,
            extra: (!extra.is_empty()).then(|| json::raw(&extra)),
        }
    }

    /// Evolution's events of a change, whose item is a `protocolMessage`: a deletion comes this way too.
    fn changed_by_event(&self) -> Option<NewEvent> {
        match content::protocol(self.value)? {
            Said::Edit { target, spoken } => {
                let at = read_time(self.value.get("timestampMs"));
                self.edited(&target.or_else(|| self.id())?, *spoken, at)
            }
            Said::Revocation { target } => self.deleted(&target),
            Said::Something(_) | Said::Reaction { .. } => None,
        }
    }

    /// The same edit may be told by two events of the gateway: it is known by what was edited, when, and to what.
    fn edited(&self, target: &str, spoken: Spoken, at: Option<Timestamp>) -> Option<NewEvent> {
        let party = Party { touch: Touch::None, ..self.party()? };
        let message = self.with_author(target.to_owned(), spoken);
        let said = fingerprint(&message.body);
        let second = at.map_or_else(String::new, |at| at.as_secs().to_string());
        Some(NewEvent {
            dedupe_key: Some(self.key_of("edit", &[target, &second, &said])),
            party: Some(party),
            occurred_at: self.envelope.believed(at).unwrap_or_else(|| self.occurred_at()),
            ..self.envelope.event("message.edited", Content::Message { message: Box::new(message) })
        })
    }

    fn deleted_by_key(&self) -> NewEvent {
        self.id().and_then(|id| self.deleted(&id)).unwrap_or_else(|| self.unrecognised())
    }

    fn deleted(&self, target: &str) -> Option<NewEvent> {
        let party = Party { touch: Touch::None, ..self.party()? };
        let group = self.jid().filter(|jid| jid.sort() == Sort::Group).map(|jid| jid.to_string());
        let message = Message { id: target.to_owned(), group, body: Body::Deleted, ..Message::default() };
        Some(NewEvent {
            dedupe_key: Some(self.key_of("delete", &[target])),
            party: Some(party),
            occurred_at: self.occurred_at(),
            ..self.envelope.event("message.deleted", Content::Message { message: Box::new(message) })
        })
    }

    /// A step of a message of ours. That we ourselves have read a contact's message is no such step.
    fn status(&self, holder: &Value) -> Option<NewEvent> {
        let id = self.id()?;
        if holder
            .get("status")
            .and_then(Value::as_str)
            .is_some_and(|status| status.eq_ignore_ascii_case("deleted"))
        {
            return self.deleted(&id);
        }
        let state = state(holder.get("status")?)?;
        if self.from_me == Some(false) {
            return None;
        }
        let recipient = text(self.key, "participant").or_else(|| text(self.key, "remoteJid"));
        let parts = [self.envelope.account, &id, state.as_str(), recipient.as_deref().unwrap_or_default()];
        let dedupe_key = DedupeKey::of(&[&["status"], parts.as_slice()].concat());
        let order_key = Some(id.clone());
        let errors = if state == MessageState::Failed { errors(holder) } else { Vec::new() };
        let status = Status {
            message_id: id,
            state,
            recipient,
            correlation: None,
            errors,
            pricing: None,
            platform_conversation: None,
            extra: None,
        };
        let name = format!("message.{}", state.as_str());
        Some(NewEvent {
            dedupe_key: Some(dedupe_key),
            order_key,
            occurred_at: self.occurred_at(),
            ..self.envelope.event(&name, Content::Status { status: Box::new(status) })
        })
    }

    /// A message that cannot be read yet may come again readable under the same id, so that only the very same
    /// item is a repeat. Equal updates may be several facts: no key.
    fn unrecognised(&self) -> NewEvent {
        let is_message = self.value.get("message").is_some() && self.value.get("update").is_none();
        let id = self.id().filter(|_| is_message);
        NewEvent {
            dedupe_key: id.map(|id| self.key_of("unrecognised", &[&id, &fingerprint(self.value)])),
            occurred_at: self.occurred_at(),
            ..self.envelope.unrecognised(self.value)
        }
    }

    /// Where a gateway's own row is told, `id` is the row's and `keyId` the message's.
    fn id(&self) -> Option<String> {
        text(self.value, "keyId").or_else(|| text(self.key, "id"))
    }

    fn jid(&self) -> Option<Jid> {
        Jid::first_of(self.key, &["remoteJid"])
    }

    fn party(&self) -> Option<Party> {
        let jid = self.jid().filter(|jid| jid.sort() != Sort::Broadcast)?;
        let in_group = jid.sort() == Sort::Group;
        let from_me = self.from_me == Some(true);
        // The sender's addresses are the contact's only where the contact wrote, and wrote alone.
        let names: &[&str] = match (in_group, from_me) {
            (true, _) => &[],
            (false, true) => &["remoteJidAlt"],
            (false, false) => &["remoteJidAlt", "senderPn", "senderLid"],
        };
        let mut identifiers = jid.identifiers();
        for name in names {
            let found = Jid::first_of(self.key, &[name]).or_else(|| Jid::first_of(self.value, &[name]));
            let found = found.filter(|jid| jid.sort() != Sort::Group);
            for identifier in found.iter().flat_map(Jid::identifiers) {
                if !identifiers.contains(&identifier) {
                    identifiers.push(identifier);
                }
            }
        }
        let name = text(self.value, "pushName").filter(|_| !from_me && !in_group);
        Some(Party { identifiers, name, touch: self.touch() })
    }

    /// An echo cannot be told from a send of ours, which comes back the same way; only the source's settings say
    /// that people write on the account's phone. A send through the gateway is no person's even then.
    fn touch(&self) -> Touch {
        match (self.from_me, self.envelope.echo_is_human) {
            (Some(true), true) if !self.left_by_the_gateway() => Touch::UnclearEcho,
            (Some(true), _) => Touch::None,
            _ => Touch::Inbound,
        }
    }

    /// Evolution tells such a send by an event of its own, WAHA by where it came from.
    fn left_by_the_gateway(&self) -> bool {
        let source = self.value.pointer("/payload/source").and_then(Value::as_str);
        self.envelope.name == "send.message" || source == Some("api")
    }

    fn author(&self) -> Option<String> {
        let known = ["participantPn", "participantAlt", "participant"];
        let said =
            |name: &&str| Jid::first_of(self.key, &[name]).or_else(|| Jid::first_of(self.value, &[name]));
        let all: Vec<Jid> = known.iter().filter_map(said).collect();
        let person = all.iter().find(|jid| jid.sort() == Sort::Person);
        person.or(all.last()).map(Jid::to_string)
    }

    fn message_key(&self) -> Option<DedupeKey> {
        let from_me = if self.from_me == Some(true) { "out" } else { "in" };
        Some(self.key_of("message", &[from_me, &self.id()?]))
    }

    fn key_of(&self, kind: &str, parts: &[&str]) -> DedupeKey {
        let jid = self.jid().map(|jid| jid.to_string()).unwrap_or_default();
        DedupeKey::of(&[&[kind, self.envelope.account, &jid], parts].concat())
    }

    fn time(&self) -> Option<Timestamp> {
        read_time(self.value.get("messageTimestamp").or_else(|| self.value.get("timestamp")))
    }

    fn occurred_at(&self) -> Timestamp {
        self.envelope.believed(self.time()).unwrap_or(self.envelope.request.received_at)
    }
}

fn state(status: &Value) -> Option<MessageState> {
    if let Some(number) = status.as_i64() {
        use MessageState::{Accepted, Delivered, Failed, Played, Read, Sent};
        let states = [Failed, Accepted, Sent, Delivered, Read, Played];
        return usize::try_from(number).ok().and_then(|at| states.get(at)).copied();
    }
    match status.as_str()?.to_ascii_uppercase().as_str() {
        "ERROR" => Some(MessageState::Failed),
        "PENDING" => Some(MessageState::Accepted),
        "SERVER_ACK" => Some(MessageState::Sent),
        "DELIVERY_ACK" => Some(MessageState::Delivered),
        name => MessageState::parse(&name.to_ascii_lowercase()),
    }
}

fn fingerprint(said: &impl serde::Serialize) -> String {
    let said = serde_json::to_vec(said).expect("what was read from JSON has text keys only");
    hex::encode(digest::digest(&digest::SHA256, &said))
}

fn errors(holder: &Value) -> Vec<PlatformError> {
    let codes = holder.get("messageStubParameters").and_then(Value::as_array);
    let error = |code: &Value| Some(PlatformError { code: whole_number(code)?, ..PlatformError::default() });
    codes.into_iter().flatten().filter_map(error).collect()
}

/// A time since the epoch, in the ways this family writes a number: in milliseconds from the year 1973 on, where seconds
/// would be the year 5138.
fn read_time(value: Option<&Value>) -> Option<Timestamp> {
    match whole_number(value?)? {
        ..=0 => None,
        secs @ 1..100_000_000_000 => Some(Timestamp::from_secs(secs)),
        millis => Some(Timestamp::from_millis(millis)),
    }
}

/// A number without its fraction, a number as text, or the halves of a 64-bit one: `{"low":…,"high":…}`.
fn whole_number(value: &Value) -> Option<i64> {
    match value {
        // The conversion saturates, so that no number overflows.
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Object(halves) => {
            let low = halves.get("low")?.as_i64()? & 0xffff_ffff;
            let high = i64::from(i32::try_from(halves.get("high")?.as_i64()?).ok()?);
            Some((high << 32) | low)
        }
        _ => None,
    }
}
