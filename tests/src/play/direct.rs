//! Plays a stream straight to a [`FileSystem`], doing what the kernel would do in front of
//! it: walking paths one name at a time, counting lookups, checking how a file was opened.
//!
//! What the kernel checks but a file system should know too (a folder renamed into itself,
//! unlink of a folder) is left to the file system, so that it is tested there.

use super::{Outcome, Place, Player, Seen, Views};
use crate::op::{Op, Path, SLOTS, Slot};
use coffer_fs::types::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

mod act;
mod look;
mod rename;

/// The largest write that the kernel sends at once, in bytes.
const MAX_WRITE: usize = 1 << 20;

/// A file system that can be made durable and mounted anew.
pub trait Bench {
    /// What is called.
    type Fs: FileSystem;
    /// What to call it in a report.
    fn name(&self) -> String;
    /// The file system as it is mounted now.
    fn fs(&self) -> Arc<Self::Fs>;
    /// Makes everything durable.
    fn sync(&mut self);
    /// Unmounts in order, and mounts again. No file is open.
    fn remount(&mut self);
    /// Verifies what is stored, beyond what a player can see.
    ///
    /// # Errors
    /// What is not sound, in words.
    fn verify(&mut self) -> std::result::Result<(), String> {
        Ok(())
    }
}

struct Open {
    ino: Ino,
    handle: Handle,
    mode: OpenMode,
}

/// A player on a [`Bench`].
pub struct Direct<B: Bench> {
    bench: B,
    who: Caller,
    slots: [Option<Open>; SLOTS],
    /// Lookups not yet forgotten.
    known: BTreeMap<Ino, u64>,
}

type Played = Result<Outcome>;

impl<B: Bench> Direct<B> {
    /// A player as root, with nothing open.
    pub fn new(bench: B) -> Direct<B> {
        Direct {
            bench,
            who: Caller::default(),
            slots: Default::default(),
            known: BTreeMap::new(),
        }
    }

    /// What it plays on.
    pub fn bench(&self) -> &B {
        &self.bench
    }

    /// What it plays on, to be changed behind its back: only after [`Direct::let_go`].
    pub fn bench_mut(&mut self) -> &mut B {
        &mut self.bench
    }

    /// Closes every file and forgets every inode, as before an unmount.
    pub fn let_go(&mut self) {
        (0..SLOTS as Slot).for_each(|slot| {
            self.close(slot);
        });
        self.forget();
    }

    fn fs(&self) -> Arc<B::Fs> {
        self.bench.fs()
    }

    fn forget(&mut self) {
        let fs = self.fs();
        for (ino, count) in std::mem::take(&mut self.known) {
            fs.forget(ino, count);
        }
    }

    fn counted(&mut self, attr: Attr) -> Attr {
        *self.known.entry(attr.ino).or_default() += 1;
        attr
    }

    fn lookup(&mut self, parent: Ino, name: &[u8]) -> Result<Attr> {
        let attr = self.fs().lookup(parent, name)?;
        Ok(self.counted(attr))
    }

    /// The last name is not followed, and nor is any symlink on the way.
    fn walk<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>) -> Result<Attr> {
        let mut at = self.fs().getattr(ROOT)?;
        for name in names {
            at = match at.kind {
                Kind::Folder => self.lookup(at.ino, name)?,
                Kind::Symlink => return Err(Errno(libc::ELOOP)),
                _ => return Err(Errno(libc::ENOTDIR)),
            };
        }
        Ok(at)
    }

    fn find(&mut self, path: &Path) -> Result<Attr> {
        self.walk(path.names())
    }

    /// The folder that holds the path's last name, and that name. `None` for the root.
    fn parent(&mut self, path: &Path) -> Result<Option<(Ino, &'static [u8])>> {
        let Some((above, name)) = path.split() else {
            return Ok(None);
        };
        let above = self.find(&above)?;
        match above.kind {
            Kind::Folder => Ok(Some((above.ino, name))),
            Kind::Symlink => Err(Errno(libc::ELOOP)),
            _ => Err(Errno(libc::ENOTDIR)),
        }
    }

    /// Looks whether the name is there, as the kernel does before it makes one.
    fn peek(&mut self, parent: Ino, name: &[u8]) -> Result<Option<Attr>> {
        match self.lookup(parent, name) {
            Ok(attr) => Ok(Some(attr)),
            Err(Errno(libc::ENOENT)) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn close(&mut self, slot: Slot) -> Outcome {
        match self.slots[usize::from(slot)].take() {
            Some(open) => {
                self.fs().release(open.ino, open.handle);
                Outcome::Done
            }
            None => Outcome::Skipped,
        }
    }

    fn slot(&self, slot: Slot) -> Option<(Ino, Handle, OpenMode)> {
        self.slots[usize::from(slot)]
            .as_ref()
            .map(|open| (open.ino, open.handle, open.mode))
    }
}

impl<B: Bench> Player for Direct<B> {
    fn name(&self) -> String {
        self.bench.name()
    }

    fn play(&mut self, op: &Op) -> Outcome {
        self.try_play(op)
            .unwrap_or_else(|Errno(errno)| Outcome::Failed(errno))
    }

    fn views(&mut self) -> Seen<Views> {
        self.look_at_all()
    }

    fn read(&mut self, place: &Place, offset: u64, len: u64) -> Seen<Vec<u8>> {
        self.with_open(place, |player, ino, handle| {
            player.read_through(ino, handle, offset, len)
        })
    }

    fn data(&mut self, place: &Place, size: u64) -> Seen<Vec<Range<u64>>> {
        self.with_open(place, |player, ino, handle| player.extents(ino, handle, size))
    }

    fn xattrs(&mut self, path: &[Vec<u8>]) -> Seen<BTreeMap<Vec<u8>, Vec<u8>>> {
        self.all_xattrs(path)
    }
}
