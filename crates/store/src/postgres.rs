//! PostgreSQL: the same bodies on pooled connections; lists of rows become one statement each.

use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use futures_util::future::{BoxFuture, try_join_all};
use tokio_postgres::types::ToSql;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::{Column, Engine, Faults, Into, Tx};
use crate::error::Error;
use crate::value::{Row, Value};

/// How many connections one node uses.
const CONNECTIONS: usize = 12;
/// How long to wait for a connection before the store counts as unreachable.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// How long a connection may be silent before its other end counts as gone.
const SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(10);

/// The engine for several nodes.
pub(crate) struct Postgres {
    pool: Pool,
    faults: Faults,
}

impl Postgres {
    /// Connects and refuses a server that does not keep what it has acknowledged.
    pub(crate) async fn open(url: &str, faults: Faults) -> Result<Postgres, Error> {
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|_| Error::Config("the PostgreSQL URL cannot be read".to_owned()))?;
        config.application_name("gancho");
        config.connect_timeout(CONNECT_TIMEOUT);
        // A server that vanished without a word is noticed in seconds, not in hours.
        config.keepalives_idle(SILENCE_MAX).keepalives_interval(SILENCE_MAX / 5).keepalives_retries(3);
        config.tcp_user_timeout(SILENCE_MAX);
        let bounds =
            "-c lock_timeout=5s -c idle_in_transaction_session_timeout=30s -c tcp_keepalives_idle=10";
        let options = config.get_options().map_or_else(String::new, |own| format!("{own} "));
        config.options(format!("{options}{bounds}"));
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
        let engine = Postgres { pool, faults };
        engine.assert_durable().await?;
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

    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send,
    {
        self.transaction("BEGIN", job).await
    }

    /// All of it sees the same moment.
    pub(crate) async fn read<T, F>(&self, job: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send,
    {
        self.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", job).await
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
            match client.batch_execute(begin).await {
                Ok(()) => return Ok(open),
                Err(error) if tries_left == 0 => return Err(error.into()),
                Err(_) => tries_left -= 1,
            }
        }
    }
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

pub(crate) async fn execute(client: &Client, sql: &str, args: &[Value]) -> Result<u64, Error> {
    let statement = client.prepare_cached(&numbered(sql)).await?;
    Ok(client.execute(&statement, &refs(args)).await?)
}

/// The statements travel together; the server runs them in order.
pub(crate) async fn execute_many(
    client: &Client,
    sql: &str,
    lists: &[Vec<Value>],
) -> Result<Vec<u64>, Error> {
    let statement = &client.prepare_cached(&numbered(sql)).await?;
    let sent = lists.iter().map(|args| async move { client.execute(statement, &refs(args)).await });
    Ok(try_join_all(sent).await?)
}

pub(crate) async fn fetch(client: &Client, sql: &str, args: &[Value]) -> Result<Vec<Row>, Error> {
    let statement = client.prepare_cached(&numbered(sql)).await?;
    let rows = client.query(&statement, &refs(args)).await?;
    rows.iter().map(columns).collect()
}

pub(crate) async fn fetch_many(
    client: &Client,
    sql: &str,
    lists: &[Vec<Value>],
) -> Result<Vec<Vec<Row>>, Error> {
    let statement = &client.prepare_cached(&numbered(sql)).await?;
    let sent = lists.iter().map(|args| async move { client.query(statement, &refs(args)).await });
    let found = try_join_all(sent).await?;
    found.iter().map(|rows| rows.iter().map(columns).collect()).collect()
}

pub(crate) async fn insert_many(client: &Client, into: Into, rows: &[Vec<Value>]) -> Result<(), Error> {
    let statement = client.prepare_cached(&unnest_text(into, "")).await?;
    client.execute(&statement, &as_refs(&arrays(into, rows)?)).await?;
    Ok(())
}

pub(crate) async fn insert_new(client: &Client, into: Into, rows: &[Vec<Value>]) -> Result<Vec<bool>, Error> {
    let mark = into.columns.last().map_or("", |column| column.name());
    let tail = format!(" ON CONFLICT DO NOTHING RETURNING {mark}");
    let statement = client.prepare_cached(&unnest_text(into, &tail)).await?;
    let sorted = sorted_by_key(rows);
    let found = client.query(&statement, &as_refs(&arrays(into, &sorted)?)).await?;
    let inserted: Result<Vec<Row>, Error> = found.iter().map(columns).collect();
    let inserted: std::collections::HashSet<Value> =
        inserted?.into_iter().filter_map(|row| row.0.into_iter().next()).collect();
    Ok(rows.iter().map(|row| row.last().is_some_and(|value| inserted.contains(value))).collect())
}

/// Two transactions that insert the same keys must take them in the same order, or each waits for the other.
fn sorted_by_key(rows: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| order_key(a).cmp(&order_key(b)));
    sorted
}

fn order_key(row: &[Value]) -> Vec<(i64, &[u8])> {
    fn part(value: &Value) -> (i64, &[u8]) {
        match value {
            Value::Null => (0, &[]),
            Value::Int(value) => (*value, &[]),
            Value::Text(value) => (0, value.as_bytes()),
            Value::Bytes(value) => (0, value),
        }
    }
    row.iter().map(part).collect()
}

/// `?1` becomes `$1`. No statement of ours holds another question mark.
fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}

fn unnest_text(into: Into, tail: &str) -> String {
    let array = |(n, column): (usize, &Column)| {
        let element = match column {
            Column::Int(_) => "bigint",
            Column::Text(_) => "text",
            Column::Bytes(_) => "bytea",
        };
        format!("${}::{element}[]", n + 1)
    };
    let arrays: Vec<String> = into.columns.iter().enumerate().map(array).collect();
    let columns = into.column_list();
    format!("INSERT INTO {} ({columns}) SELECT * FROM UNNEST({}){tail}", into.table, arrays.join(", "))
}

/// One array a column.
enum Array<'r> {
    Int(Vec<Option<i64>>),
    Text(Vec<Option<&'r str>>),
    Bytes(Vec<Option<&'r [u8]>>),
}

fn arrays<'r>(into: Into, rows: &'r [Vec<Value>]) -> Result<Vec<Array<'r>>, Error> {
    into.columns.iter().enumerate().map(|(at, column)| array(*column, at, rows)).collect()
}

fn array(column: Column, at: usize, rows: &[Vec<Value>]) -> Result<Array<'_>, Error> {
    let wrong = || Error::Corrupt(format!("a value for {} is not of its type", column.name()));
    let cells = rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
    match column {
        Column::Int(_) => cells
            .map(|cell| match cell {
                Value::Null => Ok(None),
                Value::Int(value) => Ok(Some(*value)),
                Value::Text(_) | Value::Bytes(_) => Err(wrong()),
            })
            .collect::<Result<_, _>>()
            .map(Array::Int),
        Column::Text(_) => cells
            .map(|cell| match cell {
                Value::Null => Ok(None),
                Value::Text(value) => Ok(Some(value.as_str())),
                Value::Int(_) | Value::Bytes(_) => Err(wrong()),
            })
            .collect::<Result<_, _>>()
            .map(Array::Text),
        Column::Bytes(_) => cells
            .map(|cell| match cell {
                Value::Null => Ok(None),
                Value::Bytes(value) => Ok(Some(value.as_slice())),
                Value::Int(_) | Value::Text(_) => Err(wrong()),
            })
            .collect::<Result<_, _>>()
            .map(Array::Bytes),
    }
}

fn as_refs<'a>(arrays: &'a [Array<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    arrays
        .iter()
        .map(|array| match array {
            Array::Int(values) => values as &(dyn ToSql + Sync),
            Array::Text(values) => values,
            Array::Bytes(values) => values,
        })
        .collect()
}

fn refs(args: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    args.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn columns(row: &tokio_postgres::Row) -> Result<Row, Error> {
    let values: Result<Vec<Value>, tokio_postgres::Error> =
        (0..row.len()).map(|at| row.try_get(at)).collect();
    Ok(Row(values?))
}
