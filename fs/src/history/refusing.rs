//! Which request is for the history and which for the vault; what would change history is refused.
//!
//! Every method is one question by number or name, and then the layer below or the answer.

use super::WithHistory;
use super::nodes::Nodes;
use crate::types::{
    Access, Allocate, Attr, Caller, DirEntry, Done, Errno, FileSystem, Handle, Ino, NewNode, OpenMode,
    RenameMode, Result, Seek, SetAttr, StatFs, XattrMode,
};

const FIXED: Errno = Errno(libc::EROFS);

impl WithHistory {
    /// A name that something is about to be made at, moved to or taken from.
    fn refuse_change(&self, parent: Ino, name: &[u8]) -> Result<()> {
        match Nodes::covers(parent) || self.is_ours(parent, name) {
            true => Err(FIXED),
            false => Ok(()),
        }
    }
}

fn refuse(ino: Ino) -> Result<()> {
    match Nodes::covers(ino) {
        true => Err(FIXED),
        false => Ok(()),
    }
}

impl FileSystem for WithHistory {
    fn lookup(&self, parent: Ino, name: &[u8]) -> Result<Attr> {
        match Nodes::covers(parent) || self.is_ours(parent, name) {
            true => self.look_up(parent, name),
            false => self.inner.lookup(parent, name),
        }
    }

    fn lasts(&self, ino: Ino) -> bool {
        !Nodes::covers(ino)
    }

    fn forget(&self, ino: Ino, count: u64) {
        match Nodes::covers(ino) {
            true => self.nodes.forget(ino, count),
            false => self.inner.forget(ino, count),
        }
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        match Nodes::covers(ino) {
            true => self.attr(ino, &self.place(ino)?),
            false => self.inner.getattr(ino),
        }
    }

    fn access(&self, ino: Ino, want: Access) -> Result<()> {
        match Nodes::covers(ino) && want.0 & Access::WRITE != 0 {
            true => Err(FIXED),
            false => Ok(()),
        }
    }

    fn setattr(&self, who: Caller, ino: Ino, handle: Option<Handle>, set: SetAttr) -> Result<Attr> {
        refuse(ino)?;
        self.inner.setattr(who, ino, handle, set)
    }

    fn readlink(&self, ino: Ino) -> Result<Vec<u8>> {
        match Nodes::covers(ino) {
            true => self.target(ino),
            false => self.inner.readlink(ino),
        }
    }

    fn make(&self, who: Caller, parent: Ino, name: &[u8], node: NewNode<'_>, mode: u32) -> Result<Attr> {
        self.refuse_change(parent, name)?;
        self.inner.make(who, parent, name, node, mode)
    }

    fn unlink(&self, who: Caller, parent: Ino, name: &[u8]) -> Result<()> {
        self.refuse_change(parent, name)?;
        self.inner.unlink(who, parent, name)
    }

    fn rmdir(&self, parent: Ino, name: &[u8]) -> Result<()> {
        self.refuse_change(parent, name)?;
        self.inner.rmdir(parent, name)
    }

    fn rename(
        &self,
        who: Caller,
        parent: Ino,
        name: &[u8],
        to_parent: Ino,
        to_name: &[u8],
        mode: RenameMode,
    ) -> Result<()> {
        self.refuse_change(parent, name)?;
        self.refuse_change(to_parent, to_name)?;
        self.inner.rename(who, parent, name, to_parent, to_name, mode)
    }

    fn link(&self, who: Caller, ino: Ino, parent: Ino, name: &[u8]) -> Result<Attr> {
        refuse(ino)?;
        self.refuse_change(parent, name)?;
        self.inner.link(who, ino, parent, name)
    }

    fn open(&self, who: Caller, ino: Ino, mode: OpenMode) -> Result<Handle> {
        if !Nodes::covers(ino) {
            return self.inner.open(who, ino, mode);
        }
        match mode.write || mode.truncate {
            true => Err(FIXED),
            false => self.open_version(ino),
        }
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
        self.refuse_change(parent, name)?;
        self.inner.create(who, parent, name, perm, mode, exclusive)
    }

    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, out: &mut Vec<u8>) -> Result<()> {
        match Nodes::covers(ino) {
            true => self.read_version(ino, handle, offset, size, out),
            false => self.inner.read(ino, handle, offset, size, out),
        }
    }

    fn append(&self, ino: Ino, handle: Handle, data: &[u8], kill_suid: bool) -> Result<u64> {
        refuse(ino)?;
        self.inner.append(ino, handle, data, kill_suid)
    }

    fn write(&self, ino: Ino, handle: Handle, offset: u64, data: &[u8], kill_suid: bool) -> Result<u32> {
        refuse(ino)?;
        self.inner.write(ino, handle, offset, data, kill_suid)
    }

    fn wants_flush(&self, ino: Ino, handle: Handle) -> bool {
        !Nodes::covers(ino) && self.inner.wants_flush(ino, handle)
    }

    fn flush(&self, ino: Ino, handle: Handle) {
        if !Nodes::covers(ino) {
            self.inner.flush(ino, handle);
        }
    }

    fn release(&self, ino: Ino, handle: Handle) {
        if Nodes::covers(ino) {
            self.opened.lock().remove(&handle);
        } else {
            self.inner.release(ino, handle);
        }
    }

    fn fsync(&self, ino: Ino, done: Done<()>) {
        match Nodes::covers(ino) {
            true => done(Ok(())),
            false => self.inner.fsync(ino, done),
        }
    }

    fn readdir(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        match Nodes::covers(ino) {
            true => self.list(ino, cookie, &mut |entry, _| each(entry)),
            false => self.inner.readdir(ino, cookie, each),
        }
    }

    fn readdir_plus(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()> {
        match Nodes::covers(ino) {
            true => self.list_plus(ino, cookie, each),
            false => self.inner.readdir_plus(ino, cookie, each),
        }
    }

    fn hold(&self, ino: Ino) -> Result<Attr> {
        self.inner.hold(ino)
    }

    fn is_held(&self, ino: Ino) -> bool {
        self.inner.is_held(ino)
    }

    fn folder_path(&self, folder: Ino) -> Option<Vec<u8>> {
        self.inner.folder_path(folder)
    }

    fn statfs(&self) -> Result<StatFs> {
        self.inner.statfs()
    }

    fn setxattr(&self, ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        refuse(ino)?;
        self.inner.setxattr(ino, name, value, mode)
    }

    fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        match Nodes::covers(ino) {
            true => Err(Errno(libc::ENODATA)),
            false => self.inner.getxattr(ino, name),
        }
    }

    fn listxattr(&self, ino: Ino) -> Result<Vec<u8>> {
        match Nodes::covers(ino) {
            true => Ok(Vec::new()),
            false => self.inner.listxattr(ino),
        }
    }

    fn removexattr(&self, ino: Ino, name: &[u8]) -> Result<()> {
        refuse(ino)?;
        self.inner.removexattr(ino, name)
    }

    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: Allocate) -> Result<()> {
        refuse(ino)?;
        self.inner.fallocate(ino, handle, offset, len, mode)
    }

    fn lseek(&self, ino: Ino, handle: Handle, offset: u64, seek: Seek) -> Result<u64> {
        match Nodes::covers(ino) {
            true => self.seek_version(handle, offset, seek == Seek::Data),
            false => self.inner.lseek(ino, handle, offset, seek),
        }
    }

    fn copy_range(&self, from: (Ino, Handle, u64), to: (Ino, Handle, u64), len: u64) -> Result<u64> {
        refuse(to.0)?;
        match Nodes::covers(from.0) {
            // The kernel then copies by reading and writing.
            true => Err(Errno(libc::EXDEV)),
            false => self.inner.copy_range(from, to, len),
        }
    }
}
