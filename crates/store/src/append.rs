//! Appends a batch of arrivals in one transaction: the one statement sequence every acknowledged byte goes through.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::conversation::Party;
use model::endpoint::{Endpoint, Order};
use model::event::{Content, NewEvent};
use model::id::{AccountId, AppId, ConversationId, DeliveryId, EventId, Ids, ReceiptId, SourceId};
use model::receipt::{Reason, ReceiptState};
use model::source::{Account, Source, UnknownAccounts};
use model::time::Timestamp;

use crate::arrivals::{Appended, Arrival, Verdict};
use crate::db::{Column, Into, Tx};
use crate::digest::{Fingerprint, check_of, fingerprint, line_of};
use crate::error::Error;
use crate::parties::{self, Meeting, Talk};
use crate::routing::{self, Routing};
use crate::value::Value;
use crate::{order, sources, statuses};

const RECEIPTS: Into = Into {
    table: "receipts",
    columns: &[
        Column::Int("id"),
        Column::Int("source"),
        Column::Int("state"),
        Column::Text("reason"),
        Column::Text("method"),
        Column::Text("path"),
        Column::Text("peer"),
        Column::Int("body_bytes"),
        Column::Int("items"),
        Column::Int("items_new"),
    ],
};
const BODIES: Into = Into {
    table: "bodies",
    columns: &[Column::Int("id"), Column::Text("headers"), Column::Bytes("body"), Column::Int("body_check")],
};
const DEDUPE: Into =
    Into { table: "dedupe", columns: &[Column::Int("key1"), Column::Int("key2"), Column::Int("event")] };
const EVENTS: Into = Into {
    table: "events",
    columns: &[
        Column::Int("id"),
        Column::Int("app"),
        Column::Int("source"),
        Column::Int("account"),
        Column::Int("conversation"),
        Column::Int("receipt"),
        Column::Text("event_type"),
        Column::Int("occurred_at"),
        Column::Text("content"),
        Column::Int("content_check"),
        Column::Int("key1"),
        Column::Int("key2"),
    ],
};
pub(crate) const DELIVERIES: Into = Into {
    table: "deliveries",
    columns: &[
        Column::Int("id"),
        Column::Int("event"),
        Column::Int("endpoint"),
        Column::Int("line"),
        Column::Int("state"),
        Column::Int("retrying"),
        Column::Int("attempts"),
        Column::Int("due_at"),
    ],
};

/// How often a batch is run again because the configuration changed under it.
pub(crate) const STALE_TRIES_MAX: u32 = 3;

/// What a batch is appended under.
pub(crate) struct Context {
    pub(crate) routing: Arc<Routing>,
    pub(crate) ids: Ids,
    pub(crate) now: Timestamp,
}

/// What a batch came to.
pub(crate) struct Done {
    pub(crate) appended: Vec<Appended>,
    /// An account was seen for the first time.
    pub(crate) adopted: bool,
    /// The configuration has changed: nothing was stored, read it anew and come again.
    pub(crate) stale: bool,
}

/// Runs the batch.
pub(crate) async fn run(tx: &mut Tx, arrivals: &[Arrival], context: Context) -> Result<Done, Error> {
    // Another node, or a job before us in the writer's queue, may have changed the configuration.
    if routing::is_stale(tx, &context.routing).await? {
        return Ok(Done { appended: Vec::new(), adopted: false, stale: true });
    }
    append(tx, arrivals, context).await
}

/// Appends under a configuration that is known to be current.
pub(crate) async fn append(tx: &mut Tx, arrivals: &[Arrival], context: Context) -> Result<Done, Error> {
    let mut batch = Batch::new(arrivals, context);
    batch.read_items(tx).await?;
    batch.drop_duplicates(tx).await?;
    batch.meet_parties(tx).await?;
    batch.write_events(tx).await?;
    batch.write_receipts(tx).await
}

/// An item of an arrival that is to become an event.
struct Item<'a> {
    arrival: usize,
    new: &'a NewEvent,
    id: EventId,
    app: AppId,
    account: Option<AccountId>,
    print: Option<Fingerprint>,
    conversation: Option<ConversationId>,
    /// Event types of our own that this item causes, told before it.
    caused: Vec<&'static str>,
}

/// What is known of one arrival so far.
struct Progress {
    receipt: Option<ReceiptId>,
    items: u32,
    unrouted: u32,
    appended: Appended,
}

struct Batch<'a> {
    arrivals: &'a [Arrival],
    context: Context,
    progress: Vec<Progress>,
    items: Vec<Item<'a>>,
    events: Vec<Vec<Value>>,
    deliveries: Vec<Vec<Value>>,
    adopted: bool,
}

impl<'a> Batch<'a> {
    fn new(arrivals: &'a [Arrival], context: Context) -> Batch<'a> {
        let progress = arrivals.iter().map(|arrival| Progress::of(arrival, &context)).collect();
        Batch { arrivals, context, progress, items: Vec::new(), events: Vec::new(), deliveries: Vec::new(), adopted: false }
    }

    /// Says of every item whose it is; what nobody has named stays in quarantine.
    async fn read_items(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let arrivals = self.arrivals;
        for (at, arrival) in arrivals.iter().enumerate() {
            let Verdict::Genuine(news) = &arrival.verdict else { continue };
            for new in news.iter() {
                self.progress[at].items += 1;
                let Some((app, account)) = self.owner(tx, arrival, new).await? else {
                    self.progress[at].unrouted += 1;
                    continue;
                };
                let id = self.context.ids.next(self.context.now);
                let owner = arrival.source.as_ref().map_or(app.raw(), |source| source.id.raw());
                let print = new.dedupe_key.as_ref().map(|key| fingerprint(owner, &[key.as_bytes()]));
                let item =
                    Item { arrival: at, new, id, app, account, print, conversation: None, caused: Vec::new() };
                self.items.push(item);
            }
        }
        Ok(())
    }

    async fn owner(
        &mut self,
        tx: &mut Tx,
        arrival: &Arrival,
        new: &NewEvent,
    ) -> Result<Option<(AppId, Option<AccountId>)>, Error> {
        let Some(source) = &arrival.source else { return Ok(arrival.app.map(|app| (app, None))) };
        let address = match (&new.account, &new.party) {
            (Some(address), _) => address.as_str(),
            // A talk needs an account to be on, even where the platform has only one.
            (None, Some(_)) => "",
            (None, None) => return Ok(Some((source.app, None))),
        };
        let account = self.account(tx, source, address).await?;
        Ok(account.map(|account| (account.app, Some(account.id))))
    }

    async fn account(&mut self, tx: &mut Tx, source: &Source, address: &str) -> Result<Option<Account>, Error> {
        if let Some(account) = self.context.routing.account(source.id, address) {
            return Ok(Some(account.clone()));
        }
        if let Some(account) = sources::find_account(tx, source.id, address).await? {
            return Ok(Some(account));
        }
        if source.unknown_accounts == UnknownAccounts::Quarantine {
            return Ok(None);
        }
        self.adopted = true;
        let id = self.context.ids.next(self.context.now);
        sources::adopt(tx, source, address, id).await.map(Some)
    }

    /// Keeps of each fact the first copy only. On PostgreSQL this waits until whoever is storing the same fact has
    /// ended, so that a duplicate is answered only when the first copy's outcome is known.
    async fn drop_duplicates(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let keyed = self.items.iter().filter_map(|item| item.print.map(|print| (print, item.id)));
        let rows = keyed.map(|(print, id)| vec![Value::Int(print.key1), Value::Int(print.key2), id.into()]);
        let is_new = tx.insert_new(DEDUPE, rows.collect()).await?;
        let mut is_new = is_new.into_iter();
        self.items.retain(|item| item.print.is_none() || is_new.next().unwrap_or(true));
        Ok(())
    }

    /// Finds or makes the contact and the conversation of every item that has a party.
    async fn meet_parties(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let meetings: Vec<Meeting<'_>> = self.items.iter().filter_map(|item| item.meeting()).collect();
        if meetings.is_empty() {
            return Ok(());
        }
        let talks = parties::meet(tx, &meetings, &self.context.ids, self.context.now).await?;
        let with_party = self.items.iter_mut().filter(|item| item.meeting().is_some());
        for (item, Talk { conversation, caused }) in with_party.zip(talks) {
            item.conversation = Some(conversation);
            item.caused = caused;
        }
        Ok(())
    }

    async fn write_events(&mut self, tx: &mut Tx) -> Result<(), Error> {
        self.settle_statuses(tx).await?;
        let mut owed = Owed::default();
        let items = std::mem::take(&mut self.items);
        for item in &items {
            let line = item.line(self.arrivals[item.arrival].source.as_deref());
            for event_type in &item.caused {
                let id = self.context.ids.next(self.context.now);
                self.events.push(self.caused_row(item, id, event_type));
                self.owe(&mut owed, item, id, event_type, line);
            }
            self.events.push(self.event_row(item));
            self.owe(&mut owed, item, item.id, item.new.event_type.as_str(), line);
            self.progress[item.arrival].appended.items_new += 1;
        }
        self.items = items;
        self.deliveries = owed.rows(tx, &self.context).await?;
        tx.insert_many(EVENTS, std::mem::take(&mut self.events)).await?;
        tx.insert_many(DELIVERIES, std::mem::take(&mut self.deliveries)).await
    }

    /// Carries the statuses among the items over to the sends they are about.
    async fn settle_statuses(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let (mut news, mut owners) = (Vec::new(), Vec::new());
        for item in &mut self.items {
            if let (Content::Status { status }, Some(account)) = (&item.new.content, item.account) {
                news.push((account, &**status));
                owners.push(&mut item.conversation);
            }
        }
        let conversations = statuses::settle(tx, &news, self.context.now).await?;
        for (owner, conversation) in owners.into_iter().zip(conversations) {
            // Some platforms name only the message; its send knows the conversation.
            *owner = owner.or(conversation);
        }
        Ok(())
    }

    fn event_row(&self, item: &Item<'_>) -> Vec<Value> {
        let content = item.new.content.to_json(item.new.party.as_ref());
        let check = content.as_ref().map_or(0, |content| check_of(content.as_bytes()));
        self.row(item, item.id, item.new.event_type.as_str(), content, check, item.new.occurred_at)
    }

    /// An event of our own about the conversation; envelope and conversation id say all there is to say.
    fn caused_row(&self, item: &Item<'_>, id: EventId, event_type: &str) -> Vec<Value> {
        let content = "{}".to_owned();
        let check = check_of(content.as_bytes());
        let mut row = self.row(item, id, event_type, Some(content), check, item.new.occurred_at);
        row.truncate(10);
        row.extend([Value::Null, Value::Null]);
        row
    }

    fn row(
        &self,
        item: &Item<'_>,
        id: EventId,
        event_type: &str,
        content: Option<String>,
        check: i64,
        occurred_at: Timestamp,
    ) -> Vec<Value> {
        let source = self.arrivals[item.arrival].source.as_ref().map(|source| source.id);
        vec![
            id.into(),
            item.app.into(),
            Value::from(source),
            Value::from(item.account),
            Value::from(item.conversation),
            Value::from(self.progress[item.arrival].receipt),
            event_type.into(),
            occurred_at.into(),
            Value::from(content),
            Value::Int(check),
            Value::from(item.print.map(|print| print.key1)),
            Value::from(item.print.map(|print| print.key2)),
        ]
    }

    fn owe(&mut self, owed: &mut Owed, item: &Item<'_>, event: EventId, event_type: &str, line: Option<i64>) {
        let source = self.arrivals[item.arrival].source.as_ref().map(|source| source.id);
        for endpoint in self.context.routing.endpoints_of(item.app) {
            if endpoint.subscription.wants(event_type, source, item.account) {
                owed.add(endpoint, event, line);
                self.progress[item.arrival].appended.deliveries += 1;
            }
        }
    }

    async fn write_receipts(mut self, tx: &mut Tx) -> Result<Done, Error> {
        let (mut receipts, mut bodies) = (Vec::new(), Vec::new());
        for (arrival, progress) in self.arrivals.iter().zip(&mut self.progress) {
            progress.conclude(arrival);
            let (Some(request), Some(id)) = (&arrival.request, progress.receipt) else { continue };
            if request.receipt.is_some() {
                progress.restate(tx, arrival, id).await?;
                continue;
            }
            receipts.push(progress.receipt_row(arrival, id));
            bodies.push(vec![
                id.into(),
                request.headers.as_str().into(),
                request.body.to_vec().into(),
                Value::Int(check_of(&request.body)),
            ]);
        }
        tx.insert_many(RECEIPTS, receipts).await?;
        tx.insert_many(BODIES, bodies).await?;
        let appended = self.progress.iter().map(|progress| progress.appended).collect();
        Ok(Done { appended, adopted: self.adopted, stale: false })
    }
}

impl Item<'_> {
    fn meeting(&self) -> Option<Meeting<'_>> {
        let party: &Party = self.new.party.as_ref().filter(|party| !party.identifiers.is_empty())?;
        Some(Meeting { app: self.app, account: self.account?, party, at: self.new.occurred_at })
    }

    /// What this item must stay in line with.
    fn line(&self, source: Option<&Source>) -> Option<i64> {
        let keyed = || Some(line_of(source.map_or(SourceId::from_raw(0), |source| source.id), self.new.order_key.as_deref()?));
        self.conversation.map(|id| id.raw()).or_else(keyed)
    }
}

impl Progress {
    fn of(arrival: &Arrival, context: &Context) -> Progress {
        let receipt = arrival.request.as_ref().map(|request| {
            request.receipt.unwrap_or_else(|| context.ids.next(context.now))
        });
        let state = match arrival.verdict {
            Verdict::Genuine(_) => ReceiptState::Accepted,
            Verdict::Answered => ReceiptState::Answered,
            Verdict::Rejected(_) => ReceiptState::Rejected,
            Verdict::Unrouted(_) => ReceiptState::Unrouted,
        };
        let appended = Appended { receipt, state, items: 0, items_new: 0, deliveries: 0 };
        Progress { receipt, items: 0, unrouted: 0, appended }
    }

    fn conclude(&mut self, arrival: &Arrival) {
        self.appended.items = self.items;
        if !matches!(arrival.verdict, Verdict::Genuine(_)) {
            return;
        }
        self.appended.state = match (self.unrouted, self.appended.items_new) {
            (0, 0) if self.items > 0 => ReceiptState::Duplicate,
            (0, _) => ReceiptState::Accepted,
            _ => ReceiptState::Unrouted,
        };
    }

    fn reason(&self, arrival: &Arrival) -> Option<Reason> {
        match arrival.verdict {
            Verdict::Rejected(reason) | Verdict::Unrouted(reason) => Some(reason),
            _ if self.appended.state == ReceiptState::Unrouted => Some(Reason::AccountUnknown),
            Verdict::Genuine(_) | Verdict::Answered => None,
        }
    }

    /// Says what became of a stored request that was read once more. One that has brought something is not made a
    /// duplicate by being read again.
    async fn restate(&self, tx: &mut Tx, arrival: &Arrival, id: ReceiptId) -> Result<(), Error> {
        let sql = "UPDATE receipts SET state = CASE WHEN ?2 = ?6 AND items_new > 0 THEN ?7 ELSE ?2 END, reason = ?3,
            items = ?4, items_new = items_new + ?5 WHERE id = ?1";
        let args = [
            id.into(),
            Value::Int(self.appended.state.code()),
            Value::from(self.reason(arrival).map(Reason::code)),
            Value::from(self.appended.items),
            Value::from(self.appended.items_new),
            Value::Int(ReceiptState::Duplicate.code()),
            Value::Int(ReceiptState::Accepted.code()),
        ];
        tx.execute(sql, &args).await.map(|_| ())
    }

    fn receipt_row(&self, arrival: &Arrival, id: ReceiptId) -> Vec<Value> {
        let request = arrival.request.as_ref();
        let text = |pick: fn(&crate::arrivals::Request) -> &str| Value::from(request.map_or("", pick));
        vec![
            id.into(),
            Value::from(arrival.source.as_ref().map(|source| source.id)),
            Value::Int(self.appended.state.code()),
            Value::from(self.reason(arrival).map(Reason::code)),
            text(|request| &request.method),
            text(|request| &request.path),
            text(|request| &request.peer),
            Value::Int(request.map_or(0, |request| request.body.len() as i64)),
            Value::from(self.items),
            Value::from(self.appended.items_new),
        ]
    }
}

/// Deliveries of a batch before it is known which of them stand at the head of their line.
#[derive(Default)]
struct Owed(Vec<(Arc<Endpoint>, EventId, Option<i64>)>);

impl Owed {
    fn add(&mut self, endpoint: &Arc<Endpoint>, event: EventId, line: Option<i64>) {
        let line = line.filter(|_| endpoint.order == Order::ByConversation);
        self.0.push((Arc::clone(endpoint), event, line));
    }

    /// Only the head of a line is due; the others wait with no due time until a record promotes them.
    async fn rows(self, tx: &mut Tx, context: &Context) -> Result<Vec<Vec<Value>>, Error> {
        let newest = self.newest_of_lines(tx).await?;
        // A node whose clock is ahead may have been here before us: whoever comes later has the higher id.
        order::pass(&context.ids, newest.values().copied().max(), context.now);
        let mut occupied: HashSet<(i64, i64)> = newest.into_keys().collect();
        let row = |(endpoint, event, line): (Arc<Endpoint>, EventId, Option<i64>)| {
            let id: DeliveryId = context.ids.next(context.now);
            let is_head = line.is_none_or(|line| occupied.insert((endpoint.id.raw(), line)));
            let due_at = is_head.then_some(context.now);
            vec![
                id.into(),
                event.into(),
                endpoint.id.into(),
                Value::from(line),
                Value::Int(0),
                Value::Int(0),
                Value::Int(0),
                Value::from(due_at),
            ]
        };
        Ok(self.0.into_iter().map(row).collect())
    }

    /// The lines in which somebody is waiting already, and the last of those who wait. Nobody may join or leave them
    /// until we have committed.
    async fn newest_of_lines(&self, tx: &mut Tx) -> Result<HashMap<(i64, i64), i64>, Error> {
        let lines: HashSet<(i64, i64)> =
            self.0.iter().filter_map(|(endpoint, _, line)| Some((endpoint.id.raw(), (*line)?))).collect();
        let lines: Vec<(i64, i64)> = lines.into_iter().collect();
        if lines.is_empty() {
            return Ok(HashMap::new());
        }
        tx.lock(lines.iter().map(|(_, line)| *line).collect()).await?;
        let sql = "SELECT max(id) FROM deliveries
            WHERE endpoint = ?1 AND line = ?2 AND line IS NOT NULL AND state <= 2";
        let asked: Vec<Vec<Value>> = lines.iter().map(|(endpoint, line)| vec![(*endpoint).into(), (*line).into()]).collect();
        let mut newest = HashMap::new();
        for (line, rows) in lines.into_iter().zip(tx.fetch_many(sql, &asked).await?) {
            if let Some(id) = rows.first().map_or(Ok(None), |row| row.opt_int(0))? {
                newest.insert(line, id);
            }
        }
        Ok(newest)
    }
}
