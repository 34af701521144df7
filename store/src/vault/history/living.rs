//! Which file shows an entity, if one does.
//!
//! Guarantees: an entity that has a name all the while is found, whoever takes over from whom
//! meanwhile. The first time that it is asked of one that is not in memory, it reads every inode's row, and from
//! then on it knows which file each entity was last stored with. Whoever asks for many asks once.

use std::collections::{HashMap, HashSet};

use crate::core::StoreError;
use crate::db::Table;
use crate::ids::{EntityId, Ino};
use crate::tree::{Kind, Tree};
use crate::vault::Vault;

/// How often rows are read anew, while others are forgotten, before everybody has to wait for it.
const SCANS: u32 = 3;

impl Vault {
    /// The file that shows this entity under a name, if one does.
    pub(in crate::vault) fn living(&self, entity: EntityId) -> Result<Option<Ino>, StoreError> {
        if let Some(ino) = self.living_resident(&self.tree.read(), entity) {
            return Ok(Some(ino));
        }
        let found = self.living_of(&HashSet::from([entity]))?;
        Ok(found.get(&entity).copied())
    }

    /// The files that show these entities under a name, for those that one shows.
    pub(in crate::vault) fn living_of(
        &self,
        wanted: &HashSet<EntityId>,
    ) -> Result<HashMap<EntityId, Ino>, StoreError> {
        let mut tries = 0;
        loop {
            // Rows are read before the tree is held, but for the last time: there are many.
            let held = (tries == SCANS).then(|| self.tree.read());
            let stand = self.inodes.lock().stand();
            let rows = self.rows_of(wanted)?;
            let tree = held.unwrap_or_else(|| self.tree.read());
            let mut found = self.resident_of(&tree, wanted);
            for (entity, ino) in rows {
                // One in memory has been looked at; and the row may have changed since.
                if !found.contains_key(&entity)
                    && self.inodes.lock().get(ino).is_none()
                    && self.row_shows(ino) == Some(entity)
                {
                    found.insert(entity, ino);
                }
            }
            // Another is in no row that was there, unless one was forgotten that had it in memory only.
            let is_all = found.len() == wanted.len() || self.inodes.lock().stand() == stand;
            if is_all || tries == SCANS {
                return Ok(found);
            }
            tries += 1;
        }
    }

    /// As [`Vault::living`], among those in memory. While the tree is held, no file takes over from
    /// another: half-way in between no file shows the entity.
    pub(in crate::vault) fn living_resident(&self, tree: &Tree, entity: EntityId) -> Option<Ino> {
        let found = self.resident_of(tree, &HashSet::from([entity]));
        found.get(&entity).copied()
    }

    fn resident_of(&self, _: &Tree, wanted: &HashSet<EntityId>) -> HashMap<EntityId, Ino> {
        let shows = wanted.iter().filter_map(|entity| {
            let may_be = self.inodes.lock().that_may_be(entity);
            let shows = may_be.into_iter().find(|inode| {
                let state = inode.state.read();
                state.binding.entity() == *entity && state.meta.nlink > 0 && state.content.is_some()
            });
            Some((*entity, shows?.ino))
        });
        shows.collect()
    }

    /// Files with whose rows these entities were stored last.
    fn rows_of(&self, wanted: &HashSet<EntityId>) -> Result<Vec<(EntityId, Ino)>, StoreError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        // Whoever stores one meanwhile waits, and says so after.
        let mut stored = self.stored_with.lock();
        let stored = match stored.as_mut() {
            Some(stored) => stored,
            None => {
                let mut inos: Vec<Ino> = Vec::new();
                self.core.db.scan(Table::Inodes, b"", &mut |key, _| {
                    inos.extend(<[u8; 8]>::try_from(key).map(u64::from_be_bytes));
                    true
                })?;
                let named = inos
                    .into_iter()
                    .filter_map(|ino| Some((self.row_shows(ino)?, ino)));
                stored.insert(named.collect())
            }
        };
        let found = wanted
            .iter()
            .filter_map(|entity| Some((*entity, *stored.get(entity)?)));
        Ok(found.collect())
    }

    /// These entities were stored, each with this file: to be said before the file may be forgotten.
    pub(in crate::vault) fn are_stored(&self, with: impl Iterator<Item = (EntityId, Ino)>) {
        if let Some(stored) = self.stored_with.lock().as_mut() {
            stored.extend(with);
        }
    }

    /// The entity that a file with a name shows, by its row.
    fn row_shows(&self, ino: Ino) -> Option<EntityId> {
        let (_, record) = self.read_record(ino).ok()??;
        (record.meta.nlink > 0 && record.meta.kind != Kind::Folder).then_some(record.entity)
    }
}
