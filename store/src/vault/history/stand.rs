//! What stands on history: which entities are there, with which keys, and which events' payloads
//! files still need.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::core::StoreError;
use crate::db::Table;
use crate::event::EventRef;
use crate::ids::{EntityId, Ino};
use crate::keys::{ChunkId, Key};
use crate::record::{BaseRef, InodeRecord, VersionRecord};
use crate::tree::Kind;
use crate::vault::Vault;
use crate::vault::inode::Inode;

/// As of one instant: whoever has it made holds the committer.
#[derive(Default)]
pub(in crate::vault) struct Stand {
    /// The key of each entity that is there or can be brought back.
    pub(in crate::vault) keys: HashMap<EntityId, Key>,
    /// Entities that have a name.
    pub(in crate::vault) named: HashSet<EntityId>,
    /// Events that told a file last, or that its bytes stand on.
    pub(in crate::vault) events: HashSet<EventRef>,
    /// Payloads that its bytes stand on: batch, and where in it, when they came; and their events.
    pub(in crate::vault) bodies: HashMap<(u64, u32), EventRef>,
    /// Manifests of files that are open and have no name.
    pub(in crate::vault) open: HashSet<ChunkId>,
}

/// Called with each inode that has a row: its number, key and record.
pub(in crate::vault) type EachInode<'a> =
    &'a mut dyn FnMut(Ino, &Key, &InodeRecord) -> Result<(), StoreError>;

impl Stand {
    fn note(&mut self, base: BaseRef, published: Option<EventRef>, beside: &[EventRef]) {
        self.events.extend(published);
        self.events.extend(beside);
        if let BaseRef::Body {
            batch, offset, at, ..
        } = base
        {
            self.events.insert(at);
            self.bodies.insert((batch, offset), at);
        }
    }

    /// Whether a version's bytes may be let go of. Everything that lets go asks here. Never of one
    /// that a file shows, open and nameless ones too; nor the last of all, which says where the
    /// numbers stand.
    fn may_go(&self, record: &VersionRecord, is_last: bool) -> bool {
        !is_last && !self.events.contains(&record.at)
    }

    /// Of an entity's rows, the newest of all: no version replaces them. A file that shows another
    /// may not show one of them, and yet it is what somebody wrote last.
    pub(in crate::vault) fn newest(rows: &[(u64, VersionRecord)]) -> HashSet<EventRef> {
        let mut newest: HashSet<EventRef> = rows.iter().map(|(_, record)| record.at).collect();
        for parent in rows.iter().flat_map(|(_, record)| &record.parents) {
            newest.remove(parent);
        }
        newest
    }

    /// Of an entity's rows, in order, the versions whose bytes may be let go of, where `wanted` says
    /// which are to stay in any case. A text stays from its beginning on up to the last version of
    /// it that stays: its versions are made from each other.
    pub(super) fn to_let_go(
        &self,
        rows: &[(u64, VersionRecord)],
        wanted: impl Fn(u64, &VersionRecord) -> bool,
    ) -> HashSet<u64> {
        let last = rows.last().map_or(0, |(number, _)| *number);
        let mut needed: HashSet<EventRef> = HashSet::new();
        let mut go = HashSet::new();
        for (number, record) in rows.iter().rev() {
            let is_needed = needed.contains(&record.at);
            let stays = is_needed || wanted(*number, record) || !self.may_go(record, *number == last);
            if !stays {
                go.insert(*number);
            } else if record.is_change() {
                needed.extend(&record.parents);
            }
        }
        go
    }
}

impl Vault {
    /// Reads what stands. `strictly`: a record that cannot be read is an error, and whoever destroys
    /// anything asks so, since what that one stands for is not known; else it is left out, and with
    /// it its entity's key.
    pub(in crate::vault) fn stand(&self, strictly: bool, each: EachInode<'_>) -> Result<Stand, StoreError> {
        let mut inos: Vec<Ino> = Vec::new();
        self.core.db.scan(Table::Inodes, b"", &mut |key, _| {
            inos.extend(<[u8; 8]>::try_from(key).map(u64::from_be_bytes));
            true
        })?;
        let mut standing = Stand::default();
        let mut in_rows: Vec<(Ino, EntityId)> = Vec::new();
        for ino in inos {
            let (key, record) = match self.read_record(ino) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(e) if strictly => return Err(e),
                Err(_) => continue,
            };
            each(ino, &key, &record)?;
            standing.note(record.base, record.published, &record.beside);
            if record.meta.kind != Kind::Folder {
                if record.meta.nlink > 0 {
                    in_rows.push((ino, record.entity));
                }
                let key = match record.entity_key {
                    Some(mut key) => Key::take(&mut key),
                    None => key,
                };
                standing.keys.insert(record.entity, key);
            }
        }
        standing.named.extend(self.named_elsewhere()?);
        // While the tree is held, no file takes over from another: half-way in between no file shows
        // the entity. Rows are those of the last commit until then, since the committer is held.
        let tree = self.tree.read();
        let resident: HashMap<Ino, Arc<Inode>> = self
            .inodes
            .lock()
            .all()
            .into_iter()
            .map(|inode| (inode.ino, inode))
            .collect();
        // The row of one that lost its last name while it is open is as it was before.
        let unread = in_rows.into_iter().filter(|(ino, _)| !resident.contains_key(ino));
        standing.named.extend(unread.map(|(_, entity)| entity));
        // One that is open may have no row any more, and one that came back none yet.
        for inode in resident.values() {
            let state = inode.state.read();
            let Some(content) = &state.content else { continue };
            standing.note(content.durable().base, state.published, &state.beside);
            match (state.meta.nlink, content.durable().base) {
                (0, BaseRef::Manifest(root)) => drop(standing.open.insert(root.id)),
                (0, _) => {}
                _ => drop(standing.named.insert(state.binding.entity())),
            }
            if state.published.is_some() {
                let key = || state.binding.key(inode.key()).duplicate();
                standing.keys.entry(state.binding.entity()).or_insert_with(key);
            }
        }
        drop(tree);
        let (rows, bad) = self.gone_rows()?;
        if strictly && bad > 0 {
            let what = "the record of something that was removed".into();
            return Err(StoreError::Tampered { what });
        }
        let (awaited, bad) = self.all_awaited()?;
        if strictly && bad > 0 {
            let what = "the key of a file that another device made".into();
            return Err(StoreError::Tampered { what });
        }
        for (entity, key) in awaited {
            // Another device gave it a name, of which nothing was heard yet.
            standing.keys.entry(entity).or_insert_with(|| {
                standing.named.insert(entity);
                key
            });
        }
        for row in rows {
            if let (Some(entity), Some(key)) = (row.record.entity, &row.record.key) {
                let key = || Key::take(&mut key.clone());
                standing.keys.entry(entity).or_insert_with(key);
            }
        }
        Ok(standing)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use crate::ids::ROOT;
    use crate::io::sim::SimDisk;
    use crate::vault::tests::{file_meta, vault};

    /// While a new file takes over from one that becomes a backup, the old one has an entity of its own
    /// already, and the new one not yet that of the note: who looked then found that the note had no
    /// name, and a purge of another name of it destroyed its history.
    #[test]
    fn a_note_has_a_name_while_it_is_taken_over() {
        let vault = vault(&SimDisk::new());
        let save = |name: &[u8], text: &[u8]| {
            let ino = vault.make_by(7, ROOT, name, file_meta(), b"").unwrap();
            vault.open(ino, true, false, false).unwrap();
            vault.write(ino, Some(0), text, false).unwrap();
            vault.release(ino, true);
            ino
        };
        let old = save(b"note.md", b"one");
        vault.commit().unwrap();
        let entity = vault.entity(old).unwrap();
        vault
            .rename_by(7, (ROOT, b"note.md"), (ROOT, b"note.md~"), false)
            .unwrap();
        let new = save(b"drawn", b"two");
        let (old, new) = (vault.get(old).unwrap(), vault.get(new).unwrap());
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            // It is marked as changed between the two.
            let held = vault.dirty.lock();
            let saves = scope.spawn(|| vault.rename_by(7, (ROOT, b"drawn"), (ROOT, b"note.md"), false));
            let is_half = || old.state.read().binding.entity() != entity;
            while !is_half() {
                assert!(!saves.is_finished(), "the move is no save");
                std::thread::yield_now();
            }
            let vault = &vault;
            scope.spawn(move || {
                let _committer = vault.committer.lock();
                let stand = vault.stand(true, &mut |_, _, _| Ok(())).unwrap();
                let living = vault.living(entity).unwrap();
                tell.send((stand.named.contains(&entity), living)).unwrap();
            });
            // Who does not wait for the save is through by then.
            let early = told.recv_timeout(Duration::from_millis(300)).ok();
            drop(held);
            let found = early.unwrap_or_else(|| told.recv().unwrap());
            assert_eq!(found, (true, Some(new.ino)));
            saves.join().unwrap().unwrap();
        });
    }
}
