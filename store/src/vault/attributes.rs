//! Attributes of files and folders, and their user xattrs.

use std::time::Instant;

use super::{OpError, Vault};
use crate::ids::Ino;
use crate::record::{Meta, NAME_MAX, Time, XATTR_VALUE_MAX, XATTRS_COUNT_MAX, XATTRS_MAX, xattrs_len};
use crate::tree::Kind;

/// What stat(2) shows.
#[derive(Clone, Debug)]
pub struct Stat {
    /// Inode number.
    pub ino: Ino,
    /// Attributes, without xattrs.
    pub meta: Meta,
    /// Size in bytes.
    pub size: u64,
    /// Bytes that are not holes.
    pub allocated: u64,
}

/// What to change; `None` leaves it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// Permission bits.
    pub perm: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size.
    pub size: Option<u64>,
    /// Access time.
    pub atime: Option<Time>,
    /// Modification time.
    pub mtime: Option<Time>,
    /// Clear set-id bits, as a write by another than root does.
    pub kill_suid: bool,
}

impl Vault {
    /// Attributes.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn stat(&self, ino: Ino) -> Result<Stat, OpError> {
        let inode = self.get(ino)?;
        let state = inode.state.read();
        let m = &state.meta;
        let mut meta = Meta { xattrs: None, ..*m };
        if m.kind == Kind::Folder {
            drop(state);
            let tree = self.tree.read();
            meta.nlink = tree.folder(ino).map_or(0, |f| 2 + f.subfolders);
            let size = tree.folder(ino).map_or(0, |f| 64 * (f.entries.len() as u64 + 2));
            return Ok(Stat {
                ino,
                meta,
                size,
                allocated: 0,
            });
        }
        let size = state.size();
        let allocated = match (&state.content, m.kind) {
            (Some(content), Kind::File) => content.allocated(),
            _ => 0,
        };
        Ok(Stat {
            ino,
            meta,
            size,
            allocated,
        })
    }

    /// Changes attributes; returns the new ones.
    ///
    /// # Errors
    /// As [`OpError`] says; nothing is changed then.
    pub fn change(&self, ino: Ino, change: Change) -> Result<Stat, OpError> {
        self.writable()?;
        let inode = self.get(ino)?;
        let now = Time::now();
        let mut state = inode.state.write();
        let state_ref = &mut *state;
        if let Some(size) = change.size {
            self.capture(&inode, state_ref);
            if state_ref.writers == 0 {
                state_ref.writer = 0; // nobody knows who
            }
            let shrinks = size < state_ref.size();
            let Some(content) = state_ref
                .content
                .as_mut()
                .filter(|_| state_ref.meta.kind == Kind::File)
            else {
                return Err(OpError::Errno(if state.meta.kind == Kind::Folder {
                    libc::EISDIR
                } else {
                    libc::EINVAL
                }));
            };
            let owner = inode.owner(&self.core, &state_ref.binding);
            let had = content.is_on_disk();
            if size == 0 {
                content.clear(owner);
                state_ref.emptied = Some((Instant::now(), state_ref.writer));
            } else {
                content.load(owner)?;
                content.truncate(owner, size)?;
            }
            if shrinks && had && state_ref.writers > 0 {
                state_ref.saving_since.get_or_insert_with(Instant::now);
            }
            if change.mtime.is_none() {
                state_ref.meta.mtime = now;
            }
        }
        let m = &mut state.meta;
        let before = (m.perm, m.mtime);
        if let Some(uid) = change.uid {
            m.uid = uid;
        }
        if let Some(gid) = change.gid {
            m.gid = gid;
        }
        if let Some(perm) = change.perm {
            m.perm = perm & 0o7777;
        }
        if change.kill_suid && m.kind != Kind::Folder {
            kill_suid(m);
        }
        if let Some(t) = change.atime {
            m.atime = t;
        }
        if let Some(t) = change.mtime {
            m.mtime = t;
        }
        m.ctime = now;
        (state.meta_dirty, state.times_only) = (true, false);
        // Editors set the mode that a file has already: that is no version.
        if change.size.is_some() || before != (state.meta.perm, state.meta.mtime) {
            state.untold = true;
        }
        state.fresh |= change.size.is_some();
        let folder = state.meta.kind == Kind::Folder;
        drop(state);
        if folder && change.perm.is_some() {
            self.tree.write().retell(ino);
        }
        self.mark_dirty(ino);
        self.stat(ino)
    }

    /// One xattr's value.
    ///
    /// # Errors
    /// ENODATA if it has none of that name.
    pub fn xattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>, OpError> {
        let inode = self.get(ino)?;
        let state = inode.state.read();
        let value = state.meta.xattrs.as_ref().and_then(|x| x.get(name));
        value.cloned().ok_or(OpError::Errno(libc::ENODATA))
    }

    /// The names of all xattrs.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn xattrs(&self, ino: Ino) -> Result<Vec<Vec<u8>>, OpError> {
        let inode = self.get(ino)?;
        let state = inode.state.read();
        Ok(state.meta.xattrs.iter().flat_map(|x| x.keys().cloned()).collect())
    }

    /// Sets an xattr. `exists` says whether it must (Some(true)) or must not be there.
    ///
    /// # Errors
    /// EEXIST, ENODATA, ENOSPC and ERANGE as setxattr(2).
    pub fn set_xattr(
        &self,
        ino: Ino,
        name: &[u8],
        value: &[u8],
        exists: Option<bool>,
    ) -> Result<(), OpError> {
        self.writable()?;
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(OpError::Errno(libc::ERANGE));
        }
        if value.len() > XATTR_VALUE_MAX {
            return Err(OpError::Errno(libc::E2BIG));
        }
        let inode = self.get(ino)?;
        let mut state = inode.state.write();
        let xattrs = state.meta.xattrs.get_or_insert_default();
        match (exists, xattrs.contains_key(name)) {
            (Some(true), false) => return Err(OpError::Errno(libc::ENODATA)),
            (Some(false), true) => return Err(OpError::Errno(libc::EEXIST)),
            _ => {}
        }
        let old = xattrs.get(name).map_or(0, |v| name.len() + v.len() + 8);
        let len = xattrs_len(xattrs) - old + name.len() + value.len() + 8;
        if len > XATTRS_MAX || (old == 0 && xattrs.len() >= XATTRS_COUNT_MAX) {
            return Err(OpError::Errno(libc::ENOSPC));
        }
        xattrs.insert(name.to_vec(), value.to_vec());
        drop(state);
        self.xattrs_changed(ino)
    }

    /// Removes an xattr.
    ///
    /// # Errors
    /// ENODATA if it is not there.
    pub fn remove_xattr(&self, ino: Ino, name: &[u8]) -> Result<(), OpError> {
        self.writable()?;
        let inode = self.get(ino)?;
        let mut state = inode.state.write();
        let gone = state.meta.xattrs.as_mut().and_then(|x| x.remove(name));
        if state.meta.xattrs.as_ref().is_some_and(|x| x.is_empty()) {
            state.meta.xattrs = None;
        }
        drop(state);
        gone.ok_or(OpError::Errno(libc::ENODATA))?;
        self.xattrs_changed(ino)
    }

    fn xattrs_changed(&self, ino: Ino) -> Result<(), OpError> {
        let inode = self.get(ino)?;
        self.change_meta(&inode, |state| {
            state.meta.ctime = Time::now();
            state.untold = true;
        });
        if inode.state.read().meta.kind == Kind::Folder {
            self.tree.write().retell(ino);
        }
        Ok(())
    }
}

/// What a write by another than root does to set-id bits.
pub(super) fn kill_suid(meta: &mut Meta) {
    meta.perm &= !0o4000;
    if meta.perm & 0o010 != 0 {
        meta.perm &= !0o2000;
    }
}
