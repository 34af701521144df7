//! Requests on attributes: of the system and of users.
//!
//! Guarantees that no size is told while the kernel has pages of other bytes (see [`super::super::ahead`]), nor kept
//! by it where it would keep an old one.
//! Never passes on attributes but `user.*`.

use std::ffi::OsStr;
use std::time::Duration;

use fuser::{AccessFlags, FileHandle, INodeNo, ReplyAttr, ReplyEmpty, ReplyXattr, Request};

use super::super::ahead::Known;
use super::super::announce::{is_played, played};
use super::super::answer::{Adapter, empty, sized, xattr};
use super::super::convert::{self, attributes, caller, errno};
use crate::patience::LATER;
use crate::types::{Attr, FileSystem, Kind, SetAttr};

impl<F: FileSystem> Adapter<F> {
    pub(super) fn do_getattr(&self, ino: INodeNo, reply: ReplyAttr) {
        if is_played(ino.0) {
            return reply.attr(&Duration::ZERO, &attributes(&played(ino.0, Kind::Folder)));
        }
        self.guard(|| {
            let moment = self.moment();
            match self.fs.getattr(ino.0) {
                Ok(attr) => self.with_attributes((attr, moment), Known::Surely, move |attr, ttl| {
                    reply.attr(&ttl, &attributes(&attr));
                }),
                Err(LATER) => {
                    let fs = self.fs.clone();
                    self.asking.later(move || match fs.getattr(ino.0) {
                        // Nothing that lasts is worked out first.
                        Ok(attr) => reply.attr(&Duration::ZERO, &attributes(&attr)),
                        Err(error) => reply.error(errno(error)),
                    });
                }
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    pub(super) fn do_setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        handle: Option<FileHandle>,
        set: SetAttr,
        reply: ReplyAttr,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return match self.stage.touch(ino.0).and_then(|()| self.fs.getattr(ino.0)) {
                    Ok(attr) => reply.attr(&Duration::ZERO, &attributes(&attr)),
                    Err(error) => reply.error(errno(error)),
                };
            }
            let moment = self.moment();
            match self
                .fs
                .setattr(caller(request), ino.0, handle.map(|handle| handle.0), set)
            {
                Ok(attr) => {
                    // The kernel takes this size though it may have been told to forget it meanwhile: it is to ask
                    // again before it believes it.
                    let ttl = match attr.kind {
                        Kind::File => Duration::ZERO,
                        _ => self.options.ttl,
                    };
                    let answer = move |attr: Attr, _| reply.attr(&ttl, &attributes(&attr));
                    match set.size {
                        // Until it has the answer, the kernel writes no page of the file out, and forgetting a
                        // dirty one waits for that. It is cut to this size anyway.
                        Some(_) => answer(attr, ttl),
                        None => self.with_attributes((attr, moment), Known::Surely, answer),
                    }
                    if self.is_shut(&attr, &set) {
                        self.forget_listing(ino.0);
                    }
                }
                // Only what is cut in the midst of what is not here; nothing else of the answer is other then.
                Err(LATER) => {
                    let (fs, who) = (self.fs.clone(), caller(request));
                    let handle = handle.map(|handle| handle.0);
                    self.workers
                        .later(move || match fs.setattr(who, ino.0, handle, set) {
                            Ok(attr) => reply.attr(&Duration::ZERO, &attributes(&attr)),
                            Err(error) => reply.error(errno(error)),
                        });
                }
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    pub(super) fn do_access(&self, request: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        if self.options.kernel_checks {
            // After this answer it never asks.
            return reply.error(fuser::Errno::ENOSYS);
        }
        if self.is_helper(request) {
            return reply.ok();
        }
        self.guard(|| empty(reply, self.fs.access(ino.0, convert::access(mask))));
    }

    pub(super) fn do_setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        attribute: &OsStr,
        value: &[u8],
        flags: i32,
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

    pub(super) fn do_getxattr(&self, ino: INodeNo, attribute: &OsStr, size: u32, reply: ReplyXattr) {
        self.guard(|| {
            sized(
                reply,
                size,
                xattr(attribute).and_then(|attribute| self.fs.getxattr(ino.0, attribute)),
            );
        });
    }

    pub(super) fn do_listxattr(&self, ino: INodeNo, size: u32, reply: ReplyXattr) {
        self.guard(|| sized(reply, size, self.fs.listxattr(ino.0)));
    }

    pub(super) fn do_removexattr(
        &self,
        request: &Request,
        ino: INodeNo,
        attribute: &OsStr,
        reply: ReplyEmpty,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return reply.error(fuser::Errno::ESTALE);
            }
            let done = xattr(attribute).and_then(|attribute| self.fs.removexattr(ino.0, attribute));
            empty(reply, done);
        });
    }
}
