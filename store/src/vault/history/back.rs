//! Bringing back what was removed: files with their history, and folders, to a place in the tree.
//!
//! Guarantees: what comes back shows what its file would show by now, had it stayed, and the next save
//! is made from that. One step on the tree puts each in its place, whole: a commit takes it along there or
//! finds it still removed, and so does whoever looks after a crash. Many that are brought back
//! together cost what one costs before, once, and no commit each.

use std::collections::{HashMap, HashSet};

use super::removed::GoneRow;
use super::restore::Bytes;
use crate::core::StoreError;
use crate::event::{EventRef, Version};
use crate::ids::{EntityId, Ino, NodeId};
use crate::keys::Key;
use crate::record::{ChunkRef, Kept, Meta, Time, VersionRecord};
use crate::tree::{Kind, TreeError};
use crate::vault::inode::Inode;
use crate::vault::{At, OpError, Vault};

/// What was removed, on its way back: see [`Vault::bringing_back`].
pub struct BringingBack<'a> {
    vault: &'a Vault,
    wanted: HashSet<EntityId>,
    /// Files that are there and show one of these entities, as of this stand.
    living: HashMap<EntityId, Ino>,
    stand: u64,
}

impl std::fmt::Debug for BringingBack<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BringingBack").field(&self.wanted.len()).finish()
    }
}

/// What a file comes back as.
struct Returns {
    /// What names it: the next version is made from these.
    named_by: Vec<EventRef>,
    bytes: Bytes,
    version: Version,
}

impl Vault {
    /// Brings one removed file or empty folder back, at a place that is free, with its history, at
    /// one of its versions, or as what it would show by now. A file of which another name is still there
    /// gets its name back; an old version of such a one comes as a file of its own.
    ///
    /// # Errors
    /// As [`OpError`] says: EHOSTUNREACH if not all of its bytes are here, see [`Vault::gather_removed`]; EEXIST if the name is taken, ENOENT and ESTALE as
    /// [`Vault::open_version`].
    pub fn bring_back(&self, node: NodeId, number: Option<u64>, at: At<'_>) -> Result<Ino, OpError> {
        self.bringing_back(&[node])?.bring(node, number, at)
    }

    /// Begins to bring these back, one after the other, with what that takes once for all of them. The
    /// next commit makes it durable.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn bringing_back(&self, nodes: &[NodeId]) -> Result<BringingBack<'_>, OpError> {
        self.writable()?;
        // Their removal is told before they come back; and each comes back once, not by a save as well.
        self.end_grace(nodes);
        self.tell_saved()?;
        // One that cannot be read is an error of bringing that one back.
        let rows = nodes.iter().filter_map(|node| self.gone_row(*node).ok()?);
        let wanted: HashSet<EntityId> = rows.filter_map(|row| row.record.entity).collect();
        let stand = *self.history.lock();
        Ok(BringingBack {
            vault: self,
            living: self.living_of(&wanted)?,
            wanted,
            stand,
        })
    }

    /// What a removed file comes back as: one of its versions, or what it would show.
    fn returns(&self, gone: &GoneRow, key: &Key, number: Option<u64>) -> Result<Returns, OpError> {
        let entity = gone.record.entity.ok_or(TreeError::NotFound)?;
        let mut rows: Vec<VersionRecord> = Vec::new();
        // One that cannot be read keeps nobody from all others; `check` names it.
        self.each_version(key, &entity, &mut |_, row| rows.extend(row.ok()))?;
        let shows = self.would_show((entity, key), &rows, &gone.record.name)?;
        let held = |row: &&VersionRecord| row.kept == Kept::All;
        let (named_by, row, bytes, attributes) = match shows {
            Some(shows) => {
                let last = rows.iter().filter(|row| shows.versions.contains(&row.at));
                let last = last.max_by_key(|row| (row.lamport, row.at));
                (shows.versions, last, Some(shows.bytes), shows.attributes)
            }
            // A link; or a text whose document cannot be had: what was shown when it went.
            None => {
                let mut saw = gone.record.saw.clone();
                if saw.is_empty() {
                    saw.extend(rows.last().map(|row| row.at));
                }
                let text = self.text_of(key, entity, &saw)?;
                let bytes = text.map(|inline| Bytes {
                    pieces: Vec::new(),
                    inline,
                });
                let row = rows.iter().find(|row| saw.first() == Some(&row.at));
                (saw, row, bytes, None)
            }
        };
        let (record, shown) = match number {
            Some(number) => (self.held_version(key, &entity, number)?, None),
            None => {
                let row = row.filter(held).or_else(|| rows.iter().rev().find(held));
                (row.ok_or(TreeError::NotFound)?.clone(), bytes)
            }
        };
        let mut version = self.version_payload(key, entity, &record)?;
        let bytes = match shown {
            Some(bytes) => {
                if let Some((perm, xattrs, mtime)) = attributes {
                    (version.perm, version.xattrs) = (perm, xattrs);
                    version.mtime = mtime.unwrap_or(version.mtime);
                }
                bytes
            }
            None => self.bytes_of((key, entity), &record, &version)?,
        };
        Ok(Returns {
            named_by,
            bytes,
            version,
        })
    }

    /// The stored pieces that something comes back with; none of a folder, nor where another name of it is still there.
    pub(in crate::vault) fn chunks_of_removed(
        &self,
        node: NodeId,
        number: Option<u64>,
    ) -> Result<Vec<ChunkRef>, OpError> {
        let gone = self.gone_row(node)?.ok_or(TreeError::NotFound)?;
        let Some(entity) = gone.record.entity else {
            return Ok(Vec::new());
        };
        if number.is_none() && self.living(entity)?.is_some() {
            return Ok(Vec::new());
        }
        let key = match &gone.record.key {
            Some(key) => Key::take(&mut key.clone()),
            None => self.key_of(entity)?.ok_or(TreeError::NotFound)?,
        };
        let returns = self.returns(&gone, &key, number)?;
        Ok(returns.bytes.chunks().copied().collect())
    }

    /// A folder comes back by its own node: so what lay in it still knows where that was.
    fn folder_back(&self, gone: &GoneRow, at: At<'_>) -> Result<Ino, OpError> {
        let now = Time::now();
        let above = self.get(at.folder)?.state.read().meta.clone();
        let meta = Meta {
            kind: Kind::Folder,
            perm: gone.record.perm,
            rdev: 0,
            nlink: 1,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: None,
            ..above
        };
        let inode = Inode::new(self.next_ino(), EntityId(gone.node.0), meta, false);
        Ok(self.nameless(inode, gone.node, Some(gone.node)).place(at)?.0)
    }

    /// Attributes of a file that comes back: its version's, and the folder's owner.
    fn meta_back(&self, version: Version, folder: Ino) -> Result<Meta, OpError> {
        let now = Time::now();
        let above = self.get(folder)?;
        let above = above.state.read();
        Ok(Meta {
            kind: version.kind,
            perm: version.perm,
            uid: above.meta.uid,
            gid: above.meta.gid,
            rdev: 0,
            nlink: 1,
            atime: now,
            mtime: version.mtime,
            ctime: now,
            btime: version.btime,
            xattrs: version.xattrs,
        })
    }
}

impl BringingBack<'_> {
    /// As [`Vault::bring_back`], of one of those that were named.
    ///
    /// # Errors
    /// As [`Vault::bring_back`].
    pub fn bring(&mut self, node: NodeId, number: Option<u64>, at: At<'_>) -> Result<Ino, OpError> {
        let vault = self.vault;
        vault.writable()?;
        // Many that come back are many in memory, and a document each.
        vault.wait_for_room()?;
        vault.tidy_shelf(false);
        // Nothing of it is thinned or purged before it is back.
        let mut history = vault.history.lock();
        if self.stand != *history {
            self.living = vault.living_of(&self.wanted)?;
        }
        self.stand = *history;
        if vault.untold.lock().revived.contains(&node) {
            return Err(TreeError::NotFound.into()); // it is back already
        }
        let gone = vault.gone_row(node)?.ok_or(TreeError::NotFound)?;
        let ino = match gone.record.entity {
            Some(entity) => self.file(&gone, entity, number, at)?,
            None if number.is_some() => return Err(OpError::Errno(libc::EISDIR)),
            None => vault.folder_back(&gone, at)?,
        };
        *history += 1;
        self.stand = *history;
        Ok(ino)
    }

    fn file(
        &mut self,
        gone: &GoneRow,
        entity: EntityId,
        number: Option<u64>,
        at: At<'_>,
    ) -> Result<Ino, OpError> {
        let vault = self.vault;
        let living = self.living(entity)?;
        if let (Some(ino), None) = (living, number) {
            vault.place_link(ino, at)?;
            vault.untold.lock().revived.insert(gone.node);
            return Ok(ino);
        }
        let key = match &gone.record.key {
            Some(key) => Key::take(&mut key.clone()),
            None => vault.key_of(entity)?.ok_or(TreeError::NotFound)?,
        };
        let returns = vault.returns(gone, &key, number)?;
        vault.all_here(&returns.bytes)?;
        let meta = vault.meta_back(returns.version, at.folder)?;
        let inode = match living {
            None => Inode::again(vault.next_ino(), entity, key, meta, &returns.named_by),
            Some(_) => Inode::new(vault.next_ino(), EntityId::random(), meta, true),
        };
        let revives = living.is_none().then_some(gone.node);
        let file = vault.nameless(inode, NodeId::random(), revives);
        {
            let inode = file.inode();
            let mut guard = inode.state.write();
            let state = &mut *guard;
            let owner = inode.owner(&vault.core, &state.binding);
            let content = state.content.as_mut().ok_or(OpError::Errno(libc::EINVAL))?;
            content.become_whole(owner, &returns.bytes.pieces, &returns.bytes.inline)?;
            (state.fresh, state.on_present) = (true, true);
        }
        let ino = file.place(at)?.0;
        if living.is_none() {
            self.wanted.insert(entity);
            self.living.insert(entity, ino);
        }
        Ok(ino)
    }

    /// The file that shows this entity under a name, if one does.
    fn living(&self, entity: EntityId) -> Result<Option<Ino>, StoreError> {
        let vault = self.vault;
        let Some(ino) = self.living.get(&entity).copied() else {
            // Of a node that was not named.
            return match self.wanted.contains(&entity) {
                true => Ok(None),
                false => vault.living(entity),
            };
        };
        let shows = vault.resident(ino)?.is_some_and(|inode| {
            let state = inode.state.read();
            state.binding.entity() == entity && state.meta.nlink > 0
        });
        match shows {
            true => Ok(Some(ino)),
            false => vault.living(entity), // it has another by now, or went
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ROOT;
    use crate::io::sim::SimDisk;
    use crate::vault::tests::{file_meta, vault};

    /// Each of a thousand files that came back took a commit, and a look at all files that there are.
    #[test]
    fn a_thousand_files_are_one_commit() {
        let vault = vault(&SimDisk::new());
        // Of texts, versions are told in steps, as long as a moment each.
        let name = |i: u32| format!("{i}.bin");
        for i in 0..1000 {
            let ino = vault.make(ROOT, name(i).as_bytes(), file_meta(), b"").unwrap();
            vault.open(ino, true, false, false).unwrap();
            vault.write(ino, Some(0), name(i).as_bytes(), false).unwrap();
            vault.release(ino, true);
        }
        vault.commit().unwrap();
        for i in 0..1000 {
            vault.remove(ROOT, name(i).as_bytes(), false).unwrap();
        }
        vault.commit().unwrap();
        let commits = || vault.committer.lock().counters.commits;
        let gone = vault.removed().unwrap();
        let before = commits();
        let nodes: Vec<NodeId> = gone.iter().map(|gone| gone.node).collect();
        let mut back = vault.bringing_back(&nodes).unwrap();
        for gone in &gone {
            let at = At {
                folder: ROOT,
                name: &gone.path,
                replace: false,
                keep_times: false,
            };
            back.bring(gone.node, None, at).unwrap();
        }
        assert!(commits() <= before + 1, "the removals, if they were not told");
        vault.commit().unwrap();
        // And what they show is looked at once more, for all of them together.
        assert!(commits() <= before + 4, "{} commits", commits() - before);
        assert!(vault.removed().unwrap().is_empty());
        for i in 0..1000 {
            let ino = vault.lookup(ROOT, name(i).as_bytes()).unwrap();
            let mut bytes = Vec::new();
            vault.read(ino, 0, 100, &mut bytes).unwrap();
            assert_eq!(bytes, name(i).as_bytes());
        }
    }
}
