//! The seam to mounting: `coffer_fs::mount` and `coffer_fs::adapter`.
//!
//! Guarantees that an ending writes out what programs changed through mapped memory before it
//! unmounts or cuts the connection; that a mount which lives on in somebody's mount namespace is cut
//! off, not waited for; and that no thread of ours ever calls into our own mount: a helper process
//! does, and is given a bounded time.

use crate::failure::{Failure, Kind, MountUser, without_codes};
use coffer_fs::adapter::{Announcer, ServeOptions, repeat_announcements, serve};
use coffer_fs::mount::{self as table, MountError, MountOptions, UnmountError};
use coffer_fs::permit::{Permit, User};
use coffer_fs::types::FileSystem;
use parking_lot::Mutex;
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long an ending waits for mapped memory to be written out.
const FLUSH: Duration = Duration::from_secs(5);
/// How long the kernel may take to end what is unmounted, before its connection is cut.
const LINGER: Duration = Duration::from_secs(3);

/// How long nothing must come to say that nothing more will.
const QUIET: Duration = Duration::from_millis(100);
/// How long a mount may be busy by nobody.
const TRANSIENT: Duration = Duration::from_secs(2);
/// How long a mount may take to say whether it lives.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long nobody has used a mount.
pub(super) type Idle = Box<dyn Fn() -> Duration + Send + Sync>;

/// A mounted vault.
pub(crate) struct Mount {
    mount: table::Mount,
    serving: Mutex<Option<Serving>>,
    announcer: Announcer,
    idle: Idle,
}

/// The thread that waits for the service's end.
struct Serving {
    thread: JoinHandle<()>,
    /// Nothing is ever sent: it is closed when the service has ended.
    ended: mpsc::Receiver<()>,
}

impl Serving {
    fn has_ended_in(&self, time: Duration) -> bool {
        self.ended.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Disconnected)
    }
}

impl Mount {
    /// Mounts `fs`; `ended` is called from another thread when no request will come any more.
    ///
    /// # Errors
    /// When the place is not fit, or mounting is not permitted.
    pub(super) fn new<F: FileSystem>(
        fs: Arc<F>,
        vault: &Path,
        point: &Path,
        options: &str,
        threads: Option<usize>,
        idle: Idle,
        ended: Box<dyn FnOnce() + Send>,
    ) -> Result<Mount, Failure> {
        // The table of mounts shows the vault's folder as the source, as it does for a disk.
        let mut parsed = MountOptions {
            fsname: vault.display().to_string(),
            ..MountOptions::default()
        };
        parsed
            .parse(options)
            .map_err(|error| Failure::usage(sentence(&error)))?;
        let (fuse, mount) = table::mount(point, &parsed).map_err(refused)?;
        let threads = threads.unwrap_or(THREADS);
        // On a mount that makes each write durable, the kernel does so for cached ones only.
        let serving = ServeOptions {
            direct_writes: !parsed.sync,
            kernel_checks: parsed.kernel_checks(),
            ..ServeOptions::default()
        };
        let (open, closed) = mpsc::channel();
        let session = match serving.kernel_checks {
            true => serve(fs, fuse, threads, serving),
            // Only its mounter can come: one request less for each change of a folder.
            false => User::current()
                .and_then(|user| serve(Arc::new(Permit::new(fs, user)), fuse, threads, serving)),
        };
        let served = session.and_then(|session| {
            let announcer = session.announcer();
            announcer.repeat_in(mount.point(), announcing_helper);
            let waiting = std::thread::Builder::new().name("mount-end".into());
            let thread = waiting.spawn(move || {
                // What the kernel's last words were does not matter: the mount is gone.
                let _ = session.join();
                drop(open);
                ended();
            })?;
            Ok((thread, announcer))
        });
        match served {
            Ok((thread, announcer)) => {
                let serving = Serving {
                    thread,
                    ended: closed,
                };
                // Only root may; without it large files read a little slower.
                let _ = mount.raise_readahead();
                Ok(Mount {
                    mount,
                    serving: Mutex::new(Some(serving)),
                    announcer,
                    idle,
                })
            }
            Err(error) => {
                let _ = mount.abort();
                let _ = mount.unmount_lazily();
                Err(Failure::io(
                    format_args!("serve the mount at {}", point.display()),
                    &error,
                ))
            }
        }
    }

    /// The number of the kernel's FUSE connection.
    pub(crate) fn connection(&self) -> u64 {
        u64::from(self.mount.connection())
    }

    /// What tells it from any other mount, ever, as far as the kernel can tell.
    pub(crate) fn mark(&self) -> String {
        self.mount.mark()
    }

    /// Where changes that do not come through it are announced to the kernel.
    pub(super) fn announcer(&self) -> Announcer {
        self.announcer.clone()
    }

    /// How long nobody has used it.
    pub(crate) fn idle(&self) -> Duration {
        (self.idle)()
    }

    /// Writes out what programs changed through mapped memory. Unmounting does so too, but not
    /// where a copy of the mount lives on in another mount namespace.
    pub(crate) fn flush(&self) {
        let until = Instant::now() + FLUSH;
        flush(self.mount.point(), until);
        // The kernel (since 6.17) does not wait in syncfs(2) for what it sends to FUSE; it has been
        // sent, and is waited for here.
        while !self.is_drained() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Unmounts.
    ///
    /// # Errors
    /// `InUse`, naming who uses it.
    pub(crate) fn unmount(&self) -> Result<(), Failure> {
        let until = Instant::now() + TRANSIENT;
        // Whoever tells of changes in there is a user, too, for as long as it takes.
        self.announcer.settle(TRANSIENT);
        let unmounted = loop {
            match self.mount.unmount() {
                // Somebody who looks through /proc, say, holds a mount for a moment.
                Err(UnmountError::Busy { users, .. }) if users.is_empty() && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                done => break done,
            }
        };
        unmounted.map_err(|error| match error {
            UnmountError::Busy { point, users } => {
                let mut failure = Failure::new(
                    Kind::InUse,
                    format!(
                        "{} is in use; close what uses it, or force it with --force (programs get errors, what they wrote is kept).",
                        point.display()
                    ),
                );
                failure.users = users
                    .into_iter()
                    .map(|user| MountUser {
                        pid: user.pid,
                        what: format!("{}: {}", what(user.what), user.path.display()),
                        command: user.command,
                    })
                    .collect();
                failure
            }
            other => Failure::failed(sentence(&other)),
        })
    }

    /// Takes it out of the tree and ends the connection, in use or not. Answers whether the
    /// connection is ended: where that is not permitted, it ends with this process.
    ///
    /// # Errors
    /// When it cannot be taken out of the tree.
    pub(crate) fn detach(&self) -> Result<bool, Failure> {
        self.flush();
        // Cut first: without fusectl that takes the mount's name.
        let cut = self.mount.abort().is_ok();
        self.mount
            .unmount_lazily()
            .map_err(|error| Failure::failed(sentence(&error)))?;
        Ok(cut)
    }

    /// Whether all that was sent has been answered: by the kernel's count, or, where that cannot
    /// be read (no fusectl), because nothing has come for a while.
    fn is_drained(&self) -> bool {
        let count =
            std::fs::read_to_string(format!("/sys/fs/fuse/connections/{}/waiting", self.connection()));
        match count.ok().and_then(|count| count.trim().parse::<u64>().ok()) {
            Some(count) => count == 0,
            None => self.idle() >= QUIET,
        }
    }

    /// Waits until no thread serves it any more. A mount namespace that somebody made meanwhile may
    /// hold a copy of the mount, and then the kernel does not end it: after a while it is cut off.
    /// Answers whether the service has ended; where cutting is not permitted, it ends with this
    /// process.
    pub(crate) fn join(&self) -> bool {
        let Some(serving) = self.serving.lock().take() else {
            return true;
        };
        if !serving.has_ended_in(LINGER) {
            // As long as it is served, its connection's number is no other's.
            if self.mount.abort().is_err() || !serving.has_ended_in(LINGER) {
                return false;
            }
        }
        let _ = serving.thread.join();
        true
    }
}

fn what(what: table::Use) -> &'static str {
    match what {
        table::Use::WorkingFolder => "works in",
        table::Use::Root => "has its root in",
        table::Use::Mapping => "runs or maps",
        table::Use::OpenFile => "has open",
        table::Use::InnerMount => "another mount",
    }
}

/// Writes out mapped memory through a helper process, which may hang where we must not.
fn flush(point: &Path, until: Instant) {
    let helper = Command::new("/proc/self/exe")
        .arg0("coffer")
        .arg("sync-mount")
        .arg(point)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .current_dir("/")
        .spawn();
    let Ok(mut helper) = helper else { return };
    while matches!(helper.try_wait(), Ok(None)) {
        if Instant::now() >= until {
            // If it hangs in the mount, the cut that follows sets it free to die.
            let _ = helper.kill();
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The command of the process that repeats in the mount what did not come through it.
fn announcing_helper() -> Command {
    let mut helper = Command::new("/proc/self/exe");
    helper.arg0("coffer").arg("announce");
    helper
}

/// That process's whole life; nothing is left to tell when it ends, since it ends with its daemon.
pub(crate) fn announce() {
    let _ = repeat_announcements(std::io::stdin().lock(), std::io::stdout().lock());
}

/// The helper's work: writes out what programs changed in the mount at `point`.
///
/// # Errors
/// The mount's.
pub(crate) fn sync_mount(point: &Path) -> Result<(), Failure> {
    let failed = |error: &std::io::Error| Failure::io(format_args!("write out {}", point.display()), error);
    let folder = File::open(point).map_err(|error| failed(&error))?;
    rustix::fs::syncfs(&folder).map_err(|error| failed(&error.into()))
}

/// How a mount of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Somebody serves it.
    Alive,
    /// Its daemon is gone.
    Dead,
}

/// The mount of ours at `point`, if there is one. Asks the mount itself whether it lives, from a
/// thread that is left behind if there is no answer in time: then it is held to be alive.
pub(crate) fn at(point: &Path) -> Option<Life> {
    look(point).map(|(_, life)| life)
}

/// The same, with the very mount that was asked.
fn look(point: &Path) -> Option<(table::Mount, Life)> {
    let entry = table::find_mounts()
        .ok()?
        .into_iter()
        .rfind(|entry| entry.point == point)?;
    // Before it is asked: what lies there afterwards may be another.
    let mount = table::Mount::existing(&entry);
    let (tell, told) = mpsc::channel();
    let asked = entry.point;
    // Not starting a thread counts as no answer.
    let _ = std::thread::Builder::new().name("statfs".into()).spawn(move || {
        let _ = tell.send(rustix::fs::statfs(&asked));
    });
    let answer = told.recv_timeout(PATIENCE);
    let life = match answer {
        Ok(Err(Errno::NOTCONN | Errno::CONNABORTED)) => Life::Dead,
        _ => Life::Alive,
    };
    Some((mount, life))
}

/// Where mounts of the vault in this folder lie whose daemon is gone.
pub(crate) fn dead_mounts(vault: &Path) -> Vec<PathBuf> {
    // The source of a mount is what `Mount::new` made it.
    let source = vault.display().to_string();
    let ours = |entry: &table::MountEntry| entry.source.to_string_lossy() == source;
    let found = table::find_mounts().unwrap_or_default();
    let mut points: Vec<PathBuf> = found.into_iter().filter(ours).map(|entry| entry.point).collect();
    points.sort();
    points.dedup();
    points.retain(|point| at(point) == Some(Life::Dead));
    points
}

/// Checks mount options as mount(8) spells them; answers whether nothing may be changed.
///
/// # Errors
/// `Usage`, naming the unknown one.
pub(crate) fn check_options(options: &str) -> Result<bool, Failure> {
    let mut parsed = MountOptions::default();
    parsed
        .parse(options)
        .map_err(|error| Failure::usage(sentence(&error)))?;
    Ok(parsed.read_only)
}

/// Threads that serve a mount, however few processors there are: with two of them the next request
/// finds both asleep, or one waiting for the disk. With eight, each comes to it with cold caches.
const THREADS: usize = 4;

/// Takes dead mounts out of the tree: one may lie over another. Never a living one that took
/// the place of a dead one meanwhile.
///
/// # Errors
/// When that is not permitted.
pub(crate) fn remove_stale(point: &Path) -> Result<(), Failure> {
    while let Some((mount, Life::Dead)) = look(point) {
        mount
            .unmount_lazily()
            .map_err(|error| Failure::failed(sentence(&error)))?;
    }
    Ok(())
}

/// Ends the connection of the mount at `point`, if it is the one whose mark this is: the
/// numbers of a mount that is gone are soon another's. Answers whether it did.
pub(crate) fn abort(point: &Path, mark: &str) -> bool {
    look_up(point).is_some_and(|mount| mount.mark() == mark && mount.abort().is_ok())
}

fn look_up(point: &Path) -> Option<table::Mount> {
    let entries = table::find_mounts().ok()?;
    let entry = entries.iter().rfind(|entry| entry.point == point)?;
    Some(table::Mount::existing(entry))
}

fn refused(error: MountError) -> Failure {
    let kind = match error {
        MountError::AlreadyMounted { .. } | MountError::Silent { .. } => Kind::InUse,
        MountError::Option(_) => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, sentence(&error))
}

/// An error of the layers below as a sentence: with a capital letter and a full stop.
pub(super) fn sentence(error: &impl std::fmt::Display) -> String {
    let text = without_codes(&error.to_string());
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|first| first.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
