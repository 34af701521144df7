//! What was removed: the rows that say where it was and keep its key, and what can be listed of
//! them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::Removed;
use crate::core::StoreError;
use crate::db::Table;
use crate::ids::{EntityId, Ino, NodeId, ROOT, ROOT_NODE};
use crate::keys::{Aad, Key, open, seal};
use crate::record::{GoneRecord, Kept, Time, kind};
use crate::tree::{Kind, Replaced, Tree};
use crate::vault::inode::State;
use crate::vault::{Problem, Vault};

/// A removed node's row.
pub(in crate::vault) struct GoneRow {
    pub(in crate::vault) node: NodeId,
    pub(in crate::vault) record: GoneRecord,
}

/// See [`Vault::removed_names`].
pub(super) type RemovedNames = HashMap<EntityId, Vec<NodeId>>;

/// Associated data of a removed node's row.
pub(crate) fn removed_aad(node: &NodeId) -> Aad {
    Aad {
        kind: kind::REMOVED,
        id: node.0,
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}

/// How deep a removed path can lie: rows that are damaged may run in circles.
const DEPTH: usize = 4096;

impl Vault {
    /// What is kept of a name that goes, in this folder and perhaps the last of its file; `key` is the
    /// entity's. None if nobody could bring it back: no version was told.
    pub(in crate::vault) fn gone_record(
        &self,
        state: &State,
        key: &Key,
        gone: &Replaced,
        (parent, last): (NodeId, bool),
        (when, came): (Time, Time),
    ) -> Option<GoneRecord> {
        let folder = gone.kind == Kind::Folder;
        let told = state.published.is_some() || (folder && gone.told != crate::tree::Told::Never);
        (told && !gone.kind.is_local()).then(|| GoneRecord {
            parent,
            kind: gone.kind,
            entity: (!folder).then(|| state.binding.entity()),
            key: (last && !folder).then(|| *key.expose()),
            saw: state.named_by(),
            when,
            came: self.comes_at(came),
            size: state.size(),
            perm: state.meta.perm,
            name: gone.name.to_vec(),
        })
    }

    /// A row's bytes.
    pub(in crate::vault) fn seal_gone(&self, node: &NodeId, record: &GoneRecord) -> Vec<u8> {
        let plain = zeroize::Zeroizing::new(record.encode());
        seal(&self.local, &removed_aad(node), &plain)
    }

    fn open_gone(&self, node: NodeId, sealed: &[u8]) -> Result<GoneRow, StoreError> {
        let what = "the record of something that was removed";
        let plain = open(&self.local, &removed_aad(&node), sealed).map_err(StoreError::tampered(what))?;
        let plain = zeroize::Zeroizing::new(plain);
        let record = GoneRecord::decode(&plain).map_err(StoreError::malformed(what))?;
        Ok(GoneRow { node, record })
    }

    /// One row.
    pub(in crate::vault) fn gone_row(&self, node: NodeId) -> Result<Option<GoneRow>, StoreError> {
        let sealed = self.core.db.get(Table::Removed, &node.0)?;
        sealed.map(|sealed| self.open_gone(node, &sealed)).transpose()
    }

    /// All rows, and how many cannot be read.
    pub(in crate::vault) fn gone_rows(&self) -> Result<(Vec<GoneRow>, u64), StoreError> {
        let (mut rows, mut bad) = (Vec::new(), 0);
        self.core.db.scan(Table::Removed, b"", &mut |key, sealed| {
            let row = <[u8; 16]>::try_from(key).map(|id| self.open_gone(NodeId(id), sealed));
            match row {
                Ok(Ok(row)) => rows.push(row),
                _ => bad += 1,
            }
            true
        })?;
        Ok((rows, bad))
    }

    /// The nodes by which each entity was removed.
    pub(super) fn removed_names(&self) -> Result<RemovedNames, StoreError> {
        let mut names = RemovedNames::new();
        for row in self.gone_rows()?.0 {
            if let Some(entity) = row.record.entity {
                names.entry(entity).or_default().push(row.node);
            }
        }
        Ok(names)
    }

    /// An entity's key, wherever it is kept.
    pub(in crate::vault) fn key_of(&self, entity: EntityId) -> Result<Option<Key>, StoreError> {
        let mut keys = self.keys_of(&HashSet::from([entity]))?;
        keys.remove(&entity).transpose()
    }

    /// The keys of these entities, wherever they are kept; why not, of those that cannot be read.
    pub(in crate::vault) fn keys_of(
        &self,
        entities: &HashSet<EntityId>,
    ) -> Result<HashMap<EntityId, Result<Key, StoreError>>, StoreError> {
        let mut keys = HashMap::new();
        for (entity, ino) in self.living_of(entities)? {
            let key = match self.resident(ino) {
                Ok(Some(inode)) => Ok(inode.state.read().binding.key(inode.key()).duplicate()),
                Ok(None) => continue,
                Err(e) => Err(e),
            };
            keys.insert(entity, key);
        }
        // What is being removed has no row yet.
        for record in self.untold.lock().removed.values() {
            let entity = record.entity.filter(|entity| entities.contains(entity));
            if let (Some(entity), Some(mut key)) = (entity, record.key) {
                keys.entry(entity).or_insert_with(|| Ok(Key::take(&mut key)));
            }
        }
        if keys.len() < entities.len() {
            for row in self.gone_rows()?.0 {
                let entity = row.record.entity.filter(|entity| entities.contains(entity));
                if let (Some(entity), Some(mut key)) = (entity, row.record.key) {
                    keys.entry(entity).or_insert_with(|| Ok(Key::take(&mut key)));
                }
            }
        }
        for entity in entities {
            if let Entry::Vacant(none) = keys.entry(*entity)
                && let Some(key) = self.awaited(entity).transpose()
            {
                none.insert(key);
            }
        }
        Ok(keys)
    }

    /// Everything that was removed and can be brought back, the latest first. On a full disk, what is recorded of it.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn removed(&self) -> Result<Vec<Removed>, StoreError> {
        self.tell_if_room()?;
        self.removed_of(true)
    }

    /// The same, but only what is recorded already: for who must wait for no commit. The versions of
    /// what has another name are not counted, since its key is not beside it.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn recorded_removed(&self) -> Result<Vec<Removed>, StoreError> {
        self.removed_of(false)
    }

    /// `all_counted`: those of files that have other names, too, which takes the committer.
    fn removed_of(&self, all_counted: bool) -> Result<Vec<Removed>, StoreError> {
        let (rows, bad) = self.gone_rows()?;
        if bad > 0 {
            self.note_problem(Problem::new(
                None,
                "the record of something that was removed is damaged",
            ));
        }
        let mut keys: HashMap<EntityId, Key> = HashMap::new();
        for row in &rows {
            if let (Some(entity), Some(key)) = (row.record.entity, &row.record.key) {
                keys.insert(entity, Key::take(&mut key.clone()));
            }
        }
        let keyless = |row: &GoneRow| row.record.entity.is_some_and(|e| !keys.contains_key(&e));
        if all_counted && rows.iter().any(keyless) {
            // Names of files that have others.
            let _committer = self.committer.lock();
            keys = self.stand(false, &mut |_, _, _| Ok(()))?.keys;
        }
        let mut versions: HashMap<EntityId, u64> = HashMap::new();
        for entity in rows.iter().filter_map(|row| row.record.entity) {
            let (Some(key), false) = (keys.get(&entity), versions.contains_key(&entity)) else {
                continue;
            };
            let mut held = HashSet::new();
            self.each_version(key, &entity, &mut |_, record| {
                held.extend(record.ok().filter(|r| r.kept == Kept::All).map(|r| r.number));
            })?;
            versions.insert(entity, held.len() as u64);
        }
        let tree = self.tree.read();
        let paths = Paths::new(&tree, &rows);
        let mut removed: Vec<Removed> = rows
            .iter()
            .map(|GoneRow { node, record }| Removed {
                node: *node,
                entity: record.entity,
                path: paths.of(record),
                kind: record.kind,
                removed: record.when,
                size: record.size,
                versions: record
                    .entity
                    .and_then(|entity| versions.get(&entity).copied())
                    .unwrap_or(0),
            })
            .collect();
        removed.sort_by(|a, b| (b.removed, &a.path).cmp(&(a.removed, &b.path)));
        Ok(removed)
    }

    /// Where these were, from the root, as far as that is known.
    pub(in crate::vault) fn paths_of_gone(&self, rows: &[GoneRow]) -> Vec<Vec<u8>> {
        let tree = self.tree.read();
        let paths = Paths::new(&tree, rows);
        rows.iter().map(|row| paths.of(&row.record)).collect()
    }

    /// Notes what is amiss, once.
    pub(in crate::vault) fn note_problem(&self, problem: Problem) {
        let mut met = self.met.lock();
        if met.len() < 1000 && !met.contains(&problem) {
            met.push(problem);
        }
    }
}

/// Folders by their nodes, those that are there and those that are gone.
struct Paths<'a> {
    folders: HashMap<NodeId, (NodeId, &'a [u8])>,
}

impl<'a> Paths<'a> {
    fn new(tree: &'a Tree, rows: &'a [GoneRow]) -> Paths<'a> {
        let mut nodes: HashMap<Ino, NodeId> = HashMap::from([(ROOT, ROOT_NODE)]);
        let is_folder = |entry: &&crate::tree::Entry| entry.kind == Kind::Folder;
        for (_, folder) in tree.iter() {
            nodes.extend(folder.entries.values().filter(is_folder).map(|e| (e.ino, e.id)));
        }
        let mut folders = HashMap::new();
        for GoneRow { node, record } in rows.iter().filter(|row| row.record.kind == Kind::Folder) {
            folders.insert(*node, (record.parent, record.name.as_slice()));
        }
        // What is there counts: it may have been brought back.
        for (ino, folder) in tree.iter() {
            let Some(parent) = nodes.get(&ino) else { continue };
            for entry in folder.entries.values().filter(is_folder) {
                folders.insert(entry.id, (*parent, &*entry.name));
            }
        }
        Paths { folders }
    }

    /// From the root; as far as that is known.
    fn of(&self, record: &GoneRecord) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = vec![&record.name];
        let mut at = record.parent;
        while at != ROOT_NODE && parts.len() < DEPTH {
            let Some((parent, name)) = self.folders.get(&at) else {
                break;
            };
            parts.push(name);
            at = *parent;
        }
        parts.reverse();
        parts.join(&b'/')
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use crate::ids::ROOT;
    use crate::io::sim::SimDisk;
    use crate::vault::tests::{file_meta, vault};

    /// One removed hard link, whose row has no key, made every look into `.coffer` wait for the commit or
    /// collection under way.
    #[test]
    fn what_is_recorded_waits_for_no_commit() {
        let vault = vault(&SimDisk::new());
        let ino = vault.make(ROOT, b"note", file_meta(), b"").unwrap();
        vault.open(ino, true, false, false).unwrap();
        vault.write(ino, Some(0), b"text", false).unwrap();
        vault.release(ino, true);
        vault.link(ino, ROOT, b"again").unwrap();
        vault.commit().unwrap();
        vault.remove(ROOT, b"again", false).unwrap();
        vault.commit().unwrap();
        assert_eq!(vault.removed().unwrap()[0].versions, 1);
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            let held = vault.committer.lock();
            scope.spawn(|| tell.send(vault.recorded_removed().unwrap().len()));
            let found = told.recv_timeout(Duration::from_secs(10));
            drop(held);
            assert_eq!(found, Ok(1));
        });
    }
}
