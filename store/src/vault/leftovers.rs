//! What a crash left, removed when the vault is unlocked to be used.

use std::collections::HashSet;

use super::commit::Dead;
use super::{Problem, Vault};
use crate::core::StoreError;
use crate::db::Table;
use crate::ids::{Ino, ROOT};

impl Vault {
    /// Removes what a crash left: inodes without a name, and packs that no transaction
    /// names; those that are kept are set aside. If any record is lost or damaged nothing is
    /// removed, for the loss may be why they seem to be left over.
    pub(super) fn drop_leftovers(&self, referenced: &HashSet<Ino>) -> Result<(), StoreError> {
        let mut orphans = Vec::new();
        self.core.db.scan(Table::Inodes, b"", &mut |key, _| {
            if let Ok(ino) = <[u8; 8]>::try_from(key).map(u64::from_be_bytes)
                && ino != ROOT
                && !referenced.contains(&ino)
            {
                orphans.push(ino);
            }
            true
        })?;
        let strays = self.core.packs.strays();
        if orphans.is_empty() && strays.is_empty() {
            return Ok(());
        }
        if !self.met.lock().is_empty() {
            return Ok(());
        }
        for table in self.core.db.verify()? {
            let what = format!("records are missing or altered in the table `{}`", table.name());
            self.met.lock().push(Problem::new(None, what));
        }
        if !self.met.lock().is_empty() {
            return Ok(());
        }
        let (kept, left): (Vec<u32>, Vec<u32>) = strays.iter().partition(|pack| self.kept.contains(**pack));
        self.set_aside(&kept)?;
        for pack in left {
            self.core.packs.remove(pack).map_err(StoreError::Pack)?;
        }
        let mut untold = self.untold.lock();
        for ino in &orphans {
            untold.inodes.remove(ino);
        }
        drop(untold);
        self.dead
            .lock()
            .extend(orphans.into_iter().map(|ino| Dead { ino, noted: true }));
        Ok(())
    }
}
