//! The reference file system: POSIX as ext4 does it, in memory, so plain that it can be
//! seen to be right. Everything else is compared with it.
//!
//! Guarantees the semantics, and that each change of a time is to a later one. Never
//! checks permissions (the kernel does), never runs out of space, and keeps nothing.

pub mod bench;
pub mod bytes;
mod data;
mod state;
mod tree;

use coffer_fs::types::*;
use state::State;
use std::sync::{Mutex, MutexGuard};

/// A file system in memory.
#[derive(Debug)]
pub struct Reference {
    state: Mutex<State>,
}

impl Reference {
    /// An empty one, whose root belongs to `who`.
    pub fn new(who: Caller) -> Reference {
        Reference {
            state: Mutex::new(State::new(who)),
        }
    }

    /// How many inodes are alive, unlinked ones that something still holds included.
    pub fn inodes(&self) -> usize {
        self.state().inodes.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no operation of the model panics")
    }
}

impl Default for Reference {
    fn default() -> Reference {
        Reference::new(Caller::default())
    }
}

impl FileSystem for Reference {
    fn lookup(&self, parent: Ino, name: &[u8]) -> Result<Attr> {
        let mut state = self.state();
        let ino = state.get(parent, name)?;
        state.looked_up(ino)
    }

    fn forget(&self, ino: Ino, count: u64) {
        let mut state = self.state();
        if let Ok(inode) = state.inode_mut(ino) {
            inode.lookups = inode.lookups.saturating_sub(count);
            state.drop_if_free(ino);
        }
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        self.state().attr(ino)
    }

    fn setattr(&self, who: Caller, ino: Ino, _handle: Option<Handle>, set: SetAttr) -> Result<Attr> {
        let mut state = self.state();
        state.setattr(who, ino, set)?;
        state.attr(ino)
    }

    fn readlink(&self, ino: Ino) -> Result<Vec<u8>> {
        self.state().readlink(ino)
    }

    fn make(&self, who: Caller, parent: Ino, name: &[u8], node: NewNode<'_>, mode: u32) -> Result<Attr> {
        let mut state = self.state();
        let ino = state.make(who, parent, name, &node, mode)?;
        state.looked_up(ino)
    }

    fn unlink(&self, _who: Caller, parent: Ino, name: &[u8]) -> Result<()> {
        self.state().unlink(parent, name)
    }

    fn rmdir(&self, parent: Ino, name: &[u8]) -> Result<()> {
        self.state().rmdir(parent, name)
    }

    fn rename(
        &self,
        _who: Caller,
        parent: Ino,
        name: &[u8],
        to_parent: Ino,
        to_name: &[u8],
        mode: RenameMode,
    ) -> Result<()> {
        self.state().rename((parent, name), (to_parent, to_name), mode)
    }

    fn link(&self, _who: Caller, ino: Ino, parent: Ino, name: &[u8]) -> Result<Attr> {
        self.state().link(ino, parent, name)
    }

    fn open(&self, who: Caller, ino: Ino, mode: OpenMode) -> Result<Handle> {
        self.state().open(who, ino, mode)
    }

    fn create(
        &self,
        who: Caller,
        parent: Ino,
        name: &[u8],
        perm: u32,
        mode: OpenMode,
        exclusive: bool,
    ) -> Result<(Attr, Handle)> {
        let mut state = self.state();
        let (ino, mode) = match state.find_to_make(parent, name)? {
            Some(_) if exclusive => return Err(Errno(libc::EEXIST)),
            Some(ino) => (ino, mode),
            None => {
                let ino = state.make(who, parent, name, &NewNode::File, perm)?;
                (
                    ino,
                    OpenMode {
                        truncate: false,
                        execute: false,
                        ..mode
                    },
                )
            }
        };
        let handle = state.open(who, ino, mode)?;
        Ok((state.looked_up(ino)?, handle))
    }

    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.state().read(ino, handle, offset, size.into())?);
        Ok(())
    }

    fn write(&self, ino: Ino, handle: Handle, offset: u64, data: &[u8], kill_suid: bool) -> Result<u32> {
        self.state().write(ino, handle, offset, data, kill_suid)
    }

    fn release(&self, _ino: Ino, handle: Handle) {
        self.state().release(handle);
    }

    fn fsync(&self, _ino: Ino, done: Done<()>) {
        done(Ok(()));
    }

    fn readdir(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let entries = self.state().entries(ino, cookie)?;
        for (cookie, ino, kind, name) in &entries {
            if !each(DirEntry {
                cookie: *cookie,
                ino: *ino,
                kind: *kind,
                name,
            }) {
                break;
            }
        }
        Ok(())
    }

    fn readdir_plus(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()> {
        let mut state = self.state();
        for (cookie, ino, kind, name) in &state.entries(ino, cookie)? {
            let attr = state.attr(*ino)?;
            if !each(
                DirEntry {
                    cookie: *cookie,
                    ino: *ino,
                    kind: *kind,
                    name,
                },
                &attr,
            ) {
                break;
            }
            if *cookie > 2 {
                state.inode_mut(*ino)?.lookups += 1;
            }
        }
        Ok(())
    }

    fn statfs(&self) -> Result<StatFs> {
        let files = self.inodes() as u64;
        Ok(StatFs {
            bsize: 4096,
            blocks: 1 << 30,
            bfree: 1 << 29,
            bavail: 1 << 29,
            files,
            ffree: 1 << 30,
        })
    }

    fn setxattr(&self, ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        self.state().setxattr(ino, name, value, mode)
    }

    fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        self.state().getxattr(ino, name)
    }

    fn listxattr(&self, ino: Ino) -> Result<Vec<u8>> {
        self.state().listxattr(ino)
    }

    fn removexattr(&self, ino: Ino, name: &[u8]) -> Result<()> {
        self.state().removexattr(ino, name)
    }

    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: Allocate) -> Result<()> {
        self.state().fallocate(ino, handle, offset, len, mode)
    }

    fn lseek(&self, ino: Ino, _handle: Handle, offset: u64, seek: Seek) -> Result<u64> {
        self.state().lseek(ino, offset, seek)
    }

    fn copy_range(&self, from: (Ino, Handle, u64), to: (Ino, Handle, u64), len: u64) -> Result<u64> {
        self.state().copy(from, to, len)
    }
}
