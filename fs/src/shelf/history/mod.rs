//! The folder `.coffer/history`: `PATH/` in it holds the versions of the file at PATH, one file each, so
//! that any program can look at them and compare them.
//!
//! Guarantees: nothing of it is on the disk, and reading it changes nothing. A version has the owner of its
//! file, or the mounter where that was removed. What is shown is what is recorded, at most a moment ago.
//! Never writes, and no request here waits for a commit.
//!
//! Parts, each importing only those above it: `names`, `view` (what lies where), and here attributes and reading.

mod names;

mod view;

use std::sync::Arc;

use coffer_store::StoreError;
use coffer_store::vault::OldVersion;

use super::place::{Past, Whose};
use crate::patience::{LATER, may_wait};
use crate::types::{Attr, Errno, FileSystem, Ino, Kind, Result};
use crate::vaultfs::CofferFs;
use view::View;

/// Permission bits of the folders in it.
const OPEN: u16 = 0o755;

/// The past of a vault.
pub(super) struct History {
    inner: Arc<CofferFs>,
    view: View,
    /// User and group of whoever mounted it.
    mounter: (u32, u32),
}

impl History {
    /// Of this one.
    pub(super) fn new(inner: Arc<CofferFs>) -> History {
        History {
            view: View::new(inner.vault().clone()),
            inner,
            mounter: (
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            ),
        }
    }

    /// What stat(2) shows, where `folder` is what a folder shows.
    pub(super) fn attr(&self, place: &Past, folder: Attr) -> Result<Attr> {
        match place {
            Past::At(_) | Past::Earlier(..) => Ok(Attr { perm: OPEN, ..folder }),
            Past::Version(whose, number) => {
                let version = self.view.version(*whose, *number)?;
                // Of what was removed the mounter is left as the owner.
                let (uid, gid) = match whose {
                    Whose::File(real) => {
                        let real = self.inner.getattr(*real)?;
                        (real.uid, real.gid)
                    }
                    Whose::Removed(_) => self.mounter,
                };
                Ok(Attr {
                    size: version.size,
                    blocks: version.size.div_ceil(512),
                    atime: version.modified,
                    mtime: version.modified,
                    ctime: version.recorded,
                    btime: version.recorded,
                    kind: version.kind,
                    // A program of somebody else's that was set-id is not one here.
                    perm: version.perm & 0o777,
                    uid,
                    gid,
                    ..folder
                })
            }
        }
    }

    /// What a name in a folder stands for.
    pub(super) fn lookup(&self, folder: &Past, name: &[u8]) -> Result<Past> {
        Ok(self.view.lookup(folder, name)?.0)
    }

    /// Everything in a folder, in order.
    pub(super) fn list(&self, folder: &Past) -> Result<Vec<(Vec<u8>, Past, Kind)>> {
        let listed = self.view.list(folder)?.into_iter();
        Ok(listed
            .map(|entry| (entry.name, entry.place, entry.kind))
            .collect())
    }

    /// The place above; the root's is not in here.
    pub(super) fn above(place: &Past) -> Option<Past> {
        View::above(place)
    }

    /// Opens a version.
    pub(super) fn open(&self, place: &Past) -> Result<OldVersion> {
        let Past::Version(whose, number) = place else {
            return Err(Errno(libc::EISDIR));
        };
        let opened = self.inner.vault().open_version((*whose).into(), *number);
        opened.map_err(|error| Errno(error.errno()))
    }

    /// Reads of one that is open. `ino` is of no file that is there: nobody is told which.
    pub(super) fn read(
        &self,
        opened: &OldVersion,
        ino: Ino,
        (offset, size): (u64, u32),
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let vault = self.inner.vault();
        loop {
            match opened.read(vault, offset, size as usize, out) {
                Err(StoreError::Absent(absent)) if may_wait() => {
                    vault.bring(ino, absent).map_err(|error| Errno(error.errno()))?
                }
                Err(StoreError::Absent(_)) => return Err(LATER),
                done => return done.map_err(|error| Errno(error.errno())),
            }
        }
    }

    /// Where a symlink's version points to.
    pub(super) fn target(&self, place: &Past) -> Result<Vec<u8>> {
        if !matches!(place, Past::Version(..)) {
            return Err(Errno(libc::EINVAL));
        }
        let opened = self.open(place)?;
        if opened.info.kind != Kind::Symlink {
            return Err(Errno(libc::EINVAL));
        }
        let mut target = Vec::new();
        let read = opened.read(self.inner.vault(), 0, libc::PATH_MAX as usize, &mut target);
        read.map_err(|error| Errno(error.errno()))?;
        Ok(target)
    }
}
