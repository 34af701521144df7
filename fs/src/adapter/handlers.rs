//! The kernel's requests, one by one: decode, call the file system, answer.
//!
//! Guarantees: each handler that calls the file system runs under [`Adapter::guard`].
//! Never keeps a request beyond its answer, but fsync's, which the file system answers
//! when it is durable, and those that wait for an invalidation. (One file, because it is
//! the implementation of one trait; nothing is decided here that is not a line long.)

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, FopenFlags, INodeNo, IoctlFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::announce::{HANDLE, is_played, played};
use super::answer::{Adapter, GENERATION, empty, shown, shown_made, shown_open, sized, xattr};
use super::convert::{self, attributes, caller, errno, name};
use super::handshake::{self, MAX_REQUEST};
use super::invalidate::What;
use crate::types::{Access, Errno, FileSystem, Kind, NewNode, Seek, SetAttr};

/// The most that the kernel lets one copy_file_range answer, in whole pages.
const MAX_COPY: u64 = 0xffff_f000;

thread_local! {
    /// What a read answers with: one buffer a serving thread, at most [`MAX_REQUEST`] bytes.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<F: FileSystem> Filesystem for Adapter<F> {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        self.agreed = handshake::agree(config, &self.options)?;
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEntry) {
        self.guard(|| {
            if self.is_helper(request)
                && let Some(found) = self.stage.lookup(&*self.fs, parent.0, child.as_bytes())
            {
                return shown(reply, found);
            }
            match name(child).and_then(|child| self.fs.lookup(parent.0, child)) {
                Err(Errno(libc::ENOENT))
                    if self.options.negative_ttl > Duration::ZERO && self.fs.lasts(parent.0) =>
                {
                    reply.entry(&self.options.negative_ttl, &convert::nothing(), GENERATION);
                }
                found => self.entry(reply, found),
            }
        });
    }

    fn forget(&self, _request: &Request, ino: INodeNo, count: u64) {
        if !is_played(ino.0) {
            self.guard(|| self.fs.forget(ino.0, count));
        }
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        if is_played(ino.0) {
            return reply.attr(&Duration::ZERO, &attributes(&played(ino.0, Kind::Folder)));
        }
        self.guard(|| match self.fs.getattr(ino.0) {
            Ok(attr) => {
                let ttl = self.ttl(ino.0);
                self.once_told(&[ino.0], move || reply.attr(&ttl, &attributes(&attr)));
            }
            Err(error) => reply.error(errno(error)),
        });
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return match self.stage.touch(ino.0).and_then(|()| self.fs.getattr(ino.0)) {
                    Ok(attr) => reply.attr(&Duration::ZERO, &attributes(&attr)),
                    Err(error) => reply.error(errno(error)),
                };
            }
            let set = SetAttr {
                mode: mode.map(|mode| mode & 0o7777),
                uid,
                gid,
                size,
                atime: convert::set_time(atime),
                mtime: convert::set_time(mtime),
            };
            match self
                .fs
                .setattr(caller(request), ino.0, handle.map(|handle| handle.0), set)
            {
                Ok(attr) => {
                    let ttl = self.options.ttl;
                    let answer = move || reply.attr(&ttl, &attributes(&attr));
                    match set.size {
                        // Until it has the answer, the kernel writes no page of the file out, and forgetting a
                        // dirty one waits for that. It is cut to this size anyway.
                        Some(_) => answer(),
                        None => self.once_told(&[ino.0], answer),
                    }
                    if self.is_shut(&attr, &set) {
                        self.forget_listing(ino.0);
                    }
                }
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn readlink(&self, _request: &Request, ino: INodeNo, reply: ReplyData) {
        self.guard(|| match self.fs.readlink(ino.0) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(errno(error)),
        });
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        child: &OsStr,
        mode: u32,
        _umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return shown(reply, self.stage.make(&*self.fs, parent.0, child.as_bytes()));
            }
            let node = match convert::kind_from_mode(mode) {
                Some(Kind::File) => Ok(NewNode::File),
                Some(kind) => Ok(NewNode::Special(kind, rdev)),
                None => Err(Errno(libc::EINVAL)),
            };
            let made = node.and_then(|node| {
                self.fs
                    .make(caller(request), parent.0, name(child)?, node, mode & 0o7777)
            });
            self.entry(reply, made);
        });
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        child: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return shown(reply, self.stage.make(&*self.fs, parent.0, child.as_bytes()));
            }
            let made = name(child).and_then(|child| {
                self.fs
                    .make(caller(request), parent.0, child, NewNode::Folder, mode & 0o7777)
            });
            self.entry(reply, made);
        });
    }

    fn symlink(&self, request: &Request, parent: INodeNo, child: &OsStr, target: &Path, reply: ReplyEntry) {
        self.guard(|| {
            if self.is_helper(request) {
                return shown(reply, self.stage.make(&*self.fs, parent.0, child.as_bytes()));
            }
            let target = NewNode::Symlink(target.as_os_str().as_bytes());
            let made =
                name(child).and_then(|child| self.fs.make(caller(request), parent.0, child, target, 0o777));
            self.entry(reply, made);
        });
    }

    fn unlink(&self, request: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEmpty) {
        self.guard(|| {
            if self.is_helper(request) {
                return empty(reply, self.stage.remove(parent.0, child.as_bytes()));
            }
            empty(
                reply,
                name(child).and_then(|child| self.fs.unlink(caller(request), parent.0, child)),
            )
        });
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEmpty) {
        self.guard(|| {
            if self.is_helper(request) {
                return empty(reply, self.stage.remove(parent.0, child.as_bytes()));
            }
            empty(
                reply,
                name(child).and_then(|child| self.fs.rmdir(parent.0, child)),
            )
        });
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        child: &OsStr,
        to_parent: INodeNo,
        to_child: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                let (from, to) = ((parent.0, child.as_bytes()), (to_parent.0, to_child.as_bytes()));
                return empty(reply, self.stage.rename(from, to));
            }
            let done = convert::rename_mode(flags.bits()).and_then(|mode| {
                self.fs.rename(
                    caller(request),
                    parent.0,
                    name(child)?,
                    to_parent.0,
                    name(to_child)?,
                    mode,
                )
            });
            empty(reply, done);
        });
    }

    fn link(&self, request: &Request, ino: INodeNo, parent: INodeNo, child: &OsStr, reply: ReplyEntry) {
        self.guard(|| {
            if self.is_helper(request) {
                return reply.error(fuser::Errno::ESTALE);
            }
            let made = name(child).and_then(|child| self.fs.link(caller(request), ino.0, parent.0, child));
            self.entry(reply, made);
        });
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.guard(|| {
            if self.is_helper(request) {
                return shown_open(reply, self.stage.open(ino.0));
            }
            let mode = convert::open_mode(flags.0);
            let stale = mode.truncate && request.uid() != 0 && self.has_set_id(ino.0);
            match self.fs.open(caller(request), ino.0, mode) {
                Err(error) => reply.error(errno(error)),
                Ok(handle) => {
                    let answer = self.open_flags(ino.0, handle, mode, flags.0);
                    let reply = move || reply.opened(FileHandle(handle), answer);
                    match stale {
                        // Who truncates it has no pages, and no size but 0.
                        false if mode.truncate => reply(),
                        false => self.once_told(&[ino.0], reply),
                        true => self.invalidator.invalidate(ino.0, What::Attributes, reply),
                    }
                }
            }
        });
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        child: &OsStr,
        perm: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                let made = self.stage.make(&*self.fs, parent.0, child.as_bytes());
                return shown_made(reply, made);
            }
            let mode = convert::open_mode(flags);
            let exclusive = flags & libc::O_EXCL != 0;
            let made = name(child).and_then(|child| {
                self.fs
                    .create(caller(request), parent.0, child, perm & 0o7777, mode, exclusive)
            });
            match made {
                Err(error) => reply.error(errno(error)),
                Ok((attr, handle)) => {
                    let answer = self.open_flags(attr.ino, handle, mode, flags);
                    let (handle, ttl) = (FileHandle(handle), self.options.ttl);
                    self.once_told(&[attr.ino], move || {
                        reply.created(&ttl, &attributes(&attr), GENERATION, handle, answer);
                    });
                }
            }
        });
    }

    fn read(
        &self,
        _request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.guard(|| {
            let _reading = self.reads.begin(ino.0);
            // Taken, not borrowed: a panic on the way must not leave it borrowed.
            let mut buffer = BUFFER.take();
            buffer.clear();
            match self
                .fs
                .read(ino.0, handle.0, offset, size.min(MAX_REQUEST), &mut buffer)
            {
                Ok(()) => reply.data(&buffer),
                Err(error) => reply.error(errno(error)),
            }
            BUFFER.set(buffer);
        });
    }

    fn write(
        &self,
        request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.guard(|| {
            if self.is_helper(request) || handle.0 == HANDLE {
                return reply.error(fuser::Errno::ESTALE);
            }
            let kill_suid = write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
            let stale = kill_suid && self.has_set_id(ino.0);
            let cached = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
            let appends = !cached && flags.0 & libc::O_APPEND != 0;
            let done = match appends {
                true => {
                    let at = self.fs.append(ino.0, handle.0, data, kill_suid);
                    at.map(|at| (at, data.len() as u32))
                }
                false => {
                    let written = self.fs.write(ino.0, handle.0, offset, data, kill_suid);
                    written.map(|written| (offset, written))
                }
            };
            let (at, written) = match done {
                Ok(done) => done,
                Err(error) => return reply.error(errno(error)),
            };
            if at != offset {
                // The file was changed past the kernel, which has put these bytes where the end was, and
                // holds that page until it has the answer.
                reply.written(written);
                let (offset, len) = (at.min(offset), 0);
                self.invalidator
                    .invalidate(ino.0, What::Pages { offset, len }, || {});
                return;
            }
            // What comes out of the page cache needs no invalidation, and one would wait
            // for this very answer.
            let what = if !cached && written > 0 && self.opens.must_invalidate(ino.0, handle.0) {
                What::Pages {
                    offset,
                    len: written.into(),
                }
            } else if stale {
                What::Attributes
            } else {
                return reply.written(written);
            };
            self.invalidator
                .invalidate(ino.0, what, move || reply.written(written));
        });
    }

    fn flush(&self, _r: &Request, ino: INodeNo, handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        // Nothing is reported late. Only texts are asked for, where the kernel lets that be said.
        self.guard(|| {
            if handle.0 != HANDLE {
                self.fs.flush(ino.0, handle.0);
            }
            reply.ok();
        });
    }

    fn release(
        &self,
        _request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.guard(|| {
            if handle.0 == HANDLE {
                return reply.ok();
            }
            // Counted off first: the file system may give the number to the next one.
            self.opens.released(ino.0, handle.0, convert::open_mode(flags.0));
            self.fs.release(ino.0, handle.0);
            reply.ok();
        });
    }

    fn fsync(&self, _r: &Request, ino: INodeNo, _handle: FileHandle, _data_only: bool, reply: ReplyEmpty) {
        self.guard(|| self.fs.fsync(ino.0, Box::new(move |done| empty(reply, done))));
    }

    fn fsyncdir(&self, _r: &Request, ino: INodeNo, _handle: FileHandle, _data_only: bool, reply: ReplyEmpty) {
        self.guard(|| self.fs.fsync(ino.0, Box::new(move |done| empty(reply, done))));
    }

    fn opendir(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.agreed.no_opendir {
            // Tells the kernel to open folders by itself from now on, and to cache them.
            reply.error(fuser::Errno::ENOSYS);
        } else {
            reply.opened(
                FileHandle(0),
                FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR,
            );
        }
    }

    fn readdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        cookie: u64,
        mut reply: ReplyDirectory,
    ) {
        self.guard(|| {
            let listed = self.fs.readdir(ino.0, cookie, &mut |entry| {
                let child = OsStr::from_bytes(entry.name);
                !reply.add(
                    INodeNo(entry.ino),
                    entry.cookie,
                    convert::file_type(entry.kind),
                    child,
                )
            });
            match listed {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn readdirplus(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        cookie: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        self.guard(|| {
            let mut given = Vec::new();
            // Whoever may list a folder need not be let through to what is in it.
            let through =
                self.options.kernel_checks || self.fs.access(ino.0, Access(Access::EXECUTE)).is_ok();
            let listed = self.fs.readdir_plus(ino.0, cookie, &mut |entry, attr| {
                let (child, attr) = (OsStr::from_bytes(entry.name), attributes(attr));
                let ttl = if through {
                    self.ttl(entry.ino)
                } else {
                    Duration::ZERO
                };
                let ino = INodeNo(entry.ino);
                let full = reply.add(ino, entry.cookie, child, &ttl, &attr, GENERATION);
                if !full {
                    given.push(entry.ino);
                }
                !full
            });
            match listed {
                // What was given counts as looked up, so the kernel must get it.
                Err(error) if given.is_empty() => reply.error(errno(error)),
                _ => self.once_told(&given, move || reply.ok()),
            }
        });
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        self.guard(|| match self.fs.statfs() {
            Ok(s) => {
                let longest = convert::NAME_MAX as u32;
                // statfs(2) counts all inodes, used and free.
                let files = s.files.saturating_add(s.ffree);
                reply.statfs(
                    s.blocks, s.bfree, s.bavail, files, s.ffree, s.bsize, longest, s.bsize,
                );
            }
            Err(error) => reply.error(errno(error)),
        });
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        attribute: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return reply.error(fuser::Errno::ESTALE);
            }
            let done = xattr(attribute).and_then(|attribute| {
                self.fs
                    .setxattr(ino.0, attribute, value, convert::xattr_mode(flags)?)
            });
            empty(reply, done);
        });
    }

    fn getxattr(&self, _request: &Request, ino: INodeNo, attribute: &OsStr, size: u32, reply: ReplyXattr) {
        self.guard(|| {
            sized(
                reply,
                size,
                xattr(attribute).and_then(|attribute| self.fs.getxattr(ino.0, attribute)),
            );
        });
    }

    fn listxattr(&self, _request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        self.guard(|| sized(reply, size, self.fs.listxattr(ino.0)));
    }

    fn removexattr(&self, request: &Request, ino: INodeNo, attribute: &OsStr, reply: ReplyEmpty) {
        self.guard(|| {
            if self.is_helper(request) {
                return reply.error(fuser::Errno::ESTALE);
            }
            let done = xattr(attribute).and_then(|attribute| self.fs.removexattr(ino.0, attribute));
            empty(reply, done);
        });
    }

    fn access(&self, request: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        if self.options.kernel_checks {
            // After this answer it never asks.
            return reply.error(fuser::Errno::ENOSYS);
        }
        if self.is_helper(request) {
            return reply.ok();
        }
        self.guard(|| empty(reply, self.fs.access(ino.0, convert::access(mask))));
    }

    fn ioctl(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _input: &[u8],
        _output_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(fuser::Errno::ENOTTY);
    }

    fn fallocate(
        &self,
        request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return reply.error(fuser::Errno::ESTALE);
            }
            let done = convert::allocate(mode)
                .and_then(|mode| self.fs.fallocate(ino.0, handle.0, offset, length, mode));
            empty(reply, done);
        });
    }

    fn lseek(
        &self,
        _request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        self.guard(|| {
            let found = match (u64::try_from(offset), whence) {
                (Err(_), _) => Err(Errno(libc::ENXIO)),
                (Ok(offset), libc::SEEK_DATA) => self.fs.lseek(ino.0, handle.0, offset, Seek::Data),
                (Ok(offset), libc::SEEK_HOLE) => self.fs.lseek(ino.0, handle.0, offset, Seek::Hole),
                _ => Err(Errno(libc::EINVAL)),
            };
            match found.and_then(|at| i64::try_from(at).map_err(|_| Errno(libc::EOVERFLOW))) {
                Ok(at) => reply.offset(at),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn copy_file_range(
        &self,
        request: &Request,
        from: INodeNo,
        from_handle: FileHandle,
        from_offset: u64,
        to: INodeNo,
        to_handle: FileHandle,
        to_offset: u64,
        len: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return reply.error(fuser::Errno::ESTALE);
            }
            let source = (from.0, from_handle.0, from_offset);
            let target = (to.0, to_handle.0, to_offset);
            match self.fs.copy_range(source, target, len.min(MAX_COPY)) {
                // Within u32, since no more was asked for.
                Ok(copied) => reply.written(u32::try_from(copied).unwrap_or(MAX_COPY as u32)),
                Err(error) => reply.error(errno(error)),
            }
        });
    }
}
