//! What wakes an inbox: files that come, signals, the end of the daemon.
//!
//! Guarantees that whatever is missed here is found by looking: where the system cannot tell of
//! changes (too many watches, network file systems), the folder is looked through every two seconds,
//! everywhere once a minute.

use super::waiting::QUIET;
use crate::failure::Failure;
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How often a folder is looked through that the system tells of.
const SELDOM: Duration = Duration::from_secs(60);

/// What is heard.
#[derive(Debug)]
pub(super) enum Word {
    /// Something happened to a path; whether its writer closed it, or it was renamed there.
    Happened(PathBuf, bool),
    /// Nobody knows what; look.
    Look,
    /// Somebody wants the end.
    End,
    /// The daemon ended.
    Locked,
}

/// See the module.
pub(super) struct Ears {
    pub(super) words: Receiver<Word>,
    /// How often the folder is to be looked through.
    pub(super) every: Duration,
    /// Set at the first signal.
    pub(super) interrupted: Arc<AtomicBool>,
    /// It hears as long as it lives.
    _watcher: Option<RecommendedWatcher>,
}

impl Ears {
    /// Listens for what happens in a folder, for SIGINT and SIGTERM, and for the end of a process.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn open(root: &Path, daemon: Option<u32>) -> Result<Ears, Failure> {
        let (tell, words) = channel();
        let watcher = watch(root, tell.clone());
        let every = match &watcher {
            Some(_) if !is_far(root) => SELDOM,
            _ => QUIET,
        };
        let interrupted = Arc::new(AtomicBool::new(false));
        let failed = |error: std::io::Error| Failure::io("listen for signals", &error);
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let (set, end) = (Arc::clone(&interrupted), tell.clone());
        let listen = move || {
            for signal in signals.forever() {
                if set.swap(true, Ordering::Relaxed) {
                    // The second time somebody is in a hurry.
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                let _ = end.send(Word::End);
            }
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        thread("signals").spawn(listen).map_err(failed)?;
        if let Some(pid) = daemon.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            let process = pidfd_open(pid, PidfdFlags::empty());
            let wait = move || {
                let Ok(process) = process else { return };
                while poll(&mut [PollFd::new(&process, PollFlags::IN)], None) == Err(rustix::io::Errno::INTR)
                {
                }
                let _ = tell.send(Word::Locked);
            };
            thread("daemon-end").spawn(wait).map_err(failed)?;
        }
        Ok(Ears {
            words,
            every,
            interrupted,
            _watcher: watcher,
        })
    }
}

/// Has the system tell; `None` where it cannot.
fn watch(root: &Path, tell: Sender<Word>) -> Option<RecommendedWatcher> {
    let heard = move |event: notify::Result<Event>| {
        for word in event.map_or_else(|_| vec![Word::Look], words) {
            let _ = tell.send(word);
        }
    };
    let mut watcher = notify::recommended_watcher(heard).ok()?;
    watcher.watch(root, RecursiveMode::Recursive).ok()?;
    Some(watcher)
}

/// What an event says.
fn words(event: Event) -> Vec<Word> {
    if event.need_rescan() {
        return vec![Word::Look];
    }
    let closed = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => return Vec::new(),
        EventKind::Modify(ModifyKind::Name(_)) => true,
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => false,
        _ => return Vec::new(),
    };
    // Of a rename that is known whole, the last is the new name.
    let Some(path) = event.paths.into_iter().next_back() else {
        return vec![Word::Look];
    };
    match path.is_dir() {
        // What came into it before it was watched was not told.
        true => vec![Word::Look],
        false => vec![Word::Happened(path, closed)],
    }
}

/// Whether others may change what lies there without this system being told: by its file system's
/// number, as in statfs(2).
fn is_far(root: &Path) -> bool {
    const FAR: [u32; 9] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x6573_5546, // FUSE
        0x0102_1997, // 9P
        0x00c3_6400, // Ceph
        0x7375_7245, // Coda
        0x5346_414f, // AFS
    ];
    rustix::fs::statfs(root).is_ok_and(|found| FAR.contains(&(found.f_type as u32)))
}
