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
use crate::types::{Access, FileSystem};

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

    pub(super) fn do_readdirplus(&self, ino: INodeNo, cookie: u64, mut reply: ReplyDirectoryPlus) {
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
                // What was given counts as looked up, so the kernel must get it. Attributes of a file that was
                // marked since do no harm: it passes over them, or has the file only from here, and then
                // the file stays ahead.
                Err(error) if given.is_empty() => reply.error(errno(error)),
                _ => self.once_told(&given, Known::Perhaps, move || reply.ok()),
            }
        });
    }
}
