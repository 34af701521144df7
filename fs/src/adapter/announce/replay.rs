//! The announcing helper, as the daemon has it: starts it, has it repeat one change after the other,
//! and does without it where it fails.
//!
//! Guarantees that no wait for it is longer than [`PATIENCE`]; one that is slower is killed. One that
//! was killed is known to the adapter as the helper until it is reaped. Who fails again and again is
//! left alone for a while.

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::change::{Change, Place};
use super::stage::{Scene, Stage};
use super::words::{self, Verb};
use crate::types::{FileSystem, Ino, Kind};

/// How long one repetition may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often one is tried: whoever looks a name up in between spoils it.
const TRIES: u32 = 10;
/// Failures in a row after which it is left alone.
const FAILURES: u32 = 3;
/// And for so long.
const REST: Duration = Duration::from_secs(30);

/// What makes the command that starts a helper (see [`super::repeat_announcements`]).
pub(super) type Starter = Box<dyn Fn() -> Command + Send>;

/// What came of a repetition.
enum Came {
    /// It was repeated: whoever watches was told.
    Shown,
    /// It was refused, with this errno.
    Refused(i32),
    /// The helper is gone.
    Lost,
}

struct Helper {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    /// It has the mount open.
    is_within: bool,
}

/// See the module.
pub(super) struct Replay {
    stage: Arc<Stage>,
    how: Option<(Starter, PathBuf)>,
    helper: Option<Helper>,
    /// One that was killed and is not yet reaped.
    dying: Option<Child>,
    failures: u32,
    rests_until: Option<Instant>,
    /// The path of the folder of the last change.
    last: Option<(Ino, Vec<u8>)>,
}

impl Replay {
    pub(super) fn new(stage: Arc<Stage>) -> Replay {
        Replay {
            stage,
            how: None,
            helper: None,
            dying: None,
            failures: 0,
            rests_until: None,
            last: None,
        }
    }

    /// From now on changes are repeated in the mount at `point`.
    pub(super) fn begin(&mut self, start: Starter, point: PathBuf) {
        self.how = Some((start, point));
    }

    /// Repeats a change; whether it was. `again` is called before each further try.
    pub(super) fn show<F: FileSystem>(&mut self, fs: &F, change: &Change, again: impl Fn()) -> bool {
        if self.how.is_none() || self.rests_until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        for attempt in 0..TRIES {
            if attempt > 0 {
                self.last = None;
                again();
            }
            let Some((scene, verb, places)) = plan(fs, change) else {
                return false;
            };
            let Some(frame) = self.frame(fs, verb, &places) else {
                return false;
            };
            if !self.is_within() {
                return false;
            }
            self.stage.set(scene);
            let came = self.say(&frame);
            let shown = self.stage.clear();
            match came {
                Came::Shown if shown => {
                    self.failures = 0;
                    return true;
                }
                Came::Shown => {}
                Came::Refused(errno) if is_passing(errno) => {}
                Came::Refused(_) | Came::Lost => return false,
            }
        }
        false
    }

    /// The frame for the helper; `None` where a folder is gone, or lies too deep.
    fn frame<F: FileSystem>(&mut self, fs: &F, verb: Verb, places: &[&Place]) -> Option<Vec<u8>> {
        let mut folders = Vec::new();
        for place in places {
            folders.push(self.path(fs, place.folder)?);
        }
        let strings: Vec<&[u8]> = folders
            .iter()
            .zip(places)
            .flat_map(|(folder, place)| [folder.as_slice(), place.name.as_slice()])
            .collect();
        words::frame(verb, &strings)
    }

    /// The path of a folder as it is now. A stale one does no harm: what does not match is refused.
    fn path<F: FileSystem>(&mut self, fs: &F, folder: Ino) -> Option<Vec<u8>> {
        match &self.last {
            Some((last, path)) if *last == folder => Some(path.clone()),
            _ => {
                let path = fs.folder_path(folder)?;
                self.last = Some((folder, path.clone()));
                Some(path)
            }
        }
    }

    /// Has the helper let go of the mount, which it would keep busy.
    pub(super) fn leave(&mut self) {
        self.last = None;
        if self.helper.as_ref().is_some_and(|helper| helper.is_within)
            && let Some(frame) = words::frame(Verb::Leave, &[])
            && matches!(self.say(&frame), Came::Shown)
            && let Some(helper) = &mut self.helper
        {
            helper.is_within = false;
        }
    }

    /// Ends the helper.
    pub(super) fn end(&mut self) {
        if let Some(Helper { mut child, .. }) = self.helper.take() {
            let _ = child.kill();
            self.dying = Some(child);
            let until = Instant::now() + PATIENCE;
            while !self.is_reaped() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Whether there is a helper, and it is in the mount; starts one, if need be.
    fn is_within(&mut self) -> bool {
        if self.helper.is_none() && (!self.is_reaped() || !self.start()) {
            return false;
        }
        if self.helper.as_ref().is_some_and(|helper| helper.is_within) {
            return true;
        }
        let frame = self
            .how
            .as_ref()
            .and_then(|(_, point)| words::frame(Verb::Enter, &[point.as_os_str().as_bytes()]));
        let came = frame.map_or(Came::Refused(libc::ENAMETOOLONG), |frame| self.say(&frame));
        match (&came, &mut self.helper) {
            (Came::Shown, Some(helper)) => helper.is_within = true,
            // Something else lies there, or the kernel calls the helper by another number.
            (Came::Refused(_), _) => self.fail(),
            _ => {}
        }
        matches!(came, Came::Shown)
    }

    fn start(&mut self) -> bool {
        let Some((command, _)) = &self.how else {
            return false;
        };
        let spawned = command()
            .env_clear()
            .current_dir("/")
            // Out of the terminal's group: Ctrl-C is for the daemon.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = spawned else {
            self.fail();
            return false;
        };
        self.stage.cast(child.id());
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return false;
        };
        self.helper = Some(Helper {
            child,
            to,
            from,
            is_within: false,
        });
        true
    }

    /// Says one thing, and waits for the answer.
    fn say(&mut self, frame: &[u8]) -> Came {
        let Some(helper) = &mut self.helper else {
            return Came::Lost;
        };
        // It is far less than a pipe holds, and the pipe is empty.
        let answer = helper.to.write_all(frame).and_then(|()| hear(&mut helper.from));
        match answer {
            Ok(0) => Came::Shown,
            Ok(errno) => Came::Refused(errno),
            Err(_) => {
                let _ = helper.child.kill();
                self.dying = self.helper.take().map(|helper| helper.child);
                let _ = self.is_reaped();
                self.fail();
                Came::Lost
            }
        }
    }

    /// Whether nothing is left of the helper that was killed. It may sit in the mount, where only an
    /// answer frees it.
    fn is_reaped(&mut self) -> bool {
        let Some(child) = &mut self.dying else {
            return true;
        };
        if matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        self.stage.cast(0);
        self.dying = None;
        true
    }

    fn fail(&mut self) {
        self.failures += 1;
        if self.failures >= FAILURES {
            self.failures = 0;
            self.rests_until = Some(Instant::now() + REST);
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the helper is to see, what it is to do, and where; `None` if there is nothing to show.
fn plan<'a, F: FileSystem>(fs: &F, change: &'a Change) -> Option<(Scene, Verb, Vec<&'a Place>)> {
    Some(match change {
        Change::Made { at, ino, over } => {
            let kind = fs.getattr(*ino).ok()?.kind;
            let (ino, place) = (*ino, at.clone());
            let (scene, verb) = match (*over, kind) {
                (Some(old), kind) if kind != Kind::Folder => {
                    (Scene::Over { at: place, ino, old }, Verb::Over)
                }
                (_, Kind::File) => (Scene::Appear { at: place, ino }, Verb::File),
                (_, Kind::Folder) => (Scene::Appear { at: place, ino }, Verb::Folder),
                (_, Kind::Symlink) => (Scene::Appear { at: place, ino }, Verb::Symlink),
                _ => (Scene::Appear { at: place, ino }, Verb::Special),
            };
            (scene, verb, vec![at])
        }
        Change::Content { at, ino } => {
            let is_file = fs.getattr(*ino).ok()?.kind == Kind::File;
            let verb = if is_file { Verb::Content } else { Verb::Attributes };
            (Scene::Touch { ino: *ino }, verb, vec![at])
        }
        Change::Attributes { at, ino } => (Scene::Touch { ino: *ino }, Verb::Attributes, vec![at]),
        Change::Removed { at, ino, folder } => {
            let verb = if *folder { Verb::Rmdir } else { Verb::Unlink };
            let scene = Scene::Vanish {
                at: at.clone(),
                ino: *ino,
                folder: *folder,
            };
            (scene, verb, vec![at])
        }
        Change::Moved { from, to, ino, over } => {
            let scene = Scene::Move {
                from: from.clone(),
                to: to.clone(),
                ino: *ino,
                over: *over,
            };
            (scene, Verb::Move, vec![from, to])
        }
    })
}

/// Whether a name was, in that moment, what it should not have been: the next moment may be better.
fn is_passing(errno: i32) -> bool {
    matches!(
        errno,
        libc::EEXIST
            | libc::ENOENT
            | libc::ESTALE
            | libc::ENOTDIR
            | libc::EISDIR
            | libc::ENOTEMPTY
            | libc::EAGAIN
            | libc::EIO
    )
}

/// The answer's errno, within [`PATIENCE`].
fn hear(from: &mut ChildStdout) -> std::io::Result<i32> {
    let until = Instant::now() + PATIENCE;
    let (mut errno, mut got) = ([0; 4], 0);
    while got < errno.len() {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(0),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) => return Err(std::io::ErrorKind::TimedOut.into()),
            ready => ready?,
        };
        match from.read(&mut errno[got..])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => got += count,
        }
    }
    Ok(i32::from_le_bytes(errno))
}
