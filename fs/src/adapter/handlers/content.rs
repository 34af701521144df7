//! Requests on what is in a file: opening, reading, writing, closing it.
//!
//! Guarantees that who opens a file is not handed what it showed before (see [`super::super::ahead`]), and that no read
//! waits for an invalidation. Only the answers to fsync, to those who wait for one, and to what has to wait for other devices
//! are given later.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use fuser::{
    FileHandle, FopenFlags, INodeNo, OpenFlags, ReplyCreate, ReplyData, ReplyEmpty, ReplyLseek, ReplyOpen,
    ReplyWrite, Request, WriteFlags,
};

use super::super::ahead::Known;
use super::super::announce::HANDLE;
use super::super::answer::{Adapter, GENERATION, empty, shown_made, shown_open};
use super::super::convert::{self, attributes, caller, errno, name};
use super::super::handshake::MAX_REQUEST;
use super::super::invalidate::What;
use crate::patience::LATER;
use crate::types::{Errno, FileSystem, Seek};

/// The most that the kernel lets one copy_file_range answer, in whole pages.
const MAX_COPY: u64 = 0xffff_f000;

thread_local! {
    /// What a read answers with: one buffer a serving thread, at most [`MAX_REQUEST`] bytes.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<F: FileSystem> Adapter<F> {
    pub(super) fn do_open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.guard(|| {
            if self.is_helper(request) {
                return shown_open(reply, self.stage.open(ino.0));
            }
            let mode = convert::open_mode(flags.0);
            let stale = mode.truncate && request.uid() != 0 && self.has_set_id(ino.0);
            match self.fs.open(caller(request), ino.0, mode) {
                Err(LATER) => self.open_later(request, ino.0, flags.0, reply),
                Err(error) => reply.error(errno(error)),
                Ok(handle) => {
                    let answer = self.open_flags(ino.0, handle, mode, flags.0);
                    let reply = move || reply.opened(FileHandle(handle), answer);
                    match stale {
                        // Who truncates it has no pages, and no size but 0.
                        false if mode.truncate => reply(),
                        false => self.once_told(&[ino.0], Known::Surely, reply),
                        true => self.invalidator.invalidate(ino.0, What::Attributes, reply),
                    }
                }
            }
        });
    }

    /// Opens what has to be worked out first. Nothing of it lasts, and nobody writes it.
    fn open_later(&self, request: &Request, ino: u64, flags: i32, reply: ReplyOpen) {
        let (fs, opens, who) = (self.fs.clone(), self.opens.clone(), caller(request));
        let mode = convert::open_mode(flags);
        self.asking.later(move || match fs.open(who, ino, mode) {
            Ok(handle) => {
                opens.opened(ino, handle, mode, false);
                reply.opened(FileHandle(handle), FopenFlags::FOPEN_NOFLUSH);
            }
            Err(error) => reply.error(errno(error)),
        });
    }

    pub(super) fn do_create(
        &self,
        request: &Request,
        parent: INodeNo,
        child: &OsStr,
        (perm, flags): (u32, i32),
        reply: ReplyCreate,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                let made = self.stage.make(&*self.fs, parent.0, child.as_bytes());
                return shown_made(reply, made);
            }
            let moment = self.moment();
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
                    let (handle, at) = (FileHandle(handle), (attr, moment));
                    // One lifetime is said for both, the name's and the size's.
                    let name_ttl = self.name_ttl(parent.0, attr.ino);
                    self.with_attributes(at, Known::Perhaps, move |attr, ttl| {
                        // What was there already, the kernel may have been told to forget meanwhile, and takes
                        // this size all the same: it is to ask again. What was just made is empty.
                        let ttl = if attr.size == 0 {
                            ttl.min(name_ttl)
                        } else {
                            Duration::ZERO
                        };
                        reply.created(&ttl, &attributes(&attr), GENERATION, handle, answer);
                    });
                }
            }
        });
    }

    pub(super) fn do_read(&self, ino: INodeNo, handle: FileHandle, offset: u64, size: u32, reply: ReplyData) {
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
                Err(LATER) => self.read_later(ino.0, handle.0, offset, size, reply),
                Err(error) => reply.error(errno(error)),
            }
            BUFFER.set(buffer);
        });
    }

    /// A read that waits for other devices. Pages are not forgotten for it meanwhile: the file shows what it shows until it
    /// has its answer.
    fn read_later(&self, ino: u64, handle: u64, offset: u64, size: u32, reply: ReplyData) {
        let fs = self.fs.clone();
        self.workers.later(move || {
            let mut buffer = Vec::new();
            match fs.read(ino, handle, offset, size.min(MAX_REQUEST), &mut buffer) {
                Ok(()) => reply.data(&buffer),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    pub(super) fn do_write(
        &self,
        request: &Request,
        (ino, handle, offset): (INodeNo, FileHandle, u64),
        data: &[u8],
        (write_flags, flags): (WriteFlags, OpenFlags),
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

    pub(super) fn do_flush(&self, ino: INodeNo, handle: FileHandle, reply: ReplyEmpty) {
        // Nothing is reported late. Only texts are asked for, where the kernel lets that be said.
        self.guard(|| {
            if handle.0 != HANDLE {
                self.fs.flush(ino.0, handle.0);
            }
            reply.ok();
        });
    }

    pub(super) fn do_release(&self, ino: INodeNo, handle: FileHandle, flags: OpenFlags, reply: ReplyEmpty) {
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

    pub(super) fn do_fallocate(
        &self,
        request: &Request,
        (ino, handle): (INodeNo, FileHandle),
        (offset, length, mode): (u64, u64, i32),
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

    pub(super) fn do_lseek(
        &self,
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

    pub(super) fn do_copy_file_range(
        &self,
        request: &Request,
        (from, from_handle, from_offset): (INodeNo, FileHandle, u64),
        (to, to_handle, to_offset): (INodeNo, FileHandle, u64),
        len: u64,
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
                Err(LATER) => {
                    let fs = self.fs.clone();
                    self.workers
                        .later(move || match fs.copy_range(source, target, len.min(MAX_COPY)) {
                            Ok(copied) => reply.written(u32::try_from(copied).unwrap_or(MAX_COPY as u32)),
                            Err(error) => reply.error(errno(error)),
                        });
                }
                Err(error) => reply.error(errno(error)),
            }
        });
    }
}
