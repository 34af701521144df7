//! What the handlers share: the adapter's state, the guard against panics, the shapes of
//! answers.
//!
//! Guarantees: a handler that panics answers EIO, since the library's replies do when they
//! are dropped unanswered; and the serving thread goes on.

use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fuser::{
    FileHandle, FopenFlags, Generation, ReplyCreate, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyXattr, Request,
};

use super::ServeOptions;
use super::ahead::{Known, Waiting};
use super::announce::{HANDLE, Reads, Stage};
use super::convert::{attributes, errno, name};
use super::handshake::Agreed;
use super::invalidate::{Invalidator, What};
use super::opens::Opens;
use super::workers::Workers;
use crate::types::{Access, Attr, Errno, FileSystem, Handle, Ino, Kind, OpenMode, Result, SetAttr};

/// Inode numbers are never used for another file, so generations stay zero.
pub(super) const GENERATION: Generation = Generation(0);
/// How the helper opens: nothing of it shows in the page cache.
const SHOWN: FopenFlags = FopenFlags::FOPEN_KEEP_CACHE.union(FopenFlags::FOPEN_NOFLUSH);
/// How often attributes are taken again because a file came to show other bytes meanwhile.
const ROUNDS: usize = 3;
/// Set-user-id and set-group-id.
const SET_ID: u16 = 0o6000;

/// The file system as the library wants it.
pub(super) struct Adapter<F> {
    pub(super) fs: Arc<F>,
    pub(super) options: ServeOptions,
    pub(super) opens: Arc<Opens>,
    pub(super) invalidator: Invalidator,
    waiting: Waiting,
    /// What the announcing helper is shown.
    pub(super) stage: Arc<Stage>,
    pub(super) reads: Arc<Reads>,
    /// Where requests go that have to wait for other devices.
    pub(super) workers: Workers,
    /// Where those go that wait for an answer that is worked out: a slow one keeps nobody from a file's bytes.
    pub(super) asking: Workers,
    panics: Arc<AtomicU64>,
    pub(super) agreed: Agreed,
}

impl<F: FileSystem> Adapter<F> {
    pub(super) fn new(
        fs: Arc<F>,
        options: ServeOptions,
        (invalidator, waiting): (Invalidator, Waiting),
        (stage, reads): (Arc<Stage>, Arc<Reads>),
        panics: Arc<AtomicU64>,
    ) -> Adapter<F> {
        let opens = Arc::new(Opens::default());
        Adapter {
            fs,
            options,
            opens,
            invalidator,
            waiting,
            stage,
            reads,
            workers: Workers::new("fuse-fetch", &panics),
            asking: Workers::new("fuse-ask", &panics),
            panics,
            agreed: Agreed::default(),
        }
    }

    /// Runs a handler. Unwinding drops its reply, and that answers EIO.
    pub(super) fn guard(&self, handler: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(handler)).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How long the kernel may keep what it is told of an inode.
    pub(super) fn ttl(&self, ino: Ino) -> Duration {
        match self.fs.lasts(ino) {
            true => self.options.ttl,
            false => Duration::ZERO,
        }
    }

    /// How long it may keep a name in this folder. A file that lasts can lie in a folder that does not.
    pub(super) fn name_ttl(&self, parent: Ino, ino: Ino) -> Duration {
        self.ttl(parent).min(self.ttl(ino))
    }

    /// Names a file in this folder to the kernel, which asked at that moment.
    pub(super) fn entry(&self, reply: ReplyEntry, parent: Ino, made: Result<Attr>, moment: u64) {
        match made {
            Ok(attr) => {
                let name_ttl = self.name_ttl(parent, attr.ino);
                self.with_attributes((attr, moment), Known::Perhaps, move |attr, ttl| {
                    reply.entry_with_ttls(&ttl, &name_ttl, &attributes(&attr), GENERATION)
                });
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    /// Before the file system is asked for attributes: see [`Adapter::with_attributes`].
    pub(super) fn moment(&self) -> u64 {
        self.waiting.ahead.moment()
    }

    /// Gives an answer that lets the kernel use these files, now that the file system
    /// was asked: if the kernel is still to be told of other bytes of one, after it has forgotten the file.
    pub(super) fn once_told(&self, files: &[Ino], known: Known, answer: impl FnOnce() + Send + 'static) {
        self.waiting.answer(files, known, answer);
    }

    /// The same for an answer that says how long a file is, and how long the kernel may believe it. The attributes
    /// were taken after the moment; where a file was marked since, they are taken again.
    /// The pages go with the size: old pages under a new size show zeros behind their end.
    pub(super) fn with_attributes(
        &self,
        (mut attr, mut moment): (Attr, u64),
        known: Known,
        answer: impl FnOnce(Attr, Duration) + Send + 'static,
    ) {
        let (ino, ttl) = (attr.ino, self.ttl(attr.ino));
        for _ in 0..ROUNDS {
            let (now, is_ahead) = self.waiting.ahead.look(ino);
            if is_ahead {
                let (fs, ahead) = (self.fs.clone(), self.waiting.ahead.clone());
                return self.waiting.later(ino, move |notifier| {
                    for _ in 0..ROUNDS {
                        ahead.forget(ino, known, notifier);
                        let moment = ahead.moment();
                        let Ok(fresh) = fs.getattr(ino) else { break };
                        attr = fresh;
                        if ahead.look(ino).0 == moment {
                            return answer(attr, ttl);
                        }
                    }
                    answer(attr, Duration::ZERO);
                });
            }
            // It is not ahead, but may have been, until somebody had the kernel forget it.
            if now == moment {
                return answer(attr, ttl);
            }
            moment = now;
            // It is held or open, so it is not gone; if it is damaged, that is for who reads it.
            let Ok(fresh) = self.fs.getattr(ino) else { break };
            attr = fresh;
        }
        answer(attr, Duration::ZERO);
    }

    /// Whether it is the announcing helper that asks.
    pub(super) fn is_helper(&self, request: &Request) -> bool {
        self.stage.is_helper(request.pid())
    }

    /// How the kernel is to treat a handle that has just been opened.
    pub(super) fn open_flags(&self, ino: Ino, handle: Handle, mode: OpenMode, flags: i32) -> FopenFlags {
        // What does not last may be another file's by now: nothing of an earlier opening is shown.
        let mut answer = match self.fs.lasts(ino) {
            true => FopenFlags::FOPEN_KEEP_CACHE,
            false => FopenFlags::empty(),
        };
        // A mapping's pages are written out on closing only where that is told; who may not read
        // has none.
        let may_map = mode.write && mode.read;
        if !may_map && !self.fs.wants_flush(ino, handle) {
            answer |= FopenFlags::FOPEN_NOFLUSH;
        }
        // O_DIRECT is left to the kernel, which invalidates after such a write, too. Where each
        // write is to be durable (O_SYNC holds O_DSYNC's bit), only a cached one is followed by an fsync.
        let allowed = self.agreed.direct_writes && flags & (libc::O_DIRECT | libc::O_DSYNC) == 0;
        if self.opens.opened(ino, handle, mode, allowed) {
            answer |= FopenFlags::FOPEN_DIRECT_IO;
        }
        answer
    }

    /// Whether the mounter has just shut a folder for itself: then what the kernel holds of
    /// it must not be shown without asking, where the kernel does not check.
    pub(super) fn is_shut(&self, attr: &Attr, set: &SetAttr) -> bool {
        let all = Access(Access::READ | Access::EXECUTE);
        !self.options.kernel_checks
            && attr.kind == Kind::Folder
            && set.mode.is_some()
            && self.fs.access(attr.ino, all).is_err()
    }

    /// Lets the kernel forget a folder's names and listing. Never before the answer to who
    /// changes the folder: until then that process holds the lock that forgetting takes.
    pub(super) fn forget_listing(&self, folder: Ino) {
        let mut names = Vec::new();
        self.fs.names(folder, &mut |name| names.push(name.to_vec()));
        self.invalidator.invalidate(folder, What::Listing(names), || {});
    }

    /// Whether the file has set-id bits that a write is about to clear: the kernel does
    /// not ask for the mode again by itself, and would go on honouring the old one.
    pub(super) fn has_set_id(&self, ino: Ino) -> bool {
        self.fs.getattr(ino).is_ok_and(|attr| attr.perm & SET_ID != 0)
    }
}

/// The helper's answers, which the kernel is not to remember: a name,
pub(super) fn shown(reply: ReplyEntry, found: Result<Attr>) {
    match found {
        Ok(attr) => reply.entry(&Duration::ZERO, &attributes(&attr), GENERATION),
        Err(error) => reply.error(errno(error)),
    }
}

/// a file that it made,
pub(super) fn shown_made(reply: ReplyCreate, made: Result<Attr>) {
    match made {
        Ok(attr) => reply.created(
            &Duration::ZERO,
            &attributes(&attr),
            GENERATION,
            FileHandle(HANDLE),
            SHOWN,
        ),
        Err(error) => reply.error(errno(error)),
    }
}

/// and one that it opened.
pub(super) fn shown_open(reply: ReplyOpen, opened: Result<()>) {
    match opened {
        Ok(()) => reply.opened(FileHandle(HANDLE), SHOWN),
        Err(error) => reply.error(errno(error)),
    }
}

pub(super) fn empty(reply: ReplyEmpty, done: Result<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

/// The extended attributes that are passed on; the others (ACLs, labels, capabilities)
/// answer EOPNOTSUPP, which `ls` asks once a folder instead of once a file.
pub(super) fn xattr(attribute: &OsStr) -> Result<&[u8]> {
    let bytes = name(attribute)?;
    if bytes.starts_with(b"user.") {
        Ok(bytes)
    } else {
        Err(Errno(libc::EOPNOTSUPP))
    }
}

/// Answers getxattr and listxattr, which ask for the size first.
pub(super) fn sized(reply: ReplyXattr, size: u32, found: Result<Vec<u8>>) {
    match found {
        Err(error) => reply.error(errno(error)),
        Ok(bytes) => match u32::try_from(bytes.len()) {
            Err(_) => reply.error(fuser::Errno::E2BIG),
            Ok(len) if size == 0 => reply.size(len),
            Ok(len) if len > size => reply.error(fuser::Errno::ERANGE),
            Ok(_) => reply.data(&bytes),
        },
    }
}
