//! Receipts: every request as it came; refused ones are verified again and released.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use model::id::{AppId, ReceiptId};
use model::page::{Page, PageRequest};
use model::receipt::{Reason, Receipt, ReceiptState};
use model::source::Source;
use platforms::http::Incoming;
use platforms::platform::Platform;
use platforms::proof::{Unsigned, Verified, by_nothing};
use platforms::registry;
use store::arrivals::{Arrival, Request, Verdict};

pub use store::arrivals::Appended;
pub use store::receipts::{Came, ReceiptFilter};

use crate::{Action, Actor, Control, Error, masked};

/// Receipts.
pub struct Receipts<'c>(&'c Control);

impl Control {
    /// Receipts.
    pub fn receipts(&self) -> Receipts<'_> {
        Receipts(self)
    }
}

/// What verifying a stored request again came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verification {
    /// Why it is still not genuine; `None` when it is.
    pub reason: Option<Reason>,
    /// How many events it carries, as far as it can be read.
    pub events: usize,
}

/// A stored request, read back.
struct Stored {
    receipt: Receipt,
    source: Arc<Source>,
    platform: &'static dyn Platform,
    came: Came,
    incoming: Incoming,
}

impl Receipts<'_> {
    /// One receipt, without credentials in its path.
    pub async fn get(&self, actor: &Actor, id: ReceiptId) -> Result<Receipt, Error> {
        actor.must(Action::Read)?;
        Ok(self.shown(self.find(actor, id).await?))
    }

    /// What came in a request, credentials masked; `None` when retention has removed it. Looking is audited.
    pub async fn came(&self, actor: &Actor, id: ReceiptId) -> Result<Option<Came>, Error> {
        actor.must(Action::Read)?;
        let receipt = self.find(actor, id).await?;
        self.must_be_unshared(actor, &receipt)?;
        let app = self.app_of(&receipt);
        self.0.audit_view(actor, app, "receipt.view", &id).await;
        let came = self.0.store.receipts().came(id).await?;
        Ok(came.map(|came| masked::came(self.source_of(&receipt).as_deref(), came)))
    }

    /// Receipts, newest first. Who is bound to an app sees those of its sources.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: ReceiptFilter,
        page: PageRequest,
    ) -> Result<Page<Receipt>, Error> {
        actor.must(Action::Read)?;
        let filter = ReceiptFilter { app: actor.narrowed(filter.app)?, ..filter };
        Ok(self.0.store.receipts().list(filter, page).await?.map(|receipt| self.shown(receipt)))
    }

    /// Runs the platform's verification on the stored bytes with today's secrets. Changes nothing.
    pub async fn verify(&self, actor: &Actor, id: ReceiptId) -> Result<Verification, Error> {
        actor.must(Action::Operate)?;
        let stored = self.stored(actor, id).await?;
        let verification = match stored.prove() {
            Ok(verified) => Verification { reason: None, events: stored.count(&verified) },
            Err(reason) => Verification { reason: Some(reason), events: 0 },
        };
        self.0.acting(actor, Some(stored.source.app), "receipt.verify", &id).audit().note().await?;
        Ok(verification)
    }

    /// Appends the events of a request that was refused or had no owner, under its own receipt. A refused one must
    /// prove genuine now, unless an admin trusts it in so many words.
    pub async fn release(&self, actor: &Actor, id: ReceiptId, trust: bool) -> Result<Appended, Error> {
        actor.must(if trust { Action::Trust } else { Action::Operate })?;
        let stored = self.stored(actor, id).await?;
        let verified = match stored.prove() {
            Ok(verified) => verified,
            Err(_) if trust => by_nothing(&stored.incoming, Unsigned::AdminSaysSo),
            Err(reason) => return Err(Error::NotGenuine(reason)),
        };
        let verdict = stored.read(&verified)?;
        let action = if trust { "receipt.release_trusted" } else { "receipt.release" };
        let store = self.0.acting(actor, Some(stored.source.app), action, &id);
        let arrival = Arrival {
            source: Some(stored.source),
            app: None,
            request: Some(request(stored.receipt, stored.came)),
            verdict,
        };
        store.receipts().release(id, arrival).await?.ok_or_else(not_open)
    }

    /// Reads a request back that may be verified again: one that was refused, or had no owner.
    async fn stored(&self, actor: &Actor, id: ReceiptId) -> Result<Stored, Error> {
        let receipt = self.find(actor, id).await?;
        self.must_be_unshared(actor, &receipt)?;
        if !matches!(receipt.state, ReceiptState::Rejected | ReceiptState::Unrouted) {
            return Err(not_open());
        }
        let source = self.source_of(&receipt).ok_or_else(|| {
            Error::conflict(
                "it reached no source that is still there",
                "no llegó a ninguna fuente que aún exista",
            )
        })?;
        let platform = registry::find(&source.platform).ok_or(Error::NotFound("platform"))?;
        let came = self.0.store.receipts().came(id).await?.ok_or_else(|| {
            Error::conflict(
                "its body is not kept: of refused requests only so many bytes are, and no body is kept for ever; the sender must send it again",
                "su cuerpo no se guarda: de las peticiones rechazadas solo se guarda una cantidad limitada de bytes y ningún cuerpo se guarda para siempre; el emisor debe enviarla de nuevo",
            )
        })?;
        if !came.intact {
            return Err(Error::conflict("its body is damaged", "su cuerpo está dañado"));
        }
        let incoming = incoming(&receipt, &came)
            .ok_or_else(|| Error::conflict("its headers are damaged", "sus cabeceras están dañadas"))?;
        Ok(Stored { receipt, source, platform, came, incoming })
    }

    async fn find(&self, actor: &Actor, id: ReceiptId) -> Result<Receipt, Error> {
        let receipt = self.0.store.receipts().get(id).await?;
        let is_seen = actor.app.is_none() || self.app_of(&receipt).is_some_and(|app| actor.sees(app));
        if is_seen { Ok(receipt) } else { Err(Error::NotFound("receipt")) }
    }

    /// On a source whose accounts belong to several apps, a request may hold what is not the actor's: only who is bound
    /// to no app looks into it.
    fn must_be_unshared(&self, actor: &Actor, receipt: &Receipt) -> Result<(), Error> {
        let routing = self.0.store.routing();
        let is_shared =
            receipt.source.is_some_and(|id| routing.accounts_of(id).any(|one| !actor.sees(one.app)));
        if actor.app.is_some() && is_shared { Err(Error::NotFound("request")) } else { Ok(()) }
    }

    fn app_of(&self, receipt: &Receipt) -> Option<AppId> {
        self.source_of(receipt).map(|source| source.app)
    }

    fn source_of(&self, receipt: &Receipt) -> Option<Arc<Source>> {
        receipt.source.and_then(|id| self.0.store.routing().source(id).cloned())
    }

    fn shown(&self, receipt: Receipt) -> Receipt {
        let source = self.source_of(&receipt);
        masked::receipt(source.as_deref(), receipt)
    }
}

fn not_open() -> Error {
    Error::conflict(
        "only refused and unrouted requests are released",
        "solo se liberan peticiones rechazadas o sin dueño",
    )
}

impl Stored {
    /// Proves it with today's secrets. One that only had no owner was genuine when it came; it is not asked to prove itself
    /// twice, because of a genuine request no credential is kept.
    fn prove(&self) -> Result<Verified<'_>, Reason> {
        if self.receipt.state == ReceiptState::Unrouted {
            return Ok(by_nothing(&self.incoming, Unsigned::ProvenBefore));
        }
        let allowed = &self.source.allowed_networks;
        let peer = self.receipt.peer.parse::<IpAddr>().map(|peer| peer.to_canonical());
        let is_allowed = |text: &String| {
            text.parse::<IpNet>().is_ok_and(|net| peer.as_ref().is_ok_and(|peer| net.contains(peer)))
        };
        if !allowed.is_empty() && !allowed.iter().any(is_allowed) {
            return Err(Reason::AddressNotAllowed);
        }
        self.platform.verify(&self.source, &self.incoming).map_err(|rejection| rejection.0)
    }

    fn count(&self, verified: &Verified<'_>) -> usize {
        self.platform.parse(&self.source, verified).map_or(0, |events| events.len())
    }

    fn read(&self, verified: &Verified<'_>) -> Result<Verdict, Error> {
        if self.platform.handshake(&self.source, verified).is_some() {
            return Ok(Verdict::Answered);
        }
        let events = self
            .platform
            .parse(&self.source, verified)
            .map_err(|_| Error::NotGenuine(Reason::BodyUnreadable))?;
        Ok(Verdict::Genuine(events.into()))
    }
}

/// The request as the adapter saw it, at the time it came.
fn incoming(receipt: &Receipt, came: &Came) -> Option<Incoming> {
    let (path, query) = match receipt.path.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (receipt.path.as_str(), None),
    };
    let mut headers = HeaderMap::new();
    for line in came.headers.lines() {
        let (name, value) = line.split_once(": ")?;
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    Some(Incoming {
        method: Method::from_bytes(receipt.method.as_bytes()).ok()?,
        path: path.to_owned(),
        query,
        headers,
        body: came.body.clone(),
        received_at: receipt.id.made_at(),
    })
}

fn request(receipt: Receipt, came: Came) -> Request {
    Request {
        receipt: Some(receipt.id),
        method: receipt.method,
        path: receipt.path,
        peer: receipt.peer,
        headers: came.headers,
        body: came.body,
        is_whole: true,
    }
}
