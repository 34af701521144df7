//! Taking whole files in, past the file system: what `coffer import` calls, from several threads.
//!
//! A file is made without a name ([`Vault::incoming`]), filled, and named in one step
//! ([`Incoming::place`]). Guarantees: under its name there is all of a file or nothing of it,
//! whenever this process or the machine dies; its attributes are those that were given, and a
//! folder whose times are to be kept keeps them; what is dropped without a name leaves no row.
//! What was filled and never named is room that the collection gives back, and until then the
//! same bytes need not be stored again.
//!
//! Never holds more than [`IN_MEMORY`] bytes of what is taken in: who brings more waits for the
//! keeper. Tells nobody of what it placed: caches above the vault are the caller's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::RwLockWriteGuard;

use super::inode::Inode;
use super::names::LINKS_MAX;
use super::{OpError, Vault};
use crate::ids::{EntityId, Ino, NodeId};
use crate::record::{Meta, Time};
use crate::tree::{Kind, Tree, TreeError};

/// Bytes that may be in memory and not stored while more is taken in. A commit holds a few
/// copies of small files for a moment, and other writers have room beside this.
const IN_MEMORY: u64 = 16 << 20;
/// How long the keeper may take to make room, before that counts as none.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of one file's extents in memory (it is sparse), above which they go into packs: well
/// below [`IN_MEMORY`] for as many threads as there may be.
const SPILL: usize = 512 << 10;

/// Where something is to be placed.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The folder.
    pub folder: Ino,
    /// The name in it.
    pub name: &'a [u8],
    /// Take the place of a file that lies there; of a folder never.
    pub replace: bool,
    /// The folder's times stay as they are: they were given to it.
    pub keep_times: bool,
}

/// A file or folder that has no name yet. Dropped, it never was.
pub struct Incoming<'a> {
    vault: &'a Vault,
    inode: Arc<Inode>,
    /// What its node will be called everywhere.
    id: NodeId,
    kind: Kind,
    /// The removed node that comes back by this.
    revives: Option<NodeId>,
    placed: bool,
}

impl Vault {
    /// Begins a file, folder, symlink (whose target is then written) or special file with these
    /// attributes; the count of names in them is not looked at.
    ///
    /// # Errors
    /// As [`OpError`] says; nothing is made then.
    pub fn incoming(&self, mut meta: Meta) -> Result<Incoming<'_>, OpError> {
        self.writable()?;
        self.core.room_for(4096)?;
        let (kind, id) = (meta.kind, NodeId::random());
        // A folder's inode goes by its node's name; a file's entity has one of its own.
        let entity = match kind {
            Kind::Folder => EntityId(id.0),
            _ => EntityId::random(),
        };
        let with_content = matches!(kind, Kind::File | Kind::Symlink);
        meta.nlink = 0;
        let inode = Inode::new(self.next_ino(), entity, meta, with_content);
        Ok(self.nameless(inode, id, None))
    }

    /// The same, of an inode that was made elsewhere; `revives` is the removed node that comes back
    /// when it is placed.
    pub(super) fn nameless(&self, inode: Inode, id: NodeId, revives: Option<NodeId>) -> Incoming<'_> {
        let inode = Arc::new(inode);
        let (kind, entity) = {
            // Held open until it has a name: so it stays, and no commit looks at it.
            let mut state = inode.state.write();
            state.meta.nlink = 0;
            (state.opens, state.writers) = (1, 1);
            (state.meta.kind, state.binding.entity())
        };
        // In the map it is seen by who looks for living chunks.
        self.inodes.lock().put(inode.clone(), entity);
        Incoming {
            vault: self,
            inode,
            id,
            kind,
            revives,
            placed: false,
        }
    }

    /// Gives a file that is there one more name. True if something else had that name.
    ///
    /// # Errors
    /// As [`OpError`] says: EEXIST unless it may be replaced. Nothing is changed then.
    pub fn place_link(&self, ino: Ino, at: At<'_>) -> Result<bool, OpError> {
        self.writable()?;
        let now = Time::now();
        let inode = self.get(ino)?;
        let above = self.get(at.folder)?;
        let (mut tree, old) = self.lock_place(at)?;
        if old.as_ref().is_some_and(|old| old.ino == ino) {
            return Ok(false);
        }
        let kind = {
            let state = inode.state.read();
            match state.meta.nlink {
                _ if state.meta.kind == Kind::Folder => return Err(OpError::Errno(libc::EPERM)),
                0 => return Err(TreeError::NotFound.into()),
                LINKS_MAX.. => return Err(OpError::Errno(libc::EMLINK)),
                _ => state.meta.kind,
            }
        };
        let replaced = self.make_way(&mut tree, at, old.as_ref(), now)?;
        tree.insert(at.folder, at.name, ino, kind, NodeId::random())?;
        self.change_meta(&inode, |state| {
            state.meta.nlink += 1;
            state.meta.ctime = now;
        });
        self.mark_text(&tree, &inode, at.folder, at.name);
        if !at.keep_times {
            self.touch_folder(&above, now);
        }
        Ok(replaced)
    }

    /// Whether somebody may come back with this inode's number: the kernel, which was told of it.
    /// Nobody holds anything of a folder's entries who does not hold the folder.
    pub fn is_held(&self, ino: Ino) -> bool {
        ino == crate::ids::ROOT || self.inodes.lock().is_held(ino)
    }

    /// Bytes of content written since the vault was opened that were there already, and were not
    /// stored again.
    pub fn saved(&self) -> u64 {
        self.core.saved.load(Ordering::Relaxed)
    }

    /// Locks the tree, with what lies in that place by then.
    fn lock_place(&self, at: At<'_>) -> Result<(RwLockWriteGuard<'_, Tree>, Option<Arc<Inode>>), OpError> {
        loop {
            let there = match self.lookup(at.folder, at.name) {
                Ok(ino) => Some(ino),
                Err(OpError::Tree(TreeError::NotFound)) => None,
                Err(error) => return Err(error),
            };
            let old = there.map(|ino| self.get(ino)).transpose()?;
            let tree = self.tree.write();
            let now = tree.lookup(at.folder, at.name).ok().map(|(_, entry)| entry.ino);
            if now == there {
                return Ok((tree, old));
            }
        }
    }

    /// Takes away what lies in that place, if that may be; true if there was something. After
    /// this, something can be put there.
    fn make_way(
        &self,
        tree: &mut Tree,
        at: At<'_>,
        old: Option<&Arc<Inode>>,
        now: Time,
    ) -> Result<bool, OpError> {
        let Some(old) = old else {
            tree.may_insert(at.folder, at.name)?;
            return Ok(false);
        };
        if !at.replace {
            return Err(TreeError::Exists.into());
        }
        let gone = tree.remove(at.folder, at.name, false)?;
        self.unlinked(tree, old, &gone, (at.folder, at.name), None, now);
        Ok(true)
    }
}

impl Incoming<'_> {
    /// The file that it is going to be.
    pub(super) fn inode(&self) -> &Inode {
        &self.inode
    }

    /// Its number from now on.
    pub fn ino(&self) -> Ino {
        self.inode.ino
    }

    /// Writes all of `data`; what is left out between is a hole. Waits while too much is in memory.
    ///
    /// # Errors
    /// As [`OpError`] says; nothing of this call is written then.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), OpError> {
        self.vault.writable()?;
        self.vault.wait_below(IN_MEMORY, PATIENCE)?;
        let mut guard = self.inode.state.write();
        let state = &mut *guard;
        let owner = self.inode.owner(&self.vault.core, &state.binding);
        let content = state.content.as_mut().ok_or(OpError::Errno(libc::EINVAL))?;
        content.write(owner, offset, data)?;
        if content.memory().max(content.held()) > SPILL {
            content.spill_over(owner)?;
        }
        Ok(())
    }

    /// Gives it this size, in bytes: a hole to its end, or a cut.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn set_size(&mut self, size: u64) -> Result<(), OpError> {
        self.vault.writable()?;
        let mut guard = self.inode.state.write();
        let state = &mut *guard;
        let owner = self.inode.owner(&self.vault.core, &state.binding);
        let content = state.content.as_mut().ok_or(OpError::Errno(libc::EINVAL))?;
        Ok(content.truncate(owner, size)?)
    }

    /// Names it: from now on it is there, whole. Its number, and whether it took something's place.
    ///
    /// # Errors
    /// As [`OpError`] says: EEXIST if something lies there that may not be replaced, EISDIR if that
    /// is a folder. It is gone then.
    pub fn place(mut self, at: At<'_>) -> Result<(Ino, bool), OpError> {
        let (vault, ino) = (self.vault, self.inode.ino);
        vault.writable()?;
        let now = Time::now();
        let above = vault.get(at.folder)?;
        let (mut tree, old) = vault.lock_place(at)?;
        let saved = old
            .as_ref()
            .filter(|old| at.replace && self.revives.is_none() && vault.is_save(&self.inode, old, 0));
        let replaced = match saved {
            // The name keeps what it stands for everywhere: this is a version more of it.
            Some(old) => {
                tree.put_new_in_place(ino, self.kind, (at.folder, at.name))?;
                vault.take_over(&self.inode, old, false);
                vault.lose_name(old, now);
                true
            }
            None => {
                let replaced = vault.make_way(&mut tree, at, old.as_ref(), now)?;
                tree.insert(at.folder, at.name, ino, self.kind, self.id)?;
                replaced
            }
        };
        if let Some(node) = self.revives {
            let mut untold = vault.untold.lock();
            untold.removed.remove(&node);
            untold.revived.insert(node);
        }
        {
            let mut state = self.inode.state.write();
            state.meta.nlink = 1;
            (state.opens, state.writers) = (0, 0);
            state.saving_since = None;
        }
        self.placed = true;
        if self.kind != Kind::Folder {
            vault.settle_in(
                &mut tree,
                &self.inode,
                (at.folder, at.name),
                (at.folder, at.name),
                0,
            );
        }
        vault.mark_dirty(ino);
        if !at.keep_times {
            vault.touch_folder(&above, now);
        }
        Ok((ino, replaced))
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        if self.placed {
            return;
        }
        {
            let mut state = self.inode.state.write();
            (state.opens, state.writers) = (0, 0);
        }
        self.vault.reap(&self.inode);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ROOT;
    use crate::io::sim::{SimDisk, SplitMix64};
    use crate::vault::tests::{file_meta, password, vault};
    use crate::vault::{CheckOptions, Identity, Sealed};

    const OLD: Time = Time {
        sec: -5,
        nsec: 999_999_999,
    };

    fn at(name: &[u8]) -> At<'_> {
        At {
            folder: ROOT,
            name,
            replace: false,
            keep_times: true,
        }
    }

    fn given() -> Meta {
        Meta {
            perm: 0o4751,
            uid: 7,
            gid: 8,
            atime: OLD,
            mtime: OLD,
            btime: OLD,
            ..file_meta()
        }
    }

    fn read(vault: &Vault, ino: Ino) -> Vec<u8> {
        let mut bytes = Vec::new();
        vault.read(ino, 0, 64 << 20, &mut bytes).unwrap();
        bytes
    }

    fn reopen(disk: &SimDisk) -> Arc<Vault> {
        let found = Arc::new(disk.crash_all_lost());
        let sealed = Sealed::open_on(found, "sim".into(), None).unwrap();
        let vault = sealed.unlock(&password(), Identity::Same).unwrap();
        vault.stop_keeper();
        vault
    }

    fn check(vault: &Vault) {
        let report = vault.check(CheckOptions { read_data: true }, &mut |_| {});
        assert_eq!(report.unwrap().problems, Vec::new());
    }

    /// Guards the promise of the module: commits, a collection and a crash in the middle of a
    /// file show nothing of it; named and committed, all of it, with what was given.
    #[test]
    fn half_a_file_never_shows() {
        for size in [0, 100, 40 << 10, 3 << 20] {
            let disk = SimDisk::new();
            let vault = vault(&disk);
            let bytes = SplitMix64(size).bytes(size as usize);
            let before = vault.stat(ROOT).unwrap().meta;
            let mut file = vault.incoming(given()).unwrap();
            let half = bytes.len() / 2;
            file.write(0, &bytes[..half]).unwrap();
            vault.commit().unwrap();
            vault.collect().unwrap();
            let torn = reopen(&disk);
            assert!(torn.lookup(ROOT, b"f").is_err(), "{size}");
            check(&torn);
            file.write(half as u64, &bytes[half..]).unwrap();
            let (ino, replaced) = file.place(at(b"f")).unwrap();
            assert!(!replaced);
            assert_eq!(read(&vault, ino), bytes, "{size}");
            vault.commit().unwrap();
            let after = reopen(&disk);
            let found = after.lookup(ROOT, b"f").unwrap();
            assert_eq!(read(&after, found), bytes, "{size}");
            let meta = after.stat(found).unwrap().meta;
            assert_eq!((meta.perm, meta.uid, meta.gid, meta.nlink), (0o4751, 7, 8, 1));
            assert_eq!((meta.atime, meta.mtime, meta.btime), (OLD, OLD, OLD));
            assert_eq!(after.stat(ROOT).unwrap().meta.mtime, before.mtime, "kept");
            check(&after);
        }
    }

    /// Guards what is dropped: no name, no row, and its chunks are given back.
    #[test]
    fn what_is_dropped_never_was() {
        let disk = SimDisk::new();
        let vault = vault(&disk);
        let mut file = vault.incoming(given()).unwrap();
        file.write(0, &SplitMix64(1).bytes(2 << 20)).unwrap();
        // All its whole chunks are stored, and named by rows.
        vault.core.pool.drain();
        vault.commit().unwrap();
        let rows = |vault: &Vault| vault.status().unwrap().entities;
        let before = rows(&vault);
        drop(file);
        vault.commit().unwrap();
        assert_eq!(rows(&vault), before);
        assert!(vault.collect().unwrap().chunks > 0);
        check(&vault);
    }

    /// Guards what is there already: kept unless it may be replaced, a folder always; and that a
    /// replacement is one step.
    #[test]
    fn a_taken_name_is_kept_or_replaced_at_once() {
        let disk = SimDisk::new();
        let vault = vault(&disk);
        let new = |text: &[u8]| {
            let mut file = vault.incoming(given()).unwrap();
            file.write(0, text).unwrap();
            file
        };
        let (first, _) = new(b"one").place(at(b"f")).unwrap();
        vault.commit().unwrap();
        let refused = new(b"two").place(at(b"f")).unwrap_err();
        assert_eq!(refused.errno(), libc::EEXIST);
        assert_eq!(read(&vault, first), b"one");
        let over = At {
            replace: true,
            ..at(b"f")
        };
        let (second, replaced) = new(b"two").place(over).unwrap();
        assert!(replaced && second != first);
        let uncommitted = reopen(&disk);
        assert_eq!(
            read(&uncommitted, uncommitted.lookup(ROOT, b"f").unwrap()),
            b"one"
        );
        vault.commit().unwrap();
        let after = reopen(&disk);
        assert_eq!(read(&after, after.lookup(ROOT, b"f").unwrap()), b"two");
        let folder = vault
            .incoming(Meta {
                kind: Kind::Folder,
                ..given()
            })
            .unwrap();
        folder.place(at(b"d")).unwrap();
        let on_folder = At {
            replace: true,
            ..at(b"d")
        };
        assert_eq!(new(b"x").place(on_folder).unwrap_err().errno(), libc::EISDIR);
        check(&vault);
    }

    /// Guards links: counted, over another file only where allowed, and none on a file that is gone.
    #[test]
    fn a_link_is_one_more_name() {
        let vault = vault(&SimDisk::new());
        let mut file = vault.incoming(given()).unwrap();
        file.write(0, b"text").unwrap();
        let (ino, _) = file.place(at(b"a")).unwrap();
        assert!(!vault.place_link(ino, at(b"b")).unwrap());
        assert!(
            !vault.place_link(ino, at(b"b")).unwrap(),
            "it is that file already"
        );
        assert_eq!(vault.stat(ino).unwrap().meta.nlink, 2);
        vault.incoming(given()).unwrap().place(at(b"c")).unwrap();
        assert_eq!(vault.place_link(ino, at(b"c")).unwrap_err().errno(), libc::EEXIST);
        let over = At {
            replace: true,
            ..at(b"c")
        };
        assert!(vault.place_link(ino, over).unwrap());
        assert_eq!(vault.stat(ino).unwrap().meta.nlink, 3);
        for name in [b"a", b"b", b"c"] {
            vault.remove(ROOT, name, false).unwrap();
        }
        assert_eq!(vault.place_link(ino, at(b"d")).unwrap_err().errno(), libc::ENOENT);
        check(&vault);
    }
}
