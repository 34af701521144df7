//! The thread that tells the kernel to forget what it holds of a file.
//!
//! Invalidating waits for pages that the kernel is reading, so it must not happen on a
//! thread that serves those reads: the reply moves here and goes out afterwards.
//! Guarantees: each reply given is sent, also when the kernel cannot be told.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crossbeam_channel::{Receiver, Sender, unbounded};
use fuser::{INodeNo, Notifier};

use crate::types::Ino;

/// What of a file is to be forgotten.
#[derive(Debug)]
pub(super) enum What {
    /// Its attributes (mode, owner, size, times).
    Attributes,
    /// Those, and the pages that these bytes lie in.
    Pages {
        /// First byte.
        offset: u64,
        /// How many; 0: to the end.
        len: u64,
    },
    /// A folder's listing, and these names in it.
    Listing(Vec<Vec<u8>>),
}

/// A file, what to forget of it, and what to do then.
struct Job {
    ino: Ino,
    what: What,
    then: Box<dyn FnOnce() + Send>,
}

/// Where to put what is to be invalidated.
pub(super) struct Invalidator {
    jobs: Sender<Job>,
}

/// The other end.
pub(super) struct Backlog {
    jobs: Receiver<Job>,
}

impl Invalidator {
    /// Both ends. The queue needs no bound: each entry is a request that a process waits
    /// for, and the kernel bounds those.
    pub(super) fn new() -> (Invalidator, Backlog) {
        let (sender, receiver) = unbounded();
        (Invalidator { jobs: sender }, Backlog { jobs: receiver })
    }

    /// Invalidates soon, and calls `then` after that.
    pub(super) fn invalidate(&self, ino: Ino, what: What, then: impl FnOnce() + Send + 'static) {
        // Only a thread that is gone (its connection with it) takes no job; then nobody
        // waits for the answer either.
        let _ = self.jobs.send(Job {
            ino,
            what,
            then: Box::new(then),
        });
    }
}

impl Backlog {
    /// Works until the adapter is gone.
    pub(super) fn work(self, notifier: &Notifier) {
        for job in self.jobs {
            let (offset, len) = match &job.what {
                // A negative offset means no pages.
                What::Attributes => (-1, 0),
                What::Pages { offset, len } => (
                    i64::try_from(*offset).unwrap_or(0),
                    i64::try_from(*len).unwrap_or(0),
                ),
                // To the end.
                What::Listing(_) => (0, 0),
            };
            // ENOENT: the kernel holds nothing of this file, which is what was wanted.
            // Any other error comes from a connection that is gone.
            let _ = notifier.inval_inode(INodeNo(job.ino), offset, len);
            if let What::Listing(names) = &job.what {
                for name in names {
                    let _ = notifier.inval_entry(INodeNo(job.ino), OsStr::from_bytes(name));
                }
            }
            (job.then)();
        }
    }
}
