//! Files for entities that are to be seen and have none here.
//!
//! Guarantees: a file comes with all its bytes, as one of its versions, named as that; what is newer it
//! comes to show as every file does ([`crate::vault::texts`]). It is stored by the next commit together with
//! its name.

use std::collections::HashMap;
use std::sync::Arc;

use super::Shared;
use crate::content::{Content, Durable};
use crate::core::StoreError;
use crate::event::EventRef;
use crate::ids::{EntityId, Ino, NodeId};
use crate::keys::Key;
use crate::moves::{Changed, Sight};
use crate::record::{BaseRef, BodyRef, GoneRecord, Kept, Meta, Time, VersionRecord};
use crate::vault::Vault;
use crate::vault::inode::Inode;

/// What a name is to stand for.
pub(super) enum FileFor {
    /// A file that is there, by another name.
    Is(Ino),
    /// One that has no name yet.
    New(Arc<Inode>),
}

/// Files for entities, as far as they can be had.
pub(super) type Files = HashMap<EntityId, FileFor>;

impl Vault {
    /// Files for all that is to be seen; what has its name already needs none.
    pub(super) fn files_for(&self, shared: &mut Shared, sights: &Changed) -> Result<Files, StoreError> {
        let mut wanted: HashMap<EntityId, Vec<NodeId>> = HashMap::new();
        {
            let mut tree = self.tree.write();
            tree.index();
            for (node, sight) in sights {
                let Some(entity) = shared.shown.moves().entity(node) else {
                    continue;
                };
                let is_seen = matches!(sight, Some(Sight::At(..)));
                let stands = |ino: Ino| {
                    let inode = self.inodes.lock().get(ino);
                    inode.is_none_or(|inode| inode.state.read().binding.entity() == entity)
                };
                let is_there = tree.at(node).is_some_and(|(_, _, entry)| stands(entry.ino));
                if is_seen && !is_there {
                    wanted.entry(entity).or_default().push(*node);
                }
            }
        }
        let entities = wanted.keys().copied().collect();
        let living = self.living_of(&entities)?;
        let new = wanted.keys().filter(|entity| !living.contains_key(entity));
        let mut keys = self.keys_of(&new.copied().collect())?;
        let mut files = Files::new();
        for (entity, nodes) in wanted {
            let file = match (living.get(&entity), keys.remove(&entity)) {
                (Some(ino), _) => Some(FileFor::Is(*ino)),
                (None, Some(Ok(key))) => match self.new_file(entity, &key) {
                    Ok(file) => file.map(FileFor::New),
                    Err(e) if e.is_damage() => None,
                    Err(e) => return Err(e),
                },
                (None, _) => None,
            };
            match file {
                Some(file) => drop(files.insert(entity, file)),
                None => shared.absent.extend(nodes),
            }
        }
        Ok(files)
    }

    /// What came and went elsewhere and was never seen here can be brought back like what was.
    pub(super) fn keep_unseen(&self, shared: &Shared, sights: &Changed) -> Result<(), StoreError> {
        let moves = shared.shown.moves();
        for (node, sight) in sights {
            let (None, Some(place), Some((_, saw))) = (sight, moves.place(node), moves.removal(node)) else {
                continue;
            };
            let Some(entity) = moves.entity(node) else {
                continue;
            };
            // It may come by another name.
            if !moves.nodes_of(entity).all(|node| moves.removal(&node).is_some()) {
                continue;
            }
            // Only the key of what has no file here, and never was removed here, waits for one.
            let found = self.awaited(&entity).and_then(|key| match key {
                Some(key) => {
                    let rows = self.rows_of_versions(&key, &entity)?;
                    Ok(Some((key, rows)))
                }
                None => Ok(None),
            });
            let (key, rows) = match found {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                // `check` names it.
                Err(e) if e.is_damage() => continue,
                Err(e) => return Err(e),
            };
            let Some(last) = rows.last() else { continue };
            let now = Time::now();
            let record = GoneRecord {
                parent: place.parent,
                kind: last.kind,
                entity: Some(entity),
                key: Some(*key.expose()),
                saw: saw.to_vec(),
                when: moves.removed_when(node).map_or(now, Time::of),
                came: self.comes_at(now),
                size: last.size,
                perm: last.perm,
                name: place.name.to_vec(),
            };
            self.untold.lock().removed.insert(*node, record);
        }
        Ok(())
    }

    /// A file for an entity, as its newest version that is here with its bytes.
    fn new_file(&self, entity: EntityId, key: &Key) -> Result<Option<Arc<Inode>>, StoreError> {
        let rows = self.rows_of_versions(key, &entity)?;
        let whole = rows.iter().rev().filter(|row| {
            let has_bytes = matches!(row.body, BodyRef::Inline | BodyRef::Manifest(_));
            has_bytes && row.kept == Kept::All
        });
        for row in whole {
            match self.file_as(entity, key, row) {
                Ok(None) => {}
                Err(e) if e.is_damage() => {}
                file => return file,
            }
        }
        Ok(None)
    }

    /// The same as this version; none if not all its bytes are here.
    fn file_as(
        &self,
        entity: EntityId,
        key: &Key,
        row: &VersionRecord,
    ) -> Result<Option<Arc<Inode>>, StoreError> {
        let version = self.version_payload(key, entity, row)?;
        let bytes = self.bytes_of((key, entity), row, &version)?;
        if !self.may_show_bytes(entity, row, &bytes)? {
            return Ok(None);
        }
        let base = match row.body {
            BodyRef::Manifest(root) => BaseRef::Manifest(root),
            _ if version.size == 0 => BaseRef::Empty,
            _ => BaseRef::Body {
                batch: row.batch,
                offset: row.offset,
                len: row.len,
                at: row.at,
                generation: row.generation,
                entity,
            },
        };
        let durable = Durable {
            size: version.size,
            allocated: version.size,
            base,
            base_len: version.size,
            ..Durable::default()
        };
        let now = Time::now();
        let meta = Meta {
            kind: version.kind,
            perm: version.perm,
            // Whose it is here, whoever gives it a name says.
            uid: 0,
            gid: 0,
            rdev: 0,
            nlink: 0,
            atime: now,
            mtime: version.mtime,
            ctime: now,
            btime: version.btime,
            xattrs: version.xattrs,
        };
        let named_by: [EventRef; 1] = [row.at];
        let inode = Inode::again(self.next_ino(), entity, key.duplicate(), meta, &named_by);
        {
            let mut state = inode.state.write();
            state.untold = false;
            state.content = Some(Box::new(Content::stored(durable)));
        }
        Ok(Some(Arc::new(inode)))
    }
}
