//! Migrations: numbered files for each engine, with checksums, under a lock, never backwards.

use aws_lc_rs::digest;

use crate::db::{Db, Engine, Tx};
use crate::error::Error;
use crate::value::Value;

/// One step of the schema, the same name on both engines.
struct Step {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

const STEPS: &[Step] = &[
    Step {
        version: 1,
        name: "0001_initial",
        sqlite: include_str!("../migrations/sqlite/0001_initial.sql"),
        postgres: include_str!("../migrations/postgres/0001_initial.sql"),
    },
    Step {
        version: 2,
        name: "0002_watches",
        sqlite: include_str!("../migrations/sqlite/0002_watches.sql"),
        postgres: include_str!("../migrations/postgres/0002_watches.sql"),
    },
    Step {
        version: 3,
        name: "0003_number_keys",
        sqlite: include_str!("../migrations/sqlite/0003_number_keys.sql"),
        postgres: include_str!("../migrations/postgres/0003_number_keys.sql"),
    },
    Step {
        version: 4,
        name: "0004_files",
        sqlite: include_str!("../migrations/sqlite/0004_files.sql"),
        postgres: include_str!("../migrations/postgres/0004_files.sql"),
    },
];

/// Any number, as long as every node uses the same one.
const LOCK: i64 = 0x6761_6e63_686f;

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_history
    (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)";

/// Brings the schema up to date and says which steps were taken. Refuses a database that a newer program has
/// changed, and one whose past differs from ours.
pub(crate) async fn run(db: &Db) -> Result<Vec<&'static str>, Error> {
    db.write_patiently(|tx| Box::pin(bring_up(tx))).await
}

async fn bring_up(tx: &mut Tx) -> Result<Vec<&'static str>, Error> {
    tx.lock(vec![LOCK]).await?;
    tx.execute(LEDGER, &[]).await?;
    let done =
        tx.fetch_all("SELECT version, name, checksum FROM schema_history ORDER BY version", &[]).await?;
    for row in &done {
        let (version, name) = (row.int(0)?, row.text(1)?);
        let Some(step) = STEPS.iter().find(|step| step.version == version) else {
            return Err(Error::Migration(format!(
                "the database was changed by a newer version ({name}): start that version, or restore a backup"
            )));
        };
        if checksum(step.text(tx)) != row.text(2)? {
            return Err(Error::Migration(format!(
                "the database was made by another {name}: it cannot be continued"
            )));
        }
    }
    let last = done.last().map_or(Ok(0), |row| row.int(0))?;
    let mut taken = Vec::new();
    for step in STEPS.iter().filter(|step| step.version > last) {
        let text = step.text(tx);
        for statement in statements(text) {
            tx.execute(&statement, &[]).await?;
        }
        let args = [Value::from(step.version), Value::from(step.name), Value::from(checksum(text))];
        tx.execute("INSERT INTO schema_history (version, name, checksum) VALUES (?1, ?2, ?3)", &args).await?;
        taken.push(step.name);
    }
    Ok(taken)
}

impl Step {
    fn text(&self, tx: &mut Tx) -> &'static str {
        match tx.engine() {
            Engine::Sqlite(_) => self.sqlite,
            Engine::Postgres(_) => self.postgres,
        }
    }
}

/// A file's statements without its comments. Our schemas hold no semicolon inside a statement.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let code = code.join("\n");
    code.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

fn checksum(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Tables with their columns, and indexes, without the engines' names of types.
    fn shape(text: &str) -> BTreeSet<String> {
        let mut shape = BTreeSet::new();
        for statement in statements(text) {
            // What events are found by: see runs.rs.
            if ["TABLE dedupe", "TABLE runs", "TABLE conversation_events", "INDEX events_conversation"]
                .iter()
                .any(|name| statement.starts_with(&format!("CREATE {name}")))
            {
                continue;
            }
            let Some((head, columns)) =
                statement.strip_prefix("CREATE TABLE ").and_then(|s| s.split_once(" (\n"))
            else {
                // A new column ends with its type.
                let is_column = statement.starts_with("ALTER TABLE ");
                let told = if is_column { statement.rsplit_once(' ').map(|(told, _)| told) } else { None };
                shape.insert(told.unwrap_or(&statement).to_owned());
                continue;
            };
            for line in columns.lines().filter(|line| line.starts_with("    ")) {
                let line = line.trim().trim_end_matches(',');
                let required = line.contains("NOT NULL");
                let name =
                    if line.starts_with("PRIMARY") { line } else { line.split(' ').next().unwrap_or(line) };
                shape.insert(format!("{head}.{name} required={required}"));
            }
        }
        shape
    }

    #[test]
    fn both_engines_have_the_same_tables_columns_and_indexes() {
        for step in STEPS {
            assert_eq!(shape(step.sqlite), shape(step.postgres), "{}", step.name);
        }
        let statements: usize = STEPS.iter().map(|step| shape(step.sqlite).len()).sum();
        assert!(statements > 100);
    }
}
