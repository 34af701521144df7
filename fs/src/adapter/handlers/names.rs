//! Requests on names: what they stand for, and making, moving and removing them.
//!
//! Guarantees that the announcing helper, whoever it asks for, changes nothing: what it does is played to it.
//! Never decides who may: see the file system.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use fuser::{INodeNo, RenameFlags, ReplyEmpty, ReplyEntry, Request};

use super::super::ahead::Known;
use super::super::answer::{Adapter, GENERATION, empty, shown};
use super::super::convert::{self, attributes, caller, errno, name};
use super::super::invalidate::What;
use crate::patience::LATER;
use crate::types::{Errno, FileSystem, Kind, NewNode};

impl<F: FileSystem> Adapter<F> {
    pub(super) fn do_lookup(&self, request: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEntry) {
        self.guard(|| {
            if self.is_helper(request)
                && let Some(found) = self.stage.lookup(&*self.fs, parent.0, child.as_bytes())
            {
                return shown(reply, found);
            }
            let moment = self.moment();
            match name(child).and_then(|child| self.fs.lookup(parent.0, child)) {
                Err(Errno(libc::ENOENT))
                    if self.options.negative_ttl > Duration::ZERO && self.fs.lasts(parent.0) =>
                {
                    reply.entry(&self.options.negative_ttl, &convert::nothing(), GENERATION);
                }
                Err(LATER) => {
                    let (fs, child) = (self.fs.clone(), child.to_owned());
                    // Nothing that lasts is worked out first.
                    self.asking
                        .later(move || shown(reply, fs.lookup(parent.0, child.as_bytes())));
                }
                found => self.entry(reply, parent.0, found, moment),
            }
        });
    }

    pub(super) fn do_mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        child: &OsStr,
        (mode, rdev): (u32, u32),
        reply: ReplyEntry,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return shown(reply, self.stage.make(&*self.fs, parent.0, child.as_bytes()));
            }
            let moment = self.moment();
            let node = match convert::kind_from_mode(mode) {
                Some(Kind::File) => Ok(NewNode::File),
                Some(kind) => Ok(NewNode::Special(kind, rdev)),
                None => Err(Errno(libc::EINVAL)),
            };
            let made = node.and_then(|node| {
                self.fs
                    .make(caller(request), parent.0, name(child)?, node, mode & 0o7777)
            });
            self.entry(reply, parent.0, made, moment);
        });
    }

    pub(super) fn do_mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        child: &OsStr,
        mode: u32,
        reply: ReplyEntry,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return shown(reply, self.stage.make(&*self.fs, parent.0, child.as_bytes()));
            }
            let moment = self.moment();
            let made = name(child).and_then(|child| {
                self.fs
                    .make(caller(request), parent.0, child, NewNode::Folder, mode & 0o7777)
            });
            self.entry(reply, parent.0, made, moment);
        });
    }

    pub(super) fn do_symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        child: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return shown(reply, self.stage.make(&*self.fs, parent.0, child.as_bytes()));
            }
            let moment = self.moment();
            let target = NewNode::Symlink(target.as_os_str().as_bytes());
            let made =
                name(child).and_then(|child| self.fs.make(caller(request), parent.0, child, target, 0o777));
            self.entry(reply, parent.0, made, moment);
        });
    }

    pub(super) fn do_unlink(&self, request: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEmpty) {
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

    pub(super) fn do_rmdir(&self, request: &Request, parent: INodeNo, child: &OsStr, reply: ReplyEmpty) {
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

    pub(super) fn do_rename(
        &self,
        request: &Request,
        (parent, child): (INodeNo, &OsStr),
        (to_parent, to_child): (INodeNo, &OsStr),
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
            let moved = done.is_ok();
            empty(reply, done);
            if moved && !(self.fs.lasts(parent.0) && self.fs.lasts(to_parent.0)) {
                // The kernel keeps what moved for as long as it might where it was.
                for (folder, name) in [(parent, child), (to_parent, to_child)] {
                    let names = vec![name.as_bytes().to_vec()];
                    self.invalidator.invalidate(folder.0, What::Listing(names), || {});
                }
            }
        });
    }

    pub(super) fn do_link(
        &self,
        request: &Request,
        ino: INodeNo,
        parent: INodeNo,
        child: &OsStr,
        reply: ReplyEntry,
    ) {
        self.guard(|| {
            if self.is_helper(request) {
                return reply.error(fuser::Errno::ESTALE);
            }
            let moment = self.moment();
            match name(child).and_then(|child| self.fs.link(caller(request), ino.0, parent.0, child)) {
                Ok(attr) => {
                    let name_ttl = self.name_ttl(parent.0, attr.ino);
                    // The kernel takes this size though it may have been told to forget it meanwhile: it is to
                    // ask again before it believes it.
                    self.with_attributes((attr, moment), Known::Surely, move |attr, _| {
                        reply.entry_with_ttls(&Duration::ZERO, &name_ttl, &attributes(&attr), GENERATION);
                    });
                }
                Err(error) => reply.error(errno(error)),
            }
        });
    }
}
