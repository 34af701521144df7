//! Requests on folders' listings.
//!
//! Guarantees that an entry counts as looked up only if the kernel gets it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use fuser::{FileHandle, FopenFlags, INodeNo, ReplyDirectory, ReplyDirectoryPlus, ReplyOpen};

use super::super::ahead::Known;
use super::super::answer::{Adapter, GENERATION};
use super::super::convert::{self, attributes, errno};
use crate::patience::LATER;
use crate::types::{Access, FileSystem, Ino, Result};

impl<F: FileSystem> Adapter<F> {
    pub(super) fn do_opendir(&self, reply: ReplyOpen) {
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

    pub(super) fn do_readdir(&self, ino: INodeNo, cookie: u64, mut reply: ReplyDirectory) {
        self.guard(|| match list(&*self.fs, ino.0, cookie, &mut reply) {
            Ok(()) => reply.ok(),
            Err(LATER) => {
                let fs = self.fs.clone();
                self.asking
                    .later(move || match list(&*fs, ino.0, cookie, &mut reply) {
                        Ok(()) => reply.ok(),
                        Err(error) => reply.error(errno(error)),
                    });
            }
            Err(error) => reply.error(errno(error)),
        });
    }

    pub(super) fn do_readdirplus(&self, ino: INodeNo, cookie: u64, mut reply: ReplyDirectoryPlus) {
        self.guard(|| {
            // Whoever may list a folder need not be let through to what is in it.
            let through = self.options.kernel_checks
                || !self.fs.lasts(ino.0)
                || self.fs.access(ino.0, Access(Access::EXECUTE)).is_ok();
            let ttl = |entry| match through {
                true => self.name_ttl(ino.0, entry),
                false => Duration::ZERO,
            };
            let (given, listed) = list_plus(&*self.fs, ino.0, cookie, &mut reply, ttl);
            match listed {
                Err(LATER) if given.is_empty() => {
                    let fs = self.fs.clone();
                    self.asking.later(move || {
                        // Nothing that lasts is worked out first.
                        let none = |_| Duration::ZERO;
                        match list_plus(&*fs, ino.0, cookie, &mut reply, none) {
                            (given, Err(error)) if given.is_empty() => reply.error(errno(error)),
                            _ => reply.ok(),
                        }
                    });
                }
                // What was given counts as looked up, so the kernel must get it. Attributes of a file that was
                // marked since do no harm: it passes over them, or has the file only from here, and then
                // the file stays ahead.
                Err(error) if given.is_empty() => reply.error(errno(error)),
                _ => self.once_told(&given, Known::Perhaps, move || reply.ok()),
            }
        });
    }
}

fn list<F: FileSystem>(fs: &F, ino: Ino, cookie: u64, reply: &mut ReplyDirectory) -> Result<()> {
    fs.readdir(ino, cookie, &mut |entry| {
        let (kind, child) = (convert::file_type(entry.kind), OsStr::from_bytes(entry.name));
        !reply.add(INodeNo(entry.ino), entry.cookie, kind, child)
    })
}

/// Lists with attributes, each for as long as `ttl` says; which files were given.
fn list_plus<F: FileSystem>(
    fs: &F,
    ino: Ino,
    cookie: u64,
    reply: &mut ReplyDirectoryPlus,
    ttl: impl Fn(Ino) -> Duration,
) -> (Vec<Ino>, Result<()>) {
    let mut given = Vec::new();
    let listed = fs.readdir_plus(ino, cookie, &mut |entry, attr| {
        let (child, attr) = (OsStr::from_bytes(entry.name), attributes(attr));
        let (at, ttl) = (INodeNo(entry.ino), ttl(entry.ino));
        let full = reply.add(at, entry.cookie, child, &ttl, &attr, GENERATION);
        if !full {
            given.push(entry.ino);
        }
        !full
    });
    (given, listed)
}
