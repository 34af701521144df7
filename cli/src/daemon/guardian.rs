//! The guardian: a small process beside the daemon that ends the kernel's FUSE connection when the
//! daemon dies without an orderly end, so that nobody stays waiting for its answers.
//!
//! Guarantees that it holds no keys and no FUSE descriptor (it is this program started anew, before
//! the password is read), only the end of a pipe; and that it ends with the daemon. It aborts only the
//! connection that it was told of, and takes a mount away only if asked to, and only a dead one.
//!
//! It hears of the death in two ways. The pipe is closed once the last of the daemon's threads is gone;
//! but one of them may be waiting in the kernel for a lock that a program holds which waits for the
//! daemon: then neither ends before the connection does. So the death of the daemon's main thread is
//! signalled, too (prctl(2), PR_SET_PDEATHSIG).

use super::background::{SELF, keep_descriptors};
use crate::engine;
use crate::failure::Failure;
use crate::frame::{self, Reader};
use crate::ui;
use crate::wire::{self, WirePath};
use parking_lot::Mutex;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What the daemon tells it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// There is a mount to watch.
    Watch {
        mark: String,
        mountpoint: WirePath,
        detach: bool,
    },
    /// The end is orderly.
    Done,
}

/// The daemon's end.
pub(crate) struct Guardian {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Guardian {
    /// Starts one. To be called by the main thread: the guardian takes its death for the daemon's.
    ///
    /// # Errors
    /// When no process can be started.
    pub(crate) fn start() -> Result<Guardian, Failure> {
        keep_descriptors();
        let mut child = Command::new(SELF)
            .arg0("coffer")
            .arg("guardian")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .current_dir("/")
            // Out of the terminal's group: Ctrl-C is for the daemon.
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::io("start the guardian process", &error))?;
        let pipe = child.stdin.take();
        Ok(Guardian { child, pipe })
    }

    /// Tells it what to watch.
    pub(crate) fn watch(&mut self, mark: String, mountpoint: &Path, detach: bool) {
        self.tell(&Word::Watch {
            mark,
            mountpoint: WirePath(mountpoint.to_owned()),
            detach,
        });
    }

    fn tell(&mut self, word: &Word) {
        // A guardian that somebody killed is a comfort lost, not a reason to stop.
        if let Some(pipe) = &mut self.pipe
            && frame::send(pipe, word, &[]).is_err()
        {
            self.pipe = None;
        }
    }
}

impl Drop for Guardian {
    /// The orderly end: waits until it is gone, so that nothing of ours is left behind.
    fn drop(&mut self) {
        self.tell(&Word::Done);
        self.pipe = None;
        let _ = self.child.wait();
    }
}

/// The guardian's life.
pub(crate) fn run() {
    // It ends with the daemon, not before: whoever stops all of a session's processes stops the daemon too.
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    let watched = Arc::new(Mutex::new(None));
    // Without it, the pipe still tells; but for the one case.
    let _ = listen_for_death(&watched);
    let mut reader = Reader::new(std::io::stdin());
    loop {
        match reader.message(wire::MAX_REQUEST) {
            Ok(Some(Word::Watch {
                mark,
                mountpoint,
                detach,
            })) => {
                *watched.lock() = Some((mark, mountpoint.0, detach));
            }
            Ok(Some(Word::Done)) => return,
            Ok(None) | Err(_) => break,
        }
    }
    rescue_watched(&watched);
}

/// What is watched: a mount's mark, its place, and whether to take it away.
type Watched = Mutex<Option<(String, PathBuf, bool)>>;

/// Rescues when the main thread of the daemon dies, whatever becomes of its others.
fn listen_for_death(watched: &Arc<Watched>) -> std::io::Result<()> {
    let mut deaths = signal_hook::iterator::Signals::new([libc::SIGUSR1])?;
    let watched = Arc::clone(watched);
    std::thread::Builder::new().name("death".into()).spawn(move || {
        if deaths.forever().next().is_some() {
            rescue_watched(&watched);
        }
    })?;
    Ok(rustix::process::set_parent_process_death_signal(Some(
        Signal::USR1,
    ))?)
}

/// Once: afterwards nothing is watched.
fn rescue_watched(watched: &Watched) {
    let mut watched = watched.lock();
    if let Some((mark, mountpoint, detach)) = watched.take() {
        rescue(&mark, &mountpoint, detach);
    }
}

/// The daemon died: ends its connection, and takes the dead mount away if asked.
fn rescue(mark: &str, mountpoint: &Path, detach: bool) {
    let aborted = engine::abort(mountpoint, mark);
    ui::log(&format!(
        "guardian: the daemon of {} died; its connection {}",
        mountpoint.display(),
        if aborted {
            "was aborted"
        } else {
            "was gone already or could not be reached"
        }
    ));
    if detach && let Err(failure) = engine::remove_stale(mountpoint) {
        ui::log(&format!("guardian: {failure}"));
    }
}
