//! Whether somebody is still writing a file, and taking it away when nobody is.
//!
//! The kernel tells of open writers by refusing a lease (fcntl(2), F_SETLEASE). Guarantees that a file
//! is only removed while it is the one that was meant: the same inode, size and time under its name,
//! without a writer where the file system can tell.

use rustix::fs::{Mode, OFlags, open};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// F_SETSIG of fcntl(2): which signal tells that somebody wants to write.
const F_SETSIG: libc::c_int = 10;

/// What a file is known by: device, inode, size, time of its last change.
pub(super) type Mark = (u64, u64, u64, (i64, i64));

/// A file's.
pub(super) fn mark(meta: &Metadata) -> Mark {
    (
        meta.dev(),
        meta.ino(),
        meta.size(),
        (meta.mtime(), meta.mtime_nsec()),
    )
}

/// Whether somebody has it open to write to it, as far as can be told.
pub(super) fn is_being_written(path: &Path) -> bool {
    open_it(path).is_ok_and(|file| !may_lease(&file))
}

/// Removes the file, if it is still this one and nobody writes to it. Whether it did.
///
/// # Errors
/// What removing met.
pub(super) fn remove(path: &Path, wanted: Mark) -> io::Result<bool> {
    let file = match open_it(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    // Held until the file is closed: who opens it to write waits as long.
    let quiet = may_lease(&file);
    let file = File::from(file);
    let is_it = mark(&file.metadata()?) == wanted && mark(&std::fs::symlink_metadata(path)?) == wanted;
    if !quiet || !is_it {
        return Ok(false);
    }
    std::fs::remove_file(path).map(|()| true)
}

fn open_it(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

/// Takes a lease for as long as the file is open; false if somebody writes to it. Where there are no
/// leases (network file systems, files of others), nobody is known to write.
fn may_lease(file: &OwnedFd) -> bool {
    // SAFETY: both calls change flags of an open file description of ours only. The signal is one that
    // does nothing unless it is asked for.
    let leased = unsafe {
        libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG);
        libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK)
    };
    leased == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EAGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards what is removed: not what somebody writes to, nor what has become another file.
    #[test]
    fn only_the_very_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let writer = File::create(&path).unwrap();
        let known = mark(&writer.metadata().unwrap());
        // A file system without leases tells nothing; every one that tests run on has them.
        assert!(is_being_written(&path));
        assert!(!remove(&path, known).unwrap());
        drop(writer);
        assert!(!is_being_written(&path));
        std::fs::write(&path, "more").unwrap();
        assert!(!remove(&path, known).unwrap(), "it has changed");
        let known = mark(&std::fs::metadata(&path).unwrap());
        assert!(remove(&path, known).unwrap());
        assert!(!path.exists());
        assert!(!remove(&path, known).unwrap(), "gone is not removed");
    }
}
