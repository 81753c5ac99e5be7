//! Contacts and conversations of a batch: found by any identifier, made when new, merged when two prove to be one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use model::conversation::{ConversationState, Party, Touch};
use model::id::{AccountId, AppId, ContactId, ConversationId, Ids};
use model::time::Timestamp;

use crate::db::{Column, Into, Tx};
use crate::digest::fingerprint;
use crate::echoes::{self, Echo};
use crate::error::Error;
use crate::value::Value;

const CONTACTS: Into =
    Into { table: "contacts", columns: &[Column::Int("id"), Column::Int("app"), Column::Text("name")] };
const IDENTIFIERS: Into = Into {
    table: "identifiers",
    columns: &[Column::Int("app"), Column::Text("identifier"), Column::Int("contact")],
};
const CONVERSATIONS: Into = Into {
    table: "conversations",
    columns: &[
        Column::Int("id"),
        Column::Int("app"),
        Column::Int("account"),
        Column::Int("contact"),
        Column::Text("state"),
        Column::Int("last_inbound_at"),
        Column::Int("touched_at"),
    ],
};

/// Somebody on an account, in an event that is new.
pub(crate) struct Meeting<'a> {
    pub(crate) app: AppId,
    pub(crate) account: AccountId,
    pub(crate) party: &'a Party,
    pub(crate) at: Timestamp,
    /// The platform's id of the message, where it is one that came back to us.
    pub(crate) echo: Option<&'a str>,
}

/// The conversation of a meeting, and the event types of our own that the meeting causes.
pub(crate) struct Talk {
    pub(crate) conversation: ConversationId,
    pub(crate) caused: Vec<&'static str>,
}

/// Finds or makes contact and conversation of every meeting, in order.
pub(crate) async fn meet(
    tx: &mut Tx,
    meetings: &[Meeting<'_>],
    ids: &Ids,
    now: Timestamp,
) -> Result<Vec<Talk>, Error> {
    let mut people = People::find(tx, meetings).await?;
    let mut contacts = Vec::with_capacity(meetings.len());
    for meeting in meetings {
        contacts.push(people.contact(tx, meeting, ids, now).await?);
    }
    people.write(tx).await?;
    // A later meeting may have shown that two contacts of earlier ones are one.
    let contacts: Vec<ContactId> = contacts.into_iter().map(|contact| people.stayed(contact)).collect();
    // Two nodes may know the same contact by different names: only one may make the conversation.
    tx.lock(contacts.iter().map(|contact| contact.raw()).collect()).await?;
    let mut talks = Talks::find(tx, meetings, &contacts).await?;
    let touches = talks.touches(tx, meetings, &contacts, now).await?;
    let met = meetings.iter().zip(contacts).zip(touches);
    let told =
        met.map(|((meeting, contact), touch)| talks.touch(meeting, contact, touch, (ids, now))).collect();
    talks.write(tx).await?;
    Ok(told)
}

type Name = (i64, String);

fn names(meeting: &Meeting<'_>) -> impl Iterator<Item = Name> {
    let app = meeting.app.raw();
    meeting.party.identifiers.iter().map(move |name| (app, format!("{}:{}", name.kind, name.value)))
}

/// Who is known by what.
struct People {
    known: HashMap<Name, ContactId>,
    /// Contacts of this batch that went into an older one.
    merged: HashMap<ContactId, ContactId>,
    new_contacts: Vec<Vec<Value>>,
    new_names: Vec<Vec<Value>>,
}

impl People {
    async fn find(tx: &mut Tx, meetings: &[Meeting<'_>]) -> Result<People, Error> {
        let asked: BTreeSet<Name> = meetings.iter().flat_map(names).collect();
        let asked: Vec<Name> = asked.into_iter().collect();
        // Two nodes that meet the same person for the first time must not both make a contact.
        let locks = asked.iter().map(|(app, name)| fingerprint(*app, &[b"contact", name.as_bytes()]).key1);
        tx.lock(locks.collect()).await?;
        let lists: Vec<Vec<Value>> =
            asked.iter().map(|(app, name)| vec![(*app).into(), name.as_str().into()]).collect();
        let sql = "SELECT contact FROM identifiers WHERE app = ?1 AND identifier = ?2";
        let found = tx.fetch_each(sql, &lists).await?;
        let mut known = HashMap::new();
        for (name, rows) in asked.into_iter().zip(found) {
            if let Some(row) = rows.first() {
                known.insert(name, row.id(0)?);
            }
        }
        Ok(People { known, merged: HashMap::new(), new_contacts: Vec::new(), new_names: Vec::new() })
    }

    async fn contact(
        &mut self,
        tx: &mut Tx,
        meeting: &Meeting<'_>,
        ids: &Ids,
        now: Timestamp,
    ) -> Result<ContactId, Error> {
        let found: BTreeSet<ContactId> =
            names(meeting).filter_map(|name| self.known.get(&name).copied()).collect();
        let mut found = found.into_iter();
        let contact = match found.next() {
            Some(oldest) => {
                for other in found {
                    self.merge(tx, other, oldest).await?;
                }
                oldest
            }
            None => {
                let id = ids.next(now);
                let name = Value::from(meeting.party.name.clone());
                self.new_contacts.push(vec![id.into(), meeting.app.into(), name]);
                id
            }
        };
        for name in names(meeting) {
            if self.known.insert(name.clone(), contact).is_none() {
                self.new_names.push(vec![name.0.into(), name.1.into(), contact.into()]);
            }
        }
        Ok(contact)
    }

    /// One request has named two contacts as one person: the older stays. Its conversations stay apart per account;
    /// where both have one on the same account, the younger one is left as it is and gets no more events.
    async fn merge(&mut self, tx: &mut Tx, from: ContactId, into: ContactId) -> Result<(), Error> {
        self.write(tx).await?;
        let args = [into.into(), from.into()];
        tx.execute("UPDATE identifiers SET contact = ?1 WHERE contact = ?2", &args).await?;
        let sql = "UPDATE conversations SET contact = ?1 WHERE contact = ?2 AND NOT EXISTS
            (SELECT 1 FROM conversations other WHERE other.contact = ?1 AND other.account = conversations.account)";
        tx.execute(sql, &args).await?;
        for contact in self.known.values_mut().filter(|contact| **contact == from) {
            *contact = into;
        }
        self.merged.insert(from, into);
        let sql = "DELETE FROM contacts WHERE id = ?1 AND NOT EXISTS
            (SELECT 1 FROM conversations WHERE contact = ?1)";
        tx.execute(sql, &[from.into()]).await.map(|_| ())
    }

    /// The contact that is left of one, after all that was merged.
    fn stayed(&self, mut contact: ContactId) -> ContactId {
        while let Some(into) = self.merged.get(&contact) {
            contact = *into;
        }
        contact
    }

    async fn write(&mut self, tx: &mut Tx) -> Result<(), Error> {
        tx.insert_many(CONTACTS, std::mem::take(&mut self.new_contacts)).await?;
        tx.insert_many(IDENTIFIERS, std::mem::take(&mut self.new_names)).await
    }
}

/// How far behind the stored times of a conversation may be: writing each message's would cost a page a message.
const TOUCH_SLACK: Duration = Duration::from_secs(60);

/// Where a conversation stands while the batch is read.
struct Standing {
    id: ConversationId,
    state: ConversationState,
    last_inbound_at: Option<Timestamp>,
    touched_at: Timestamp,
    app: AppId,
    is_new: bool,
    /// Whether what is stored is still near enough.
    is_fresh: bool,
}

/// The conversations of a batch.
struct Talks(BTreeMap<(AccountId, ContactId), Standing>);

impl Talks {
    async fn find(tx: &mut Tx, meetings: &[Meeting<'_>], contacts: &[ContactId]) -> Result<Talks, Error> {
        let pairs: BTreeMap<(AccountId, ContactId), AppId> = meetings
            .iter()
            .zip(contacts)
            .map(|(meeting, contact)| ((meeting.account, *contact), meeting.app))
            .collect();
        let lists: Vec<Vec<Value>> =
            pairs.keys().map(|(account, contact)| vec![(*account).into(), (*contact).into()]).collect();
        let sql = "SELECT id, state, last_inbound_at, touched_at FROM conversations WHERE account = ?1 AND contact = ?2";
        let found = tx.fetch_each(sql, &lists).await?;
        let mut talks = BTreeMap::new();
        for ((pair, app), rows) in pairs.into_iter().zip(found) {
            let Some(row) = rows.first() else { continue };
            let id: ConversationId = row.id(0)?;
            let state = ConversationState::parse(row.text(1)?);
            let state = state.ok_or_else(|| Error::Corrupt(format!("conversations.state of {id}")))?;
            let standing = Standing {
                id,
                state,
                last_inbound_at: row.opt_time(2)?,
                touched_at: row.time(3)?,
                app,
                is_new: false,
                is_fresh: true,
            };
            talks.insert(pair, standing);
        }
        Ok(Talks(talks))
    }

    /// What each meeting means: an echo of what we sent ourselves is no person's.
    async fn touches<'m>(
        &self,
        tx: &mut Tx,
        meetings: &[Meeting<'m>],
        contacts: &[ContactId],
        now: Timestamp,
    ) -> Result<Vec<Touch>, Error> {
        let echo = |(at, (meeting, contact)): (usize, (&Meeting<'m>, &ContactId))| {
            let (account, party) = (meeting.account, meeting.party);
            let is_echo = matches!(party.touch, Touch::HumanEcho | Touch::UnclearEcho);
            let message_id = meeting.echo.filter(|_| is_echo)?;
            let conversation = self.0.get(&(account, *contact)).map(|standing| standing.id);
            Some((at, Echo { account, conversation, party, message_id }))
        };
        let echoes = meetings.iter().zip(contacts).enumerate().filter_map(echo);
        let (places, echoes): (Vec<usize>, Vec<Echo<'_>>) = echoes.unzip();
        let mut touches: Vec<Touch> = meetings.iter().map(|meeting| meeting.party.touch).collect();
        for (at, is_ours) in places.into_iter().zip(echoes::are_ours(tx, &echoes, now).await?) {
            if is_ours {
                touches[at] = Touch::None;
            }
        }
        Ok(touches)
    }

    fn touch(
        &mut self,
        meeting: &Meeting<'_>,
        contact: ContactId,
        touch: Touch,
        (ids, now): (&Ids, Timestamp),
    ) -> Talk {
        let mut caused = Vec::new();
        let standing = self.0.entry((meeting.account, contact)).or_insert_with(|| {
            caused.push("conversation.created");
            Standing {
                id: ids.next(now),
                state: ConversationState::Open,
                last_inbound_at: None,
                touched_at: now,
                app: meeting.app,
                is_new: true,
                is_fresh: false,
            }
        });
        let (state, change) = standing.state.touched(touch);
        standing.is_fresh &= change.is_none() && now.since(standing.touched_at) < TOUCH_SLACK;
        standing.state = state;
        caused.extend(change);
        standing.touched_at = standing.touched_at.max(now);
        if touch == Touch::Inbound {
            let wrote_at = meeting.at.min(now);
            let is_near = standing.last_inbound_at.is_some_and(|last| wrote_at.since(last) < TOUCH_SLACK);
            standing.is_fresh &= is_near;
            standing.last_inbound_at = standing.last_inbound_at.max(Some(wrote_at));
        }
        Talk { conversation: standing.id, caused }
    }

    async fn write(self, tx: &mut Tx) -> Result<(), Error> {
        let changed = self.0.into_iter().filter(|(_, standing)| !standing.is_fresh);
        let (new, old): (Vec<_>, Vec<_>) = changed.partition(|(_, standing)| standing.is_new);
        let row = |((account, contact), standing): ((AccountId, ContactId), Standing)| {
            vec![
                standing.id.into(),
                standing.app.into(),
                account.into(),
                contact.into(),
                standing.state.as_str().into(),
                Value::from(standing.last_inbound_at),
                standing.touched_at.into(),
            ]
        };
        tx.insert_many(CONVERSATIONS, new.into_iter().map(row).collect()).await?;
        let sql = "UPDATE conversations SET state = ?2, last_inbound_at = ?3, touched_at = ?4 WHERE id = ?1";
        let lists: Vec<Vec<Value>> = old
            .into_iter()
            .map(|(_, standing)| {
                vec![
                    standing.id.into(),
                    standing.state.as_str().into(),
                    Value::from(standing.last_inbound_at),
                    standing.touched_at.into(),
                ]
            })
            .collect();
        tx.execute_many(sql, &lists).await.map(|_| ())
    }
}
