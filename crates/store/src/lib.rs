//! What is durable. Each method is one transaction: it happened, or it did not.
//!
//! [`Store`] is one concrete type over two engines (ADR 3); its facets are a file each. Start with [`arrivals`],
//! the way in, and [`deliveries`], the way out.

pub mod access;
mod ahead;
mod append;
pub mod arrivals;
pub mod audit;
mod batch;
pub mod blocks;
pub mod claims;
pub mod conversations;
mod db;
mod dedupe;
pub mod deliveries;
mod digest;
pub mod disk;
mod due;
mod echoes;
pub mod endpoints;
pub mod error;
pub mod hold;
mod log;
pub mod events;
pub mod files;
mod filter;
mod following;
mod leases;
pub mod links;
mod listing;
mod look;
mod migrate;
mod order;
mod owed;
mod parties;
mod postgres;
pub mod receipts;
pub mod records;
pub mod replays;
pub mod retention;
mod room;
pub mod routing;
mod runs;
pub mod sends;
mod sent;
pub mod sources;
mod sqlite;
pub mod stats;
mod statuses;
mod sync;
mod telling;
mod threads;
mod turns;
mod value;
mod version;
mod waiting;
pub mod watches;

use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};

use model::id::{EndpointId, Ids};
use model::time::Clock;
use tokio::sync::Notify;

use crate::ahead::Ahead;
use crate::arrivals::Arrivals;
use crate::db::Db;
pub use crate::db::Faults;
use crate::disk::Reserve;
pub use crate::error::Error;
pub use crate::leases::Lease;
use crate::leases::Leases;
use crate::links::Links;
use crate::room::Kind;
use crate::routing::RoutingTable;
pub use crate::version::Versioned;
use crate::waiting::Waiting;

/// Where the data is and who we are among the nodes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which engine, and where.
    pub location: Location,
    /// This node's number among those on the same database, below [`model::id::NODES_MAX`].
    pub node: u16,
    /// Failures to inject; none outside tests.
    pub faults: Faults,
}

/// Which engine, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Location {
    /// SQLite in a folder of its own.
    Folder(PathBuf),
    /// PostgreSQL at a URL; the text holds a password and is never logged.
    Postgres(String),
}

impl Location {
    /// Reads `sqlite:<folder>` or `postgres://…`.
    pub fn parse(text: &str) -> Result<Location, Error> {
        if let Some(folder) = text.strip_prefix("sqlite:") {
            return Ok(Location::Folder(PathBuf::from(folder)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Location::Postgres(text.to_owned()));
        }
        Err(Error::Config("a store is `sqlite:<folder>` or `postgres://…`".to_owned()))
    }
}

/// Work that may be waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queue {
    /// Events owed to endpoints.
    Deliveries,
    /// Messages owed to platforms.
    Sends,
    /// Sources to be looked at.
    Watches,
    /// Files to be fetched.
    Files,
}

/// Everything durable. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    arrivals: Arrivals,
    recorder: records::Recorder,
    /// Who acts through this clone.
    act: Option<Arc<audit::Act>>,
}

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) ids: Ids,
    pub(crate) clock: Clock,
    pub(crate) routing: RoutingTable,
    pub(crate) leases: Leases,
    pub(crate) reserve: Reserve,
    pub(crate) ahead: Ahead,
    pub(crate) waiting: Waiting,
    /// The endpoint at which the last claim ended; the next one begins after it.
    pub(crate) claimed_last: AtomicI64,
    /// The account at which the last claim of sends ended; the next one begins after it.
    pub(crate) sends_claimed_last: AtomicI64,
    deliveries_woken: Notify,
    sends_woken: Notify,
    watches_woken: Notify,
    files_woken: Notify,
    /// How files are linked to, where they are served.
    pub(crate) links: OnceLock<Arc<Links>>,
}

impl Inner {
    /// Says that work may be waiting, wherever.
    pub(crate) fn wake(&self, queue: Queue) {
        match queue {
            Queue::Deliveries => {
                self.ahead.look_everywhere();
                self.deliveries_woken.notify_one();
            }
            Queue::Sends => self.sends_woken.notify_one(),
            Queue::Watches => self.watches_woken.notify_one(),
            Queue::Files => self.files_woken.notify_one(),
        }
    }

    /// Says what a batch has made due.
    pub(crate) fn announce_batch(&self, done: &append::Done) {
        self.announce(&done.due);
        if done.fetches {
            self.files_woken.notify_one();
        }
    }

    /// Says for which endpoints deliveries have become due.
    pub(crate) fn announce(&self, due: &[(EndpointId, Kind)]) {
        if !due.is_empty() {
            self.ahead.announce(due);
            self.deliveries_woken.notify_one();
        }
    }
}

impl Store {
    /// Whether it is in a folder of its own, and not on a server.
    pub fn is_embedded(&self) -> bool {
        self.inner.db.is_embedded()
    }

    /// Opens the database, brings its schema up to date and reads what is needed in memory. On PostgreSQL its clock is
    /// followed from then on, so that nodes whose own clocks differ agree; a manual clock is left as it is.
    pub async fn open(config: &Config, clock: Clock) -> Result<Store, Error> {
        let db = match &config.location {
            Location::Folder(folder) => Db::Sqlite(sqlite::Sqlite::open(folder, &config.faults)?),
            Location::Postgres(url) => {
                Db::Postgres(postgres::Postgres::open(url, config.faults.clone(), clock.clone()).await?)
            }
        };
        let clock = db.clock(clock);
        migrate::run(&db).await?;
        if db.is_embedded() {
            db.write(|tx| Box::pin(dedupe::load(tx))).await?;
        }
        let ids = Ids::of_node(config.node);
        order::pass(&ids, db.read(|tx| Box::pin(order::last(tx))).await?, clock.now());
        let inner = Arc::new(Inner {
            db,
            ids,
            clock,
            routing: RoutingTable::default(),
            leases: Leases::default(),
            reserve: Reserve::at(&config.location),
            ahead: Ahead::default(),
            waiting: Waiting::default(),
            claimed_last: AtomicI64::new(0),
            sends_claimed_last: AtomicI64::new(0),
            deliveries_woken: Notify::new(),
            sends_woken: Notify::new(),
            watches_woken: Notify::new(),
            files_woken: Notify::new(),
            links: OnceLock::new(),
        });
        routing::refresh(&inner).await?;
        let arrivals = Arrivals::start(Arc::clone(&inner));
        let recorder = records::Recorder::start(Arc::clone(&inner));
        Ok(Store { inner, arrivals, recorder, act: None })
    }

    /// Resolves when work may be waiting: appended here, or promoted by a record. A hint; polling is the truth.
    pub async fn woken(&self, queue: Queue) {
        match queue {
            Queue::Deliveries => self.inner.deliveries_woken.notified().await,
            Queue::Sends => self.inner.sends_woken.notified().await,
            Queue::Watches => self.inner.watches_woken.notified().await,
            Queue::Files => self.inner.files_woken.notified().await,
        }
    }

    /// Whether the store can still be trusted with a write. False after a failed sync: the process must end.
    pub fn is_sound(&self) -> bool {
        match &self.inner.db {
            Db::Sqlite(engine) => !engine.has_failed(),
            Db::Postgres(_) => true,
        }
    }

    /// Takes nothing more, ends what is under way and closes the database. An embedded one is complete in its one file
    /// then, unless a sync has failed or somebody else has it open. Whoever calls sets the bound in time.
    pub async fn close(&self) {
        match &self.inner.db {
            Db::Sqlite(engine) => engine.close().await,
            // Its connections hold nothing.
            Db::Postgres(_) => {}
        }
    }

    /// Where `now` comes from, for those who work on the store's behalf: what they say is due at a time is compared with it.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// A fresh id of any kind.
    pub fn fresh_id<K>(&self) -> model::id::Id<K> {
        self.inner.ids.next(self.inner.clock.now())
    }

    /// The way in.
    pub fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }
}
