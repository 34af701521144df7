//! Who may do what, where only one user can come: the kernel lets nobody but the mounter
//! into a mount without `allow_other`.
//!
//! There the kernel could check as well, but then it asks for a folder's attributes again
//! after each change in it (`default_permissions`: one request more for every file made,
//! moved or removed). So it does not, and this layer stands in: the same rules, asked of
//! the file system in memory. With `allow_other` the kernel checks, and this is not used.
//!
//! Guarantees: what ext4 would refuse the mounter by mode and owner is refused with the
//! same errno, in the same order. Root is refused nothing, but to be told that a file
//! without an x bit can be run. What the VFS checks on every file system (device nodes,
//! mount flags) is left to it. Never changes anything itself.

use std::sync::Arc;

use crate::types::{
    Access, Allocate, Attr, Caller, DirEntry, Done, Errno, FileSystem, Handle, Ino, Kind, NewNode, OpenMode,
    RenameMode, Result, Seek, SetAttr, SetTime, StatFs, XattrMode,
};

const READ: Access = Access(Access::READ);
const WRITE: Access = Access(Access::WRITE);
const SEARCH: Access = Access(Access::EXECUTE);
/// To make, move or remove a name in a folder.
const CHANGE: Access = Access(Access::WRITE | Access::EXECUTE);

/// The one user of a mount.
#[derive(Clone, Debug)]
pub struct User {
    /// Effective user.
    pub uid: u32,
    /// All groups, the effective one too.
    pub groups: Vec<u32>,
}

impl User {
    /// The one that this process acts for.
    ///
    /// # Errors
    /// If the system does not say which groups it is in.
    pub fn current() -> std::io::Result<User> {
        let mut groups: Vec<u32> = rustix::process::getgroups()?.iter().map(|g| g.as_raw()).collect();
        groups.push(rustix::process::getegid().as_raw());
        Ok(User {
            uid: rustix::process::geteuid().as_raw(),
            groups,
        })
    }

    fn owns(&self, attr: &Attr) -> bool {
        attr.uid == self.uid
    }

    /// The first class that fits decides, as POSIX says: an owner without a bit is refused
    /// though everybody else has it.
    fn may(&self, attr: &Attr, want: Access) -> Result<()> {
        if self.uid == 0 {
            let runs = attr.kind != Kind::File || attr.perm & 0o111 != 0;
            return if want.0 & Access::EXECUTE == 0 || runs {
                Ok(())
            } else {
                Err(Errno(libc::EACCES))
            };
        }
        let shift = match () {
            () if self.owns(attr) => 6,
            () if self.groups.contains(&attr.gid) => 3,
            () => 0,
        };
        match want.0 & !((attr.perm >> shift) as u8) & 0o7 {
            0 => Ok(()),
            _ => Err(Errno(libc::EACCES)),
        }
    }
}

/// See the module.
pub struct Permit<F> {
    inner: Arc<F>,
    user: User,
}

impl<F: FileSystem> Permit<F> {
    /// `inner`, as far as `user` may.
    pub fn new(inner: Arc<F>, user: User) -> Permit<F> {
        Permit { inner, user }
    }

    fn ask(&self, ino: Ino, want: Access) -> Result<()> {
        match self.user.uid {
            0 => Ok(()),
            _ => self.user.may(&self.inner.rights(ino)?, want),
        }
    }

    /// As notify_change and setattr_prepare in the kernel.
    fn ask_to_set(&self, ino: Ino, handle: Option<Handle>, set: &mut SetAttr) -> Result<()> {
        if self.user.uid == 0 {
            return Ok(());
        }
        let attr = self.inner.rights(ino)?;
        let refused = Err(Errno(libc::EPERM));
        let owns = self.user.owns(&attr);
        if set.uid.is_some_and(|uid| !owns || uid != attr.uid) {
            return refused;
        }
        let may_give = |gid: u32| owns && (gid == attr.gid || self.user.groups.contains(&gid));
        if set.gid.is_some_and(|gid| !may_give(gid)) {
            return refused;
        }
        if let Some(mode) = set.mode.as_mut() {
            if !owns {
                return refused;
            }
            // A group that one is not in cannot be lent to a program.
            if !self.user.groups.contains(&set.gid.unwrap_or(attr.gid)) {
                *mode &= !libc::S_ISGID;
            }
        }
        // Both as of now may be set by whoever may write, anything else by the owner alone.
        let touches = match (set.atime, set.mtime) {
            (None, None) => false,
            (Some(SetTime::Now), Some(SetTime::Now)) => !owns,
            _ if owns => false,
            _ => return refused,
        };
        // A descriptor was asked for when it was opened.
        let cuts = set.size.is_some() && handle.is_none();
        match touches || cuts {
            true => self.user.may(&attr, WRITE),
            false => Ok(()),
        }
    }

    fn ask_to_open(&self, ino: Ino, mode: OpenMode) -> Result<()> {
        let mut want = 0;
        if mode.execute {
            want |= Access::EXECUTE;
        } else if mode.read {
            want |= Access::READ;
        }
        if mode.write || mode.truncate {
            want |= Access::WRITE;
        }
        self.ask(ino, Access(want))
    }
}

impl<F: FileSystem> FileSystem for Permit<F> {
    fn lookup(&self, parent: Ino, name: &[u8]) -> Result<Attr> {
        self.ask(parent, SEARCH)?;
        self.inner.lookup(parent, name)
    }

    fn access(&self, ino: Ino, want: Access) -> Result<()> {
        self.user.may(&self.inner.rights(ino)?, want)?;
        self.inner.access(ino, want)
    }

    fn setattr(&self, who: Caller, ino: Ino, handle: Option<Handle>, mut set: SetAttr) -> Result<Attr> {
        self.ask_to_set(ino, handle, &mut set)?;
        self.inner.setattr(who, ino, handle, set)
    }

    fn make(&self, who: Caller, parent: Ino, name: &[u8], node: NewNode<'_>, mode: u32) -> Result<Attr> {
        self.ask(parent, CHANGE)?;
        self.inner.make(who, parent, name, node, mode)
    }

    fn unlink(&self, who: Caller, parent: Ino, name: &[u8]) -> Result<()> {
        self.ask_to_remove(parent, name)?;
        self.inner.unlink(who, parent, name)
    }

    fn rmdir(&self, parent: Ino, name: &[u8]) -> Result<()> {
        self.ask_to_remove(parent, name)?;
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
        self.ask_to_remove(parent, name)?;
        self.ask_to_remove(to_parent, to_name)?;
        if parent != to_parent && self.user.uid != 0 {
            // A folder that moves has its `..` rewritten.
            self.ask_to_reparent(parent, name)?;
            if mode == RenameMode::Exchange {
                self.ask_to_reparent(to_parent, to_name)?;
            }
        }
        self.inner.rename(who, parent, name, to_parent, to_name, mode)
    }

    fn link(&self, who: Caller, ino: Ino, parent: Ino, name: &[u8]) -> Result<Attr> {
        self.ask(parent, CHANGE)?;
        if self.user.uid != 0 {
            // fs.protected_hardlinks, as Debian sets it.
            let attr = self.inner.rights(ino)?;
            let both = Access(Access::READ | Access::WRITE);
            if !self.user.owns(&attr) && self.user.may(&attr, both).is_err() {
                return Err(Errno(libc::EPERM));
            }
        }
        self.inner.link(who, ino, parent, name)
    }

    fn open(&self, who: Caller, ino: Ino, mode: OpenMode) -> Result<Handle> {
        self.ask_to_open(ino, mode)?;
        self.inner.open(who, ino, mode)
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
        self.ask(parent, CHANGE)?;
        if !exclusive
            && self.user.uid != 0
            && let Ok(there) = self.inner.lookup(parent, name)
        {
            // It came to be there since the kernel looked: then it is only opened.
            let asked = self.ask_to_open(there.ino, mode);
            self.inner.forget(there.ino, 1);
            asked?;
        }
        self.inner.create(who, parent, name, perm, mode, exclusive)
    }

    fn readdir(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        self.ask(ino, READ)?;
        self.inner.readdir(ino, cookie, each)
    }

    fn readdir_plus(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()> {
        self.ask(ino, READ)?;
        self.inner.readdir_plus(ino, cookie, each)
    }

    fn setxattr(&self, ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        self.ask(ino, WRITE)?;
        self.inner.setxattr(ino, name, value, mode)
    }

    fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        self.ask(ino, READ)?;
        self.inner.getxattr(ino, name)
    }

    fn removexattr(&self, ino: Ino, name: &[u8]) -> Result<()> {
        self.ask(ino, WRITE)?;
        self.inner.removexattr(ino, name)
    }

    // What nobody is refused, or what a handle stands for.

    fn forget(&self, ino: Ino, count: u64) {
        self.inner.forget(ino, count);
    }

    fn lasts(&self, ino: Ino) -> bool {
        self.inner.lasts(ino)
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        self.inner.getattr(ino)
    }

    fn rights(&self, ino: Ino) -> Result<Attr> {
        self.inner.rights(ino)
    }

    fn readlink(&self, ino: Ino) -> Result<Vec<u8>> {
        self.inner.readlink(ino)
    }

    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, out: &mut Vec<u8>) -> Result<()> {
        self.inner.read(ino, handle, offset, size, out)
    }

    fn append(&self, ino: Ino, handle: Handle, data: &[u8], kill_suid: bool) -> Result<u64> {
        self.inner.append(ino, handle, data, kill_suid)
    }

    fn write(&self, ino: Ino, handle: Handle, offset: u64, data: &[u8], kill_suid: bool) -> Result<u32> {
        self.inner.write(ino, handle, offset, data, kill_suid)
    }

    fn wants_flush(&self, ino: Ino, handle: Handle) -> bool {
        self.inner.wants_flush(ino, handle)
    }

    fn flush(&self, ino: Ino, handle: Handle) {
        self.inner.flush(ino, handle);
    }

    fn release(&self, ino: Ino, handle: Handle) {
        self.inner.release(ino, handle);
    }

    fn fsync(&self, ino: Ino, done: Done<()>) {
        self.inner.fsync(ino, done);
    }

    fn names(&self, folder: Ino, each: &mut dyn FnMut(&[u8])) {
        self.inner.names(folder, each);
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

    fn listxattr(&self, ino: Ino) -> Result<Vec<u8>> {
        self.inner.listxattr(ino)
    }

    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: Allocate) -> Result<()> {
        self.inner.fallocate(ino, handle, offset, len, mode)
    }

    fn lseek(&self, ino: Ino, handle: Handle, offset: u64, seek: Seek) -> Result<u64> {
        self.inner.lseek(ino, handle, offset, seek)
    }

    fn copy_range(&self, from: (Ino, Handle, u64), to: (Ino, Handle, u64), len: u64) -> Result<u64> {
        self.inner.copy_range(from, to, len)
    }
}

impl<F: FileSystem> Permit<F> {
    /// A name may be taken from a folder, or made in it. What is not there is for others to say.
    fn ask_to_remove(&self, parent: Ino, name: &[u8]) -> Result<()> {
        if self.user.uid == 0 {
            return Ok(());
        }
        let folder = self.inner.rights(parent)?;
        self.user.may(&folder, CHANGE)?;
        if u32::from(folder.perm) & libc::S_ISVTX == 0 || self.user.owns(&folder) {
            return Ok(());
        }
        let Ok(there) = self.inner.lookup(parent, name) else {
            return Ok(());
        };
        self.inner.forget(there.ino, 1);
        match self.user.owns(&there) {
            true => Ok(()),
            false => Err(Errno(libc::EPERM)),
        }
    }

    /// What hangs at this name may hang elsewhere. What is not there is for the rename to say.
    fn ask_to_reparent(&self, parent: Ino, name: &[u8]) -> Result<()> {
        let Ok(moved) = self.inner.lookup(parent, name) else {
            return Ok(());
        };
        self.inner.forget(moved.ino, 1);
        match moved.kind {
            Kind::Folder => self.user.may(&moved, WRITE),
            _ => Ok(()),
        }
    }
}
