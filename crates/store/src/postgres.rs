//! PostgreSQL: the same bodies on pooled connections, each transaction within a bound in time.

pub(crate) mod verbs;

use std::time::Duration;

use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use futures_util::future::BoxFuture;
use model::time::Clock;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::{Engine, Faults, Tx};
use crate::error::{EngineError, Error};
use crate::following::Following;

/// How many connections one node uses.
const CONNECTIONS: usize = 12;
/// How long to wait for a connection, or for one to begin a transaction, before the store counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection may be silent before its other end counts as gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long a transaction may take. The largest batch takes a small part of it; after it, leases of its time have run out.
const TRANSACTION_MAX: Duration = Duration::from_secs(30);
/// How long one may take that changes or counts whole tables.
const PATIENCE_MAX: Duration = Duration::from_secs(3600);
/// What a connection is held to by the server: one that was given up here must not go on there.
const BOUNDS: &str = "-c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=30s -c tcp_keepalives_idle=10";
/// The one place where SQL asks for the time (ADR 9): in microseconds since the epoch.
const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// How long a transaction may take before its connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Patience {
    /// Long enough for whatever is bounded in rows.
    Usual,
    /// For what looks at whole tables.
    Long,
}

impl Patience {
    fn max(self) -> Duration {
        match self {
            Patience::Usual => TRANSACTION_MAX,
            Patience::Long => PATIENCE_MAX,
        }
    }

    /// What the server must be told for it.
    fn told(self) -> &'static str {
        match self {
            Patience::Usual => "",
            Patience::Long => "SET LOCAL statement_timeout = '1h';",
        }
    }
}

/// The engine for several nodes.
pub(crate) struct Postgres {
    pool: Pool,
    faults: Faults,
    time: Following,
}

impl Postgres {
    /// Connects and refuses a server that does not keep what it has acknowledged.
    pub(crate) async fn open(url: &str, faults: Faults, own: Clock) -> Result<Postgres, Error> {
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|_| Error::Config("the PostgreSQL URL cannot be read".to_owned()))?;
        config.application_name("gancho");
        config.connect_timeout(CONNECT_TIMEOUT);
        // A server that vanished without a word is noticed in seconds, not in hours.
        config.keepalives_idle(SILENCE_MAX).keepalives_interval(SILENCE_MAX / 5).keepalives_retries(3);
        config.tcp_user_timeout(SILENCE_MAX);
        let options = config.get_options().map_or_else(String::new, |own| format!("{own} "));
        config.options(format!("{options}{BOUNDS}"));
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config, MakeRustlsConnect::new(tls()), recycling);
        let timeouts = Timeouts {
            wait: Some(CONNECT_TIMEOUT),
            create: Some(CONNECT_TIMEOUT),
            recycle: Some(CONNECT_TIMEOUT),
        };
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::Config(format!("the PostgreSQL pool cannot be made: {error}")))?;
        let engine = Postgres { pool, faults, time: Following::starting_as(own) };
        answered_within(TRANSACTION_MAX, engine.assert_durable()).await?;
        Ok(engine)
    }

    async fn assert_durable(&self) -> Result<(), Error> {
        let client = self.pool.get().await?;
        for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
            let row = client.query_one("SELECT current_setting($1)", &[&setting]).await?;
            let value: String = row.get(0);
            if value == "off" {
                return Err(Error::Config(format!(
                    "PostgreSQL has {setting}=off: it would lose acknowledged events"
                )));
            }
        }
        Ok(())
    }

    /// The clock that all nodes share.
    pub(crate) fn clock(&self) -> &Clock {
        self.time.clock()
    }

    pub(crate) async fn write<T, F>(&self, job: F, patience: Patience) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send,
    {
        self.bounded("BEGIN", job, patience).await
    }

    /// All of it sees the same moment.
    pub(crate) async fn read<T, F>(&self, job: F, patience: Patience) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send,
    {
        self.bounded("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", job, patience).await
    }

    /// A server that takes a statement and never answers keeps nobody longer than this. It may have happened all the same.
    async fn bounded<T, F>(&self, begin: &str, job: F, patience: Patience) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send,
    {
        let begin = format!("{begin}; {}{CLOCK}", patience.told());
        answered_within(patience.max(), self.transaction(&begin, job)).await
    }

    async fn transaction<T, F>(&self, begin: &str, job: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send,
    {
        let mut open = self.begin(begin).await?;
        let tx = open.0.as_mut().expect("it was just opened");
        let result = job(tx).await.and_then(|done| tx.step().map(|()| done));
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        if let Engine::Postgres(client) = tx.engine() {
            let ended = client.batch_execute(end).await;
            if result.is_ok() || ended.is_ok() {
                ended?;
                // Only a connection whose transaction has ended goes back to the pool.
                drop(open.0.take());
            }
        }
        result
    }

    /// Begins on a connection that is alive: those from before the server's restart are closed, one by one.
    async fn begin(&self, begin: &str) -> Result<OpenTransaction, Error> {
        self.faults.step()?;
        let mut tries_left = CONNECTIONS;
        loop {
            let client = self.pool.get().await?;
            let mut open = OpenTransaction(Some(Tx::new(Engine::Postgres(client), self.faults.clone())));
            let Some(Engine::Postgres(client)) = open.0.as_mut().map(Tx::engine) else {
                continue;
            };
            match self.begin_on(client, begin).await {
                Ok(()) => return Ok(open),
                Err(Error::Unavailable(EngineError::Postgres(_))) if tries_left > 0 => tries_left -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Begins, and sets our clock by the server's in the same round trip.
    async fn begin_on(&self, client: &Client, begin: &str) -> Result<(), Error> {
        let asked = self.time.clock().steady();
        let answer = async { Ok(client.simple_query(begin).await?) };
        let answer = answered_within(CONNECT_TIMEOUT, answer).await?;
        let shown_us = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        let shown_us =
            shown_us.ok_or_else(|| Error::Corrupt("PostgreSQL's clock cannot be read".to_owned()))?;
        self.time.hear(shown_us, asked);
        Ok(())
    }
}

async fn answered_within<T>(
    time_max: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(time_max, work).await.unwrap_or(Err(Error::Unavailable(EngineError::NoAnswer)))
}

/// A transaction that may be abandoned at any await: its connection is then closed, never used again.
struct OpenTransaction(Option<Tx>);

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        if let Some(Engine::Postgres(client)) = self.0.take().map(Tx::into_engine) {
            drop(Client::take(client));
        }
    }
}

fn tls() -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // A root that cannot be read is one root less; the handshake says so if it was needed.
        let _ = roots.add(certificate);
    }
    let crypto = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .expect("the library has the default TLS versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
