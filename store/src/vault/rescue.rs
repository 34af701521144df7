//! After a failed fdatasync of a pack: what may be lost is appended anew.
//!
//! Nobody can say what of the pack's unsynced part is on the disk, and a second fdatasync
//! would succeed without having saved it. But it can still be read, as a rule: the system
//! keeps the pages, as clean ones, until it needs the memory. So everything that is in
//! doubt and not yet named by a transaction is read back, verified and appended to
//! another pack, and the doubtful part is given up.
//!
//! Guarantees: nothing that a later transaction names is in doubt; nothing unverified is
//! appended. What cannot be read back any more is lost: the next commit says so, and
//! reading it is an error from then on.

use super::Vault;
use crate::core::{Core, StoreError};
use crate::keys::ChunkId;
use crate::record::ChunkRow;

impl Vault {
    /// See the module. Only the one who commits may call it.
    ///
    /// # Errors
    /// If the disk still refuses, and nothing is given up then; or if something is lost, perhaps
    /// the vault itself.
    pub(super) fn rescue(&self) -> Result<(), StoreError> {
        // What is synced into a deleted file is lost all the same.
        self.still_there()?;
        let doubtful = self.core.packs.doubtful();
        if doubtful.is_empty() {
            return Ok(());
        }
        let lost = self.core.rescue_chunks()?;
        // The map is let go before an inode is locked.
        let resident = self.inodes.lock().all();
        for inode in resident {
            let mut guard = inode.state.write();
            let state = &mut *guard;
            let owner = inode.owner(&self.core, &state.binding);
            if let Some(content) = state.content.as_mut() {
                content.rescue(owner)?;
            }
        }
        for (pack, ..) in doubtful {
            self.core.packs.abandon(pack);
        }
        lost.map_or(Ok(()), Err)
    }
}

impl Core {
    /// Chunks that no transaction names yet. Returns the loss of one that cannot be read.
    fn rescue_chunks(&self) -> Result<Option<StoreError>, StoreError> {
        // Who has appended to the doubtful part has also noted where.
        let _appending = self.appending.write();
        let unsure: Vec<(ChunkId, ChunkRow)> = self
            .fresh
            .lock()
            .iter()
            .filter(|(_, row)| !self.packs.is_sure(row.place))
            .map(|(id, row)| (*id, *row))
            .collect();
        let mut lost = None;
        for (id, row) in unsure {
            let mut sealed = vec![0; row.place.len as usize];
            let read = self.packs.read(row.place, 0, &mut sealed);
            if read.is_err() || *blake3::hash(&sealed).as_bytes() != row.sealed {
                self.fresh.lock().remove(&id);
                lost = Some(StoreError::Missing {
                    what: format!("chunk {id}, which the disk failed to save,"),
                });
                continue;
            }
            let place = self.packs.append(row.kind, &id.0, &sealed)?;
            self.fresh.lock().insert(id, ChunkRow { place, ..row });
        }
        Ok(lost)
    }
}
