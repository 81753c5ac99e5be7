//! The values that cross the line to an engine: whole numbers, text, bytes, nothing.

use std::error::Error as StdError;

use bytes::{Bytes, BytesMut};
use model::id::Id;
use model::time::Timestamp;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::error::Error;

/// One argument or one column.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Bytes),
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Value {
        Value::Int(i64::from(value))
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Int(i64::from(value))
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value)
    }
}
impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Value {
        Value::Bytes(Bytes::from(value))
    }
}
impl From<Bytes> for Value {
    fn from(value: Bytes) -> Value {
        Value::Bytes(value)
    }
}
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Value {
        Value::Int(value.as_millis())
    }
}
impl<K> From<Id<K>> for Value {
    fn from(value: Id<K>) -> Value {
        Value::Int(value.raw())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(value) => value.to_sql(ty, out),
            Value::Text(value) => value.to_sql(ty, out),
            Value::Bytes(value) => (&value[..]).to_sql(ty, out),
        }
    }

    // A parameter's type is the column's; a mismatch is our mistake and PostgreSQL says so.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl FromSql<'_> for Value {
    fn from_sql(ty: &Type, raw: &[u8]) -> Result<Value, Box<dyn StdError + Sync + Send>> {
        match *ty {
            Type::INT8 => i64::from_sql(ty, raw).map(Value::Int),
            Type::INT4 => i32::from_sql(ty, raw).map(|value| Value::Int(i64::from(value))),
            Type::TEXT => Ok(Value::of_text(raw)),
            _ => Ok(Value::Bytes(Bytes::copy_from_slice(raw))),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Value, Box<dyn StdError + Sync + Send>> {
        Ok(Value::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Value {
    /// Stored text. What is not UTF-8 has been damaged: it is bytes, so that only who wants it as text fails.
    pub(crate) fn of_text(stored: &[u8]) -> Value {
        match std::str::from_utf8(stored) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(Bytes::copy_from_slice(stored)),
        }
    }
}

/// One row, read by position.
#[derive(Debug)]
pub(crate) struct Row(pub(crate) Vec<Value>);

impl Row {
    pub(crate) fn int(&self, at: usize) -> Result<i64, Error> {
        match self.0.get(at) {
            Some(Value::Int(value)) => Ok(*value),
            other => Err(wrong(at, "a number", other)),
        }
    }

    pub(crate) fn opt_int(&self, at: usize) -> Result<Option<i64>, Error> {
        match self.0.get(at) {
            Some(Value::Null) => Ok(None),
            _ => self.int(at).map(Some),
        }
    }

    pub(crate) fn id<K>(&self, at: usize) -> Result<Id<K>, Error> {
        self.int(at).map(Id::from_raw)
    }

    pub(crate) fn opt_id<K>(&self, at: usize) -> Result<Option<Id<K>>, Error> {
        Ok(self.opt_int(at)?.map(Id::from_raw))
    }

    pub(crate) fn time(&self, at: usize) -> Result<Timestamp, Error> {
        self.int(at).map(Timestamp::from_millis)
    }

    pub(crate) fn opt_time(&self, at: usize) -> Result<Option<Timestamp>, Error> {
        Ok(self.opt_int(at)?.map(Timestamp::from_millis))
    }

    pub(crate) fn text(&self, at: usize) -> Result<&str, Error> {
        match self.0.get(at) {
            Some(Value::Text(value)) => Ok(value),
            other => Err(wrong(at, "text", other)),
        }
    }

    pub(crate) fn opt_text(&self, at: usize) -> Result<Option<String>, Error> {
        match self.0.get(at) {
            Some(Value::Null) => Ok(None),
            _ => self.text(at).map(|text| Some(text.to_owned())),
        }
    }

    pub(crate) fn bytes(&self, at: usize) -> Result<&[u8], Error> {
        match self.0.get(at) {
            Some(Value::Bytes(value)) => Ok(value),
            other => Err(wrong(at, "bytes", other)),
        }
    }
}

fn wrong(at: usize, wanted: &str, found: Option<&Value>) -> Error {
    let found = match found {
        None => "no such column",
        Some(Value::Null) => "nothing",
        Some(Value::Int(_)) => "a number",
        Some(Value::Text(_)) => "text",
        Some(Value::Bytes(_)) => "bytes",
    };
    Error::Corrupt(format!("column {at} should hold {wanted} and holds {found}"))
}
