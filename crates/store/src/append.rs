//! Appends a batch of arrivals in one transaction: the one statement sequence every acknowledged byte goes through.

use std::sync::Arc;

use model::conversation::Party;
use model::endpoint::Format;
use model::event::{Content, NewEvent};
use model::file::FileLink;
use model::id::{AccountId, AppId, ConversationId, EndpointId, EventId, Ids, ReceiptId, SourceId};
use model::receipt::{Reason, ReceiptState};
use model::source::{ACCOUNTS_MAX, ADDRESS_BYTES_MAX, Account, Source, UnknownAccounts};
use model::time::Timestamp;

use crate::arrivals::{Appended, Arrival, Verdict};
use crate::db::Tx;
use crate::digest::{Fingerprint, check_of, fingerprint, line_of};
use crate::error::Error;
use crate::events::EVENTS;
use crate::files::{FILES, NewFile};
use crate::links::Links;
use crate::owed::{DELIVERIES, Owed};
use crate::parties::{self, Meeting, Talk};
use crate::receipts::{BODIES, RECEIPTS};
use crate::room::Kind;
use crate::routing::{self, Routing};
use crate::runs::Entry;
use crate::value::Value;
use crate::{Inner, dedupe, links, sources, statuses};

/// How often a batch is run again because the configuration changed under it. Where many accounts are new at the same time, each
/// batch that adopts one makes those beside it stale: a few tries in a row meet that, and nobody is to be asked to come back.
pub(crate) const STALE_TRIES_MAX: u32 = 30;

/// What a batch is appended under.
pub(crate) struct Context {
    pub(crate) routing: Arc<Routing>,
    pub(crate) ids: Ids,
    pub(crate) now: Timestamp,
    pub(crate) links: Option<Arc<Links>>,
}

impl Context {
    /// What holds now.
    pub(crate) fn of(inner: &Inner) -> Context {
        Context {
            routing: inner.routing.current(),
            ids: inner.ids.clone(),
            now: inner.clock.now(),
            links: inner.links.get().cloned(),
        }
    }
}

/// What a batch came to.
pub(crate) struct Done {
    pub(crate) appended: Vec<Appended>,
    /// Where something is due now.
    pub(crate) due: Vec<(EndpointId, Kind)>,
    /// A file is to be fetched.
    pub(crate) fetches: bool,
    /// An account was seen for the first time.
    pub(crate) adopted: bool,
    /// The configuration has changed: nothing was stored, read it anew and come again.
    pub(crate) stale: bool,
}

/// Runs the batch.
pub(crate) async fn run(tx: &mut Tx, arrivals: &[Arrival], context: Context) -> Result<Done, Error> {
    // Another node, or a job before us in the writer's queue, may have changed the configuration.
    if routing::is_stale(tx, &context.routing).await? {
        return Ok(Done {
            appended: Vec::new(),
            due: Vec::new(),
            fetches: false,
            adopted: false,
            stale: true,
        });
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

/// The most events of our own that one item causes: its conversation is created, and its state changes.
const CAUSED_MAX: usize = 2;

/// An item of an arrival that is to become an event.
struct Item<'a> {
    arrival: usize,
    new: &'a NewEvent,
    id: EventId,
    /// Ids for what it causes: told before it, so lower than its own.
    caused_ids: [EventId; CAUSED_MAX],
    app: AppId,
    account: Option<AccountId>,
    print: Option<Fingerprint>,
    conversation: Option<ConversationId>,
    /// Event types of our own that this item causes, told before it.
    caused: Vec<&'static str>,
}

/// An event as it is told: an item's own, or one it causes.
#[derive(Clone, Copy)]
struct Told<'t> {
    id: EventId,
    event_type: &'t str,
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
    /// What those events are found by.
    entries: Vec<Entry>,
    /// Files to be fetched.
    files: Vec<Vec<Value>>,
    due: Vec<(EndpointId, Kind)>,
    adopted: bool,
}

impl<'a> Batch<'a> {
    fn new(arrivals: &'a [Arrival], context: Context) -> Batch<'a> {
        let progress = arrivals.iter().map(|arrival| Progress::of(arrival, &context)).collect();
        Batch {
            arrivals,
            context,
            progress,
            items: Vec::new(),
            events: Vec::new(),
            entries: Vec::new(),
            files: Vec::new(),
            due: Vec::new(),
            adopted: false,
        }
    }

    /// Says of every item whose it is; what nobody has named stays in quarantine.
    async fn read_items(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let arrivals = self.arrivals;
        for (at, arrival) in arrivals.iter().enumerate() {
            let Verdict::Genuine(news) = &arrival.verdict else {
                continue;
            };
            for new in news.iter() {
                self.progress[at].items += 1;
                let Some((app, account)) = self.owner(tx, arrival, new).await? else {
                    self.progress[at].unrouted += 1;
                    continue;
                };
                let caused_ids = std::array::from_fn(|_| self.context.ids.next(self.context.now));
                let id = self.context.ids.next(self.context.now);
                let owner = arrival.source.as_ref().map_or(app.raw(), |source| source.id.raw());
                let print = new.dedupe_key.as_ref().map(|key| fingerprint(owner, &[key.as_bytes()]));
                let item = Item {
                    arrival: at,
                    new,
                    id,
                    caused_ids,
                    app,
                    account,
                    print,
                    conversation: None,
                    caused: Vec::new(),
                };
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
        let Some(source) = &arrival.source else {
            return Ok(arrival.app.map(|app| (app, None)));
        };
        let address = match (&new.account, &new.party) {
            (Some(address), _) => address.as_str(),
            // A talk needs an account to be on, even where the platform has only one.
            (None, Some(_)) => "",
            (None, None) => return Ok(Some((source.app, None))),
        };
        let account = self.account(tx, source, address).await?;
        Ok(account.map(|account| (account.app, Some(account.id))))
    }

    async fn account(
        &mut self,
        tx: &mut Tx,
        source: &Source,
        address: &str,
    ) -> Result<Option<Account>, Error> {
        if let Some(account) = self.context.routing.account(source.id, address) {
            return Ok(Some(account.clone()));
        }
        if let Some(account) = sources::find_account(tx, source.id, address).await? {
            return Ok(Some(account));
        }
        let is_full = self.context.routing.account_count(source.id) >= ACCOUNTS_MAX;
        if source.unknown_accounts == UnknownAccounts::Quarantine
            || is_full
            || address.len() > ADDRESS_BYTES_MAX
        {
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
        let is_new = dedupe::remember(tx, keyed.collect()).await?;
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
            for (event_type, id) in item.caused.iter().zip(item.caused_ids) {
                let told = Told { id, event_type };
                // Envelope and conversation id say all there is to say.
                self.tell(&mut owed, item, told, Some("{}".to_owned()));
            }
            let told = Told { id: item.id, event_type: item.new.event_type.as_str() };
            let file = self.fetch(item);
            let content = item.new.content.to_json_with_file(item.new.party.as_ref(), file.as_ref());
            self.tell(&mut owed, item, told, content);
            self.progress[item.arrival].appended.items_new += 1;
        }
        self.items = items;
        let (deliveries, due) = owed.rows(tx, &self.context).await?;
        self.due = due.into_iter().map(|endpoint| (endpoint, Kind::First)).collect();
        tx.insert_many(EVENTS, std::mem::take(&mut self.events)).await?;
        tx.insert_many(FILES, self.files.clone()).await?;
        dedupe::keep(tx, std::mem::take(&mut self.entries)).await?;
        tx.insert_many(DELIVERIES, deliveries).await
    }

    /// Notes that the file of an item is to be fetched, where its source asks for that; says where it will be.
    fn fetch(&mut self, item: &Item<'_>) -> Option<FileLink> {
        let source = self.arrivals[item.arrival].source.as_ref().filter(|source| source.fetches_files);
        source?;
        let media = item.new.content.media().filter(|media| media.id.is_some() || media.url.is_some())?;
        let (id, now) = (self.context.ids.next(self.context.now), self.context.now);
        let (account, event) = (item.account, Some(item.id));
        self.files.push(NewFile { id, app: item.app, account, event, media, due_at: Some(now) }.row());
        Some(links::link(self.context.links.as_deref(), id, now.plus(links::LASTS)))
    }

    fn tell(&mut self, owed: &mut Owed, item: &Item<'_>, told: Told<'_>, content: Option<String>) {
        // What an item causes happens as often as the item does: only that has a key.
        let key = item.print.filter(|_| told.id == item.id);
        self.entries.push(Entry { event: told.id, key, conversation: item.conversation });
        self.events.push(self.row(item, told, content, key));
        self.owe(owed, item, told);
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

    fn row(
        &self,
        item: &Item<'_>,
        told: Told<'_>,
        content: Option<String>,
        print: Option<Fingerprint>,
    ) -> Vec<Value> {
        let check = content.as_ref().map_or(0, |content| check_of(content.as_bytes()));
        let source = self.arrivals[item.arrival].source.as_ref().map(|source| source.id);
        vec![
            told.id.into(),
            item.app.into(),
            Value::from(source),
            Value::from(item.account),
            Value::from(item.conversation),
            Value::from(self.progress[item.arrival].receipt),
            told.event_type.into(),
            item.new.occurred_at.into(),
            Value::from(content),
            Value::Int(check),
            Value::from(print.map(|print| print.key1)),
            Value::from(print.map(|print| print.key2)),
        ]
    }

    fn owe(&mut self, owed: &mut Owed, item: &Item<'_>, told: Told<'_>) {
        let source = self.arrivals[item.arrival].source.as_deref();
        let line = item.line(source);
        for endpoint in self.context.routing.endpoints_of(item.app) {
            if !endpoint.subscription.wants(told.event_type, source.map(|source| source.id), item.account) {
                continue;
            }
            if endpoint.format == Format::Platform {
                let is_whole = told.id == item.id && self.progress[item.arrival].receipt.is_some();
                // The original bytes are owed once for the request, not once for each of its items.
                if !is_whole || !owed.original(endpoint.id, item.arrival) {
                    continue;
                }
            }
            owed.add(endpoint, told.id, line);
            self.progress[item.arrival].appended.deliveries += 1;
        }
    }

    async fn write_receipts(mut self, tx: &mut Tx) -> Result<Done, Error> {
        let (mut receipts, mut bodies) = (Vec::new(), Vec::new());
        for (arrival, progress) in self.arrivals.iter().zip(&mut self.progress) {
            progress.conclude(arrival);
            let (Some(request), Some(id)) = (&arrival.request, progress.receipt) else {
                continue;
            };
            if request.receipt.is_some() {
                progress.restate(tx, arrival, id).await?;
                continue;
            }
            receipts.push(progress.receipt_row(arrival, id));
            if request.is_whole {
                bodies.push(vec![
                    id.into(),
                    request.headers.as_str().into(),
                    request.body.clone().into(),
                    Value::Int(check_of(&request.body)),
                ]);
            }
        }
        tx.insert_many(RECEIPTS, receipts).await?;
        tx.insert_many(BODIES, bodies).await?;
        let appended = self.progress.iter().map(|progress| progress.appended).collect();
        let fetches = !self.files.is_empty();
        Ok(Done { appended, due: self.due, fetches, adopted: self.adopted, stale: false })
    }
}

impl Item<'_> {
    fn meeting(&self) -> Option<Meeting<'_>> {
        let party: &Party = self.new.party.as_ref().filter(|party| !party.identifiers.is_empty())?;
        let echo = match &self.new.content {
            Content::Message { message } if self.new.event_type.as_str() == "message.echo" => {
                Some(&*message.id)
            }
            _ => None,
        };
        Some(Meeting { app: self.app, account: self.account?, party, at: self.new.occurred_at, echo })
    }

    /// What this item must stay in line with.
    fn line(&self, source: Option<&Source>) -> Option<i64> {
        let keyed = || {
            Some(line_of(
                source.map_or(SourceId::from_raw(0), |source| source.id),
                self.new.order_key.as_deref()?,
            ))
        };
        self.conversation.map(|id| id.raw()).or_else(keyed)
    }
}

impl Progress {
    fn of(arrival: &Arrival, context: &Context) -> Progress {
        let receipt = arrival
            .request
            .as_ref()
            .map(|request| request.receipt.unwrap_or_else(|| context.ids.next(context.now)));
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
        let if_something_came = match self.appended.state {
            ReceiptState::Duplicate => ReceiptState::Accepted,
            state => state,
        };
        let sql = "UPDATE receipts SET state = CASE WHEN items_new > 0 THEN CAST(?6 AS BIGINT) ELSE CAST(?2 AS BIGINT) END, reason = ?3,
            items = ?4, items_new = items_new + ?5 WHERE id = ?1";
        let args = [
            id.into(),
            Value::Int(self.appended.state.code()),
            Value::from(self.reason(arrival).map(Reason::code)),
            Value::from(self.appended.items),
            Value::from(self.appended.items_new),
            Value::Int(if_something_came.code()),
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
