//! Deliveries: what is owed, each try of it, and calling it off.

use model::delivery::{Attempt, AttemptOf, Delivery, DeliveryState};
use model::endpoint::EndpointState;
use model::id::{AppId, DeliveryId, EndpointId, EventId};
use model::page::{Page, PageRequest};
use store::deliveries::DeliveryFilter;
use store::routing::Routing;

use crate::listing::{Span, sift};
use crate::{Action, Actor, Control, Error};

/// Deliveries.
pub struct Deliveries<'c>(&'c Control);

impl Control {
    /// Deliveries.
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(self)
    }
}

/// Which deliveries are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeliveryQuery {
    /// Those of one event.
    pub event: Option<EventId>,
    /// Those to one endpoint.
    pub endpoint: Option<EndpointId>,
    /// Those in one state, as shown.
    pub state: Option<DeliveryState>,
    /// Those made within a span.
    pub span: Span,
}

impl Deliveries<'_> {
    /// One delivery.
    pub async fn get(&self, actor: &Actor, id: DeliveryId) -> Result<Delivery, Error> {
        actor.must(Action::Read)?;
        Ok(shown(self.find(actor, id).await?.0, &self.0.store.routing()))
    }

    /// Deliveries, newest first. Who is bound to an app sees those to its endpoints.
    pub async fn list(
        &self,
        actor: &Actor,
        query: DeliveryQuery,
        page: PageRequest,
    ) -> Result<Page<Delivery>, Error> {
        actor.must(Action::Read)?;
        // What an endpoint holds is stored as pending (ADR 13).
        let state = query.state.filter(|state| *state != DeliveryState::Held);
        let filter = DeliveryFilter { event: query.event, endpoint: query.endpoint, state };
        let (deliveries, routing) = (self.0.store.deliveries(), self.0.store.routing());
        let is_seen = |one: &Delivery| {
            actor.app.is_none()
                || routing.endpoint(one.endpoint).is_some_and(|endpoint| actor.sees(endpoint.app))
        };
        let keep = |one: &Delivery| {
            is_seen(one) && query.state.is_none_or(|state| shown(one.clone(), &routing).state == state)
        };
        let page =
            sift(page, query.span, |one: &Delivery| one.id.raw(), keep, |page| deliveries.list(filter, page))
                .await?;
        Ok(page.map(|one| shown(one, &routing)))
    }

    /// Each try of a delivery, oldest first.
    pub async fn attempts(&self, actor: &Actor, id: DeliveryId) -> Result<Vec<Attempt>, Error> {
        actor.must(Action::Read)?;
        self.find(actor, id).await?;
        Ok(self.0.store.deliveries().attempts(AttemptOf::Delivery(id)).await?)
    }

    /// Calls off a delivery that has not arrived.
    pub async fn cancel(&self, actor: &Actor, id: DeliveryId) -> Result<Delivery, Error> {
        actor.must(Action::Operate)?;
        let (_, app) = self.find(actor, id).await?;
        match self.0.store.deliveries().cancel(id).await {
            Err(store::Error::NotFound(_)) => {
                return Err(Error::conflict("it has ended already", "ya ha terminado"));
            }
            outcome => outcome?,
        }
        self.0.audit(actor, Some(app), "delivery.cancel", id.to_string()).await?;
        Ok(self.find(actor, id).await?.0)
    }

    /// A delivery and whose it is.
    pub(crate) async fn find(&self, actor: &Actor, id: DeliveryId) -> Result<(Delivery, AppId), Error> {
        let delivery = self.0.store.deliveries().get(id).await?;
        let app = match self.0.store.routing().endpoint(delivery.endpoint) {
            Some(endpoint) => endpoint.app,
            // The endpoint was removed; its app is the event's.
            None => self.0.store.events().get(delivery.event).await?.app,
        };
        actor.must_see(app, "delivery")?;
        Ok((delivery, app))
    }
}

/// A delivery as people see it: held while its endpoint is not enabled.
fn shown(delivery: Delivery, routing: &Routing) -> Delivery {
    let is_held = delivery.state == DeliveryState::Pending
        && routing
            .endpoint(delivery.endpoint)
            .is_some_and(|endpoint| endpoint.state != EndpointState::Enabled);
    if is_held { Delivery { state: DeliveryState::Held, ..delivery } } else { delivery }
}
