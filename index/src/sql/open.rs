//! A database in memory that can reach nothing else.
//!
//! Guarantees, before the first query: no extension is loaded, fetched or asked for; no file is read or written; nothing spills to a
//! disk; memory and threads are bounded; and none of this can be changed again.

use duckdb::Connection;

/// Threads of one query: two cores are what is promised.
const THREADS: usize = 2;

/// What holds from the first query on, in this order: what forbids files stands before what can no longer be changed.
const SETTINGS: [&str; 11] = [
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET temp_directory = ''",
    "SET max_temp_directory_size = '0B'",
    "SET allow_persistent_secrets = false",
    "SET preserve_insertion_order = true",
    "SET disabled_filesystems = 'LocalFileSystem'",
    "SET enable_external_access = false",
    "SET enable_logging = false",
    // JSON, bits and zones keep their types in what queries give.
    "SET arrow_lossless_conversion = true",
];

/// Opens it, with what `fill` puts there. It may take `memory` bytes for tables and queries.
pub(super) fn database(
    memory: u64,
    fill: impl FnOnce(&Connection) -> duckdb::Result<()>,
) -> duckdb::Result<Connection> {
    let db = Connection::open_in_memory()?;
    // Tables of an attached database are kept compressed.
    db.execute_batch("ATTACH ':memory:' AS vault (COMPRESS); USE vault")?;
    db.execute_batch(&format!("SET max_memory = '{memory}B'; SET threads = {THREADS}"))?;
    for setting in SETTINGS {
        db.execute_batch(setting)?;
    }
    fill(&db)?;
    db.execute_batch("SET lock_configuration = true")?;
    Ok(db)
}
