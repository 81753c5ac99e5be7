//! The verbs of a transaction on PostgreSQL: lists of rows become one statement each, or statements that travel together.

use deadpool_postgres::Client;
use futures_util::future::try_join_all;
use tokio_postgres::types::ToSql;

use crate::db::{Column, Into};
use crate::error::Error;
use crate::value::{Row, Value};

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

/// One statement for all lists: the query is asked beside each of them. `OFFSET 0` has it asked so, whatever the server
/// believes about how much is in the tables.
pub(crate) async fn fetch_each(
    client: &Client,
    sql: &str,
    lists: &[Vec<Value>],
) -> Result<Vec<Vec<Row>>, Error> {
    let Some(first) = lists.first() else { return Ok(Vec::new()) };
    let columns_asked: Vec<Column> = first.iter().map(column_of).collect();
    let names: Vec<String> = (1..=first.len()).map(|n| format!("a{n}")).collect();
    let statement = client
        .prepare_cached(&format!(
            "SELECT asked.at, found.* FROM {} WITH ORDINALITY AS asked ({}, at), LATERAL ({} OFFSET 0) AS found",
            unnest(&columns_asked),
            names.join(", "),
            sql.replace('?', "asked.a")
        ))
        .await?;
    let found = client.query(&statement, &as_refs(&arrays(&columns_asked, lists)?)).await?;
    let mut rows: Vec<Vec<Row>> = lists.iter().map(|_| Vec::new()).collect();
    for row in &found {
        let at: i64 = row.try_get(0)?;
        let of_list = usize::try_from(at - 1).ok().and_then(|at| rows.get_mut(at));
        let of_list = of_list.ok_or_else(|| Error::Corrupt("an answer to no question".to_owned()))?;
        of_list.push(Row(columns(row)?.0.split_off(1)));
    }
    Ok(rows)
}

fn column_of(value: &Value) -> Column {
    match value {
        Value::Null | Value::Int(_) => Column::Int(""),
        Value::Text(_) => Column::Text(""),
        Value::Bytes(_) => Column::Bytes(""),
    }
}

pub(crate) async fn insert_many(client: &Client, into: Into, rows: &[Vec<Value>]) -> Result<(), Error> {
    let statement = client.prepare_cached(&unnest_text(into, "")).await?;
    client.execute(&statement, &as_refs(&arrays(into.columns, rows)?)).await?;
    Ok(())
}

pub(crate) async fn insert_new(client: &Client, into: Into, rows: &[Vec<Value>]) -> Result<Vec<bool>, Error> {
    let mark = into.columns.last().map_or("", |column| column.name());
    let tail = format!(" ON CONFLICT DO NOTHING RETURNING {mark}");
    let statement = client.prepare_cached(&unnest_text(into, &tail)).await?;
    let sorted = sorted_by_key(rows);
    let found = client.query(&statement, &as_refs(&arrays(into.columns, &sorted)?)).await?;
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
    let columns = into.column_list();
    format!("INSERT INTO {} ({columns}) SELECT * FROM {}{tail}", into.table, unnest(into.columns))
}

fn unnest(columns: &[Column]) -> String {
    let array = |(n, column): (usize, &Column)| {
        let element = match column {
            Column::Int(_) => "bigint",
            Column::Text(_) => "text",
            Column::Bytes(_) => "bytea",
        };
        format!("${}::{element}[]", n + 1)
    };
    let arrays: Vec<String> = columns.iter().enumerate().map(array).collect();
    format!("UNNEST({})", arrays.join(", "))
}

/// One array a column.
enum Array<'r> {
    Int(Vec<Option<i64>>),
    Text(Vec<Option<&'r str>>),
    Bytes(Vec<Option<&'r [u8]>>),
}

fn arrays<'r>(columns: &[Column], rows: &'r [Vec<Value>]) -> Result<Vec<Array<'r>>, Error> {
    columns.iter().enumerate().map(|(at, column)| array(*column, at, rows)).collect()
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
                Value::Bytes(value) => Ok(Some(&value[..])),
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
