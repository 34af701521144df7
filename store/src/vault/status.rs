//! What `coffer status` tells.

use std::sync::atomic::Ordering;

use super::{Aside, Local, Unreadable, Vault};
use crate::core::StoreError;
use crate::db::Table;

/// See the fields. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The device's name.
    pub device: String,
    /// Names of files, links and special files.
    pub files: u64,
    /// Folders, the root too.
    pub folders: u64,
    /// Entities.
    pub entities: u64,
    /// Stored chunks.
    pub chunks: u64,
    /// Plaintext of the stored chunks.
    pub chunk_bytes: u64,
    /// The packs.
    pub stored: u64,
    /// The database file.
    pub database: u64,
    /// Plaintext that did not have to be stored again, since unlock.
    pub saved: u64,
    /// Accepted and in memory only.
    pub pending: u64,
    /// How old the oldest uncommitted change is, in milliseconds.
    pub pending_ms: Option<u64>,
    /// Entities, nodes and removals that are to become events.
    pub untold: u64,
    /// Events of this chain.
    pub events: u64,
    /// Versions and removed files that were let go of before their time since unlock, because the
    /// disk was full.
    pub early: u64,
    /// Other devices gave up bytes on this one's word: nothing is let go of before its time any more.
    pub relied_on: bool,
    /// Names of which nothing is known but that whoever sent them had let go of them.
    pub names_let_go: u64,
    /// What other devices tell that this program does not read.
    pub unreadable: Unreadable,
    /// Files that no other device is told of.
    pub local: Vec<Local>,
    /// Devices, by name, that say what this program cannot read and should not go without: it is to be updated.
    pub newer: Vec<String>,
    /// That this program is to be updated, if the vault's settings ask for that as they are now; a sentence.
    pub update: Option<String>,
    /// Damage that was met on opening.
    pub damage: Vec<String>,
    /// Files of a newer state, which are kept.
    pub asides: Vec<Aside>,
}

impl Vault {
    /// Counts.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn status(&self) -> Result<Status, StoreError> {
        // It stands among the damage.
        let _ = self.all_there();
        let (nodes, folders) = {
            let tree = self.tree.read();
            (tree.nodes(), tree.folders())
        };
        let mut chunk_bytes = 0;
        self.core.db.scan(Table::Chunks, b"", &mut |_, row| {
            chunk_bytes += crate::record::ChunkRow::decode(row).map_or(0, |r| u64::from(r.len));
            true
        })?;
        let local = self.local_files();
        let counters = self.committer.lock().counters;
        Ok(Status {
            device: self.device_name(),
            files: nodes + 1 - folders,
            folders,
            entities: self.core.db.rows(Table::Inodes)?,
            chunks: self.core.db.rows(Table::Chunks)?,
            chunk_bytes,
            stored: self.core.packs.bytes(),
            database: self.core.db.file_len(),
            saved: self.core.saved.load(Ordering::Relaxed),
            pending: self.core.dirty.load(Ordering::Relaxed),
            pending_ms: self.signals.pending_for().map(|d| d.as_millis() as u64),
            untold: self.untold.lock().len() as u64,
            events: counters.seq,
            names_let_go: self.names_let_go()?,
            unreadable: self.unreadable()?,
            relied_on: self.is_relied_on(),
            early: self.early.load(Ordering::Relaxed),
            newer: self.newer_devices(),
            local,
            asides: self.asides(),
            update: self.asks_for_update(),
            damage: self.met.lock().iter().map(|p| p.to_string()).collect(),
        })
    }
}
