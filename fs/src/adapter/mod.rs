//! The FUSE adapter: takes the kernel's requests from a mounted descriptor and calls a
//! [`FileSystem`] with them. The only module that names `fuser`.
//!
//! Guarantees: every request is answered exactly once; a panic in the file system answers
//! EIO to the one who asked and the mount lives on. Who may do what is checked by the
//! kernel or by the file system it is given ([`crate::permit`]), not here. Never mounts,
//! never waits for another request on a serving thread, keeps no data.
//!
//! What the kernel may remember is decided here: names and attributes for a day, pages
//! across opens, folders' listings and symlinks' targets. That holds because all changes
//! come through the kernel; a change from elsewhere must be announced to it ([`Announcer`]).
//!
//! Parts, each importing only those above it: `convert` (types), `opens` (page cache or
//! not), `invalidate` (the thread that tells the kernel), `ahead` (files of which it is not yet told), `announce` (the same for changes from
//! elsewhere, and a helper process that repeats them for those who watch), `workers` (requests that wait for other
//! devices), `handshake` (what the kernel is
//! asked for), `answer` (what handlers share), `handlers` (the requests).

mod ahead;
mod announce;
mod answer;
mod convert;
mod handlers;
mod handshake;
mod invalidate;
mod opens;
mod workers;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use fuser::{Config, SessionACL};

use crate::types::FileSystem;
use ahead::{Ahead, Waiting};
pub use announce::{Announcer, Change, Place, repeat_announcements};
use announce::{Reads, Stage};
use answer::Adapter;
use invalidate::Invalidator;

/// When the kernel asks for names together with attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaddirPlus {
    /// Never: each file is looked up when it is looked at.
    Never,
    /// At first, and again whenever somebody looks at the files (the kernel's heuristic).
    Auto,
    /// Always.
    Always,
}

/// How to serve. The defaults are what measured best.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// How long the kernel may keep names and attributes without asking.
    pub ttl: Duration,
    /// How long it may keep that a name does not exist; zero: not at all.
    pub negative_ttl: Duration,
    /// See [`ReaddirPlus`].
    pub readdir_plus: ReaddirPlus,
    /// Whether handles that only write bypass the page cache where that is safe (Linux 6.6).
    pub direct_writes: bool,
    /// The kernel checks who may do what: the mount has `default_permissions`.
    pub kernel_checks: bool,
    /// One descriptor per thread (needs permission to open `/dev/fuse`).
    pub clone_fd: bool,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        let day = Duration::from_secs(24 * 60 * 60);
        ServeOptions {
            ttl: day,
            negative_ttl: day,
            readdir_plus: ReaddirPlus::Auto,
            direct_writes: true,
            kernel_checks: true,
            clone_fd: false,
        }
    }
}

/// A file system being served. Dropping it does not end the service: unmounting does.
#[derive(Debug)]
pub struct Session {
    serving: JoinHandle<io::Result<()>>,
    invalidating: JoinHandle<()>,
    forgetting: Vec<JoinHandle<()>>,
    announcer: Announcer,
    panics: Arc<AtomicU64>,
    /// Nothing is ever sent: it is cut off when the service ends.
    ended: Receiver<()>,
}

impl Session {
    /// Waits until the service ends, but not longer than this; whether it has ended.
    ///
    /// It may go on after an unmount: each mount namespace made meanwhile (by a container,
    /// by a service of systemd) holds a copy of the mount. Then [`crate::mount::Mount::abort`]
    /// ends it, and so does the end of this process.
    pub fn wait(&self, most: Duration) -> bool {
        matches!(self.ended.recv_timeout(most), Err(RecvTimeoutError::Disconnected))
    }

    /// Waits until the file system is unmounted everywhere (see [`Session::wait`]), or its
    /// connection aborted, and every request has been answered.
    ///
    /// # Errors
    /// What reading from the kernel answered, or that a serving thread died.
    pub fn join(self) -> io::Result<()> {
        let died = |_| io::Error::other("a thread that serves the mount died");
        let served = self.serving.join().map_err(died)?;
        self.invalidating.join().map_err(died)?;
        for forgetting in self.forgetting {
            forgetting.join().map_err(died)?;
        }
        served
    }

    /// Where changes that do not come through the kernel are announced to it.
    pub fn announcer(&self) -> Announcer {
        self.announcer.clone()
    }

    /// Whether the service has ended.
    pub fn is_finished(&self) -> bool {
        self.serving.is_finished()
    }

    /// How many requests ended in a panic of the file system (each was answered EIO).
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}

/// Serves `fs` to the kernel over a descriptor of `/dev/fuse` that has just been mounted
/// (see [`crate::mount::mount`]) with `threads` threads (at least one), in the background.
///
/// Returns after the handshake with the kernel: from then on the mount answers.
///
/// # Errors
/// What the handshake met: the kernel speaks another protocol, or unmounted meanwhile.
pub fn serve<F: FileSystem>(
    fs: Arc<F>,
    fuse_fd: OwnedFd,
    threads: usize,
    options: ServeOptions,
) -> io::Result<Session> {
    let panics = Arc::new(AtomicU64::new(0));
    let (invalidator, backlog) = Invalidator::new();
    let mut config = Config::default();
    config.acl = SessionACL::All;
    config.n_threads = Some(threads.max(1));
    config.clone_fd = options.clone_fd;
    let (stage, reads) = (Arc::new(Stage::default()), Arc::new(Reads::new()));
    let ahead = Arc::new(Ahead::default());
    let (waiting, forgetters) = Waiting::new(ahead.clone(), &panics);
    let (announcer, queue) = Announcer::new(fs.clone(), stage.clone(), reads.clone(), ahead);
    let adapter = Adapter::new(
        fs,
        options,
        (invalidator, waiting),
        (stage, reads),
        panics.clone(),
    );
    let session = fuser::Session::from_fd(adapter, fuse_fd, SessionACL::All, config)?;
    let notifier = session.notifier();
    let invalidating = thread::Builder::new()
        .name("fuse-invalidate".into())
        .spawn(move || backlog.work(&notifier))?;
    let forgetting = forgetters.into_iter().map(|forgetter| {
        let notifier = session.notifier();
        let forgetting = thread::Builder::new().name("fuse-forget".into());
        forgetting.spawn(move || forgetter.work(&notifier))
    });
    let forgetting = forgetting.collect::<io::Result<Vec<_>>>()?;
    let notifier = session.notifier();
    thread::Builder::new()
        .name("fuse-announce".into())
        .spawn(move || queue.work(&notifier))?;
    let (end, ended) = bounded(0);
    let over = announcer.clone();
    let serving = thread::Builder::new().name("fuse-serve".into()).spawn(move || {
        let _end: Sender<()> = end;
        let served = session.run();
        over.end();
        served
    })?;
    Ok(Session {
        serving,
        invalidating,
        forgetting,
        announcer,
        panics,
        ended,
    })
}
