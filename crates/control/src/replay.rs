//! Replays: existing events delivered again, as new deliveries under the same event id.

use futures_util::future::join_all;
use model::delivery::{Delivery, DeliveryState};
use model::id::{AppId, DeliveryId, EndpointId, EventId};
use model::page::{LIMIT_MAX, Page, PageRequest};
use store::access::Claim;
use store::deliveries::DeliveryFilter;

use crate::listing::{Span, sift};
use crate::{Action, Actor, Control, Error};

/// The most dead deliveries that one call looks at.
pub const LOOKED_AT_MAX: u32 = 10_000;
/// How many of them are replayed at a time, so that they share commits.
const AT_ONCE: usize = 64;
/// The route that replays of dead deliveries are kept under: each is replayed at most once.
const REPLAY: &str = "replay";

/// Replays.
pub struct Replays<'c>(&'c Control);

impl Control {
    /// Replays.
    pub fn replays(&self) -> Replays<'_> {
        Replays(self)
    }
}

/// Which dead deliveries are to be replayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplayQuery {
    /// Those to one endpoint.
    pub endpoint: Option<EndpointId>,
    /// Those made within a span.
    pub span: Span,
    /// Those older than this raw id: where the call before ended.
    pub before: Option<i64>,
}

/// What a call for many replays came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replayed {
    /// How many deliveries were made.
    pub count: usize,
    /// Where another call goes on; `None` when none are left.
    pub next: Option<i64>,
}

/// What became of one dead delivery.
enum Once {
    Made(DeliveryId),
    MadeBefore(DeliveryId),
    UnderWay,
}

impl Replays<'_> {
    /// Owes a delivery's event to its endpoint again. A dead delivery is replayed once: asked twice, the same new
    /// delivery is returned.
    pub async fn delivery(&self, actor: &Actor, id: DeliveryId) -> Result<DeliveryId, Error> {
        actor.must(Action::Operate)?;
        let (delivery, app) = self.0.deliveries().find(actor, id).await?;
        let made = match delivery.state {
            DeliveryState::Dead => match self.once(&delivery).await? {
                Once::MadeBefore(before) => return Ok(before),
                Once::UnderWay => return Err(Error::conflict("it is being replayed", "se está reenviando")),
                Once::Made(made) => made,
            },
            DeliveryState::Delivered | DeliveryState::Cancelled => {
                self.again(delivery.event, delivery.endpoint).await?
            }
            DeliveryState::Pending | DeliveryState::InFlight | DeliveryState::Held => {
                return Err(Error::conflict("it is still on its way", "todavía está en camino"));
            }
        };
        self.0.audit(actor, Some(app), "delivery.replay", id.to_string()).await?;
        Ok(made)
    }

    /// Owes an event to an endpoint of its app, whether it was owed before or not.
    pub async fn event(
        &self,
        actor: &Actor,
        event: EventId,
        endpoint: EndpointId,
    ) -> Result<DeliveryId, Error> {
        actor.must(Action::Operate)?;
        let found = self.0.events().find(actor, event).await?;
        let to = self.0.endpoints().find(actor, endpoint).await?;
        if to.app != found.app {
            return Err(Error::NotFound("endpoint"));
        }
        let made = self.again(event, endpoint).await?;
        self.0.audit(actor, Some(found.app), "event.replay", format!("{event} {endpoint}")).await?;
        Ok(made)
    }

    /// Replays dead deliveries, newest first, that were not replayed before; looks at [`LOOKED_AT_MAX`] at most.
    pub async fn many(&self, actor: &Actor, query: ReplayQuery) -> Result<Replayed, Error> {
        actor.must(Action::Operate)?;
        if let Some(endpoint) = query.endpoint {
            self.0.endpoints().find(actor, endpoint).await?;
        }
        let mut page = PageRequest { limit: LIMIT_MAX, before: query.before };
        let mut count = 0;
        for _ in 0..LOOKED_AT_MAX / LIMIT_MAX {
            let dead = self.dead(actor, query, page).await?;
            for some in dead.items.chunks(AT_ONCE) {
                for done in join_all(some.iter().map(|one| self.once(one))).await {
                    count += usize::from(matches!(done?, Once::Made(_)));
                }
            }
            page.before = dead.next;
            if page.before.is_none() {
                break;
            }
        }
        let subject = query.endpoint.map_or_else(|| "all endpoints".to_owned(), |id| id.to_string());
        self.0.audit(actor, actor.app, "delivery.replay_many", format!("{count} to {subject}")).await?;
        Ok(Replayed { count, next: page.before })
    }

    async fn dead(
        &self,
        actor: &Actor,
        query: ReplayQuery,
        page: PageRequest,
    ) -> Result<Page<Delivery>, Error> {
        let filter =
            DeliveryFilter { event: None, endpoint: query.endpoint, state: Some(DeliveryState::Dead) };
        let (deliveries, routing) = (self.0.store.deliveries(), self.0.store.routing());
        let app_of = |id: EndpointId| -> Option<AppId> { routing.endpoint(id).map(|endpoint| endpoint.app) };
        let keep = |one: &Delivery| app_of(one.endpoint).is_some_and(|app| actor.sees(app));
        sift(page, query.span, |one: &Delivery| one.id.raw(), keep, |page| deliveries.list(filter, page))
            .await
    }

    async fn once(&self, dead: &Delivery) -> Result<Once, Error> {
        let (access, subject) = (self.0.store.access(), dead.id.to_string());
        match access.claim_key(0, REPLAY, &subject, 0).await? {
            Claim::Answered(before) => match before.parse() {
                Ok(before) => Ok(Once::MadeBefore(before)),
                Err(_) => {
                    Err(Error::Internal(store::Error::Corrupt("idempotency.answer of a replay".to_owned())))
                }
            },
            Claim::UnderWay | Claim::OtherRequest => Ok(Once::UnderWay),
            Claim::Fresh => {
                let made = self.again(dead.event, dead.endpoint).await;
                let answer = made.as_ref().ok().map(ToString::to_string);
                access.answered(0, REPLAY, &subject, answer).await?;
                Ok(Once::Made(made?))
            }
        }
    }

    async fn again(&self, event: EventId, endpoint: EndpointId) -> Result<DeliveryId, Error> {
        if self.0.store.routing().endpoint(endpoint).is_none() {
            return Err(Error::conflict("its endpoint was removed", "su endpoint fue eliminado"));
        }
        Ok(self.0.store.deliveries().replay(event, endpoint).await?)
    }
}
