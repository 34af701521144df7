//! One file into the vault: looked at, read, and named when it is whole.
//!
//! Guarantees that what is named is what the file was at one time: one that changes while it is read
//! is read again, and left out if it goes on changing.

use super::fill::fill;
use super::links::Links;
use super::source::{Look, Owners, xattrs};
use super::tally::{Came, Tally, Trouble, unreadable};
use crate::answers::Reason;
use coffer_fs::adapter::{Announcer, Change, Place};
use coffer_fs::types::Kind;
use coffer_store::record::Meta;
use coffer_store::vault::{At, Incoming, OpError, Vault};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, openat, readlinkat};
use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::Arc;

/// How often a file that changes is read.
const TRIES: u32 = 3;

/// A folder that is being taken in.
pub(super) struct Folder {
    /// The plain folder.
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    /// Its place in the vault.
    pub(super) ino: u64,
    /// Its times there are those of the plain one already, and stay.
    pub(super) keep_times: bool,
}

/// A name in it.
pub(super) struct Found {
    pub(super) folder: Arc<Folder>,
    pub(super) name: Box<CStr>,
    /// What it will be called, if otherwise.
    pub(super) called: Option<Box<[u8]>>,
    pub(super) kind: FileType,
}

impl Found {
    pub(super) fn path(&self) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(self.name.to_bytes());
        self.folder.path.join(name)
    }
}

/// A further name of a file. It holds no folder open: there may be many.
struct Further {
    path: PathBuf,
    folder: u64,
    keep_times: bool,
    name: Box<[u8]>,
}

/// What lies in a place.
enum There {
    Nothing,
    /// The same file, by all that is looked at.
    Same(u64),
    /// Another that may be replaced.
    Other(u64),
}

impl There {
    fn other(&self) -> Option<u64> {
        match self {
            There::Other(ino) => Some(*ino),
            There::Nothing | There::Same(_) => None,
        }
    }
}

/// See the module.
pub(super) struct Taker<'a> {
    pub(super) vault: &'a Vault,
    pub(super) tally: &'a Tally<'a>,
    announcer: Option<&'a Announcer>,
    pub(super) owners: Owners,
    replace: bool,
    links: Links<((u32, u32), u64), u64, Further>,
}

impl<'a> Taker<'a> {
    pub(super) fn new(
        vault: &'a Vault,
        tally: &'a Tally<'a>,
        announcer: Option<&'a Announcer>,
        replace: bool,
    ) -> Taker<'a> {
        Taker {
            vault,
            tally,
            announcer,
            owners: Owners::here(),
            replace,
            links: Links::new(),
        }
    }

    /// Takes one in, whatever it is but a folder.
    pub(super) fn take(&self, found: &Found, buffer: &mut [u8]) {
        if let Err(trouble) = self.try_take(found, buffer) {
            self.tally.trouble(found.path(), trouble);
        }
    }

    /// Gives files that were taken in their further names.
    pub(super) fn links(&self, buffer: &mut [u8]) {
        for (file, further) in self.links.later() {
            if self.tally.is_stopped() {
                return;
            }
            if let Err(trouble) = self.link(file, &further, buffer) {
                self.tally.trouble(further.path, trouble);
            }
        }
    }

    fn try_take(&self, found: &Found, buffer: &mut [u8]) -> Result<(), Trouble> {
        let (fd, name) = (found.folder.fd.as_fd(), &*found.name);
        let at = self.at(&found.folder, found.called.as_deref().unwrap_or(name.to_bytes()));
        let kind = match found.kind {
            FileType::Unknown => Look::at(fd, name).map_err(unreadable)?.kind,
            known => known,
        };
        match kind {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = openat(fd, name, flags, Mode::empty()).map_err(unreadable)?;
                let look = Look::of(&file).map_err(unreadable)?;
                let key = (look.device, look.ino);
                if look.links > 1 && !self.links.is_first(key, || further(found, at)) {
                    return Ok(());
                }
                let ino = self.file(&file, look, at, buffer)?;
                if look.links > 1 {
                    self.links.went(key, ino);
                }
                Ok(())
            }
            FileType::Symlink => {
                let look = Look::at(fd, name).map_err(unreadable)?;
                let target = readlinkat(fd, name, Vec::new()).map_err(unreadable)?;
                self.symlink(&look, target.to_bytes(), at)
            }
            FileType::Fifo => {
                let look = Look::at(fd, name).map_err(unreadable)?;
                match self.there(at, |stat| stat.meta.kind == Kind::Fifo)? {
                    There::Same(_) => self.tally.came(Came::There),
                    there => {
                        let meta = look.meta(Kind::Fifo, None, &self.owners);
                        self.place(self.vault.incoming(meta)?, at, &there)?;
                    }
                }
                Ok(())
            }
            FileType::Socket => Err(special(
                "it is a socket, which only the program that made it can use",
            )),
            FileType::CharacterDevice | FileType::BlockDevice => Err(special("it is a device")),
            _ => Err(changing()),
        }
    }

    /// A regular file, as it was when it was looked at. Its number in the vault.
    pub(super) fn file(
        &self,
        file: &OwnedFd,
        mut look: Look,
        at: At<'_>,
        buffer: &mut [u8],
    ) -> Result<u64, Trouble> {
        for _ in 0..TRIES {
            if look.kind != FileType::RegularFile {
                return Err(changing());
            }
            let there = self.there(at, |stat| look.is_there(stat))?;
            if let There::Same(ino) = there {
                self.tally.came(Came::There);
                return Ok(ino);
            }
            let xattrs = xattrs(file).map_err(unreadable)?;
            let mut incoming = self.vault.incoming(look.meta(Kind::File, xattrs, &self.owners))?;
            let is_all = fill(file, &look, &mut incoming, buffer, self.tally)?;
            let now = Look::of(file).map_err(unreadable)?;
            if is_all && now.is_as(&look) {
                return self.place(incoming, at, &there);
            }
            look = now;
        }
        Err(changing())
    }

    fn symlink(&self, look: &Look, target: &[u8], at: At<'_>) -> Result<(), Trouble> {
        let is_same = |stat: &coffer_store::vault::Stat| {
            let mut there = Vec::new();
            stat.meta.kind == Kind::Symlink
                && self.vault.read(stat.ino, 0, target.len() + 1, &mut there).is_ok()
                && there == target
        };
        let there = self.there(at, is_same)?;
        if let There::Same(_) = there {
            self.tally.came(Came::There);
            return Ok(());
        }
        let meta = look.meta(Kind::Symlink, None, &self.owners);
        let mut incoming = self.vault.incoming(meta)?;
        incoming.write(0, target)?;
        self.place(incoming, at, &there).map(drop)
    }

    /// A further name of a file; where its first one failed, this one becomes the first.
    fn link(&self, file: ((u32, u32), u64), further: &Further, buffer: &mut [u8]) -> Result<(), Trouble> {
        let at = At {
            folder: further.folder,
            name: &further.name,
            replace: self.replace,
            keep_times: further.keep_times,
        };
        let Some(ino) = self.links.place(file) else {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let opened = rustix::fs::open(&further.path, flags, Mode::empty()).map_err(unreadable)?;
            let look = Look::of(&opened).map_err(unreadable)?;
            let ino = self.file(&opened, look, at, buffer)?;
            self.links.went(file, ino);
            return Ok(());
        };
        let first = self.vault.stat(ino)?;
        let is_same = |stat: &coffer_store::vault::Stat| {
            let alike = stat.meta.kind == Kind::File
                && stat.size == first.size
                && stat.meta.mtime == first.meta.mtime;
            stat.ino == ino || alike
        };
        let there = self.there(at, is_same)?;
        if let There::Same(_) = there {
            self.tally.came(Came::There);
            return Ok(());
        }
        let replaced = self.vault.place_link(ino, at).map_err(taken)?;
        self.tally
            .came(if replaced { Came::Replaced } else { Came::Link });
        self.announce(at, ino, there.other());
        Ok(())
    }

    /// What lies in that place already.
    fn there(
        &self,
        at: At<'_>,
        is_same: impl FnOnce(&coffer_store::vault::Stat) -> bool,
    ) -> Result<There, Trouble> {
        let ino = match self.vault.lookup(at.folder, at.name) {
            Err(error) if error.errno() == libc::ENOENT => return Ok(There::Nothing),
            found => found?,
        };
        let stat = self.vault.stat(ino)?;
        match () {
            () if is_same(&stat) => Ok(There::Same(ino)),
            () if stat.meta.kind == Kind::Folder => Err(differs("a folder of that name is there")),
            () if self.replace => Ok(There::Other(ino)),
            () => Err(differs(
                "something else of that name is there; --replace takes this one",
            )),
        }
    }

    /// Names what is whole.
    fn place(&self, incoming: Incoming<'_>, at: At<'_>, there: &There) -> Result<u64, Trouble> {
        let (ino, replaced) = incoming.place(at).map_err(taken)?;
        self.tally.came(if replaced { Came::Replaced } else { Came::New });
        self.announce(at, ino, there.other());
        Ok(ino)
    }

    /// Makes a folder. Its number.
    pub(super) fn folder(&self, meta: Meta, at: At<'_>) -> Result<u64, Trouble> {
        let (ino, _) = self.vault.incoming(meta)?.place(at).map_err(taken)?;
        self.tally.came(Came::Folder);
        self.announce(at, ino, None);
        Ok(ino)
    }

    /// Tells the mount, if there is one, of a name that stands for a file by now, and which one it
    /// stood for before.
    fn announce(&self, at: At<'_>, ino: u64, over: Option<u64>) {
        if let Some(announcer) = self.announcer {
            let at = Place::new(at.folder, at.name);
            announcer.announce(Change::Made { at, ino, over });
        }
    }

    pub(super) fn at<'b>(&self, folder: &Folder, name: &'b [u8]) -> At<'b> {
        At {
            folder: folder.ino,
            name,
            replace: self.replace,
            keep_times: folder.keep_times,
        }
    }
}

fn further(found: &Found, at: At<'_>) -> Further {
    Further {
        path: found.path(),
        folder: at.folder,
        keep_times: at.keep_times,
        name: at.name.into(),
    }
}

pub(super) fn differs(why: &str) -> Trouble {
    Trouble::Skip(Reason::Differs, why.to_owned())
}

fn special(why: &str) -> Trouble {
    Trouble::Skip(Reason::Special, why.to_owned())
}

fn changing() -> Trouble {
    Trouble::Skip(
        Reason::Changing,
        "it changed each time that it was read".to_owned(),
    )
}

/// Somebody took the name, or the folder away, in between.
fn taken(error: OpError) -> Trouble {
    match error.errno() {
        libc::EEXIST | libc::EISDIR => differs("something of that name was made there meanwhile"),
        libc::ENOENT => Trouble::Skip(
            Reason::Failed,
            "its folder was removed from the vault meanwhile".into(),
        ),
        _ => error.into(),
    }
}
