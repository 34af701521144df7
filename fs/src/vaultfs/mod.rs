//! The vault as a file system: POSIX on top of [`Vault`].
//!
//! Owns nothing but a queue for syncs that would have to wait. A call is one call of the
//! vault, or a few that need not be atomic together; errors become errnos here. Handles
//! say only whether they may write: the vault counts them. `listing` lists folders, `waiting` does what may lack bytes.

mod listing;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use coffer_store::record::{Meta, NAME_MAX};
use coffer_store::vault::{Change, OpError, Stat, Ticket, Vault};

use crate::types::{
    Allocate, Attr, Caller, DirEntry, Done, Errno, FileSystem, Handle, Ino, Kind, NewNode, OpenMode,
    RenameMode, Result, Seek, SetAttr, SetTime, StatFs, Time, XattrMode,
};

/// The bit of a handle that may write.
const WRITES: Handle = 1;

/// An unlocked vault as a file system.
pub struct CofferFs {
    vault: Arc<Vault>,
    syncs: Sender<(Ino, Ticket, Done<()>)>,
    started: Instant,
    /// The next handle: each is its own, and its lowest bit says whether it may write.
    handles: AtomicU64,
    /// Milliseconds after `started`.
    active: AtomicU64,
}

impl CofferFs {
    /// Serves this vault.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn new(vault: Arc<Vault>) -> std::io::Result<CofferFs> {
        let (syncs, queue) = channel::<(Ino, Ticket, Done<()>)>();
        let syncing = vault.clone();
        std::thread::Builder::new().name("sync".into()).spawn(move || {
            for (ino, ticket, done) in queue {
                done(syncing.sync_by(ino, ticket).map_err(|e| Errno(e.errno())));
            }
        })?;
        Ok(CofferFs {
            vault,
            syncs,
            started: Instant::now(),
            handles: AtomicU64::new(1),
            active: AtomicU64::new(0),
        })
    }

    /// The vault.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// How long nobody has asked for anything.
    pub fn idle(&self) -> Duration {
        self.started
            .elapsed()
            .saturating_sub(Duration::from_millis(self.active.load(Ordering::Relaxed)))
    }

    /// Somebody has asked for something.
    pub(crate) fn touch(&self) {
        self.active
            .store(self.started.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn attr(&self, ino: Ino) -> Result<Attr> {
        self.vault.stat(ino).map(|s| to_attr(&s)).map_err(errno)
    }

    /// Attributes of something that is named to the kernel.
    fn named(&self, ino: Ino) -> Result<Attr> {
        self.vault.hold(ino);
        self.attr(ino).inspect_err(|_| self.vault.let_go(ino, 1))
    }

    fn make_meta(&self, who: Caller, parent: Ino, kind: Kind, perm: u32, rdev: u32) -> Result<Meta> {
        let above = self.vault.stat(parent).map_err(errno)?.meta;
        let mut perm = (perm & 0o7777) as u16;
        let mut gid = who.gid;
        if above.perm & 0o2000 != 0 {
            // A set-group-id folder hands its group down, and folders in it do the same.
            gid = above.gid;
            if kind == Kind::Folder {
                perm |= 0o2000;
            }
        }
        let now = Time::now();
        Ok(Meta {
            kind,
            perm,
            uid: who.uid,
            gid,
            rdev,
            nlink: 1,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: None,
        })
    }
}

fn errno(e: OpError) -> Errno {
    Errno(e.errno())
}

fn to_attr(s: &Stat) -> Attr {
    let m = &s.meta;
    Attr {
        ino: s.ino,
        size: s.size,
        blocks: s.allocated.div_ceil(512),
        atime: m.atime,
        mtime: m.mtime,
        ctime: m.ctime,
        btime: m.btime,
        kind: m.kind,
        perm: m.perm,
        nlink: m.nlink,
        uid: m.uid,
        gid: m.gid,
        rdev: m.rdev,
    }
}

fn check_name(name: &[u8]) -> Result<()> {
    if name.len() > NAME_MAX {
        Err(Errno(libc::ENAMETOOLONG))
    } else {
        Ok(())
    }
}

fn resolve(time: Option<SetTime>, now: Time) -> Option<Time> {
    time.map(|t| match t {
        SetTime::Now => now,
        SetTime::At(t) => t,
    })
}

impl FileSystem for CofferFs {
    fn lookup(&self, parent: Ino, name: &[u8]) -> Result<Attr> {
        self.touch();
        check_name(name)?;
        let ino = match name {
            b"." => parent,
            b".." => self.vault.parent(parent).ok_or(Errno(libc::ENOENT))?,
            name => self.vault.lookup(parent, name).map_err(errno)?,
        };
        self.named(ino)
    }

    fn forget(&self, ino: Ino, count: u64) {
        self.vault.let_go(ino, count);
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        self.attr(ino)
    }

    fn setattr(&self, who: Caller, ino: Ino, _handle: Option<Handle>, set: SetAttr) -> Result<Attr> {
        self.touch();
        let now = Time::now();
        let change = Change {
            perm: set.mode.map(|m| (m & 0o7777) as u16),
            uid: set.uid,
            gid: set.gid,
            size: set.size,
            atime: resolve(set.atime, now),
            mtime: resolve(set.mtime, now),
            // As on ext4: a change of owner always, a cut by anyone but root.
            kill_suid: set.mode.is_none()
                && (set.uid.is_some() || set.gid.is_some() || (set.size.is_some() && who.uid != 0)),
        };
        self.patient(
            || self.vault.change(ino, change).map(|s| to_attr(&s)),
            |absent| self.vault.bring(ino, absent),
        )
    }

    fn readlink(&self, ino: Ino) -> Result<Vec<u8>> {
        let stat = self.vault.stat(ino).map_err(errno)?;
        if stat.meta.kind != Kind::Symlink {
            return Err(Errno(libc::EINVAL));
        }
        let mut target = Vec::new();
        self.vault
            .read(ino, 0, stat.size as usize, &mut target)
            .map_err(errno)?;
        Ok(target)
    }

    fn make(&self, who: Caller, parent: Ino, name: &[u8], node: NewNode<'_>, mode: u32) -> Result<Attr> {
        self.touch();
        check_name(name)?;
        let (kind, rdev, target): (Kind, u32, &[u8]) = match node {
            NewNode::File => (Kind::File, 0, b""),
            NewNode::Folder => (Kind::Folder, 0, b""),
            NewNode::Symlink(target) => (Kind::Symlink, 0, target),
            NewNode::Special(kind, rdev) => (kind, rdev, b""),
        };
        if kind == Kind::Symlink && (target.is_empty() || target.len() >= libc::PATH_MAX as usize) {
            return Err(Errno(if target.is_empty() {
                libc::ENOENT
            } else {
                libc::ENAMETOOLONG
            }));
        }
        let mode = if kind == Kind::Symlink { 0o777 } else { mode };
        let meta = self.make_meta(who, parent, kind, mode, rdev)?;
        let ino = self
            .vault
            .make_by(who.pid, parent, name, meta, target)
            .map_err(errno)?;
        self.named(ino)
    }

    fn unlink(&self, who: Caller, parent: Ino, name: &[u8]) -> Result<()> {
        self.touch();
        check_name(name)?;
        self.vault.remove_by(who.pid, parent, name, false).map_err(errno)
    }

    fn rmdir(&self, parent: Ino, name: &[u8]) -> Result<()> {
        self.touch();
        check_name(name)?;
        match name {
            b"." => Err(Errno(libc::EINVAL)),
            b".." => Err(Errno(libc::ENOTEMPTY)),
            name => self.vault.remove(parent, name, true).map_err(errno),
        }
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
        self.touch();
        check_name(name)?;
        check_name(to_name)?;
        let (from, to) = ((parent, name), (to_parent, to_name));
        match mode {
            RenameMode::Replace => self.vault.rename_by(who.pid, from, to, false),
            RenameMode::NoReplace => self.vault.rename_by(who.pid, from, to, true),
            RenameMode::Exchange => self.vault.exchange_by(who.pid, from, to),
        }
        .map_err(errno)
    }

    fn link(&self, who: Caller, ino: Ino, parent: Ino, name: &[u8]) -> Result<Attr> {
        self.touch();
        check_name(name)?;
        self.vault.link_by(who.pid, ino, parent, name).map_err(errno)?;
        self.named(ino)
    }

    fn open(&self, who: Caller, ino: Ino, mode: OpenMode) -> Result<Handle> {
        self.touch();
        let number = self.handles.fetch_add(1, Ordering::Relaxed) << 1;
        let handle = if mode.write { number | WRITES } else { number };
        if mode.read && !mode.write {
            // Better now than in the midst of it.
            self.vault.refuse_unreached(ino).map_err(errno)?;
        }
        let how = (mode.write, mode.truncate, who.uid != 0);
        self.vault.open_handle(who.pid, ino, how, handle).map_err(errno)?;
        Ok(handle)
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
        self.touch();
        check_name(name)?;
        loop {
            let meta = self.make_meta(who, parent, Kind::File, perm, 0)?;
            let (ino, truncate) = match self.vault.make_by(who.pid, parent, name, meta, b"") {
                Ok(ino) => (ino, false),
                Err(e) if e.errno() == libc::EEXIST && !exclusive => {
                    match self.vault.lookup(parent, name) {
                        Ok(ino) => (ino, mode.truncate),
                        Err(_) => continue, // it went in between
                    }
                }
                Err(e) => return Err(errno(e)),
            };
            let attr = self.named(ino)?;
            if attr.kind != Kind::File {
                self.vault.let_go(ino, 1);
                return Err(Errno(if attr.kind == Kind::Folder {
                    libc::EISDIR
                } else {
                    libc::ENXIO
                }));
            }
            let opened = self.open(who, ino, OpenMode { truncate, ..mode });
            let handle = opened.inspect_err(|_| self.vault.let_go(ino, 1))?;
            // After opening: it may have come to show other bytes since.
            let attr = self.attr(ino).inspect_err(|_| {
                self.release(ino, handle);
                self.vault.let_go(ino, 1);
            })?;
            return Ok((attr, handle));
        }
    }

    fn read(&self, ino: Ino, _handle: Handle, offset: u64, size: u32, out: &mut Vec<u8>) -> Result<()> {
        self.touch();
        self.patient(
            || self.vault.read(ino, offset, size as usize, out),
            |_| self.vault.bring_range(ino, offset, size.into()),
        )
    }

    fn write(&self, ino: Ino, _handle: Handle, offset: u64, data: &[u8], kill_suid: bool) -> Result<u32> {
        self.touch();
        self.vault
            .write(ino, Some(offset), data, kill_suid)
            .map_err(errno)?;
        Ok(data.len() as u32)
    }

    fn append(&self, ino: Ino, _handle: Handle, data: &[u8], kill_suid: bool) -> Result<u64> {
        self.touch();
        self.vault.write(ino, None, data, kill_suid).map_err(errno)
    }

    fn wants_flush(&self, ino: Ino, handle: Handle) -> bool {
        handle & WRITES != 0 && self.vault.is_saved_by_closing(ino)
    }

    fn flush(&self, ino: Ino, handle: Handle) {
        if handle & WRITES != 0 {
            self.vault.close_handle(ino, handle);
        }
    }

    fn release(&self, ino: Ino, handle: Handle) {
        self.vault.release_handle(ino, handle & WRITES != 0, handle);
    }

    fn fsync(&self, ino: Ino, done: Done<()>) {
        self.touch();
        match self.vault.try_sync(ino) {
            Ok(result) => done(result.map_err(|e| Errno(e.errno()))),
            // A commit is under way: wait for the next one elsewhere.
            Err(ticket) => {
                if let Err(unsent) = self.syncs.send((ino, ticket, done)) {
                    (unsent.0.2)(Err(Errno(libc::EIO)));
                }
            }
        }
    }

    fn readdir(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        self.list(ino, cookie, each)
    }

    fn readdir_plus(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()> {
        self.list_with_attributes(ino, cookie, each)
    }

    fn hold(&self, ino: Ino) -> Result<Attr> {
        self.named(ino)
    }

    fn is_held(&self, ino: Ino) -> bool {
        self.vault.is_held(ino)
    }

    fn folder_path(&self, folder: Ino) -> Option<Vec<u8>> {
        self.path_of_folder(folder)
    }

    fn statfs(&self) -> Result<StatFs> {
        let (space, files) = self
            .vault
            .space()
            .map_err(|e| Errno(e.raw_os_error().unwrap_or(libc::EIO)))?;
        let block = 4096;
        Ok(StatFs {
            bsize: block as u32,
            blocks: space.total / block,
            bfree: space.free / block,
            bavail: space.available / block,
            files,
            ffree: space.available / 512,
        })
    }

    fn setxattr(&self, ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        self.touch();
        let exists = match mode {
            XattrMode::Set => None,
            XattrMode::Create => Some(false),
            XattrMode::Replace => Some(true),
        };
        self.vault.set_xattr(ino, name, value, exists).map_err(errno)
    }

    fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        self.vault.xattr(ino, name).map_err(errno)
    }

    fn listxattr(&self, ino: Ino) -> Result<Vec<u8>> {
        let names = self.vault.xattrs(ino).map_err(errno)?;
        Ok(names.into_iter().flat_map(|n| n.into_iter().chain([0])).collect())
    }

    fn removexattr(&self, ino: Ino, name: &[u8]) -> Result<()> {
        self.touch();
        self.vault.remove_xattr(ino, name).map_err(errno)
    }

    fn fallocate(&self, ino: Ino, _handle: Handle, offset: u64, len: u64, mode: Allocate) -> Result<()> {
        self.touch();
        let end = offset
            .checked_add(len)
            .filter(|e| *e <= i64::MAX as u64)
            .ok_or(Errno(libc::EFBIG))?;
        if len == 0 {
            return Err(Errno(libc::EINVAL));
        }
        match mode {
            Allocate::Reserve { keep_size } => {
                let size = if keep_size { 0 } else { end };
                self.vault.grow(ino, size, len)
            }
            Allocate::PunchHole => self.vault.zero(ino, offset, len, true),
            Allocate::Zero { keep_size } => self.vault.zero(ino, offset, len, keep_size),
        }
        .map_err(errno)
    }

    fn lseek(&self, ino: Ino, _handle: Handle, offset: u64, seek: Seek) -> Result<u64> {
        self.vault.seek(ino, offset, seek == Seek::Data).map_err(errno)
    }

    fn copy_range(&self, from: (Ino, Handle, u64), to: (Ino, Handle, u64), len: u64) -> Result<u64> {
        self.touch();
        // What lies beyond the source's end is not copied, and cannot overlap.
        let size = self.vault.stat(from.0).map_err(errno)?.size;
        let len = len.min(size.saturating_sub(from.2));
        let overlap =
            from.0 == to.0 && from.2 < to.2.saturating_add(len) && to.2 < from.2.saturating_add(len);
        if overlap {
            return Err(Errno(libc::EINVAL));
        }
        self.patient(
            || self.vault.copy((from.0, from.2), (to.0, to.2), len),
            |absent| self.vault.bring(from.0, absent),
        )
    }
}
