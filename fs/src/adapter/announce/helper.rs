//! The helper's own life: a small process that repeats in the mount what the daemon tells it, so that
//! the kernel tells whoever watches.
//!
//! Guarantees that it touches nothing but the mount that it was told to enter, and that only if the
//! adapter behind it knows it: another folder in that place, or one mounted over a folder in it, is
//! refused. Follows no symlink. Ends with the daemon. Never reads a file, and holds nothing of the
//! mount open between two announcements.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::c_long;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, fstat,
    ftruncate, mkdirat, mknodat, open, openat2, renameat, symlinkat, unlinkat, utimensat,
};
use rustix::io::{Errno, Result};
use rustix::process::Signal;

use super::stage::{BACKSTAGE, WAITING};
use super::words::{self, Verb};

/// How a folder is held.
const HELD: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Neither out of the mount nor through anything.
const WITHIN: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_XDEV)
    .union(ResolveFlags::NO_SYMLINKS);
/// The longest path that one call takes, with room to spare.
const STRETCH: usize = 2048;

/// The helper's whole life: does what it reads, until the end of its input.
///
/// # Errors
/// What reading or writing the pipes met.
pub fn repeat_announcements(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    // Its parent is the thread that announces. Without the signal, the end of the pipe still tells.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let mut within = None;
    while let Some((verb, strings)) = words::read(&mut from)? {
        let done = act(&mut within, verb, &strings);
        words::answer(&mut to, done.map_or_else(Errno::raw_os_error, |()| 0))?;
    }
    Ok(())
}

/// The mount, entered.
struct Within {
    root: OwnedFd,
    backstage: OwnedFd,
    /// The folder of the last announcement: the next one is often there, too.
    last: Option<(Vec<u8>, OwnedFd)>,
}

fn act(within: &mut Option<Within>, verb: Verb, strings: &[Vec<u8>]) -> Result<()> {
    match (verb, strings) {
        (Verb::Enter, [point]) => {
            *within = None;
            *within = Some(Within::enter(Path::new(OsStr::from_bytes(point)))?);
            Ok(())
        }
        (Verb::Leave, []) => {
            *within = None;
            Ok(())
        }
        (verb, [folder, name]) => {
            let within = within.as_mut().ok_or(Errno::BADF)?;
            within.there(verb, folder, plain(name)?)
        }
        (Verb::Move, [folder, name, to_folder, to_name]) => {
            let within = within.as_mut().ok_or(Errno::BADF)?;
            let from = within.open_folder(folder)?;
            let to = within.open_folder(to_folder)?;
            renameat(from, plain(name)?, to, plain(to_name)?)
        }
        _ => Err(Errno::INVAL),
    }
}

/// A name that leads nowhere else.
fn plain(name: &[u8]) -> Result<&[u8]> {
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        return Err(Errno::INVAL);
    }
    Ok(name)
}

impl Within {
    /// Enters the mount, if the adapter behind it knows this process.
    fn enter(point: &Path) -> Result<Within> {
        let root = open(point, HELD, Mode::empty())?;
        let backstage = openat2(&root, BACKSTAGE, HELD, Mode::empty(), WITHIN)?;
        Ok(Within {
            root,
            backstage,
            last: None,
        })
    }

    fn there(&mut self, verb: Verb, folder: &[u8], name: &[u8]) -> Result<()> {
        self.go_to(folder)?;
        let (_, at) = self.last.as_ref().ok_or(Errno::BADF)?;
        let mode = Mode::RUSR | Mode::WUSR;
        match verb {
            Verb::File => {
                let flags =
                    OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                openat2(at, name, flags, mode, WITHIN).map(drop)
            }
            Verb::Folder => mkdirat(at, name, mode | Mode::XUSR),
            // Where it leads is not for this process to know.
            Verb::Symlink => symlinkat(c"-", at, name),
            Verb::Special => mknodat(at, name, FileType::Fifo, mode, 0),
            Verb::Over => renameat(&self.backstage, WAITING, at, name),
            Verb::Unlink => unlinkat(at, name, AtFlags::empty()),
            Verb::Rmdir => unlinkat(at, name, AtFlags::REMOVEDIR),
            Verb::Content => {
                let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                match openat2(at, name, flags, Mode::empty(), WITHIN) {
                    Ok(file) => {
                        let size = fstat(&file)?.st_size;
                        ftruncate(&file, u64::try_from(size).unwrap_or(0))
                    }
                    // It may not be written to, runs, or is leased: its time may still be set, and
                    // that alone counts as a change of content.
                    Err(
                        Errno::ACCESS
                        | Errno::PERM
                        | Errno::ROFS
                        | Errno::TXTBSY
                        | Errno::LOOP
                        | Errno::AGAIN,
                    ) => touch(at, name, UTIME_OMIT),
                    Err(error) => Err(error),
                }
            }
            Verb::Attributes => touch(at, name, UTIME_NOW),
            Verb::Enter | Verb::Leave | Verb::Move => Err(Errno::INVAL),
        }
    }

    /// Opens the folder at this path, unless the last announcement was there.
    fn go_to(&mut self, path: &[u8]) -> Result<()> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            self.last = None;
            self.last = Some((path.to_vec(), self.open_folder(path)?));
        }
        Ok(())
    }

    /// In stretches: a path may be longer than one call takes.
    fn open_folder(&self, path: &[u8]) -> Result<OwnedFd> {
        let mut at = openat2(&self.root, c".", HELD, Mode::empty(), WITHIN)?;
        let mut stretch = Vec::new();
        for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            if !stretch.is_empty() {
                if stretch.len() + part.len() > STRETCH {
                    at = openat2(&at, stretch.as_slice(), HELD, Mode::empty(), WITHIN)?;
                    stretch.clear();
                } else {
                    stretch.push(b'/');
                }
            }
            stretch.extend_from_slice(part);
        }
        if !stretch.is_empty() {
            at = openat2(&at, stretch.as_slice(), HELD, Mode::empty(), WITHIN)?;
        }
        Ok(at)
    }
}

/// Sets the time of change to now, and that of access as said: as far as this process knows.
fn touch(folder: &OwnedFd, name: &[u8], access: c_long) -> Result<()> {
    let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times = Timestamps {
        last_access: time(access),
        last_modification: time(UTIME_NOW),
    };
    // By a descriptor, since a name leads into whatever is mounted there.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat2(folder, name, flags, Mode::empty(), WITHIN)?;
    utimensat(&file, c"", &times, AtFlags::EMPTY_PATH)
}
