//! Making, removing, renaming and linking files: the tree and the inodes together, each
//! call one atomic step.

use std::sync::Arc;
use std::time::Instant;

use super::inode::{Inode, State};
use super::publish::{GoneNode, SAW_MAX};
use super::saves::left::{How, Left};
use super::saves::{Process, original};
use super::{OpError, Vault};
use crate::ids::{EntityId, EventRef, Ino, NodeId};
use crate::record::{Meta, Time};
use crate::tree::{Kind, Known, Replaced, Told, Tree, TreeError};

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
    pub fn make(&self, parent: Ino, name: &[u8], meta: Meta, target: &[u8]) -> Result<Ino, OpError> {
        self.make_by(0, parent, name, meta, target)
    }

    /// As [`Vault::make`], on behalf of a process: it may be saving.
    ///
    /// # Errors
    /// As [`Vault::make`].
    pub fn make_by(
        &self,
        who: Process,
        parent: Ino,
        name: &[u8],
        mut meta: Meta,
        target: &[u8],
    ) -> Result<Ino, OpError> {
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
        let inode = Arc::new(Inode::new(
            ino,
            entity,
            meta,
            matches!(kind, Kind::File | Kind::Symlink),
        ));
        inode.state.write().made = Some((Instant::now(), who));
        if kind == Kind::Symlink {
            let mut guard = inode.state.write();
            let state = &mut *guard;
            if let Some(content) = state.content.as_mut() {
                content.write(inode.owner(&self.core, &state.binding), 0, target)?;
            }
        }
        let folder = self.get(parent)?;
        let mut tree = self.tree.write();
        tree.insert(parent, name, ino, kind, id)?;
        self.inodes.lock().put(inode.clone(), entity);
        if kind != Kind::Folder {
            self.settle_in(&mut tree, &inode, (parent, name), (parent, name), who);
        }
        self.mark_dirty(ino);
        self.touch_folder(&folder, now);
        Ok(ino)
    }

    /// Removes a name: a folder's (`folder`), or anything else's.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn remove(&self, parent: Ino, name: &[u8], folder: bool) -> Result<(), OpError> {
        self.remove_by(0, parent, name, folder)
    }

    /// As [`Vault::remove`], on behalf of a process.
    ///
    /// # Errors
    /// As [`Vault::remove`].
    pub fn remove_by(&self, who: Process, parent: Ino, name: &[u8], folder: bool) -> Result<(), OpError> {
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
                self.unlinked(&tree, inode, &gone, (parent, name), Some(who), now);
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
        self.rename_by(0, from, to, no_replace)
    }

    /// As [`Vault::rename`], on behalf of a process: it may be saving.
    ///
    /// # Errors
    /// As [`Vault::rename`].
    pub fn rename_by(
        &self,
        who: Process,
        from: (Ino, &[u8]),
        to: (Ino, &[u8]),
        no_replace: bool,
    ) -> Result<(), OpError> {
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
            if moved.state.read().emptied.is_some() {
                // What another device left under a name that an editor draws, and this one has written anew.
                let passing = self.may_pass(&tree, from.0, from.1);
                moved.state.write().passing = passing;
            }
            let is_backup = original(to.1) == Some(from.1);
            match &target {
                Some(target)
                    if !no_replace && !is_backup && self.is_save_over(&tree, &moved, target, to, who) =>
                {
                    self.save_over(&mut tree, from, to, (&moved, target), now)?;
                    self.mark(&tree, &moved, to.0, to.1, who);
                }
                _ => {
                    let was = tree.lookup(from.0, from.1)?.1.clone();
                    let (node, replaced) = tree.rename(from, to, no_replace)?;
                    if let (Some(gone), Some(target)) = (&replaced, &target) {
                        self.unlinked(&tree, target, gone, to, None, now);
                    }
                    if was.kind != Kind::Folder {
                        self.leave(&was, node, from, to.0, &moved, who);
                        self.settle_in(&mut tree, &moved, to, from, who);
                    }
                }
            }
            self.change_meta(&moved, |state| state.renamed(now));
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
        self.exchange_by(0, a, b)
    }

    /// As [`Vault::exchange`], on behalf of a process: it may be saving.
    ///
    /// # Errors
    /// As [`Vault::exchange`].
    pub fn exchange_by(&self, who: Process, a: (Ino, &[u8]), b: (Ino, &[u8])) -> Result<(), OpError> {
        self.writable()?;
        let now = Time::now();
        let (folder_a, folder_b) = (self.get(a.0)?, self.get(b.0)?);
        loop {
            let (one, two) = (
                self.get(self.lookup(a.0, a.1)?)?,
                self.get(self.lookup(b.0, b.1)?)?,
            );
            if one.ino == two.ino {
                return Ok(()); // one name, or two of one file
            }
            let mut tree = self.tree.write();
            if tree.lookup(a.0, a.1)?.1.ino != one.ino || tree.lookup(b.0, b.1)?.1.ino != two.ino {
                continue; // another took its place: look again
            }
            if self.is_save_by_swap(&one, &two, who) {
                tree.swap_files(a, b)?;
                self.swap_over(&one, &two);
                for (folder, name) in [a, b] {
                    let (node, entry) = tree.lookup(folder, name)?;
                    if entry.told == Told::Never {
                        self.left.lock().hold(node); // what was there before: it is removed in a moment
                    }
                }
            } else {
                tree.exchange(a, b)?;
            }
            for (inode, at) in [(&one, b), (&two, a)] {
                self.left.lock().take(at.0, at.1);
                self.mark(&tree, inode, at.0, at.1, who);
            }
            for inode in [&one, &two] {
                self.change_meta(inode, |state| state.renamed(now));
            }
            self.touch_folder(&folder_a, now);
            self.touch_folder(&folder_b, now);
            return Ok(());
        }
    }

    /// Gives a file one more name.
    ///
    /// # Errors
    /// As [`OpError`] says; folders cannot have two names.
    pub fn link(&self, ino: Ino, parent: Ino, name: &[u8]) -> Result<(), OpError> {
        self.link_by(0, ino, parent, name)
    }

    /// As [`Vault::link`], on behalf of a process: it may be saving.
    ///
    /// # Errors
    /// As [`Vault::link`].
    pub fn link_by(&self, who: Process, ino: Ino, parent: Ino, name: &[u8]) -> Result<(), OpError> {
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
        let node = tree.insert(parent, name, ino, state.meta.kind, NodeId::random())?;
        let is_backup = original(name)
            .and_then(|of| tree.lookup(parent, of).ok())
            .is_some_and(|(_, of)| of.ino == ino);
        if is_backup {
            self.left.lock().hold(node);
        }
        let was_single = state.meta.nlink == 1;
        state.meta.nlink += 1;
        state.renamed(now);
        state.meta_dirty = true;
        drop(state);
        if was_single {
            // Some save by giving the new file the name that they have just taken away.
            self.settle_in(&mut tree, &inode, (parent, name), (parent, name), who);
        } else {
            self.mark_text(&tree, &inode, parent, name);
            self.left.lock().take(parent, name);
        }
        self.mark_dirty(ino);
        self.touch_folder(&folder, now);
        Ok(())
    }

    /// Puts the file that `from` names in the place of the one that `to` names, as a save of it.
    /// The tree is locked.
    fn save_over(
        &self,
        tree: &mut Tree,
        from: (Ino, &[u8]),
        to: (Ino, &[u8]),
        (moved, target): (&Arc<Inode>, &Arc<Inode>),
        now: Time,
    ) -> Result<(), OpError> {
        let (gone, _) = tree.put_in_place(from, to)?;
        self.left.lock().take(to.0, to.1);
        // They may know it under the name that it had until now.
        self.note_gone(tree, &moved.state.read(), moved, &gone, (from.0, true), now);
        let is_backup = target.state.read().meta.nlink > 1;
        target.state.write().marks.scratch |= is_backup;
        if is_backup {
            self.unmark(tree, target.ino, to);
        }
        self.take_over(moved, target, is_backup);
        self.lose_name(target, now);
        Ok(())
    }

    /// Notes that a node, in the folder `at`, is gone, and what brings it back; `last`: its file
    /// has no other name. The tree is locked.
    pub(super) fn note_gone(
        &self,
        tree: &Tree,
        state: &State,
        inode: &Inode,
        gone: &Replaced,
        (at, last): (Ino, bool),
        now: Time,
    ) {
        let saw = self.seen_of(state, inode);
        let mut untold = self.untold.lock();
        if gone.told != Told::Never {
            let gone_node = GoneNode {
                id: gone.id,
                saw,
                of: Some(inode.ino),
            };
            untold.gone.insert(gone.node, gone_node);
        }
        let key = state.binding.key(inode.key());
        if let Some(parent) = tree.node_of(at)
            && let Some(record) = self.gone_record(state, key, gone, (parent, last), (now, now))
        {
            untold.revived.remove(&gone.id);
            untold.removed.insert(gone.id, record);
        }
    }

    /// The versions that whoever removes a file's name has seen: what it shows, and where it shows the newest that
    /// there is, what that was chosen before, too; else that would bring back whatever is removed.
    fn seen_of(&self, state: &State, inode: &Inode) -> Vec<EventRef> {
        let mut saw = state.named_by();
        if self.is_shared() && state.behind == 0 && !saw.is_empty() {
            let key = state.binding.key(inode.key());
            let beside = self.not_shown(key, &state.binding.entity(), &saw);
            // What cannot be read was not seen.
            saw.extend(beside.unwrap_or_default());
            // No event names more: what it shows comes first.
            saw.truncate(SAW_MAX.into());
        }
        saw
    }

    /// A file has lost a name to another file, which stands for its entity from now on. The tree is
    /// locked.
    pub(super) fn lose_name(&self, inode: &Arc<Inode>, now: Time) {
        let mut state = inode.state.write();
        state.meta.nlink = state.meta.nlink.saturating_sub(1);
        state.meta.ctime = now;
        state.meta_dirty = true;
        let dead = state.meta.nlink == 0;
        drop(state);
        self.mark_dirty(inode.ino);
        if dead {
            self.reap(inode);
        }
    }

    /// A name of this inode, `at`, is gone; by a removal, if a process is given, and not because
    /// something took its place. The tree is locked.
    pub(super) fn unlinked(
        &self,
        tree: &Tree,
        inode: &Arc<Inode>,
        gone: &Replaced,
        at: (Ino, &[u8]),
        who: Option<Process>,
        now: Time,
    ) {
        let mut state = inode.state.write();
        state.meta.nlink = state.meta.nlink.saturating_sub(1);
        state.meta.ctime = now;
        state.meta_dirty = true;
        let is_last = state.meta.nlink == 0;
        if !is_last {
            self.unmark(tree, inode.ino, at);
        }
        self.note_gone(tree, &state, inode, gone, (at.0, is_last), now);
        if let Some(who) = who
            && is_last
            && gone.told != Told::Never
            && gone.kind == Kind::File
        {
            let known = Known {
                id: gone.id,
                told: gone.told,
            };
            let how = How::Removed {
                entity: state.binding.entity(),
                key: state.binding.key(inode.key()).duplicate(),
                named_by: state.named_by(),
            };
            let left = Left::new(gone.node, known, Some(who), how);
            self.left.lock().put(at.0, at.1, left);
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
