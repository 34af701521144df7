//! Making, removing, renaming and linking files: the tree and the inodes together, each
//! call one atomic step.

use std::sync::Arc;

use super::inode::{Inode, State};
use super::{OpError, Vault};
use crate::ids::{EntityId, Ino, NodeId};
use crate::record::{Meta, Time};
use crate::tree::{Kind, Replaced, Told, TreeError};

/// A folder cannot have more names on one file.
pub(super) const LINKS_MAX: u32 = 65_000;

impl Vault {
    /// What a name stands for.
    ///
    /// # Errors
    /// [`TreeError::NotFound`].
    pub fn lookup(&self, parent: Ino, name: &[u8]) -> Result<Ino, OpError> {
        Ok(self.tree.read().lookup(parent, name)?.1.ino)
    }

    /// Makes a file, folder or special file. `target` is a symlink's.
    ///
    /// # Errors
    /// As [`OpError`] says; nothing is made then.
    pub fn make(&self, parent: Ino, name: &[u8], mut meta: Meta, target: &[u8]) -> Result<Ino, OpError> {
        self.writable()?;
        self.core.room_for(4096)?;
        let kind = meta.kind;
        let ino = self.next_ino();
        let id = NodeId::random();
        // A folder's inode goes by its node's name; a file's entity has one of its own.
        let entity = if kind == Kind::Folder {
            EntityId(id.0)
        } else {
            EntityId::random()
        };
        meta.nlink = 1;
        let now = meta.ctime;
        let inode = Inode::new(ino, entity, meta, matches!(kind, Kind::File | Kind::Symlink));
        if kind == Kind::Symlink
            && let Some(content) = inode.state.write().content.as_mut()
        {
            content.write(inode.owner(&self.core, entity), 0, target)?;
        }
        let folder = self.get(parent)?;
        let mut tree = self.tree.write();
        tree.insert(parent, name, ino, kind, id)?;
        self.inodes.lock().put(Arc::new(inode));
        self.mark_dirty(ino);
        self.touch_folder(&folder, now);
        Ok(ino)
    }

    /// Removes a name: a folder's (`folder`), or anything else's.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn remove(&self, parent: Ino, name: &[u8], folder: bool) -> Result<(), OpError> {
        self.writable()?;
        let now = Time::now();
        let above = self.get(parent)?;
        loop {
            let ino = self.lookup(parent, name)?;
            // One whose record is damaged or missing can still be removed.
            let inode = self.get(ino).ok();
            let mut tree = self.tree.write();
            if tree.lookup(parent, name)?.1.ino != ino {
                continue; // another took its place: look again
            }
            let gone = tree.remove(parent, name, folder)?;
            if let Some(inode) = &inode {
                self.unlinked(inode, &gone, &above, now);
            }
            self.touch_folder(&above, now);
            return Ok(());
        }
    }

    /// Moves a name, over what may be there.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn rename(&self, from: (Ino, &[u8]), to: (Ino, &[u8]), no_replace: bool) -> Result<(), OpError> {
        self.writable()?;
        let now = Time::now();
        let (from_folder, to_folder) = (self.get(from.0)?, self.get(to.0)?);
        loop {
            let moved = self.get(self.lookup(from.0, from.1)?)?;
            let target = match self.lookup(to.0, to.1) {
                Ok(ino) => Some(self.get(ino)?),
                Err(_) => None,
            };
            let mut tree = self.tree.write();
            let same = tree.lookup(from.0, from.1)?.1.ino == moved.ino
                && tree.lookup(to.0, to.1).ok().map(|(_, e)| e.ino) == target.as_ref().map(|t| t.ino);
            if !same {
                continue;
            }
            if target.as_ref().is_some_and(|t| t.ino == moved.ino) && !no_replace {
                return Ok(());
            }
            let (_, replaced) = tree.rename(from, to, no_replace)?;
            if let (Some(gone), Some(target)) = (&replaced, &target) {
                self.unlinked(target, gone, &to_folder, now);
            }
            self.change_meta(&moved, |state| state.meta.ctime = now);
            self.touch_folder(&from_folder, now);
            self.touch_folder(&to_folder, now);
            return Ok(());
        }
    }

    /// Swaps what two names stand for.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn exchange(&self, a: (Ino, &[u8]), b: (Ino, &[u8])) -> Result<(), OpError> {
        self.writable()?;
        let now = Time::now();
        let (folder_a, folder_b) = (self.get(a.0)?, self.get(b.0)?);
        let (one, two) = (
            self.get(self.lookup(a.0, a.1)?)?,
            self.get(self.lookup(b.0, b.1)?)?,
        );
        if one.ino == two.ino {
            return Ok(()); // one name, or two of one file
        }
        let mut tree = self.tree.write();
        tree.exchange(a, b)?;
        for inode in [&one, &two] {
            self.change_meta(inode, |state| state.meta.ctime = now);
        }
        self.touch_folder(&folder_a, now);
        self.touch_folder(&folder_b, now);
        Ok(())
    }

    /// Gives a file one more name.
    ///
    /// # Errors
    /// As [`OpError`] says; folders cannot have two names.
    pub fn link(&self, ino: Ino, parent: Ino, name: &[u8]) -> Result<(), OpError> {
        self.writable()?;
        let now = Time::now();
        let inode = self.get(ino)?;
        let folder = self.get(parent)?;
        let mut tree = self.tree.write();
        let mut state = inode.state.write();
        tree.may_insert(parent, name)?;
        if state.meta.kind == Kind::Folder {
            return Err(OpError::Errno(libc::EPERM));
        }
        if state.meta.nlink == 0 {
            return Err(TreeError::NotFound.into());
        }
        if state.meta.nlink >= LINKS_MAX {
            return Err(OpError::Errno(libc::EMLINK));
        }
        tree.insert(parent, name, ino, state.meta.kind, NodeId::random())?;
        state.meta.nlink += 1;
        state.meta.ctime = now;
        state.meta_dirty = true;
        drop(state);
        self.mark_dirty(ino);
        self.touch_folder(&folder, now);
        Ok(())
    }

    /// A name of this inode, in the folder `above`, is gone. The tree is locked.
    pub(super) fn unlinked(&self, inode: &Arc<Inode>, gone: &Replaced, above: &Inode, now: Time) {
        let parent = above.node();
        let mut state = inode.state.write();
        state.meta.nlink = state.meta.nlink.saturating_sub(1);
        state.meta.ctime = now;
        state.meta_dirty = true;
        if gone.told != Told::Never {
            let gone_node = super::publish::GoneNode {
                id: gone.id,
                saw: state.published,
            };
            self.untold.lock().gone.insert(gone.node, gone_node);
        }
        if let Some(record) = self.gone_record(&state, inode.key(), gone, parent, now) {
            let mut untold = self.untold.lock();
            untold.revived.remove(&gone.id);
            untold.removed.insert(gone.id, record);
        }
        let dead = state.meta.nlink == 0;
        drop(state);
        self.mark_dirty(inode.ino);
        if dead {
            self.reap(inode);
        }
    }

    /// A folder's entries changed.
    pub(super) fn touch_folder(&self, folder: &Arc<Inode>, now: Time) {
        let mut state = folder.state.write();
        state.meta.mtime = now;
        state.meta.ctime = now;
        // Times of folders stay here: they tell nobody anything that their entries do not.
        state.times_only |= !state.meta_dirty;
        state.meta_dirty = true;
        drop(state);
        self.mark_dirty(folder.ino);
    }

    /// Changes attributes that stay on this device.
    pub(super) fn change_meta(&self, inode: &Arc<Inode>, change: impl FnOnce(&mut State)) {
        let mut state = inode.state.write();
        change(&mut state);
        (state.meta_dirty, state.times_only) = (true, false);
        drop(state);
        self.mark_dirty(inode.ino);
    }
}
