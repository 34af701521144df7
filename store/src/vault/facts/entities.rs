//! All that has versions: what is there, and what was removed and can be brought back.

use std::collections::{HashMap, HashSet};

use crate::core::StoreError;
use crate::db::Table;
use crate::ids::{EntityId, Ino, NodeId};
use crate::keys::Key;
use crate::record::{BaseRef, GoneRecord, InodeRecord, Kind, ManifestRef, Time, VersionRecord};
use crate::vault::Vault;
use crate::vault::history::GoneRow;
use crate::vault::inode::Inode;

/// What a version is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// A file that is there.
    File(Ino),
    /// One that was removed.
    Removed {
        /// The node that is gone.
        node: NodeId,
        /// Where it was, from the root, without a leading slash, as far as that is known.
        path: Vec<u8>,
    },
    /// One of which no name is known here.
    Nameless,
}

/// An entity whose versions can be read.
pub(super) struct Entity {
    pub(super) id: EntityId,
    pub(super) key: Key,
    pub(super) of: Of,
    /// What a file shows, if that is chunks.
    pub(super) shows: Option<ManifestRef>,
    /// How it was removed.
    pub(super) gone: Option<GoneRecord>,
}

impl Entity {
    /// What a file with a name stands for; none of what has no versions.
    pub(super) fn of(inode: &Inode) -> Option<Entity> {
        let state = inode.state.read();
        let content = state.content.as_deref().filter(|_| state.meta.nlink > 0)?;
        Some(Entity {
            id: state.binding.entity(),
            key: state.binding.key(inode.key()).duplicate(),
            of: Of::File(inode.ino),
            shows: root_of(content.durable().base),
            gone: None,
        })
    }

    /// The same by its row.
    fn stored(ino: Ino, key: Key, record: InodeRecord) -> Option<Entity> {
        let has_bytes = matches!(record.meta.kind, Kind::File | Kind::Symlink);
        (has_bytes && record.meta.nlink > 0).then(|| Entity {
            id: record.entity,
            key: match record.entity_key {
                Some(mut key) => Key::take(&mut key),
                None => key,
            },
            of: Of::File(ino),
            shows: root_of(record.base),
            gone: None,
        })
    }

    /// When its name went, and which.
    fn went(&self) -> Option<(Time, NodeId)> {
        match (&self.gone, &self.of) {
            (Some(gone), Of::Removed { node, .. }) => Some((gone.when, *node)),
            _ => None,
        }
    }

    /// What was removed with this name; none if it has others.
    fn gone(row: GoneRow, path: Vec<u8>) -> Option<Entity> {
        let GoneRow { node, record } = row;
        Some(Entity {
            id: record.entity?,
            key: Key::take(&mut record.key.as_ref()?.clone()),
            of: Of::Removed { node, path },
            shows: None,
            gone: Some(record),
        })
    }
}

fn root_of(base: BaseRef) -> Option<ManifestRef> {
    match base {
        BaseRef::Manifest(root) => Some(root),
        _ => None,
    }
}

/// All that was removed, and which entity each name was of.
pub(super) type Gone = (HashMap<EntityId, Entity>, HashMap<NodeId, EntityId>);

/// Called with each entity, and its rows, the oldest first; those that cannot be read are left out. False: enough.
pub(super) type EachEntity<'a> = &'a mut dyn FnMut(&Entity, &[VersionRecord]) -> Result<bool, StoreError>;

impl Vault {
    /// Calls `each` with all entities that are known here, each once. No lock is held meanwhile.
    pub(super) fn each_entity(&self, each: EachEntity<'_>) -> Result<(), StoreError> {
        let mut seen: HashSet<EntityId> = HashSet::new();
        let mut rows = Vec::new();
        let mut go_on = |entity: Entity, seen: &mut HashSet<EntityId>| {
            if !seen.insert(entity.id) {
                return Ok(true);
            }
            rows.clear();
            self.each_version(&entity.key, &entity.id, &mut |_, row| rows.extend(row.ok()))?;
            each(&entity, &rows)
        };
        // What is in memory counts: a file may stand for another by now than its row says.
        let resident = self.inodes.lock().all();
        let mut in_memory: HashSet<Ino> = HashSet::with_capacity(resident.len());
        for inode in resident {
            in_memory.insert(inode.ino);
            if let Some(entity) = Entity::of(&inode)
                && !go_on(entity, &mut seen)?
            {
                return Ok(());
            }
        }
        let mut after = Vec::new();
        loop {
            let page = self.rows_after(Table::Inodes, &after)?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            let keys: Vec<Vec<u8>> = page.iter().map(|(key, _)| key.clone()).collect();
            let wrapped = self.core.db.get_many(Table::Wraps, &keys)?;
            for ((key, sealed), wrapped) in page.iter().zip(wrapped) {
                let ino = <[u8; 8]>::try_from(key.as_slice()).map(u64::from_be_bytes);
                let (Ok(ino), Some(wrapped)) = (ino, wrapped) else {
                    continue;
                };
                if in_memory.contains(&ino) {
                    continue;
                }
                // What cannot be read is named by `check`.
                let Ok((key, record)) = self.open_record(ino, sealed, &wrapped) else {
                    continue;
                };
                if let Some(entity) = Entity::stored(ino, key, record)
                    && !go_on(entity, &mut seen)?
                {
                    return Ok(());
                }
            }
        }
        for entity in self.removed_entities()?.0.into_values() {
            if !go_on(entity, &mut seen)? {
                return Ok(());
            }
        }
        for (id, key) in self.all_awaited()?.0 {
            let entity = Entity {
                id,
                key,
                of: Of::Nameless,
                shows: None,
                gone: None,
            };
            if !go_on(entity, &mut seen)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// All that was removed, each by the name that went last; and which entity each name was of.
    pub(super) fn removed_entities(&self) -> Result<Gone, StoreError> {
        let mut rows = self.gone_rows()?.0;
        let paths = self.paths_of_gone(&rows);
        let of = rows
            .iter()
            .filter_map(|row| Some((row.node, row.record.entity?)))
            .collect();
        let mut entities: HashMap<EntityId, Entity> = HashMap::new();
        for (row, path) in rows.drain(..).zip(paths) {
            let when = (row.record.when, row.node);
            let Some(entity) = Entity::gone(row, path) else {
                continue;
            };
            let is_later = entities
                .get(&entity.id)
                .and_then(Entity::went)
                .is_none_or(|known| known < when);
            if is_later {
                entities.insert(entity.id, entity);
            }
        }
        Ok((entities, of))
    }
}
