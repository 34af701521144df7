//! Which request is for the folder `.coffer` and which for the vault; what would change what is not real is refused.
//!
//! Every method is one question by number or name, and then the layer below or the answer.

use super::Shelf;
use super::changing::FIXED;
use super::nodes::Nodes;
use super::place::Place;
use crate::types::{
    Access, Allocate, Attr, Caller, DirEntry, Done, Errno, FileSystem, Handle, Ino, NewNode, OpenMode, ROOT,
    RenameMode, Result, Seek, SetAttr, StatFs, XattrMode,
};

fn refuse(ino: Ino) -> Result<()> {
    match Nodes::covers(ino) {
        true => Err(FIXED),
        false => Ok(()),
    }
}

impl FileSystem for Shelf {
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

    fn rights(&self, ino: Ino) -> Result<Attr> {
        match Nodes::covers(ino) {
            true => self.rights_of(ino, &self.place(ino)?),
            false => self.inner.getattr(ino),
        }
    }

    fn access(&self, ino: Ino, want: Access) -> Result<()> {
        if !Nodes::covers(ino) || want.0 & Access::WRITE == 0 {
            return Ok(());
        }
        match self.place(ino)? {
            Place::Views | Place::Folder(_) => Ok(()),
            Place::Top if self.real.top().is_some() => Ok(()),
            _ => Err(FIXED),
        }
    }

    fn setattr(&self, who: Caller, ino: Ino, handle: Option<Handle>, set: SetAttr) -> Result<Attr> {
        let real = self.to_change(ino)?;
        let attr = self.inner.setattr(who, real, handle, set)?;
        match real == ino {
            true => Ok(attr),
            false => self.getattr(ino),
        }
    }

    fn readlink(&self, ino: Ino) -> Result<Vec<u8>> {
        match Nodes::covers(ino) {
            true => self.target(ino),
            false => self.inner.readlink(ino),
        }
    }

    fn make(&self, who: Caller, parent: Ino, name: &[u8], node: NewNode<'_>, mode: u32) -> Result<Attr> {
        let real = self.to_make(parent, name, who)?;
        self.made(parent, self.inner.make(who, real, name, node, mode)?)
    }

    fn unlink(&self, who: Caller, parent: Ino, name: &[u8]) -> Result<()> {
        self.inner.unlink(who, self.to_remove(parent, name)?, name)
    }

    fn rmdir(&self, parent: Ino, name: &[u8]) -> Result<()> {
        self.inner.rmdir(self.to_remove(parent, name)?, name)
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
        let real = self.to_remove(parent, name)?;
        let to = self.to_make(to_parent, to_name, who)?;
        self.inner.rename(who, real, name, to, to_name, mode)
    }

    fn link(&self, who: Caller, ino: Ino, parent: Ino, name: &[u8]) -> Result<Attr> {
        refuse(ino)?;
        self.inner.link(who, ino, self.to_make(parent, name, who)?, name)
    }

    fn open(&self, who: Caller, ino: Ino, mode: OpenMode) -> Result<Handle> {
        if !Nodes::covers(ino) {
            return self.inner.open(who, ino, mode);
        }
        match mode.write || mode.truncate {
            true => Err(FIXED),
            false => self.open_ours(ino),
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
        let real = self.to_make(parent, name, who)?;
        self.inner.create(who, real, name, perm, mode, exclusive)
    }

    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, out: &mut Vec<u8>) -> Result<()> {
        match Nodes::covers(ino) {
            true => self.read_ours(ino, handle, (offset, size), out),
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
            self.close_ours(handle);
        } else {
            self.inner.release(ino, handle);
        }
    }

    fn fsync(&self, ino: Ino, done: Done<()>) {
        match self.to_change(ino) {
            Ok(real) => self.inner.fsync(real, done),
            // What is not real is as durable as it gets.
            Err(_) => done(Ok(())),
        }
    }

    fn readdir(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        match Nodes::covers(ino) {
            true => self.list(ino, cookie, each),
            false if ino == ROOT => self.list_root(cookie, each),
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
            false if ino == ROOT => self.list_root_plus(cookie, each),
            false => self.inner.readdir_plus(ino, cookie, each),
        }
    }

    fn hold(&self, ino: Ino) -> Result<Attr> {
        self.inner.hold(ino)
    }

    fn is_held(&self, ino: Ino) -> bool {
        match Nodes::covers(ino) {
            true => self.nodes.is_held(ino),
            false => self.inner.is_held(ino),
        }
    }

    fn folder_path(&self, folder: Ino) -> Option<Vec<u8>> {
        self.inner.folder_path(folder)
    }

    fn statfs(&self) -> Result<StatFs> {
        self.inner.statfs()
    }

    fn setxattr(&self, ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        self.inner.setxattr(self.to_change(ino)?, name, value, mode)
    }

    fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        match self.to_change(ino) {
            Ok(real) => self.inner.getxattr(real, name),
            Err(_) => Err(Errno(libc::ENODATA)),
        }
    }

    fn listxattr(&self, ino: Ino) -> Result<Vec<u8>> {
        match self.to_change(ino) {
            Ok(real) => self.inner.listxattr(real),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn removexattr(&self, ino: Ino, name: &[u8]) -> Result<()> {
        self.inner.removexattr(self.to_change(ino)?, name)
    }

    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: Allocate) -> Result<()> {
        refuse(ino)?;
        self.inner.fallocate(ino, handle, offset, len, mode)
    }

    fn lseek(&self, ino: Ino, handle: Handle, offset: u64, seek: Seek) -> Result<u64> {
        match Nodes::covers(ino) {
            true => self.seek_ours(handle, offset, seek == Seek::Data),
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
