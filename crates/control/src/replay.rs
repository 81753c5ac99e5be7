//! Replays: existing events delivered again, as new deliveries under the same event id.

use model::delivery::DeliveryState;
use model::id::{DeliveryId, EndpointId, EventId};
use model::page::{LIMIT_MAX, PageRequest};
use store::deliveries::DeliveryFilter;
use store::replays::Replayed;
pub use store::replays::{DeadFilter, Step};

use crate::{Action, Actor, Control, Error};

/// The most dead deliveries that one call replays.
pub const MANY_MAX: usize = 10_000;
/// The most steps one call takes, whatever it finds: each looks at a bounded number of rows.
const STEPS_MAX: usize = 20;

/// Replays.
pub struct Replays<'c>(&'c Control);

impl Control {
    /// Replays.
    pub fn replays(&self) -> Replays<'_> {
        Replays(self)
    }
}

impl Replays<'_> {
    /// Owes what a delivery that has ended was about to its endpoint again: once, and another time only where `again`
    /// says so.
    pub async fn delivery(&self, actor: &Actor, id: DeliveryId, again: bool) -> Result<DeliveryId, Error> {
        actor.must(Action::Operate)?;
        let (_, app) = self.0.deliveries().find(actor, id).await?;
        let store = self.0.acting(actor, Some(app), "delivery.replay", &id);
        made(store.replays().delivery(id, again).await?)
    }

    /// Owes an event to an endpoint of its app, whether it was owed before or not, unless it is on its way there.
    pub async fn event(
        &self,
        actor: &Actor,
        event: EventId,
        endpoint: EndpointId,
    ) -> Result<DeliveryId, Error> {
        actor.must(Action::Operate)?;
        let found = self.0.events().find(actor, event).await?;
        let to = self.0.endpoints().find(actor, endpoint).await?.thing;
        if to.app != found.app {
            return Err(Error::NotFound("endpoint"));
        }
        if self.is_on_its_way(event, endpoint).await? {
            return made(Replayed::OnItsWay);
        }
        let store = self.0.acting(actor, Some(found.app), "event.replay", &format!("{event} {endpoint}"));
        made(store.replays().event(event, endpoint).await?)
    }

    async fn is_on_its_way(&self, event: EventId, endpoint: EndpointId) -> Result<bool, Error> {
        let of_both =
            DeliveryFilter { event: Some(event), endpoint: Some(endpoint), ..DeliveryFilter::default() };
        let latest = self.0.store.deliveries().list(of_both, PageRequest::newest(LIMIT_MAX)).await?;
        let is_owed =
            |state| matches!(state, DeliveryState::Pending | DeliveryState::InFlight | DeliveryState::Held);
        Ok(latest.items.iter().any(|delivery| is_owed(delivery.state)))
    }

    /// Replays dead deliveries that were not replayed before, newest first: at most `limit` of those older than `before`,
    /// and never more than [`MANY_MAX`].
    pub async fn many(
        &self,
        actor: &Actor,
        filter: DeadFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Step, Error> {
        actor.must(Action::Operate)?;
        let filter = DeadFilter { app: actor.narrowed(filter.app)?, ..filter };
        if let Some(endpoint) = filter.endpoint {
            self.0.endpoints().find(actor, endpoint).await?;
        }
        let subject = filter.endpoint.map_or_else(|| "all endpoints".to_owned(), |id| id.to_string());
        let store = self.0.acting(actor, filter.app, "delivery.replay_many", &subject);
        let limit = limit.min(MANY_MAX);
        let mut all = Step { made: 0, lost: 0, next: before };
        for _ in 0..STEPS_MAX {
            let step = store.replays().dead(filter, all.next, limit - all.made).await?;
            all = Step { made: all.made + step.made, lost: all.lost + step.lost, next: step.next };
            if all.next.is_none() || all.made == limit {
                break;
            }
        }
        Ok(all)
    }
}

fn made(replayed: Replayed) -> Result<DeliveryId, Error> {
    match replayed {
        Replayed::Made(made) => Ok(made),
        Replayed::Before(before) => Err(Error::Replayed(before)),
        Replayed::ContentRemoved => Err(Error::ContentRemoved),
        Replayed::EndpointRemoved => {
            Err(Error::conflict("its endpoint was removed", "su endpoint fue eliminado"))
        }
        Replayed::OnItsWay => Err(Error::conflict("it is still on its way", "todavía está en camino")),
    }
}
