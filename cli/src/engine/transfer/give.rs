//! One file out of the vault: read, written aside, and named when it is whole.
//!
//! Guarantees that what is named is what the file was at one time: one that is written to meanwhile
//! is read again, and left out if that goes on.

use super::links::Links;
use super::source::{Look, Owners};
use super::tally::{Came, Tally, Trouble, unwritable};
use super::target::{Part, aside, listed, move_to, times};
use crate::answers::Reason;
use coffer_fs::types::Kind;
use coffer_store::record::{Meta, Xattrs};
use coffer_store::vault::{OpError, Stat, Vault};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, linkat, mknodat, readlinkat, symlinkat, unlinkat, utimensat};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// How often a file that changes is read.
const TRIES: u32 = 3;

/// A plain folder that receives.
pub(super) struct Dest {
    pub(super) fd: OwnedFd,
    /// Where it lies.
    pub(super) path: PathBuf,
    /// The folder in the vault that goes there, from the vault's root.
    pub(super) from: PathBuf,
}

/// A name that is to go there.
pub(super) struct Leaving {
    pub(super) dest: Arc<Dest>,
    pub(super) name: CString,
    pub(super) ino: u64,
    pub(super) kind: Kind,
}

impl Leaving {
    /// Where it lies in the vault.
    pub(super) fn from(&self) -> PathBuf {
        self.dest.from.join(self.plain())
    }

    fn to(&self) -> PathBuf {
        self.dest.path.join(self.plain())
    }

    fn plain(&self) -> &OsStr {
        OsStr::from_bytes(self.name.to_bytes())
    }
}

/// A further name of a file: where it lies, and where it goes.
struct Further {
    from: PathBuf,
    to: PathBuf,
}

/// See the module.
pub(super) struct Giver<'a> {
    pub(super) vault: &'a Vault,
    pub(super) tally: &'a Tally<'a>,
    pub(super) owners: Owners,
    replace: bool,
    links: Links<u64, PathBuf, Further>,
}

impl<'a> Giver<'a> {
    pub(super) fn new(vault: &'a Vault, tally: &'a Tally<'a>, replace: bool) -> Giver<'a> {
        Giver {
            vault,
            tally,
            owners: Owners::here(),
            replace,
            links: Links::new(),
        }
    }

    /// Brings one out, whatever it is but a folder.
    pub(super) fn give(&self, leaving: &Leaving, buffer: &mut Vec<u8>) {
        if let Err(trouble) = self.try_give(leaving, buffer) {
            self.tally.trouble(leaving.from(), trouble);
        }
    }

    /// Gives files that were brought out their further names.
    pub(super) fn links(&self) {
        for (ino, further) in self.links.later() {
            if self.tally.is_stopped() {
                return;
            }
            if let Err(trouble) = self.link(ino, &further) {
                self.tally.trouble(further.from, trouble);
            }
        }
    }

    fn try_give(&self, leaving: &Leaving, buffer: &mut Vec<u8>) -> Result<(), Trouble> {
        let stat = self.vault.stat(leaving.ino)?;
        match leaving.kind {
            Kind::File => {
                let further = || Further {
                    from: leaving.from(),
                    to: leaving.to(),
                };
                if stat.meta.nlink > 1 && !self.links.is_first(leaving.ino, further) {
                    return Ok(());
                }
                self.file(leaving, buffer)?;
                if stat.meta.nlink > 1 {
                    self.links.went(leaving.ino, leaving.to());
                }
                Ok(())
            }
            Kind::Symlink => self.symlink(leaving, &stat),
            Kind::Fifo => {
                let is_same = |look: &Look| look.kind == FileType::Fifo;
                if self.is_there(leaving, is_same)? {
                    return Ok(());
                }
                let mode = Mode::from_raw_mode(u32::from(stat.meta.perm));
                let fd = leaving.dest.fd.as_fd();
                let name = aside();
                mknodat(fd, &name, FileType::Fifo, mode, 0).map_err(unwritable)?;
                self.finish(leaving, &name, &stat.meta)
            }
            Kind::Folder => Ok(()),
            Kind::Socket => Err(special(
                "it is a socket, which only the program that made it can use",
            )),
            Kind::CharDevice | Kind::BlockDevice => Err(special("it is a device")),
        }
    }

    /// A regular file.
    fn file(&self, leaving: &Leaving, buffer: &mut Vec<u8>) -> Result<(), Trouble> {
        let ino = leaving.ino;
        self.vault.open(ino, false, false, false)?;
        let done = self.opened(leaving, buffer);
        self.vault.release(ino, false);
        done
    }

    fn opened(&self, leaving: &Leaving, buffer: &mut Vec<u8>) -> Result<(), Trouble> {
        let ino = leaving.ino;
        for _ in 0..TRIES {
            let stat = self.vault.stat(ino)?;
            if self.is_there(leaving, |look| look.is_there(&stat))? {
                return Ok(());
            }
            let meta = Meta {
                xattrs: self.xattrs(ino)?,
                ..stat.meta.clone()
            };
            let part = Part::new(leaving.dest.fd.as_fd()).map_err(unwritable)?;
            self.fill(&stat, &part, buffer)?;
            let now = self.vault.stat(ino)?;
            let state = |stat: &Stat| (stat.size, stat.meta.mtime, stat.meta.ctime);
            if state(&now) == state(&stat) {
                let came = self.came(leaving);
                part.settle(stat.size, &meta, &self.owners, &leaving.name, self.replace)
                    .map_err(taken)?;
                self.tally.came(came);
                return Ok(());
            }
        }
        let why = "it changed each time that it was read".to_owned();
        Err(Trouble::Skip(Reason::Changing, why))
    }

    /// Writes all of it but its holes.
    fn fill(&self, stat: &Stat, part: &Part<'_>, buffer: &mut Vec<u8>) -> Result<(), Trouble> {
        let step = buffer.capacity();
        let mut at = 0;
        while at < stat.size {
            let mut end = stat.size;
            if stat.allocated < stat.size {
                match self.vault.seek(stat.ino, at, true) {
                    Err(error) if error.errno() == libc::ENXIO => return Ok(()), // a hole to the end
                    data => at = data?,
                }
                end = match self.vault.seek(stat.ino, at, false) {
                    Err(error) if error.errno() == libc::ENXIO => return Ok(()), // it was cut
                    hole => hole?.min(end),
                };
            }
            while at < end {
                self.tally.go_on()?;
                buffer.clear();
                let most = usize::try_from(end - at).unwrap_or(step).min(step);
                self.read(stat.ino, at, most, buffer)?;
                if buffer.is_empty() {
                    return Ok(()); // it was cut
                }
                part.write(at, buffer).map_err(unwritable)?;
                self.tally.read(buffer.len());
                at += buffer.len() as u64;
            }
        }
        Ok(())
    }

    /// Reads; what other devices have is fetched first.
    fn read(&self, ino: u64, at: u64, most: usize, buffer: &mut Vec<u8>) -> Result<(), Trouble> {
        loop {
            match self.vault.read(ino, at, most, buffer) {
                Err(OpError::Store(error)) if error.absent().is_some() => {
                    self.tally.go_on()?;
                    self.vault.bring_range(ino, at, most as u64)?;
                }
                read => return Ok(read?),
            }
        }
    }

    fn symlink(&self, leaving: &Leaving, stat: &Stat) -> Result<(), Trouble> {
        let mut target = Vec::new();
        self.vault
            .read(leaving.ino, 0, libc::PATH_MAX as usize, &mut target)?;
        let target =
            CString::new(target).map_err(|_| special("it is a symlink that no system can follow"))?;
        let fd = leaving.dest.fd.as_fd();
        let is_same = |look: &Look| {
            look.kind == FileType::Symlink
                && readlinkat(fd, &*leaving.name, Vec::new()).is_ok_and(|there| there == target)
        };
        if self.is_there(leaving, is_same)? {
            return Ok(());
        }
        let name = aside();
        symlinkat(&target, fd, &name).map_err(unwritable)?;
        self.finish(leaving, &name, &stat.meta)
    }

    /// Gives what was made aside, and cannot be opened, its owner, times and name.
    fn finish(&self, leaving: &Leaving, aside: &CStr, meta: &Meta) -> Result<(), Trouble> {
        let fd = leaving.dest.fd.as_fd();
        let (uid, gid, _) = self.owners.keep(meta.uid, meta.gid);
        let owner = (uid != self.owners.me().0).then(|| rustix::fs::Uid::from_raw(uid));
        let group = Some(rustix::fs::Gid::from_raw(gid));
        let came = self.came(leaving);
        let done = rustix::fs::chownat(fd, aside, owner, group, AtFlags::SYMLINK_NOFOLLOW)
            .and_then(|()| match meta.kind {
                // The umask took its part when it was made.
                Kind::Fifo => {
                    let mode = Mode::from_raw_mode(u32::from(meta.perm));
                    rustix::fs::chmodat(fd, aside, mode, AtFlags::empty())
                }
                _ => Ok(()),
            })
            .and_then(|()| utimensat(fd, aside, &times(meta), AtFlags::SYMLINK_NOFOLLOW))
            .and_then(|()| move_to(fd, aside, &leaving.name, self.replace));
        if let Err(error) = done {
            let _ = unlinkat(fd, aside, AtFlags::empty());
            return Err(taken(error));
        }
        self.tally.came(came);
        Ok(())
    }

    /// A further name of a file.
    fn link(&self, ino: u64, further: &Further) -> Result<(), Trouble> {
        let Some(first) = self.links.place(ino) else {
            let why = "its first name could not be brought out".to_owned();
            return Err(Trouble::Skip(Reason::Failed, why));
        };
        let is_same = |one: &Look, two: &Look| one.size == two.size && one.mtime == two.mtime;
        let looks = (look(&first), look(&further.to));
        match looks {
            (Ok(one), Ok(two)) if one.kind == two.kind && is_same(&one, &two) => {
                self.tally.came(Came::There);
                return Ok(());
            }
            (_, Ok(two)) if two.kind == FileType::Directory => return Err(folder_there()),
            (_, Ok(_)) if !self.replace => return Err(other_there()),
            (_, Ok(_)) => {
                // Linked aside and moved over: the name is never without a file.
                let above = further.to.parent().unwrap_or(&further.to);
                let aside = above.join(OsStr::from_bytes(aside().to_bytes()));
                linkat(CWD, &first, CWD, &aside, AtFlags::empty()).map_err(unwritable)?;
                if let Err(error) = rustix::fs::rename(&aside, &further.to) {
                    let _ = std::fs::remove_file(&aside);
                    return Err(unwritable(error));
                }
                self.tally.came(Came::Replaced);
            }
            _ => {
                linkat(CWD, &first, CWD, &further.to, AtFlags::empty()).map_err(taken)?;
                self.tally.came(Came::Link);
            }
        }
        Ok(())
    }

    /// Whether it lies there already; counts it then.
    ///
    /// # Errors
    /// If something else does, and may not be replaced.
    fn is_there(&self, leaving: &Leaving, is_same: impl FnOnce(&Look) -> bool) -> Result<bool, Trouble> {
        match Look::at(leaving.dest.fd.as_fd(), &leaving.name) {
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(unwritable(error)),
            Ok(look) if is_same(&look) => {
                self.tally.came(Came::There);
                Ok(true)
            }
            Ok(look) if look.kind == FileType::Directory => Err(folder_there()),
            Ok(_) if self.replace => Ok(false),
            Ok(_) => Err(other_there()),
        }
    }

    /// What its coming will be.
    fn came(&self, leaving: &Leaving) -> Came {
        match self.replace && Look::at(leaving.dest.fd.as_fd(), &leaving.name).is_ok() {
            true => Came::Replaced,
            false => Came::New,
        }
    }

    /// The user attributes of something in the vault.
    pub(super) fn xattrs(&self, ino: u64) -> Result<Option<Box<Xattrs>>, Trouble> {
        let mut xattrs = Xattrs::new();
        for name in self.vault.xattrs(ino)? {
            match self.vault.xattr(ino, &name) {
                Err(error) if error.errno() == libc::ENODATA => {} // it went in between
                value => drop(xattrs.insert(name, value?)),
            }
        }
        Ok(listed(xattrs))
    }
}

fn look(path: &std::path::Path) -> rustix::io::Result<Look> {
    // An absolute path: the folder does not matter.
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    Look::at(CWD, &path)
}

fn special(why: &str) -> Trouble {
    Trouble::Skip(Reason::Special, why.to_owned())
}

fn folder_there() -> Trouble {
    Trouble::Skip(Reason::Differs, "a folder of that name is there".to_owned())
}

pub(super) fn other_there() -> Trouble {
    let why = "something else of that name is there; --replace takes this one";
    Trouble::Skip(Reason::Differs, why.to_owned())
}

/// Somebody took the name in between.
fn taken(error: Errno) -> Trouble {
    match error {
        Errno::EXIST | Errno::ISDIR => other_there(),
        error => unwritable(error),
    }
}
