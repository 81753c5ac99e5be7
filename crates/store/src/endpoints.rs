//! Endpoints: where events of an app are delivered.

use std::time::Duration;

use model::endpoint::{Endpoint, EndpointState, Format, OnDead, Order, Subscription};
use model::event::EventPattern;
use model::id::{AccountId, EndpointId, SourceId};
use model::retry::RetryPolicy;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::arrivals::Arrival;
use crate::db::Tx;
use crate::error::Error;
use crate::sources::KeyDoc;
use crate::value::{Row, Value};
use crate::version::Versioned;
use crate::{Queue, Store, append, routing};

/// Endpoints.
pub struct Endpoints<'s>(&'s Store);

impl Store {
    /// Endpoints.
    pub fn endpoints(&self) -> Endpoints<'_> {
        Endpoints(self)
    }
}

impl Endpoints<'_> {
    /// Stores a new endpoint, or a changed one under its id. Its state and health are left as they are.
    pub async fn save(&self, endpoint: Endpoint) -> Result<(), Error> {
        let (inner, trail) = (&self.0.inner, self.0.trail());
        inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    save(tx, &endpoint).await?;
                    trail.write(tx).await
                })
            })
            .await?;
        routing::follow(inner).await;
        Ok(())
    }

    /// Puts a changed endpoint in the place of the version it was made from, and says which version it is now. Fails with
    /// [`Error::Stale`] if that version is not there any more. Its state and health are left as they are.
    pub async fn replace(&self, changed: Versioned<Endpoint>) -> Result<i64, Error> {
        let (inner, trail) = (&self.0.inner, self.0.trail());
        let version = inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let version = replace(tx, &changed).await?;
                    trail.write(tx).await?;
                    Ok(version)
                })
            })
            .await?;
        routing::follow(inner).await;
        Ok(version)
    }

    /// Removes an endpoint. What is still owed to it is cancelled by name, never lost from sight.
    pub async fn remove(&self, id: EndpointId) -> Result<(), Error> {
        let (inner, trail) = (&self.0.inner, self.0.trail());
        inner
            .db
            .write_patiently(move |tx| {
                Box::pin(async move {
                    remove(tx, id).await?;
                    trail.write(tx).await
                })
            })
            .await?;
        routing::follow(inner).await;
        Ok(())
    }

    /// Pauses, disables or enables it, and appends what tells of it; says whether it was otherwise before, because only
    /// then is anything told. Nothing owed is touched: deliveries of an endpoint that is not enabled are held by that, and go
    /// on when it is enabled again.
    pub async fn set_state(
        &self,
        id: EndpointId,
        state: EndpointState,
        told: Option<Arrival>,
    ) -> Result<bool, Error> {
        let sql = "UPDATE endpoints SET state = ?2, failing_since = NULL, version = version + 1
            WHERE id = ?1 AND state <> ?2";
        self.change(id, (sql, Value::from(state.as_str())), told).await
    }

    /// Remembers since when an endpoint has only failed, `None` after a success, and appends what tells of it; says
    /// whether that is news, because only then is anything told.
    pub async fn set_failing_since(
        &self,
        id: EndpointId,
        since: Option<Timestamp>,
        told: Option<Arrival>,
    ) -> Result<bool, Error> {
        let sql = "UPDATE endpoints SET failing_since = ?2
            WHERE id = ?1 AND failing_since IS DISTINCT FROM ?2";
        self.change(id, (sql, Value::from(since)), told).await
    }

    async fn change(
        &self,
        id: EndpointId,
        (sql, value): (&'static str, Value),
        told: Option<Arrival>,
    ) -> Result<bool, Error> {
        let trail = self.0.trail();
        let has_changed = self
            .0
            .write_current(move |tx, context| {
                let (args, told, trail) = ([id.into(), value.clone()], told.clone(), trail.clone());
                Box::pin(async move {
                    if tx.execute(sql, &args).await? == 0 {
                        return find(tx, id).await.map(|_| false);
                    }
                    if let Some(told) = told {
                        append::append(tx, &[told], context).await?;
                    }
                    trail.write(tx).await?;
                    routing::changed(tx).await?;
                    Ok(true)
                })
            })
            .await?;
        routing::follow(&self.0.inner).await;
        self.0.inner.wake(Queue::Deliveries);
        Ok(has_changed)
    }

    /// One endpoint.
    pub async fn get(&self, id: EndpointId) -> Result<Versioned<Endpoint>, Error> {
        self.0.inner.db.read(move |tx| Box::pin(find(tx, id))).await
    }

    /// Every endpoint, oldest first.
    pub async fn all(&self) -> Result<Vec<Endpoint>, Error> {
        self.0.inner.db.read(|tx| Box::pin(load_all(tx))).await
    }
}

async fn save(tx: &mut Tx, endpoint: &Endpoint) -> Result<(), Error> {
    let sql = "INSERT INTO endpoints (id, app, state, failing_since, doc) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (id) DO UPDATE SET doc = ?5, version = endpoints.version + 1";
    let args = [
        endpoint.id.into(),
        endpoint.app.into(),
        endpoint.state.as_str().into(),
        Value::from(endpoint.failing_since),
        Doc::of(endpoint).to_text().into(),
    ];
    tx.execute(sql, &args).await?;
    routing::changed(tx).await
}

async fn replace(tx: &mut Tx, changed: &Versioned<Endpoint>) -> Result<i64, Error> {
    let (endpoint, version) = (&changed.thing, changed.version);
    let sql = "UPDATE endpoints SET doc = ?3, version = version + 1 WHERE id = ?1 AND version = ?2";
    let args = [endpoint.id.into(), version.into(), Doc::of(endpoint).to_text().into()];
    if tx.execute(sql, &args).await? == 0 {
        find(tx, endpoint.id).await?;
        return Err(Error::Stale);
    }
    routing::changed(tx).await?;
    Ok(version + 1)
}

async fn find(tx: &mut Tx, id: EndpointId) -> Result<Versioned<Endpoint>, Error> {
    let sql = "SELECT id, app, state, failing_since, doc, version FROM endpoints WHERE id = ?1";
    let row = tx.fetch_one(sql, &[id.into()]).await?.ok_or(Error::NotFound("endpoint"))?;
    Ok(Versioned { version: row.int(5)?, thing: endpoint(&row)? })
}

async fn remove(tx: &mut Tx, id: EndpointId) -> Result<(), Error> {
    // Whoever is about to owe something to it ends first; whoever comes later sees that it is gone.
    routing::clear(tx).await?;
    if tx.execute("DELETE FROM endpoints WHERE id = ?1", &[id.into()]).await? == 0 {
        return Err(Error::NotFound("endpoint"));
    }
    let cancel = "UPDATE deliveries SET state = 5, due_at = NULL, lease = NULL, last_error = 'the endpoint was removed'
        WHERE state IN (0, 1, 2) AND state <> 3 AND endpoint = ?1";
    tx.execute(cancel, &[id.into()]).await?;
    routing::changed(tx).await
}

pub(crate) async fn load_all(tx: &mut Tx) -> Result<Vec<Endpoint>, Error> {
    let rows =
        tx.fetch_all("SELECT id, app, state, failing_since, doc FROM endpoints ORDER BY id", &[]).await?;
    rows.iter().map(endpoint).collect()
}

fn endpoint(row: &Row) -> Result<Endpoint, Error> {
    let id: EndpointId = row.id(0)?;
    let corrupt = |what: &str| Error::Corrupt(format!("endpoints of {id}: {what}"));
    let doc: Doc = serde_json::from_str(row.text(4)?).map_err(|error| corrupt(&error.to_string()))?;
    Ok(Endpoint {
        id,
        app: row.id(1)?,
        state: EndpointState::parse(row.text(2)?).ok_or_else(|| corrupt("state"))?,
        failing_since: row.opt_time(3)?,
        name: doc.name,
        url: doc.url,
        format: Format::parse(&doc.format).ok_or_else(|| corrupt("format"))?,
        subscription: Subscription {
            types: doc.types.iter().filter_map(|pattern| EventPattern::new(pattern)).collect(),
            sources: doc.sources.into_iter().map(SourceId::from_raw).collect(),
            accounts: doc.accounts.into_iter().map(AccountId::from_raw).collect(),
        },
        keys: doc.keys.iter().map(KeyDoc::to_key).collect(),
        headers: doc.headers,
        retry: RetryPolicy { waits: doc.retry_ms.into_iter().map(Duration::from_millis).collect() },
        concurrency: doc.concurrency,
        timeout: Duration::from_millis(doc.timeout_ms),
        order: Order::parse(&doc.order).ok_or_else(|| corrupt("order"))?,
        on_dead: OnDead::parse(&doc.on_dead).ok_or_else(|| corrupt("on_dead"))?,
        allow_http: doc.allow_http,
    })
}

/// All of an endpoint that no query asks for, as stored.
#[derive(Serialize, Deserialize)]
struct Doc {
    name: String,
    url: String,
    format: String,
    types: Vec<String>,
    sources: Vec<i64>,
    accounts: Vec<i64>,
    keys: Vec<KeyDoc>,
    headers: Vec<(String, String)>,
    retry_ms: Vec<u64>,
    concurrency: u16,
    timeout_ms: u64,
    order: String,
    on_dead: String,
    allow_http: bool,
}

impl Doc {
    fn of(endpoint: &Endpoint) -> Doc {
        let ms = |span: &Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Doc {
            name: endpoint.name.clone(),
            url: endpoint.url.clone(),
            format: endpoint.format.as_str().to_owned(),
            types: endpoint.subscription.types.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            sources: endpoint.subscription.sources.iter().map(|id| id.raw()).collect(),
            accounts: endpoint.subscription.accounts.iter().map(|id| id.raw()).collect(),
            keys: endpoint.keys.iter().map(KeyDoc::of).collect(),
            headers: endpoint.headers.clone(),
            retry_ms: endpoint.retry.waits.iter().map(ms).collect(),
            concurrency: endpoint.concurrency,
            timeout_ms: ms(&endpoint.timeout),
            order: endpoint.order.as_str().to_owned(),
            on_dead: endpoint.on_dead.as_str().to_owned(),
            allow_http: endpoint.allow_http,
        }
    }

    fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a document has text keys only")
    }
}
