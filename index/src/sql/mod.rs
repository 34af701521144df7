//! SQL over the tables: a database that reaches nothing, and queries that only read.
//!
//! Owns the database. Guarantees what docs/security.md says of queries: one statement, that reads; no file, no network, no extension;
//! bounded memory and time; ended when nobody wants the answer any more. A query sees one moment, and the clock stands still in it.

mod guard; // which statements are run
mod open; // what the database may
mod parser; // how many statements
mod snippet; // snippet()

mod functions; // search(), time zones

mod run; // one query

use std::sync::Arc;

use duckdb::Connection;
use jiff::civil::DateTime;
use parking_lot::Mutex;

pub use functions::Search;
pub use guard::Refused;
pub use run::{QueryError, Sink, Stop};

use crate::said::Value;

const MACROS: &str = include_str!("macros.sql");
const SEARCH: &str = "CREATE MACRO search(words) AS TABLE
    SELECT f.path, s.score, s.rank, f.id FROM coffer_search(words) s JOIN base.files f ON s.file = f.file ORDER BY s.rank, f.path";

/// The database.
pub struct Database {
    /// From which others are made: it runs nothing itself.
    root: Mutex<Connection>,
    parser: parser::Parser,
}

impl Database {
    /// Opens it with these tables and views. It may take `memory` bytes.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn open(memory: u64, schema: &str, search: &Arc<dyn Search>) -> duckdb::Result<Database> {
        let root = open::database(memory, schema, |db| {
            db.execute_batch(MACROS)?;
            functions::register(db, search)?;
            db.execute_batch(SEARCH)
        })?;
        let parser = parser::Parser::new();
        let parser = parser.ok_or_else(|| duckdb::Error::InvalidPath("no second database".into()))?;
        Ok(Database {
            root: Mutex::new(root),
            parser,
        })
    }

    /// A connection, to write the tables with.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn connect(&self) -> duckdb::Result<Connection> {
        let db = self.root.lock().try_clone()?;
        db.execute_batch("USE vault")?;
        Ok(db)
    }

    /// Runs a query; how many rows it gave.
    ///
    /// # Errors
    /// As [`QueryError`] says.
    pub fn query(
        &self,
        sql: &str,
        values: &[Value],
        now: DateTime,
        stop: &Stop,
        sink: &mut dyn Sink,
    ) -> Result<u64, QueryError> {
        let reading = guard::reading(sql)?;
        if self.parser.count(&reading).is_some_and(|count| count != 1) {
            return Err(Refused::Several.into());
        }
        let db = self.connect().map_err(|e| QueryError::Failed(e.to_string()))?;
        run::run(&db, &reading, values, now, stop, sink)
    }
}

#[cfg(test)]
mod tests;
