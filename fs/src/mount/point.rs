//! What a mount point must be: an existing, empty folder on which no vault is mounted.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::MountError;
use super::mounted::Mount;
use super::table::{self, TYPE};

/// How long a mounted vault may take to answer before it counts as silent.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many dead mounts, one over the other, are removed before giving up.
const MOST_STALE: usize = 16;

/// The mount point without symlinks, bare and empty. Removes mounts of dead processes.
pub(super) fn prepare(mountpoint: &Path) -> Result<PathBuf, MountError> {
    let point = resolve(mountpoint)?;
    let failed = |source| MountError::Io {
        what: "cannot look into",
        point: point.clone(),
        source,
    };
    for _ in 0..MOST_STALE {
        match table::at(&point).map_err(failed)? {
            Some(entry) if entry.kind == TYPE => match state(&point) {
                State::Alive => return Err(MountError::AlreadyMounted { point }),
                State::Silent => return Err(MountError::Silent { point }),
                State::Dead => {
                    Mount::existing(&entry)
                        .unmount_lazily()
                        .map_err(|error| MountError::Stale {
                            point: point.clone(),
                            reason: error.to_string(),
                        })?
                }
            },
            _ => break,
        }
    }
    if !fs::metadata(&point).map_err(failed)?.is_dir() {
        return Err(MountError::NotAFolder { point });
    }
    match fs::read_dir(&point).map_err(failed)?.next() {
        None => Ok(point),
        Some(_) => Err(MountError::NotEmpty { point }),
    }
}

/// Keeps others from mounting there for as long as `folder`, which lies at `point`, is open. Where
/// the file system has no locks, nobody is kept.
pub(super) fn claim(folder: &File, point: &Path) -> Result<(), MountError> {
    let until = Instant::now() + PATIENCE;
    while flock(folder, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        if Instant::now() >= until {
            return Err(MountError::Refused {
                point: point.to_owned(),
                reason: "another program keeps the folder locked".to_owned(),
            });
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The path without symlinks, also where a dead mount makes its last part unreadable.
fn resolve(mountpoint: &Path) -> Result<PathBuf, MountError> {
    let error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => MountError::NotFound {
            point: mountpoint.to_owned(),
        },
        io::ErrorKind::NotADirectory => MountError::NotAFolder {
            point: mountpoint.to_owned(),
        },
        _ => MountError::Io {
            what: "cannot find",
            point: mountpoint.to_owned(),
            source,
        },
    };
    match fs::canonicalize(mountpoint) {
        Err(dead) if dead.raw_os_error() == Some(Errno::NOTCONN.raw_os_error()) => {
            let absolute = std::path::absolute(mountpoint).map_err(error)?;
            match (absolute.parent(), absolute.file_name()) {
                (Some(parent), Some(name)) => Ok(fs::canonicalize(parent).map_err(error)?.join(name)),
                _ => Err(error(dead)),
            }
        }
        found => found.map_err(error),
    }
}

/// How a mounted vault does.
enum State {
    /// It answers.
    Alive,
    /// Its process is gone.
    Dead,
    /// No answer in time.
    Silent,
}

/// Asks the file system itself: statfs(2) is never answered from a cache. On a thread of
/// its own, since a process that is stopped does not answer at all.
fn state(point: &Path) -> State {
    let (answer, answered) = mpsc::channel();
    let asked = point.to_owned();
    let asking = thread::Builder::new().name("statfs".into()).spawn(move || {
        // Nobody listens any more after PATIENCE: then there is nobody to tell.
        let _ = answer.send(rustix::fs::statfs(&asked));
    });
    if asking.is_err() {
        return State::Silent;
    }
    match answered.recv_timeout(PATIENCE) {
        Ok(Err(Errno::NOTCONN | Errno::CONNABORTED)) => State::Dead,
        Ok(_) => State::Alive,
        Err(_) => State::Silent,
    }
}
