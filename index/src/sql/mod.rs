//! SQL over the tables: a database that reaches nothing, and queries that only read.
//!
//! Owns the database. Guarantees what docs/security.md says of queries: one statement, that reads; no file, no network, no extension;
//! bounded memory and time; ended when nobody wants the answer any more. A query sees one moment, and the clock stands still in it.

mod guard; // which statements are run
mod open; // what the database may
mod parser; // how many statements
mod snippet; // snippet()
mod text; // notes' texts

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
use crate::texts::Texts;

const MACROS: &str = include_str!("macros.sql");
/// Texts are unpacked for what is found alone: over all joins.
const SEARCH: &str = "
    CREATE MACRO coffer_found(words, best, before, after) AS TABLE
        SELECT f.path, s.score, s.rank, f.id,
               CASE WHEN n.file IS NOT NULL THEN coffer_title(n.title, f.name, f.extension) END AS title,
               snippet(words, coffer_text(n.body), before, after) AS snippet,
               snippet_line(words, coffer_text(n.body)) AS line
        FROM coffer_search(words, best) s JOIN base.files f ON s.file = f.file LEFT JOIN base.notes n ON s.file = n.file
        ORDER BY s.rank, f.path LIMIT best;
    CREATE MACRO search
    (words) AS TABLE (SELECT path, score, rank, snippet, line, id FROM coffer_found(words, 9223372036854775807, '**', '**')),
    (words, best) AS TABLE (SELECT path, score, rank, snippet, line, id FROM coffer_found(words, best, '**', '**'))";

/// The database.
pub struct Database {
    /// From which others are made: it runs nothing itself.
    root: Mutex<Connection>,
    parser: parser::Parser,
    texts: Texts,
}

impl Database {
    /// Opens it with these tables and views, and with texts that those show. It may take `memory` bytes.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn open(
        memory: u64,
        schema: &str,
        search: &Arc<dyn Search>,
        texts: &Texts,
    ) -> duckdb::Result<Database> {
        let root = open::database(memory, |db| {
            functions::register(db, search, texts)?;
            [MACROS, schema, SEARCH]
                .into_iter()
                .try_for_each(|sql| db.execute_batch(sql))
        })?;
        let parser = parser::Parser::new();
        let parser = parser.ok_or_else(|| duckdb::Error::InvalidPath("no second database".into()))?;
        Ok(Database {
            root: Mutex::new(root),
            parser,
            texts: texts.clone(),
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
        // Before the tables are looked at: a text that they name stays there.
        let _texts = self.texts.reading();
        run::run(&db, &reading, values, now, stop, sink)
    }
}

#[cfg(test)]
mod tests;
