//! Endpoints: where events of an app are delivered.

use std::time::Duration;

use model::endpoint::{Endpoint, EndpointState, Format, OnDead, Order, Subscription};
use model::event::EventPattern;
use model::id::{AccountId, EndpointId, SourceId};
use model::retry::RetryPolicy;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::db::Tx;
use crate::error::Error;
use crate::sources::KeyDoc;
use crate::value::{Row, Value};
use crate::{Queue, Store, routing};

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
        let inner = &self.0.inner;
        inner.db.write(move |tx| Box::pin(async move { save(tx, &endpoint).await })).await?;
        routing::refresh(inner).await
    }

    /// Removes an endpoint. What is still owed to it is cancelled by name, never lost from sight.
    pub async fn remove(&self, id: EndpointId) -> Result<(), Error> {
        let inner = &self.0.inner;
        inner.db.write(move |tx| Box::pin(remove(tx, id))).await?;
        routing::refresh(inner).await
    }

    /// Pauses, disables or enables it. Nothing owed is touched: deliveries of an endpoint that is not enabled are
    /// held by that, and go on when it is enabled again.
    pub async fn set_state(&self, id: EndpointId, state: EndpointState) -> Result<(), Error> {
        let inner = &self.0.inner;
        inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE endpoints SET state = ?2, failing_since = NULL WHERE id = ?1";
                    if tx.execute(sql, &[id.into(), state.as_str().into()]).await? == 0 {
                        return Err(Error::NotFound("endpoint"));
                    }
                    routing::changed(tx).await
                })
            })
            .await?;
        routing::refresh(inner).await?;
        inner.wake(Queue::Deliveries);
        Ok(())
    }

    /// Remembers since when an endpoint has only failed; `None` after a success.
    pub async fn set_failing_since(&self, id: EndpointId, since: Option<Timestamp>) -> Result<(), Error> {
        let inner = &self.0.inner;
        inner
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE endpoints SET failing_since = ?2 WHERE id = ?1";
                    tx.execute(sql, &[id.into(), Value::from(since)]).await?;
                    routing::changed(tx).await
                })
            })
            .await?;
        routing::refresh(inner).await
    }

    /// Every endpoint, oldest first.
    pub async fn all(&self) -> Result<Vec<Endpoint>, Error> {
        self.0.inner.db.read(|tx| Box::pin(load_all(tx))).await
    }
}

async fn save(tx: &mut Tx, endpoint: &Endpoint) -> Result<(), Error> {
    let sql = "INSERT INTO endpoints (id, app, state, failing_since, doc) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (id) DO UPDATE SET doc = ?5";
    let doc = serde_json::to_string(&Doc::of(endpoint)).expect("a document has text keys only");
    let args = [
        endpoint.id.into(),
        endpoint.app.into(),
        endpoint.state.as_str().into(),
        Value::from(endpoint.failing_since),
        doc.into(),
    ];
    tx.execute(sql, &args).await?;
    routing::changed(tx).await
}

async fn remove(tx: &mut Tx, id: EndpointId) -> Result<(), Error> {
    // Whoever is about to owe something to it ends first; whoever comes later sees that it is gone.
    routing::clear(tx).await?;
    if tx.execute("DELETE FROM endpoints WHERE id = ?1", &[id.into()]).await? == 0 {
        return Err(Error::NotFound("endpoint"));
    }
    let cancel = "UPDATE deliveries SET state = 5, due_at = NULL, lease = NULL, last_error = 'the endpoint was removed'
        WHERE endpoint = ?1 AND state <= 2";
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
}
