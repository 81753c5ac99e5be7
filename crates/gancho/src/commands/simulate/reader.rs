//! Reads the conversation from the gateway, as often as somebody looks.

use std::collections::BTreeMap;
use std::time::Duration;

use control::deliveries::DeliveryFilter;
use control::events::EventFilter;
use control::messages::SendFilter;
use control::{Actor, Control, Error};
use model::delivery::{Delivery, DeliveryState};
use model::event::Event;
use model::id::{EndpointId, EventId};
use model::page::{LIMIT_MAX, Page, PageRequest};
use model::send::OwedSend;
use serde_json::Value;

use super::thread::{Entry, Reached, SHOWN_MAX, Side, Thread, answered, written};

/// How many deliveries that have not ended are looked up at a time, the newest first. The others are ahead of these in
/// their line, so that they are looked up before long.
const UNSETTLED_MAX: usize = 100;

/// Reads the conversation from the gateway.
pub(super) struct Reader {
    control: Control,
    actor: Actor,
    endpoint: EndpointId,
    /// Deliveries that have ended: nothing of them changes any more.
    settled: BTreeMap<EventId, Reached>,
}

impl Reader {
    /// Reads what one bot is told.
    pub(super) fn of(control: Control, endpoint: EndpointId) -> Reader {
        Reader { control, actor: Actor::of_this_machine("simulate"), endpoint, settled: BTreeMap::new() }
    }

    /// The conversation as it is now.
    pub(super) async fn read(&mut self) -> Result<Thread, Error> {
        let events = self.events("message.received").await?;
        let reached = self.reached(&events).await?;
        let written = events.iter().map(|event| {
            let entry = written(event, reached.get(&event.id).cloned());
            (event.id.raw(), entry)
        });
        let mut entries: Vec<(i64, Entry)> = written.collect();
        let reasons = self.reasons().await?;
        let sends = self.sends().await?;
        entries.extend(sends.iter().filter_map(|send| Some((send.id.raw(), answered(send, &reasons)?))));
        // Ids are in the order of time, whatever they are of.
        entries.sort_by_key(|(id, _)| *id);
        let left_out = entries.len().saturating_sub(SHOWN_MAX);
        let entries: Vec<Entry> = entries.into_iter().skip(left_out).map(|(_, entry)| entry).collect();
        let bot = self.refused().await?.or_else(|| entries.iter().rev().find_map(tried));
        Ok(Thread { entries, bot })
    }

    async fn events(&self, event_type: &str) -> Result<Vec<Event>, Error> {
        let filter = EventFilter { event_type: Some(event_type.to_owned()), ..EventFilter::default() };
        let mut pages = Pages::newest();
        while let Some(page) = pages.next {
            pages.add(self.control.events().list(&self.actor, filter.clone(), page).await?);
        }
        Ok(pages.all)
    }

    async fn sends(&self) -> Result<Vec<OwedSend>, Error> {
        let mut pages = Pages::newest();
        while let Some(page) = pages.next {
            pages.add(self.control.messages().list(&self.actor, SendFilter::default(), page).await?);
        }
        Ok(pages.all)
    }

    /// What became of events, newest first, at the bot's endpoint.
    async fn reached(&mut self, events: &[Event]) -> Result<BTreeMap<EventId, Reached>, Error> {
        let oldest = events.last().map(|event| event.id);
        self.settled.retain(|event, _| oldest.is_some_and(|oldest| *event >= oldest));
        let mut reached = self.settled.clone();
        let unsettled = events.iter().filter(|event| !self.settled.contains_key(&event.id));
        let unsettled: Vec<EventId> = unsettled.map(|event| event.id).take(UNSETTLED_MAX).collect();
        for event in unsettled {
            let Some(found) = self.look(event).await? else { continue };
            if matches!(
                found.state,
                DeliveryState::Delivered | DeliveryState::Dead | DeliveryState::Cancelled
            ) {
                self.settled.insert(event, found.clone());
            }
            reached.insert(event, found);
        }
        Ok(reached)
    }

    async fn look(&self, event: EventId) -> Result<Option<Reached>, Error> {
        let filter =
            DeliveryFilter { event: Some(event), endpoint: Some(self.endpoint), ..DeliveryFilter::default() };
        let listed = self.control.deliveries().list(&self.actor, filter, PageRequest::newest(1)).await?;
        match listed.items.into_iter().next() {
            Some(delivery) => Ok(Some(self.became(delivery).await?)),
            None => Ok(None),
        }
    }

    /// What the bot has been sent and has not taken, of whatever type: it keeps what comes after it waiting.
    async fn refused(&self) -> Result<Option<Reached>, Error> {
        let (endpoint, state) = (Some(self.endpoint), Some(DeliveryState::Pending));
        let filter = DeliveryFilter { endpoint, state, ..DeliveryFilter::default() };
        let listed =
            self.control.deliveries().list(&self.actor, filter, PageRequest::newest(LIMIT_MAX)).await?;
        match listed.items.into_iter().find(|delivery| delivery.attempts > 0) {
            Some(delivery) => Ok(Some(self.became(delivery).await?)),
            None => Ok(None),
        }
    }

    async fn became(&self, delivery: Delivery) -> Result<Reached, Error> {
        let attempts = self.control.deliveries().attempts(&self.actor, delivery.id).await?;
        let last = attempts.last();
        Ok(Reached {
            state: delivery.state,
            attempts: delivery.attempts,
            due_at: delivery.due_at,
            status: last.and_then(|attempt| attempt.status),
            took: last.map_or(Duration::ZERO, |attempt| attempt.phases.total),
            error: delivery.last_error,
        })
    }

    /// Why messages failed after the platform had taken them, by its ids.
    async fn reasons(&self) -> Result<BTreeMap<String, String>, Error> {
        let failures = self.events("message.failed").await?;
        Ok(failures.iter().filter_map(|event| reason(event.content.as_deref()?)).collect())
    }
}

/// As much of a list as is shown, newest first.
struct Pages<T> {
    all: Vec<T>,
    /// Which page comes next; none when there is enough, or no more.
    next: Option<PageRequest>,
}

impl<T> Pages<T> {
    fn newest() -> Pages<T> {
        Pages { all: Vec::new(), next: Some(PageRequest::newest(LIMIT_MAX)) }
    }

    fn add(&mut self, page: Page<T>) {
        self.all.extend(page.items);
        let before = page.next.filter(|_| self.all.len() < SHOWN_MAX);
        self.next = before.map(|before| PageRequest { limit: LIMIT_MAX, before: Some(before) });
    }
}

/// How a message of the customer's fares that the bot has been sent.
fn tried(entry: &Entry) -> Option<Reached> {
    match &entry.side {
        Side::Customer(_, Some(reached)) if reached.attempts > 0 => Some(reached.clone()),
        _ => None,
    }
}

fn reason(content: &str) -> Option<(String, String)> {
    let content: Value = serde_json::from_str(content).ok()?;
    let status = &content["status"];
    let error = &status["errors"][0];
    let words = error["details"].as_str().or(error["title"].as_str()).unwrap_or_default();
    let code = error["code"].as_i64().map(|code| code.to_string()).unwrap_or_default();
    // Some platforms name it in their words already.
    let why = if words.contains(&code) { words.to_owned() } else { format!("{code} {words}") };
    Some((status["message_id"].as_str()?.to_owned(), why.trim().to_owned()))
}
