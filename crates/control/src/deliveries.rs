//! Deliveries: what is owed, each try of it, trying again now, and calling it off.

use model::delivery::{Attempt, AttemptOf, Delivery, DeliveryState};
use model::endpoint::EndpointState;
use model::id::{AppId, DeliveryId};
use model::page::{Page, PageRequest};
pub use store::deliveries::DeliveryFilter;
use store::routing::Routing;

use crate::{Action, Actor, Control, Error, masked};

/// Deliveries.
pub struct Deliveries<'c>(&'c Control);

impl Control {
    /// Deliveries.
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(self)
    }
}

impl Deliveries<'_> {
    /// One delivery.
    pub async fn get(&self, actor: &Actor, id: DeliveryId) -> Result<Delivery, Error> {
        actor.must(Action::Read)?;
        Ok(shown(self.find(actor, id).await?.0, &self.0.store.routing()))
    }

    /// Deliveries, newest first. Who is bound to an app sees those to its endpoints, also to those that were removed.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, Error> {
        actor.must(Action::Read)?;
        let filter = DeliveryFilter { app: actor.narrowed(filter.app)?, ..filter };
        let page = self.0.store.deliveries().list(filter, page).await?;
        let routing = self.0.store.routing();
        Ok(page.map(|one| shown(one, &routing)))
    }

    /// Each try of a delivery, oldest first.
    pub async fn attempts(&self, actor: &Actor, id: DeliveryId) -> Result<Vec<Attempt>, Error> {
        actor.must(Action::Read)?;
        self.find(actor, id).await?;
        let attempts = self.0.store.deliveries().attempts(AttemptOf::Delivery(id)).await?;
        Ok(attempts.into_iter().map(masked::attempt).collect())
    }

    /// Calls off a delivery that has not arrived.
    pub async fn cancel(&self, actor: &Actor, id: DeliveryId) -> Result<Delivery, Error> {
        actor.must(Action::Operate)?;
        let (_, app) = self.find(actor, id).await?;
        match self.0.acting(actor, Some(app), "delivery.cancel", &id).deliveries().cancel(id).await {
            Err(store::Error::NotFound(_)) => Err(ended()),
            outcome => {
                outcome?;
                Ok(self.find(actor, id).await?.0)
            }
        }
    }

    /// Has a delivery attempted now, whether it is held at the head of its line or waits for its next attempt.
    pub async fn retry(&self, actor: &Actor, id: DeliveryId) -> Result<Delivery, Error> {
        actor.must(Action::Operate)?;
        let (delivery, app) = self.find(actor, id).await?;
        if is_held_by_endpoint(&delivery, &self.0.store.routing()) {
            return Err(Error::conflict(
                "its endpoint is paused or disabled: resume the endpoint",
                "su endpoint está en pausa o desactivado: reanuda el endpoint",
            ));
        }
        if self.0.acting(actor, Some(app), "delivery.retry", &id).deliveries().retry(id).await? {
            return self.get(actor, id).await;
        }
        match self.find(actor, id).await?.0.state {
            DeliveryState::Delivered | DeliveryState::Dead | DeliveryState::Cancelled => Err(ended()),
            DeliveryState::InFlight => {
                Err(Error::conflict("an attempt is under way", "hay un intento en curso"))
            }
            DeliveryState::Pending | DeliveryState::Held => Err(Error::conflict(
                "it waits in its line behind another: retry or cancel that one",
                "espera en su línea detrás de otra: reintenta o cancela esa",
            )),
        }
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

fn ended() -> Error {
    Error::conflict("it has ended already: replay it", "ya ha terminado: reenvíala")
}

/// A delivery as people see it: held while its endpoint is not enabled.
fn shown(delivery: Delivery, routing: &Routing) -> Delivery {
    if is_held_by_endpoint(&delivery, routing) {
        Delivery { state: DeliveryState::Held, ..delivery }
    } else {
        delivery
    }
}

fn is_held_by_endpoint(delivery: &Delivery, routing: &Routing) -> bool {
    let endpoint = routing.endpoint(delivery.endpoint);
    delivery.state == DeliveryState::Pending
        && endpoint.is_some_and(|endpoint| endpoint.state != EndpointState::Enabled)
}
