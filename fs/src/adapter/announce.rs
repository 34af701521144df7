//! Telling the kernel of changes that did not come through it.
//!
//! Guarantees: what was announced before [`Announcer::settle`] is seen by every look-up and listing
//! that begins after it returned true. Nothing here runs on a thread that serves, and no answer to
//! a request waits for it: forgetting a name takes the folder's lock, and whoever holds that lock
//! waits for an answer of ours. For the same reason it has a thread of its own, beside the one that
//! answers after it has invalidated.
//!
//! A name is forgotten first and the folder's listing after it. The first waits for every look-up
//! and listing of the folder that is under way, which may have been answered before the change; the
//! second drops what those have left behind.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use fuser::{INodeNo, Notifier};

use crate::types::Ino;

/// How many changes may wait; who brings more waits too.
const QUEUE: usize = 16 << 10;
/// So many at a time share the invalidation of their folder.
const STEP: usize = 1024;

/// One name that stands for something else than before, or for something at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The folder.
    pub folder: Ino,
    /// The name in it.
    pub name: Vec<u8>,
    /// The file whose attributes changed by it: one that got a name more, or lost one.
    pub file: Option<Ino>,
}

enum Job {
    Changed(Changed),
    /// Tell when all before it is done.
    Settle(Sender<()>),
    /// The service has ended.
    End,
}

/// Where changes are announced. Once the mount is gone, nobody is told, and nothing waits.
#[derive(Clone, Debug)]
pub struct Announcer {
    jobs: Sender<Job>,
}

/// The other end.
pub(super) struct Queue {
    jobs: Receiver<Job>,
}

impl Announcer {
    /// Both ends.
    pub(super) fn new() -> (Announcer, Queue) {
        let (sender, receiver) = bounded(QUEUE);
        (Announcer { jobs: sender }, Queue { jobs: receiver })
    }

    /// Announces a change that has been made. Not to be called while anything is locked that an
    /// answer to the kernel needs.
    pub fn announce(&self, changed: Changed) {
        let _ = self.jobs.send(Job::Changed(changed));
    }

    /// Waits until all that was announced has been told, but not longer than this; whether it has.
    pub fn settle(&self, most: Duration) -> bool {
        let (done, told) = bounded(1);
        if self.jobs.send_timeout(Job::Settle(done), most).is_err() {
            return false;
        }
        told.recv_timeout(most).is_ok()
    }

    /// The service has ended: the thread may go, and with it the connection.
    pub(super) fn end(&self) {
        let _ = self.jobs.send(Job::End);
    }
}

impl Queue {
    /// Works until the service has ended.
    pub(super) fn work(self, notifier: &Notifier) {
        while let Ok(first) = self.jobs.recv() {
            let mut folders = HashSet::new();
            let mut waiting = Vec::new();
            let mut ended = false;
            for job in std::iter::once(first).chain(self.jobs.try_iter()).take(STEP) {
                match job {
                    Job::Changed(changed) => {
                        // ENOENT: the kernel holds nothing of it, which is what was wanted. Any
                        // other error comes from a connection that is gone.
                        let name = OsStr::from_bytes(&changed.name);
                        let _ = notifier.inval_entry(INodeNo(changed.folder), name);
                        if let Some(file) = changed.file {
                            let _ = notifier.inval_inode(INodeNo(file), -1, 0);
                        }
                        folders.insert(changed.folder);
                    }
                    Job::Settle(done) => waiting.push(done),
                    Job::End => ended = true,
                }
            }
            for folder in folders {
                // From the start to the end: all of the listing, and the attributes.
                let _ = notifier.inval_inode(INodeNo(folder), 0, 0);
            }
            for done in waiting {
                let _ = done.send(());
            }
            if ended {
                return;
            }
        }
    }
}
