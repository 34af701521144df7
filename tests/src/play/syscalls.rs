//! Plays a stream to a directory through system calls: to a mounted vault, or to a plain
//! directory beside which it is compared.
//!
//! Symlinks are never followed, neither last nor on the way, so that a stream cannot leave
//! its directory. Sets the process's umask to 0, and works as root.

use super::{Outcome, Place, Player, Seen, Views};
use crate::op::{Flags, Op, Path, SLOTS, Slot};
use coffer_fs::types::{Kind, RenameMode};
use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

mod act;
mod look;
mod site;

pub use site::{Plain, Site};

use act::{file_type, mode, play_attr, play_open};

/// A player in a [`Site`].
pub struct Syscalls<S: Site> {
    site: S,
    slots: [Option<(OwnedFd, Flags)>; SLOTS],
}

type Played = Result<Outcome, Errno>;

impl<S: Site> Syscalls<S> {
    /// A player with nothing open. The directory gets the mode that the model's root has.
    pub fn new(site: S) -> Syscalls<S> {
        rustix::process::umask(Mode::empty());
        fs::chmod(site.root(), mode(0o755)).expect("the directory is there and ours");
        Syscalls {
            site,
            slots: Default::default(),
        }
    }

    /// Whether two changes right after one another show two times here. (Linux before 6.13
    /// gives all changes within a tick one time.)
    pub fn has_fine_times(&self) -> bool {
        let ctime = |perm| {
            fs::chmod(self.site.root(), mode(perm))?;
            fs::stat(self.site.root()).map(|stat| (stat.st_ctime, stat.st_ctime_nsec))
        };
        let times: Result<Vec<_>, Errno> = [0o700, 0o711, 0o755].into_iter().map(ctime).collect();
        times.is_ok_and(|times| times[0] != times[1] && times[1] != times[2])
    }

    /// What it plays in.
    pub fn site(&self) -> &S {
        &self.site
    }

    fn root(&self) -> Result<OwnedFd, Errno> {
        fs::open(
            self.site.root(),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }

    /// The folder at these names.
    fn folder<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> Result<OwnedFd, Errno> {
        let path = names.collect::<Vec<_>>().join(&b'/');
        let root = self.root()?;
        if path.is_empty() {
            return Ok(root);
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::openat2(root, OsStr::from_bytes(&path), flags, Mode::empty(), resolve)
    }

    /// The folder that holds the path's last name, and that name. `None` for the root.
    fn parent(&self, path: &Path) -> Result<Option<(OwnedFd, &'static OsStr)>, Errno> {
        let Some((above, name)) = path.split() else {
            return Ok(None);
        };
        Ok(Some((self.folder(above.names())?, OsStr::from_bytes(name))))
    }

    /// What is at the path, without opening it.
    fn find(&self, path: &Path) -> Result<(OwnedFd, Kind), Errno> {
        let found = match self.parent(path)? {
            None => self.root()?,
            Some((above, name)) => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                fs::openat(above, name, flags, Mode::empty())?
            }
        };
        let kind = look::kind(&fs::fstat(&found)?);
        Ok((found, kind))
    }

    fn slot(&self, slot: Slot) -> Option<&(OwnedFd, Flags)> {
        self.slots[usize::from(slot)].as_ref()
    }

    fn open(&mut self, slot: Slot, path: &Path, flags: Flags, perm: u16) -> Played {
        self.slots[usize::from(slot)] = None;
        let Some((above, name)) = self.parent(path)? else {
            return Ok(Outcome::Skipped);
        };
        match fs::statat(&above, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
            Ok(_) if flags.create && flags.exclusive => {}
            Ok(stat) => match look::kind(&stat) {
                Kind::Folder if flags.write || flags.create => {}
                Kind::File | Kind::Symlink => {}
                _ => return Ok(Outcome::Skipped),
            },
        }
        let mut how = match (flags.read, flags.write) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        for (wanted, flag) in [
            (flags.append, OFlags::APPEND),
            (flags.truncate, OFlags::TRUNC),
            (flags.create, OFlags::CREATE),
            (flags.exclusive, OFlags::EXCL),
        ] {
            how.set(flag, wanted);
        }
        let fd = fs::openat(above, name, how | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode(perm))?;
        self.slots[usize::from(slot)] = Some((fd, flags));
        Ok(Outcome::Done)
    }

    fn try_play(&mut self, op: &Op) -> Played {
        match op {
            Op::Mkdir { .. }
            | Op::Mknod { .. }
            | Op::Symlink { .. }
            | Op::Link { .. }
            | Op::Unlink { .. }
            | Op::Rmdir { .. }
            | Op::Rename { .. }
            | Op::Readlink { .. } => self.play_name(op),
            Op::ReadDir { path, batch } => self.read_folder(path, *batch),
            Op::Open {
                slot,
                path,
                flags,
                perm,
                ..
            } => self.open(*slot, path, *flags, *perm),
            Op::Close { slot } => match self.slots[usize::from(*slot)].take() {
                Some(_) => Ok(Outcome::Done),
                None => Ok(Outcome::Skipped),
            },
            Op::Copy {
                from,
                from_offset,
                to,
                to_offset,
                len,
            } => {
                let (Some(from), Some(to)) = (self.slot(*from), self.slot(*to)) else {
                    return Ok(Outcome::Skipped);
                };
                let (mut from_at, mut to_at) = (*from_offset, *to_offset);
                let (from_at, to_at) = (Some(&mut from_at), Some(&mut to_at));
                let count = fs::copy_file_range(&from.0, from_at, &to.0, to_at, *len as usize)?;
                Ok(Outcome::Count(count as u64))
            }
            Op::Read { slot, .. }
            | Op::Write { slot, .. }
            | Op::MapWrite { slot, .. }
            | Op::FTruncate { slot, .. }
            | Op::Allocate { slot, .. }
            | Op::Seek { slot, .. }
            | Op::Fsync { slot }
            | Op::FChmod { slot, .. } => match self.slot(*slot) {
                Some((fd, flags)) => play_open(fd, *flags, op),
                None => Ok(Outcome::Skipped),
            },
            Op::Truncate { path, .. }
            | Op::Chmod { path, .. }
            | Op::Chown { path, .. }
            | Op::SetTimes { path, .. }
            | Op::SetXattr { path, .. }
            | Op::GetXattr { path, .. }
            | Op::RemoveXattr { path, .. } => {
                let (fd, kind) = self.find(path)?;
                play_attr(&fd, kind, op)
            }
            Op::Become { .. } | Op::Forget => Ok(Outcome::Skipped),
            Op::Sync => {
                self.site.sync();
                Ok(Outcome::Done)
            }
            Op::Remount => {
                self.slots = Default::default();
                self.site.remount();
                Ok(Outcome::Done)
            }
        }
    }

    fn play_name(&mut self, op: &Op) -> Played {
        match op {
            Op::Link { from, to } => {
                // In the order in which the kernel looks: what is there, then where it goes.
                self.find(from)?;
                let old = self.parent(from)?;
                let (old, old_name) = match &old {
                    Some((above, name)) => (above.as_fd(), *name),
                    None => (fs::CWD, self.site.root().as_os_str()),
                };
                let Some((above, name)) = self.parent(to)? else {
                    return Ok(Outcome::Skipped);
                };
                fs::linkat(old, old_name, above, name, AtFlags::empty())?;
            }
            Op::Rename { from, to, mode } => {
                let (from, to) = (self.parent(from)?, self.parent(to)?);
                let (Some(from), Some(to)) = (from, to) else {
                    return Ok(Outcome::Skipped);
                };
                let flags = match mode {
                    RenameMode::Replace => RenameFlags::empty(),
                    RenameMode::NoReplace => RenameFlags::NOREPLACE,
                    RenameMode::Exchange => RenameFlags::EXCHANGE,
                };
                fs::renameat_with(from.0, from.1, to.0, to.1, flags)?;
            }
            Op::Readlink { path } => {
                return match self.parent(path)? {
                    Some((above, name)) => Ok(Outcome::Bytes(fs::readlinkat(above, name, [])?.into_bytes())),
                    None => Err(Errno::INVAL),
                };
            }
            Op::Mkdir { path, .. }
            | Op::Mknod { path, .. }
            | Op::Symlink { path, .. }
            | Op::Unlink { path }
            | Op::Rmdir { path } => {
                let Some((above, name)) = self.parent(path)? else {
                    return Ok(Outcome::Skipped);
                };
                match op {
                    Op::Mkdir { perm, .. } => fs::mkdirat(above, name, mode(*perm))?,
                    Op::Mknod { kind, perm, .. } => {
                        fs::mknodat(above, name, file_type(*kind), mode(*perm), 0)?
                    }
                    Op::Symlink { target, .. } => fs::symlinkat(&target[..], above, name)?,
                    Op::Unlink { .. } => fs::unlinkat(above, name, AtFlags::empty())?,
                    _ => fs::unlinkat(above, name, AtFlags::REMOVEDIR)?,
                }
            }
            _ => return Ok(Outcome::Broken(format!("{op:?} is not about names"))),
        }
        Ok(Outcome::Done)
    }
}

impl<S: Site> Player for Syscalls<S> {
    fn name(&self) -> String {
        self.site.name()
    }

    fn play(&mut self, op: &Op) -> Outcome {
        self.try_play(op)
            .unwrap_or_else(|errno| Outcome::Failed(errno.raw_os_error()))
    }

    fn views(&mut self) -> Seen<Views> {
        self.look_at_all()
    }

    fn read(&mut self, place: &Place, offset: u64, len: u64) -> Seen<Vec<u8>> {
        self.with_open(place, |fd| look::read(fd, offset, len))
    }

    fn data(&mut self, place: &Place, size: u64) -> Seen<Vec<Range<u64>>> {
        self.with_open(place, |fd| look::extents(fd, size))
    }

    fn xattrs(&mut self, path: &[Vec<u8>]) -> Seen<BTreeMap<Vec<u8>, Vec<u8>>> {
        self.all_xattrs(path)
    }
}
