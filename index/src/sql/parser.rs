//! DuckDB's own parser, asked how many statements a text is.
//!
//! The library runs all but the last of them when it is to prepare them: so what this and `guard` read differently must not be run.

use std::ffi::CString;
use std::ptr;

use duckdb::ffi;
use parking_lot::Mutex;

/// A connection that only parses.
pub(super) struct Parser(Mutex<Raw>);

struct Raw {
    db: ffi::duckdb_database,
    connection: ffi::duckdb_connection,
}

// SAFETY: DuckDB's connections may be used from any thread, by one at a time, which the lock sees to.
unsafe impl Send for Raw {}

impl Parser {
    /// Over an empty database of its own, so that nothing can be reached from it.
    pub(super) fn new() -> Option<Parser> {
        let mut raw = Raw {
            db: ptr::null_mut(),
            connection: ptr::null_mut(),
        };
        // SAFETY: both are places to be written to; the name ends with NUL.
        let opened = unsafe {
            ffi::duckdb_open(c":memory:".as_ptr(), &mut raw.db) == ffi::DuckDBSuccess
                && ffi::duckdb_connect(raw.db, &mut raw.connection) == ffi::DuckDBSuccess
        };
        opened.then(|| Parser(Mutex::new(raw)))
    }

    /// How many statements these are; none if they are not understood.
    pub(super) fn count(&self, sql: &str) -> Option<u64> {
        let sql = CString::new(sql).ok()?;
        let raw = self.0.lock();
        let mut statements: ffi::duckdb_extracted_statements = ptr::null_mut();
        // SAFETY: the connection is open, the text ends with NUL, and what is given is destroyed.
        let count = unsafe {
            let count = ffi::duckdb_extract_statements(raw.connection, sql.as_ptr(), &mut statements);
            ffi::duckdb_destroy_extracted(&mut statements);
            count
        };
        (count > 0).then_some(count)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: both are null or open, and used by nobody any more.
        unsafe {
            ffi::duckdb_disconnect(&mut self.connection);
            ffi::duckdb_close(&mut self.db);
        }
    }
}
