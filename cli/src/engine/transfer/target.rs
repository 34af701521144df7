//! Plain files that are being made: without a name until they are whole, with all that the vault
//! keeps of them.
//!
//! Guarantees that a name never stands for half a file, and that nothing is left behind when this
//! process is killed, where the file system knows files without names (O_TMPFILE); elsewhere one
//! whose name begins with “.coffer-” may stay.

use super::source::Owners;
use coffer_store::record::{Meta, Time, Xattrs};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, RawMode, RenameFlags, Timespec, Timestamps, Uid, XattrFlags, linkat,
    openat, renameat, renameat_with, unlinkat,
};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file in the making.
pub(super) struct Part<'a> {
    folder: BorrowedFd<'a>,
    file: OwnedFd,
    /// The name that it has for now, if it must have one.
    name: Option<CString>,
}

impl<'a> Part<'a> {
    /// A new one, empty and closed to others, that is to lie in `folder`.
    pub(super) fn new(folder: BorrowedFd<'a>) -> Result<Part<'a>> {
        let mode = Mode::RUSR | Mode::WUSR;
        let nameless = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let (file, name) = match openat(folder, c".", nameless, mode) {
            Ok(file) => (file, None),
            // Older file systems say so in one of these ways.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                let name = aside();
                let flags =
                    OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                (openat(folder, &name, flags, mode)?, Some(name))
            }
            Err(error) => return Err(error),
        };
        Ok(Part { folder, file, name })
    }

    /// Writes all of `data`.
    pub(super) fn write(&self, mut at: u64, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            match rustix::io::pwrite(&self.file, data, at) {
                Ok(count) => {
                    at += count as u64;
                    data = &data[count..];
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives it its size, owner, mode, attributes and times, then its name: over what lies there if
    /// `replace`.
    ///
    /// # Errors
    /// EEXIST if something lies there, and as the file system says; it is gone then.
    pub(super) fn settle(
        mut self,
        size: u64,
        meta: &Meta,
        owners: &Owners,
        name: &CStr,
        replace: bool,
    ) -> Result<()> {
        rustix::fs::ftruncate(&self.file, size)?;
        dress(&self.file, meta, owners)?;
        if self.name.is_none() {
            let path = CString::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
                .expect("a number holds no NUL");
            let first = if replace { aside() } else { name.to_owned() };
            linkat(CWD, &path, self.folder, &first, AtFlags::SYMLINK_FOLLOW)?;
            if !replace {
                return Ok(());
            }
            self.name = Some(first);
        }
        let Some(aside) = &self.name else { return Ok(()) };
        move_to(self.folder, aside, name, replace)?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = unlinkat(self.folder, name, AtFlags::empty());
        }
    }
}

/// A name for what has none yet, as good as never taken.
pub(super) fn aside() -> CString {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = Time::now();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!(".coffer-{}-{}-{}-{next}", std::process::id(), now.sec, now.nsec);
    CString::new(name).expect("numbers hold no NUL")
}

/// Moves what was made aside to its name.
///
/// # Errors
/// EEXIST if something lies there and is not to be replaced.
pub(super) fn move_to(folder: BorrowedFd<'_>, aside: &CStr, name: &CStr, replace: bool) -> Result<()> {
    if replace {
        return renameat(folder, aside, folder, name);
    }
    match renameat_with(folder, aside, folder, name, RenameFlags::NOREPLACE) {
        // Where that is not known: a link is refused if the name is taken.
        Err(Errno::INVAL | Errno::NOSYS) => {
            linkat(folder, aside, folder, name, AtFlags::empty())?;
            unlinkat(folder, aside, AtFlags::empty())
        }
        done => done,
    }
}

/// Gives an open file or folder its owner, mode, user attributes and times.
pub(super) fn dress(file: impl AsFd, meta: &Meta, owners: &Owners) -> Result<()> {
    let file = file.as_fd();
    for (name, value) in meta.xattrs.iter().flat_map(|xattrs| xattrs.iter()) {
        let name = CString::new(name.as_slice()).map_err(|_| Errno::INVAL)?;
        rustix::fs::fsetxattr(file, &name, value, XattrFlags::empty())?;
    }
    let (uid, gid, kept) = owners.keep(meta.uid, meta.gid);
    // An ordinary user gives away nothing: only the group can be another than it is.
    let owner = (uid != owners.me().0).then(|| Uid::from_raw(uid));
    rustix::fs::fchown(file, owner, Some(Gid::from_raw(gid)))?;
    let perm = if kept { meta.perm } else { meta.perm & !0o6000 };
    rustix::fs::fchmod(file, Mode::from_raw_mode(RawMode::from(perm)))?;
    rustix::fs::futimens(file, &times(meta))
}

/// The times as the system wants them.
pub(super) fn times(meta: &Meta) -> Timestamps {
    let time = |time: Time| Timespec {
        tv_sec: time.sec,
        tv_nsec: time.nsec.into(),
    };
    Timestamps {
        last_access: time(meta.atime),
        last_modification: time(meta.mtime),
    }
}

/// An attribute list, if there is any.
pub(super) fn listed(xattrs: Xattrs) -> Option<Box<Xattrs>> {
    (!xattrs.is_empty()).then(|| Box::new(xattrs))
}
