//! What decides where things go, kept in memory: sources, accounts, endpoints. Read anew when it changes.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::endpoint::Endpoint;
use model::id::{AccountId, AppId, EndpointId, SourceId};
use model::source::{Account, Source};

use crate::db::Tx;
use crate::error::Error;
use crate::value::Value;
use crate::{Inner, Store, endpoints, sources};

/// A consistent picture of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// Which state of the configuration this is.
    version: i64,
    sources: HashMap<SourceId, Arc<Source>>,
    paths: HashMap<String, SourceId>,
    accounts: HashMap<(SourceId, String), Account>,
    by_account: HashMap<AccountId, (SourceId, String)>,
    accounts_held: HashMap<SourceId, usize>,
    endpoints: HashMap<EndpointId, Arc<Endpoint>>,
    by_app: HashMap<AppId, Vec<Arc<Endpoint>>>,
}

impl Routing {
    /// Which state of the configuration this is.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The source of this id.
    pub fn source(&self, id: SourceId) -> Option<&Arc<Source>> {
        self.sources.get(&id)
    }

    /// The source with this path of its own.
    pub fn source_at(&self, path: &str) -> Option<&Arc<Source>> {
        self.paths.get(path).and_then(|id| self.sources.get(id))
    }

    /// Every source, in no order.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.sources.values()
    }

    /// Every account of a source, in no order.
    pub fn accounts_of(&self, source: SourceId) -> impl Iterator<Item = &Account> {
        self.accounts.values().filter(move |account| account.source == source)
    }

    /// How many accounts a source has.
    pub(crate) fn account_count(&self, source: SourceId) -> usize {
        self.accounts_held.get(&source).copied().unwrap_or(0)
    }

    /// The account a platform calls by this address.
    pub fn account(&self, source: SourceId, address: &str) -> Option<&Account> {
        self.accounts.get(&(source, address.to_owned()))
    }

    /// The account of this id.
    pub fn account_by_id(&self, id: AccountId) -> Option<&Account> {
        self.by_account.get(&id).and_then(|key| self.accounts.get(key))
    }

    /// The endpoint of this id.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(&id)
    }

    /// Every endpoint, in no order.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.values()
    }

    /// Whether no two apps have endpoints.
    pub(crate) fn is_of_one_app(&self) -> bool {
        self.by_app.len() <= 1
    }

    /// The endpoints of an app.
    pub fn endpoints_of(&self, app: AppId) -> &[Arc<Endpoint>] {
        self.by_app.get(&app).map_or(&[], Vec::as_slice)
    }
}

/// The current picture.
#[derive(Default)]
pub(crate) struct RoutingTable(ArcSwap<Routing>);

impl RoutingTable {
    pub(crate) fn current(&self) -> Arc<Routing> {
        self.0.load_full()
    }
}

impl Store {
    /// The current picture of the configuration.
    pub fn routing(&self) -> Arc<Routing> {
        self.inner.routing.current()
    }

    /// Reads the configuration anew if another node has changed it.
    pub async fn refresh_routing(&self) -> Result<(), Error> {
        let held = self.routing().version;
        let stored = self.inner.db.read(|tx| Box::pin(version(tx))).await?;
        if stored != held { refresh(&self.inner).await } else { Ok(()) }
    }
}

/// The stored state of the configuration.
pub(crate) async fn version(tx: &mut Tx) -> Result<i64, Error> {
    let row = tx.fetch_one("SELECT value FROM meta WHERE name = ?1", &[Value::from("routing")]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Any number, as long as every node uses the same one.
const LOCK: i64 = 0x726f_7574_6573;

/// Whether the configuration has changed since it was read. Until the transaction ends, nothing in it is removed.
pub(crate) async fn is_stale(tx: &mut Tx, held: &Routing) -> Result<bool, Error> {
    tx.share(LOCK).await?;
    Ok(version(tx).await? != held.version)
}

/// Waits for whoever relies on the configuration as it is. Comes before something is removed from it.
pub(crate) async fn clear(tx: &mut Tx) -> Result<(), Error> {
    tx.lock(vec![LOCK]).await
}

/// Keeps everything configured in place until the transaction ends.
pub(crate) async fn keep(tx: &mut Tx) -> Result<(), Error> {
    tx.share(LOCK).await
}

/// Says, in the transaction that changes the configuration, that it has changed.
pub(crate) async fn changed(tx: &mut Tx) -> Result<(), Error> {
    let sql = "INSERT INTO meta (name, value) VALUES ('routing', 1)
        ON CONFLICT (name) DO UPDATE SET value = meta.value + 1";
    tx.execute(sql, &[]).await.map(|_| ())
}

/// Reads the configuration.
pub(crate) async fn refresh(inner: &Arc<Inner>) -> Result<(), Error> {
    let fresh = inner.db.read(|tx| Box::pin(load(tx))).await?;
    // Two refreshes may finish in either order: the newer picture stays.
    inner.routing.0.rcu(|held| {
        let newer = fresh.version >= held.version;
        if newer { Arc::new(fresh.clone()) } else { Arc::clone(held) }
    });
    // Who was paused may have something due.
    inner.ahead.look_everywhere();
    Ok(())
}

/// Reads the configuration that was just changed. The change is stored, whether it can be read now or not: whoever relies
/// on it next finds that it has changed.
pub(crate) async fn follow(inner: &Arc<Inner>) {
    if let Err(error) = refresh(inner).await {
        tracing::warn!(%error, "a change of the configuration is not known in memory yet");
    }
}

async fn load(tx: &mut Tx) -> Result<Routing, Error> {
    let mut routing = Routing { version: version(tx).await?, ..Routing::default() };
    for source in sources::load_all(tx).await? {
        if let Some(path) = &source.path {
            routing.paths.insert(path.clone(), source.id);
        }
        routing.sources.insert(source.id, Arc::new(source));
    }
    for account in sources::load_accounts(tx).await? {
        *routing.accounts_held.entry(account.source).or_default() += 1;
        routing.by_account.insert(account.id, (account.source, account.address.clone()));
        routing.accounts.insert((account.source, account.address.clone()), account);
    }
    for endpoint in endpoints::load_all(tx).await? {
        let endpoint = Arc::new(endpoint);
        routing.by_app.entry(endpoint.app).or_default().push(Arc::clone(&endpoint));
        routing.endpoints.insert(endpoint.id, endpoint);
    }
    Ok(routing)
}
