//! The destination of a salvage: plain files, folders and links in somebody's folder.
//!
//! Guarantees: it is closed to others (0700) before any plaintext is in it, and a file is
//! (0600) until it is whole. Nothing that is there is written over. No link is made before
//! everything else, so that none of the vault's can lead a write elsewhere. Rights to act as
//! a file's owner (set-id) are given only where it has the owner that it had.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps, UTIME_OMIT, XattrFlags};

use super::{SalvageError, SalvageReport};
use crate::record::{Meta, Time, Xattrs};
use crate::vault::{OpError, Problem};

/// The xattrs that are brought: the others decide what the system does with a file.
const USER: &[u8] = b"user.";
/// Set-user-id and set-group-id.
const SET_ID: u16 = 0o6000;

/// What is known of a file beside its content.
pub(super) struct Attributes {
    perm: u16,
    /// User and group; not told to others.
    owner: Option<(u32, u32)>,
    atime: Option<Time>,
    mtime: Option<Time>,
    xattrs: Option<Box<Xattrs>>,
}

impl Attributes {
    /// As events tell.
    pub(super) fn told(perm: u16, mtime: Option<Time>, xattrs: Option<Box<Xattrs>>) -> Attributes {
        Attributes {
            perm,
            owner: None,
            atime: None,
            mtime,
            xattrs,
        }
    }

    /// As a record has them.
    pub(super) fn of(meta: &Meta) -> Attributes {
        Attributes {
            perm: meta.perm,
            owner: Some((meta.uid, meta.gid)),
            atime: Some(meta.atime),
            mtime: Some(meta.mtime),
            xattrs: meta.xattrs.clone(),
        }
    }

    fn times(&self) -> Timestamps {
        let spec = |time: Option<Time>| match time {
            Some(time) => Timespec {
                tv_sec: time.sec,
                tv_nsec: i64::from(time.nsec),
            },
            None => Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
        };
        Timestamps {
            last_access: spec(self.atime),
            last_modification: spec(self.mtime),
        }
    }
}

/// Why a file was not brought.
pub(super) enum BringError {
    /// The vault does not give it.
    Vault(String),
    /// Only a newer program can read it.
    Newer,
    /// The destination does not take it.
    Dest(io::Error),
}

impl From<OpError> for BringError {
    fn from(e: OpError) -> Self {
        BringError::Vault(e.to_string())
    }
}

/// A link that is made at the end.
struct Link {
    target: Vec<u8>,
    to: PathBuf,
    attributes: Attributes,
}

/// Where it goes, and what becomes of it.
pub(super) struct Out<'a> {
    pub(super) dest: &'a Path,
    pub(super) report: SalvageReport,
    pub(super) progress: &'a mut dyn FnMut(u64),
    links: Vec<Link>,
    /// Folders, in the order in which they were made.
    folders: Vec<(PathBuf, Attributes)>,
    /// Things whose attributes the destination did not take.
    plain: u64,
    /// Permissions that the destination can keep: the owner's alone if it cannot be closed.
    mask: u16,
}

impl<'a> Out<'a> {
    pub(super) fn new(dest: &'a Path, progress: &'a mut dyn FnMut(u64)) -> Out<'a> {
        Out {
            dest,
            report: SalvageReport::default(),
            progress,
            links: Vec::new(),
            folders: Vec::new(),
            plain: 0,
            mask: 0o7777,
        }
    }

    /// Makes the folder, or closes it to others.
    pub(super) fn begin(&mut self) -> Result<(), SalvageError> {
        let failed = |e| SalvageError::Io(self.dest.to_path_buf(), e);
        make_folders(self.dest).map_err(failed)?;
        if let Err(e) = fs::set_permissions(self.dest, fs::Permissions::from_mode(0o700)) {
            self.mask = 0o700;
            let what = format!("the destination could not be closed to others: {e}");
            self.note(None, what);
        }
        Ok(())
    }

    /// Makes what had to wait; then all of it is durable.
    pub(super) fn finish(&mut self) -> Result<(), SalvageError> {
        for link in std::mem::take(&mut self.links) {
            let to = free_name(&link.to);
            match std::os::unix::fs::symlink(OsStr::from_bytes(&link.target), &to) {
                Ok(()) => {
                    if let Some((uid, gid)) = link.attributes.owner {
                        let _ = std::os::unix::fs::lchown(&to, Some(uid), Some(gid));
                    }
                    let times = link.attributes.times();
                    let _ = rustix::fs::utimensat(CWD, &to, &times, AtFlags::SYMLINK_NOFOLLOW);
                }
                Err(e) => {
                    self.report.files -= 1;
                    self.report.bytes -= link.target.len() as u64;
                    self.refused(path_in(self.dest, &to), e)?;
                }
            }
        }
        // From the innermost: what is made in a folder changes its times.
        for (path, attributes) in std::mem::take(&mut self.folders).into_iter().rev() {
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
            let flags = flags | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
            match rustix::fs::open(&path, flags, Mode::empty()) {
                Ok(folder) => self.dress(folder, &attributes),
                Err(_) => self.plain += 1,
            }
        }
        if self.plain > 0 {
            let what = format!(
                "{} files and folders could not be given all of their modes, times, owners or xattrs",
                self.plain
            );
            self.note(None, what);
        }
        // What the disk could not take it says only now.
        let synced = fs::File::open(self.dest).and_then(|dir| Ok(rustix::fs::syncfs(&dir)?));
        synced.map_err(|e| SalvageError::Io(self.dest.to_path_buf(), e))
    }

    pub(super) fn problem(&mut self, path: Option<Vec<u8>>, what: impl Into<String>) {
        self.report.problems.push(Problem::new(path, what));
    }

    /// What only a newer program can read, of the file that is to be there or of all.
    pub(super) fn newer(&mut self, path: Option<Vec<u8>>, what: impl Into<String>) {
        self.report.newer.push(Problem::new(path, what));
    }

    pub(super) fn note(&mut self, path: Option<Vec<u8>>, what: impl Into<String>) {
        self.report.notes.push(Problem::new(path, what));
    }

    pub(super) fn brought(&mut self, bytes: u64) {
        self.report.files += 1;
        self.report.bytes += bytes;
        (self.progress)(self.report.bytes);
    }

    /// The destination refused something. Ends it all only if it will refuse everything.
    pub(super) fn refused(&mut self, path: Vec<u8>, e: io::Error) -> Result<(), SalvageError> {
        let fatal = [libc::ENOSPC, libc::EDQUOT, libc::EROFS];
        if e.raw_os_error().is_some_and(|errno| fatal.contains(&errno)) {
            return Err(SalvageError::Io(self.dest.join(OsStr::from_bytes(&path)), e));
        }
        let what = format!("it could not be written to the destination: {e}");
        self.problem(Some(path), what);
        Ok(())
    }

    /// Makes a folder, and those above it; its attributes come last.
    pub(super) fn folder(&mut self, to: &Path, attributes: Option<Attributes>) -> io::Result<()> {
        make_folders(to)?;
        if let Some(attributes) = attributes.filter(|_| to != self.dest) {
            self.folders.push((to.to_path_buf(), attributes));
        }
        Ok(())
    }

    /// Makes a file and lets `write` fill it; if that fails the file is removed. Returns
    /// where it is.
    pub(super) fn fill(
        &mut self,
        to: &Path,
        size: u64,
        attributes: &Attributes,
        write: impl FnOnce(&fs::File) -> Result<(), BringError>,
    ) -> Result<PathBuf, BringError> {
        let to = free_name(to);
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&to);
        let file = file.map_err(BringError::Dest)?;
        let result = write(&file).and_then(|()| file.set_len(size).map_err(BringError::Dest));
        if let Err(e) = result {
            if let Err(left) = fs::remove_file(&to) {
                let what = format!("a part of it was left in the destination: {left}");
                self.problem(Some(path_in(self.dest, &to)), what);
            }
            return Err(e);
        }
        self.dress(file, attributes);
        Ok(to)
    }

    /// Makes a named pipe.
    pub(super) fn pipe(&mut self, to: &Path, attributes: &Attributes) -> io::Result<()> {
        let to = free_name(to);
        let mode = Mode::from_raw_mode(u32::from(attributes.perm & self.mask & !SET_ID));
        rustix::fs::mknodat(CWD, &to, rustix::fs::FileType::Fifo, mode, 0)?;
        if let Some((uid, gid)) = attributes.owner {
            let _ = std::os::unix::fs::lchown(&to, Some(uid), Some(gid));
        }
        let _ = rustix::fs::utimensat(CWD, &to, &attributes.times(), AtFlags::SYMLINK_NOFOLLOW);
        Ok(())
    }

    /// A link is made at the end. Returns where it will be, about.
    pub(super) fn symlink_later(&mut self, target: Vec<u8>, to: &Path, attributes: Attributes) -> PathBuf {
        self.links.push(Link {
            target,
            to: to.to_path_buf(),
            attributes,
        });
        to.to_path_buf()
    }

    /// One more name of a file that was brought; false if that cannot be.
    pub(super) fn link(&mut self, there: &Path, to: &Path) -> bool {
        fs::hard_link(there, free_name(to)).is_ok()
    }

    fn dress(&mut self, of: impl AsFd, attributes: &Attributes) {
        let of = of.as_fd();
        let mut taken = true;
        for (name, value) in attributes.xattrs.iter().flat_map(|xattrs| xattrs.iter()) {
            taken &= name.starts_with(USER)
                && rustix::fs::fsetxattr(of, name.as_slice(), value, XattrFlags::empty()).is_ok();
        }
        if let Some((uid, gid)) = attributes.owner {
            // Only root may; anybody else keeps what they salvage.
            let _ = std::os::unix::fs::fchown(of, Some(uid), Some(gid));
        }
        let is_owners = attributes
            .owner
            .is_some_and(|owner| rustix::fs::fstat(of).is_ok_and(|stat| (stat.st_uid, stat.st_gid) == owner));
        let kept = if is_owners { self.mask } else { self.mask & !SET_ID };
        let mode = Mode::from_raw_mode(u32::from(attributes.perm & kept));
        taken &= rustix::fs::fchmod(of, mode).is_ok();
        taken &= rustix::fs::futimens(of, &attributes.times()).is_ok();
        self.plain += u64::from(!taken);
    }
}

/// A path from the destination on.
fn path_in(dest: &Path, path: &Path) -> Vec<u8> {
    let inner = path.strip_prefix(dest).unwrap_or(path);
    inner.as_os_str().as_bytes().to_vec()
}

fn make_folders(to: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to)
}

fn free_name(to: &Path) -> PathBuf {
    let mut n = 1;
    let mut path = to.to_path_buf();
    while path.symlink_metadata().is_ok() {
        n += 1;
        let mut name = to.file_name().unwrap_or_default().to_os_string();
        name.push(format!(" ({n})"));
        path.set_file_name(name);
    }
    path
}
