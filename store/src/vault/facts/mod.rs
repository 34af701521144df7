//! What an index of files asks: names, facts, texts, equal bytes, history, chunks.
//!
//! Guarantees: it changes nothing, waits neither for the network nor (but for [`Vault::store_saved`]) for a commit, and holds no lock over several files but the
//! tree's, for one folder at a time. What it looks at comes from memory where a file is in memory, else from its row, and is not
//! kept in memory for that. What cannot be read is an error of that one file. How to stay current stands at
//! [`Changes`](super::Changes). It never counts as use, and never makes a version.
//!
//! Parts, each importing only those above it: `name` (the tree, name by name), `look` (a file as it is now), `file` (facts),
//! `text`, `same` (the same bytes), `entities` (all that has versions), `history`, `blobs`.

mod blobs;
mod entities;
mod file;
mod history;
mod look;
mod name;
mod same;
mod text;

pub use blobs::Blob;
pub use entities::Of;
pub use file::{Conflict, Facts};
pub use history::{Deed, HistoryRow};
pub use name::Name;
pub use same::ContentHash;

use super::Vault;
use super::commit::Scope;
use crate::core::StoreError;
use crate::db::{Row, Table};

/// So many rows are read at a time.
const PAGE: usize = 1024;

impl Vault {
    /// Has what was saved until now stored, and told by the feed: for who asks right after a save. Half a save is left alone.
    /// It waits for a commit, as fsync(2) does; nobody who saves waits for it.
    ///
    /// # Errors
    /// As [`StoreError`] says; what it could not store is tried again as ever.
    pub fn store_saved(&self) -> Result<(), StoreError> {
        self.commit_all(Scope::Timer)
    }

    /// How many transactions there were since it was opened, be they told by the feed or not. While it stays, so does all that is stored:
    /// history, chunks, devices. Who asks before he reads knows by it when to read again.
    pub fn transactions(&self) -> u64 {
        self.core.db.applied()
    }

    /// So many rows of a table at most, after this key. Nothing of the database is held when it returns.
    fn rows_after(&self, table: Table, after: &[u8]) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::with_capacity(PAGE);
        self.core.db.scan_from(table, b"", after, &mut |key, value| {
            if key != after {
                rows.push((key.to_vec(), value.to_vec()));
            }
            rows.len() < PAGE
        })?;
        Ok(rows)
    }
}
