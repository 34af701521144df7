//! Telling the kernel, and through it whoever watches, of changes that did not come through it.
//!
//! Guarantees: what was announced before [`Announcer::settle`] is seen by every look-up and listing
//! that begins after it returned true. Nothing here runs on a thread that serves, and no answer to
//! a request waits for it: forgetting a name takes the folder's lock, and whoever holds that lock
//! waits for an answer of ours. For the same reason it has a thread of its own, beside the one that
//! answers after it has invalidated.
//!
//! First the kernel forgets: a name, and after it the folder's listing. The first waits for every look-up
//! and listing of the folder that is under way, which may have been answered before the change; the
//! second drops what those have left behind. With that alone all caches are right.
//!
//! Then a helper process repeats the change in the mount, for inotify: the kernel tells watchers of
//! what somebody does there, and of nothing else. The adapter knows the helper, shows it the tree as it
//! was before and changes nothing. Where that fails, nothing is wrong but that a watcher hears nothing.
//!
//! Parts, each importing only those above it: `change` (what is announced), `reads` (pages under way),
//! `words` (the pipe's), `stage` (what the helper is shown), `replay` (the helper, from outside),
//! `helper` (the same, from inside).

mod change;
mod helper;
mod reads;
mod replay;
mod stage;
mod words;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use fuser::{INodeNo, Notifier};

use super::ahead::{Ahead, Known};
use crate::types::{FileSystem, Ino, Kind};
pub use change::{Change, Place};
pub use helper::repeat_announcements;
pub(super) use reads::Reads;
use replay::{Replay, Starter};
pub(super) use stage::{HANDLE, Stage, is_played, played};

/// How many changes may wait; who brings more waits too.
const QUEUE: usize = 16 << 10;
/// So many at a time share the invalidation of their folder.
const STEP: usize = 1024;
/// How long an idle helper is kept.
const IDLE: Duration = Duration::from_secs(30);
/// A name that nobody has. To have it forgotten is to wait for who looks into the folder.
const NOBODY: &str = ".coffer-nobody";

enum Job {
    Changed(Change),
    /// A file that has no name, and other bytes.
    Nameless(Ino),
    /// Wait for everybody who is looking into this folder.
    Pass(Ino),
    /// Tell when all before it is done.
    Settle(Sender<()>),
    /// From now on a helper repeats what is announced.
    Repeat(Starter, std::path::PathBuf),
    /// The service has ended.
    End,
}

/// Where changes are announced. Once the mount is gone, nobody is told, and nothing waits.
#[derive(Clone)]
pub struct Announcer {
    jobs: Sender<Job>,
    /// Whether the kernel knows an inode.
    held: Arc<dyn Fn(Ino) -> bool + Send + Sync>,
    ahead: Arc<Ahead>,
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer").finish_non_exhaustive()
    }
}

/// The other end.
pub(super) struct Queue<F> {
    jobs: Receiver<Job>,
    fs: Arc<F>,
    reads: Arc<Reads>,
    ahead: Arc<Ahead>,
    replay: Replay,
}

impl Announcer {
    /// Both ends.
    pub(super) fn new<F: FileSystem>(
        fs: Arc<F>,
        stage: Arc<Stage>,
        reads: Arc<Reads>,
        ahead: Arc<Ahead>,
    ) -> (Announcer, Queue<F>) {
        let (sender, receiver) = bounded(QUEUE);
        // Whoever announces keeps no file system: once it is not served, the kernel knows nothing of it.
        let known = Arc::downgrade(&fs);
        let announcer = Announcer {
            jobs: sender,
            held: Arc::new(move |ino| known.upgrade().is_some_and(|fs| fs.is_held(ino))),
            ahead: ahead.clone(),
        };
        let queue = Queue {
            jobs: receiver,
            fs,
            reads,
            ahead,
            replay: Replay::new(stage),
        };
        (announcer, queue)
    }

    /// Announces a change that has been made. Not to be called while anything is locked that an
    /// answer to the kernel needs. Of what the kernel does not know, nobody is told.
    pub fn announce(&self, change: Change) {
        if let Change::Content { ino, .. } = change {
            self.mark(ino);
        }
        self.announce_marked(change);
    }

    /// This file shows other bytes. Whoever opens it from now on is answered after the kernel has forgotten
    /// what it keeps of it. It is to be announced after that by [`Announcer::announce_marked`] or, if it has no
    /// name, by [`Announcer::announce_marked_nameless`].
    pub(crate) fn mark(&self, ino: Ino) {
        self.ahead.mark(ino);
    }

    /// Has this called before it is looked which files are marked: it may mark some. It is called on
    /// threads that serve, and is not to wait. Only the first one counts.
    pub(crate) fn look_before(&self, news: impl Fn() + Send + Sync + 'static) {
        self.ahead.look_before(Box::new(news));
    }

    /// As [`Announcer::announce`], of a file that was marked when it came to show other bytes.
    pub(crate) fn announce_marked(&self, change: Change) {
        let content = match change {
            Change::Content { ino, .. } => Some(ino),
            _ => None,
        };
        let mark = content.and_then(|ino| Some((ino, self.ahead.marked(ino)?)));
        // Who does not know the folder knows nothing of what is in it.
        let mut known = change.folders().chain(change.files());
        if known.any(|ino| (self.held)(ino)) {
            let _ = self.jobs.send(Job::Changed(change));
        } else if let Some((ino, mark)) = mark {
            self.ahead.is_forgotten(ino, mark);
        }
    }

    /// A file that was marked has a name in this folder, too: to be called before the file is announced by its
    /// other names, since an answer that was given from here may bring it to the kernel.
    pub(crate) fn pass(&self, folder: Ino) {
        if (self.held)(folder) {
            let _ = self.jobs.send(Job::Pass(folder));
        }
    }

    /// As [`Announcer::announce`], of a file that shows other bytes and has no name any more: nobody can
    /// watch it, but it may be open.
    pub fn announce_nameless(&self, ino: Ino) {
        self.mark(ino);
        self.announce_marked_nameless(ino);
    }

    /// As [`Announcer::announce_nameless`], of a file that was marked when it came to show other bytes.
    pub(crate) fn announce_marked_nameless(&self, ino: Ino) {
        let _ = self.jobs.send(Job::Nameless(ino));
    }

    /// Has every change repeated, from now on, in the mount at `point` by a helper, so that inotify
    /// tells of it. `start` makes the command that starts one: a process that calls
    /// [`repeat_announcements`] with its standard input and output and does nothing else. It is
    /// started when it is needed, and inherits nothing but these two pipes if the daemon's
    /// descriptors are closed on exec.
    pub fn repeat_in(&self, point: &Path, start: impl Fn() -> Command + Send + 'static) {
        let _ = self.jobs.send(Job::Repeat(Box::new(start), point.to_owned()));
    }

    /// Waits until all that was announced has been told, but not longer than this; whether it has.
    pub fn settle(&self, most: Duration) -> bool {
        let (done, told) = bounded(1);
        let until = Instant::now() + most;
        if self.jobs.send_timeout(Job::Settle(done), most).is_err() {
            return false;
        }
        told.recv_deadline(until).is_ok()
    }

    /// The service has ended: the thread may go, and with it the connection.
    pub(super) fn end(&self) {
        let _ = self.jobs.send(Job::End);
    }
}

impl<F: FileSystem> Queue<F> {
    /// Works until the service has ended.
    pub(super) fn work(mut self, notifier: &Notifier) {
        loop {
            let first = match self.jobs.recv_timeout(IDLE) {
                Err(RecvTimeoutError::Timeout) => {
                    self.replay.end();
                    self.jobs.recv().ok()
                }
                heard => heard.ok(),
            };
            let Some(first) = first else { return };
            let mut folders = HashSet::new();
            let mut waiting = Vec::new();
            let mut ended = false;
            let further = self.jobs.clone();
            for job in std::iter::once(first).chain(further.try_iter()).take(STEP) {
                match job {
                    Job::Changed(change) => {
                        self.tell(notifier, &change);
                        folders.extend(change.folders());
                    }
                    Job::Nameless(ino) => self.ahead.forget(ino, Known::Surely, notifier),
                    Job::Pass(folder) => pass(folder, notifier),
                    Job::Settle(done) => waiting.push(done),
                    Job::Repeat(start, point) => self.replay.begin(start, point),
                    Job::End => ended = true,
                }
            }
            // Also before anybody hears that all is told: it keeps the mount busy.
            self.replay.leave();
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

    /// Has the kernel forget what was, then tell of it.
    fn tell(&mut self, notifier: &Notifier, change: &Change) {
        // ENOENT: the kernel holds nothing of it, which is what was wanted. Any other error comes
        // from a connection that is gone.
        let forget = || {
            for place in change.names() {
                let _ = notifier.inval_entry(INodeNo(place.folder), OsStr::from_bytes(&place.name));
            }
        };
        forget();
        let attributes = || {
            for file in change.files() {
                // A negative offset means no pages.
                let _ = notifier.inval_inode(INodeNo(file), -1, 0);
            }
        };
        let content = match change {
            Change::Content { ino, .. } => Some(*ino),
            _ => None,
        };
        match content {
            // First everybody who was told of it before it was marked, and brings it to the kernel only now. Not once more for a file's second name, nor if somebody opened it in between: what was
            // kept since then is what it shows.
            Some(ino) if self.ahead.marked(ino).is_some() => {
                change.folders().for_each(|folder| pass(folder, notifier));
                self.reads.wait(ino);
                self.ahead.forget(ino, Known::Surely, notifier);
            }
            Some(_) => {}
            None => attributes(),
        }
        let watchable = change.folders().any(|folder| self.fs.is_held(folder))
            || matches!(change, Change::Content { ino, .. } | Change::Attributes { ino, .. } if self.fs.is_held(*ino));
        let shown = watchable && self.replay.show(&*self.fs, change, forget);
        // What the helper was shown the kernel asks for again before it believes it. That is as good
        // as forgotten, and leaves whoever has just come to work in a folder where it is. But a new folder
        // is forgotten, so that the kernel knows it only if somebody came: else all that comes into
        // it would be repeated for nobody.
        let is_folder = || match change {
            Change::Made { ino, .. } => self.fs.getattr(*ino).is_ok_and(|attr| attr.kind == Kind::Folder),
            _ => false,
        };
        if watchable && (!shown || is_folder()) {
            forget();
        }
        if content.is_none() {
            attributes();
        }
    }
}

/// Waits for every look-up, listing and new name that is under way in a folder. Those are answered without
/// waiting for the thread that this runs on.
fn pass(folder: Ino, notifier: &Notifier) {
    // It takes the folder's lock before it looks for the name; ENOENT: nobody has it, as meant, or the kernel
    // does not hold the folder.
    let _ = notifier.inval_entry(INodeNo(folder), OsStr::new(NOBODY));
}
