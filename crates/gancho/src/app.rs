//! The wiring, in start order: store, way out, lanes, doors. Stopping goes the other way round.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use control::{Control, Random};
use delivery::DeliveryLane;
use dispatcher::Limits;
use egress::Egress;
use fetching::{Fetcher, FetchingLane};
use ingest::Ingest;
use model::time::Clock;
use sending::SendingLane;
use store::hold::Hold;
use store::{Faults, Location, Store};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vault::{Bucket, Vault};
use watching::WatchingLane;
use watching::registrar::Registrar;

use crate::front::Doors;
use crate::listener::{Bounds, WRITE_STALL_MAX};
use crate::maintenance;
use crate::operations::{Metrics, Readiness};
use crate::proxies::Proxies;
use crate::settings::Config;

/// How often work is looked for when nothing announces it.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How many calls to platforms may be under way at once. One account alone has half of them, enough for 80 messages a
/// second that take 800 ms each.
const SENDS_IN_FLIGHT: usize = 128;
/// How many sources may be looked at at once.
const WATCHES_IN_FLIGHT: usize = 8;
/// How many files may be fetched at once.
const FILES_IN_FLIGHT: usize = 8;
/// How often it is looked whether the store can still be trusted.
const SOUND_INTERVAL: Duration = Duration::from_millis(200);
/// How long the store may take to be closed: with the drain, less than the 30 s that Kubernetes waits.
const CLOSE_MAX: Duration = Duration::from_secs(4);

/// A running gateway.
pub struct App {
    address: SocketAddr,
    api_address: SocketAddr,
    operations_address: SocketAddr,
    store: Store,
    control: Control,
    shutdown: CancellationToken,
    readiness: Arc<Readiness>,
    tasks: JoinSet<()>,
    /// Dropped last: the folder is free for the next gateway when everything has ended.
    _hold: Option<Hold>,
}

/// What a gateway is started with besides its configuration: the world, passed in.
#[derive(Clone)]
pub struct World {
    /// Where "now" comes from.
    pub clock: Clock,
    /// Where secrets and spread come from.
    pub random: Random,
    /// Failures to inject; none outside tests.
    pub faults: Faults,
}

impl World {
    /// The real one.
    pub fn real() -> World {
        World { clock: Clock::System, random: Random::system(), faults: Faults::default() }
    }
}

impl App {
    /// Opens the store, starts the lanes, then opens the doors. Ready when it returns.
    pub async fn start(config: &Config, world: World) -> anyhow::Result<App> {
        let doors = Doors::bind(config).await?;
        let (address, api_address, operations_address) =
            (doors.address()?, doors.api_address()?, doors.operations_address()?);
        let hold = Hold::take(&store_settings(config, &world)?)?;
        let store = open_store(config, &world).await?;
        let egress = Egress::new(&egress::Config {
            allowed: config.egress_allow.clone(),
            open_max: outgoing_max(config),
            ..egress::Config::default()
        })?;
        let vault = vault_of(config, &egress)?;
        serve_files(&store, config, &world, address).await?;
        let admin_hash = config.admin_token.as_ref().map(|token| control::tokens::hash(token.expose()));
        let control = Control::new(store.clone(), world.random.clone(), admin_hash)
            .reached_at(config.public_url.clone())
            .keeping(vault.clone());
        let ingest = Ingest::new(
            store.clone(),
            ingest::Config {
                body_bytes_max: config.body_bytes_max,
                in_hand_bytes_max: config.in_hand_bytes_max,
                ..ingest::Config::default()
            },
        );
        let shutdown = CancellationToken::new();
        let (deliveries, sends) = lanes(&store, config, &egress, &world);
        let files = files(&store, config, &egress, &world, &vault);
        let registrar = Registrar::new(egress, world.clock.clone(), config.egress_http);
        let watches = WatchingLane::new(store.clone(), registrar, config.public_url.clone());
        store.watches().look_now().await?;
        let metrics = Metrics::of(&store, &ingest, (&deliveries, &sends, &files));
        let readiness = Arc::new(Readiness::new(store.clone(), ingest.clone(), metrics));
        let tasks = JoinSet::new();
        let mut app = App {
            address,
            api_address,
            operations_address,
            store,
            control,
            shutdown,
            readiness,
            tasks,
            _hold: hold,
        };
        app.start_lanes(config, (deliveries, sends, watches, files));
        app.start_maintenance(config, vault);
        app.open_doors(config, doors, ingest);
        Ok(app)
    }

    /// Where webhooks come in.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the API is.
    pub fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// Where health and metrics are.
    pub fn operations_address(&self) -> SocketAddr {
        self.operations_address
    }

    /// What machines ask.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// What an operator can do.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The store it works on.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Refuses new work, finishes what is under way, closes the store, and ends.
    pub async fn stop(mut self) {
        self.readiness.drain();
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
        if tokio::time::timeout(CLOSE_MAX, self.store.close()).await.is_err() {
            tracing::warn!("the store was not closed in time: what is stored is in its folder as a whole");
        }
    }

    fn start_lanes(
        &mut self,
        config: &Config,
        (deliveries, sends, watches, files): (DeliveryLane, SendingLane, WatchingLane, FetchingLane),
    ) {
        let limits = |in_flight| Limits {
            in_flight,
            claim_max: in_flight,
            poll_interval: POLL_INTERVAL,
            drain: config.drain,
            ..Limits::default()
        };
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(dispatcher::run(
            Arc::new(deliveries),
            limits(config.deliveries_in_flight),
            shutdown.clone(),
        ));
        self.tasks.spawn(dispatcher::run(Arc::new(sends), limits(SENDS_IN_FLIGHT), shutdown.clone()));
        self.tasks.spawn(dispatcher::run(Arc::new(watches), limits(WATCHES_IN_FLIGHT), shutdown.clone()));
        self.tasks.spawn(dispatcher::run(Arc::new(files), limits(FILES_IN_FLIGHT), shutdown));
    }

    fn start_maintenance(&mut self, config: &Config, vault: Vault) {
        let keep = store::retention::Keep {
            bodies: config.keep_bodies,
            metadata: config.keep_metadata,
            ..store::retention::Keep::default()
        };
        self.tasks.spawn(maintenance::retain(self.store.clone(), keep, self.shutdown.clone()));
        self.tasks.spawn(maintenance::age_files(self.store.clone(), vault, keep, self.shutdown.clone()));
        self.tasks.spawn(maintenance::summarise(self.store.clone(), self.shutdown.clone()));
        self.tasks.spawn(maintenance::watch_disk(self.store.clone(), self.shutdown.clone()));
        self.tasks.spawn(maintenance::follow_routing(self.store.clone(), self.shutdown.clone()));
    }

    fn open_doors(&mut self, config: &Config, doors: Doors, ingest: Ingest) {
        let api = api::router(self.control.clone());
        let bounds = Bounds {
            connections_max: config.connections_max,
            per_address_max: config.connections_per_address_max,
            proxies: Proxies::of(&config.trusted_proxies),
            write_stall: WRITE_STALL_MAX,
            drain: config.drain,
        };
        let files = api::files(self.control.clone());
        doors.open((ingest, files, api, &self.readiness), &bounds, &mut self.tasks, &self.shutdown);
    }
}

/// How many connections may go out at once: half of them may wait unused for the next exchange.
pub fn outgoing_max(config: &Config) -> usize {
    egress::OPEN_MAX.max(2 * (config.deliveries_in_flight + SENDS_IN_FLIGHT))
}

fn lanes(store: &Store, config: &Config, egress: &Egress, world: &World) -> (DeliveryLane, SendingLane) {
    let random = world.random.clone();
    let spread: delivery::lane::Spread = Arc::new(move || random.fraction());
    let (version, places) = (env!("CARGO_PKG_VERSION"), config.deliveries_in_flight);
    let deliveries = DeliveryLane::new(store.clone(), egress.clone(), Arc::clone(&spread), version, places);
    (deliveries, SendingLane::new(store.clone(), egress.clone(), spread, config.egress_http))
}

fn files(store: &Store, config: &Config, egress: &Egress, world: &World, vault: &Vault) -> FetchingLane {
    let random = world.random.clone();
    let fetcher = Fetcher::new(egress.clone(), vault.clone(), world.clock.clone(), config.egress_http);
    FetchingLane::new(store.clone(), fetcher, Arc::new(move || random.fraction()))
}

/// Where the bytes of files are: where the setting says, or beside the embedded store.
fn vault_of(config: &Config, egress: &Egress) -> anyhow::Result<Vault> {
    if config.files.starts_with("s3://") {
        let bucket = Bucket {
            url: config.files.clone(),
            endpoint: config.files_s3_endpoint.clone(),
            region: config.files_s3_region.clone(),
            key_id: config.files_s3_key_id.clone(),
            secret: config.files_s3_secret.clone(),
        };
        return Ok(Vault::in_bucket(&bucket, egress.clone(), config.file_bytes_max)?);
    }
    let folder = match (config.files.is_empty(), Location::parse(config.store.expose())?) {
        (true, Location::Folder(folder)) => folder.join("files"),
        (true, Location::Postgres(_)) => PathBuf::from("./gancho-data/files"),
        (false, _) => PathBuf::from(&config.files),
    };
    Ok(Vault::in_folder(&folder, config.file_bytes_max)?)
}

/// Has events link to their files: where platforms reach us, or else on this machine.
async fn serve_files(
    store: &Store,
    config: &Config,
    world: &World,
    address: SocketAddr,
) -> anyhow::Result<()> {
    let here = || match address.ip().is_unspecified() {
        true => format!("http://localhost:{}", address.port()),
        false => format!("http://{address}"),
    };
    let origin = config.public_url.clone().unwrap_or_else(here);
    store.serve_files(origin, world.random.bytes::<32>().to_vec()).await?;
    store.files().resume().await?;
    Ok(())
}

/// Resolves when the store can no longer be trusted: the process must end and start anew.
pub async fn unsound(store: &Store) {
    let mut look = tokio::time::interval(SOUND_INTERVAL);
    while store.is_sound() {
        look.tick().await;
    }
}

/// Opens the store that the configuration names.
pub async fn open_store(config: &Config, world: &World) -> anyhow::Result<Store> {
    let settings = store_settings(config, world)?;
    Store::open(&settings, world.clock.clone()).await.context("the store cannot be opened")
}

fn store_settings(config: &Config, world: &World) -> anyhow::Result<store::Config> {
    let location = Location::parse(config.store.expose())?;
    Ok(store::Config { location, node: config.node, faults: world.faults.clone() })
}

/// The signals that ask a process to end, listened to from the moment this is made: before any door is opened, so that
/// none is missed.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on.
    pub fn listen() -> anyhow::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves at the first signal to end; a second one ends the process at once.
    pub async fn asked(mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
            std::process::exit(130);
        });
    }
}
