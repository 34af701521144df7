//! The folder `.coffer` in the mount's root: `.coffer/history/PATH/` holds the versions of the file
//! at PATH, one file each, so that any program can look at them and compare them.
//!
//! A layer over the vault's file system: what has a number of the range in `nodes` is answered
//! here, everything else is passed on. Guarantees: nothing here can be changed (EROFS); it is
//! found by its name and listed nowhere, so that no program walks into it unasked; whoever may
//! not enter the vault's root does not come in here (it is its owner's alone), and a version has the
//! owner of its file, or the mounter where that was removed. A real file of
//! that name in the root is what the name stands for, and then this is not there.
//!
//! What is shown is what is recorded, at most a moment ago, and the kernel remembers none of it
//! ([`FileSystem::lasts`]). Never writes, and no request here waits for a commit.
//!
//! Parts, each importing only those above it: `names`, `nodes`, `view`, `refusing` (what is done
//! with changes), and here reading.

mod names;
mod nodes;
mod refusing;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coffer_store::StoreError;
use coffer_store::vault::{OldVersion, Vault};
use parking_lot::Mutex;

use crate::patience::{LATER, may_wait};
use crate::types::{Attr, DirEntry, Errno, FileSystem, Handle, Ino, Kind, ROOT, Result, Time};
use crate::vaultfs::CofferFs;
use nodes::{Nodes, Place, Whose};
use view::{Entry, View};

/// The folder's name in the root.
pub const NAME: &[u8] = b".coffer";

/// Whether something real in the root has that name: then it is what is shown.
pub fn is_hidden(vault: &Vault) -> bool {
    vault.lookup(ROOT, NAME).is_ok()
}

/// Listings under way that are remembered: who lists goes on where it was.
const LISTINGS: usize = 32;
/// Permission bits of the folder that everything lies in.
const CLOSED: u16 = 0o500;
/// Those of the folders in it.
const OPEN: u16 = 0o755;

type Listing = Arc<Vec<Entry>>;

/// A vault's file system with its history in it.
pub struct WithHistory {
    inner: Arc<CofferFs>,
    view: View,
    nodes: Nodes,
    /// User and group of whoever mounted it.
    mounter: (u32, u32),
    opened: Mutex<HashMap<Handle, Arc<OldVersion>>>,
    handles: AtomicU64,
    listings: Mutex<Vec<(Ino, Listing)>>,
}

impl WithHistory {
    /// Over this one.
    pub fn new(inner: Arc<CofferFs>) -> WithHistory {
        WithHistory {
            view: View::new(inner.vault().clone()),
            inner,
            nodes: Nodes::default(),
            mounter: (
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            ),
            opened: Mutex::default(),
            handles: AtomicU64::new(1),
            listings: Mutex::default(),
        }
    }

    /// How long nobody has asked for anything.
    pub fn idle(&self) -> Duration {
        self.inner.idle()
    }

    fn vault(&self) -> &Vault {
        self.inner.vault()
    }

    /// Whether a name in a folder is that of ours, and nothing real has it.
    fn is_ours(&self, parent: Ino, name: &[u8]) -> bool {
        parent == ROOT && name == NAME && !is_hidden(self.vault())
    }

    fn place(&self, ino: Ino) -> Result<Place> {
        self.inner.touch();
        self.nodes.get(ino).ok_or(Errno(libc::ESTALE))
    }

    /// What stat(2) shows. A folder's time is the present one: so the kernel takes no listing
    /// of it for current that it still has.
    fn attr(&self, ino: Ino, place: &Place) -> Result<Attr> {
        let owner = self.inner.getattr(ROOT)?;
        let now = Time::now();
        let folder = Attr {
            ino,
            size: 0,
            blocks: 0,
            atime: now,
            mtime: now,
            ctime: now,
            btime: owner.btime,
            kind: Kind::Folder,
            perm: OPEN,
            // How many folders are in it is not said.
            nlink: 1,
            uid: owner.uid,
            gid: owner.gid,
            rdev: 0,
        };
        match place {
            Place::Top => Ok(Attr {
                perm: CLOSED,
                ..folder
            }),
            Place::At(_) | Place::Earlier(..) => Ok(folder),
            Place::Version(whose, number) => {
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

    fn look_up(&self, parent: Ino, name: &[u8]) -> Result<Attr> {
        let place = match parent {
            ROOT => Place::Top,
            parent => {
                let folder = self.place(parent)?;
                match name {
                    b"." => folder,
                    b".." => match View::above(&folder) {
                        Some(above) => above,
                        None => return self.inner.lookup(ROOT, b"."),
                    },
                    name => self.view.lookup(&folder, name)?.0,
                }
            }
        };
        let ino = self.nodes.hold(&place);
        self.attr(ino, &place).inspect_err(|_| self.nodes.forget(ino, 1))
    }

    /// The entries of a folder, in an order that stays while somebody goes on listing it.
    fn listing(&self, ino: Ino, cookie: u64) -> Result<Listing> {
        let place = self.place(ino)?;
        let mut listings = self.listings.lock();
        if cookie > 0
            && let Some((_, listing)) = listings.iter().find(|(of, _)| *of == ino)
        {
            return Ok(listing.clone());
        }
        listings.retain(|(of, _)| *of != ino);
        drop(listings);
        let listing = Arc::new(self.view.list(&place)?);
        let mut listings = self.listings.lock();
        if listings.len() >= LISTINGS {
            listings.remove(0);
        }
        listings.push((ino, listing.clone()));
        Ok(listing)
    }

    /// The number of the folder above.
    fn above(&self, place: &Place) -> Ino {
        View::above(place).map_or(ROOT, |above| self.nodes.number(&above))
    }

    fn list(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>, &Place) -> bool) -> Result<()> {
        let listing = self.listing(ino, cookie)?;
        let place = self.place(ino)?;
        let above = self.above(&place);
        for (dot, name, to) in [(1, &b"."[..], ino), (2, b"..", above)] {
            let entry = DirEntry {
                cookie: dot,
                ino: to,
                kind: Kind::Folder,
                name,
            };
            if cookie < dot && !each(entry, &place) {
                return Ok(());
            }
        }
        let done = usize::try_from(cookie.saturating_sub(2)).unwrap_or(usize::MAX);
        for (at, entry) in listing.iter().enumerate().skip(done) {
            let shown = DirEntry {
                cookie: at as u64 + 3,
                ino: self.nodes.number(&entry.place),
                kind: entry.kind,
                name: &entry.name,
            };
            if !each(shown, &entry.place) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn list_plus(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()> {
        self.list(ino, cookie, &mut |entry, place| {
            if matches!(entry.name, b"." | b"..") {
                let attr = match entry.ino {
                    ROOT => self.inner.getattr(ROOT),
                    own => self.attr(own, &Place::At(Vec::new())),
                };
                return attr.is_ok_and(|attr| each(entry, &attr));
            }
            let held = self.nodes.hold(place);
            // One that was thinned out meanwhile is not listed.
            let Ok(attr) = self.attr(held, place) else {
                self.nodes.forget(held, 1);
                return true;
            };
            let more = each(DirEntry { ino: held, ..entry }, &attr);
            if !more {
                self.nodes.forget(held, 1);
            }
            more
        })
    }

    fn open_version(&self, ino: Ino) -> Result<Handle> {
        let Place::Version(whose, number) = self.place(ino)? else {
            return Err(Errno(libc::EISDIR));
        };
        let opened = self.vault().open_version(whose.into(), number);
        let opened = opened.map_err(|error| Errno(error.errno()))?;
        let handle = self.handles.fetch_add(1, Ordering::Relaxed);
        self.opened.lock().insert(handle, Arc::new(opened));
        Ok(handle)
    }

    fn handle(&self, handle: Handle) -> Result<Arc<OldVersion>> {
        let opened = self.opened.lock();
        opened.get(&handle).cloned().ok_or(Errno(libc::EBADF))
    }

    fn read_version(
        &self,
        ino: Ino,
        handle: Handle,
        offset: u64,
        size: u32,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.inner.touch();
        let opened = self.handle(handle)?;
        loop {
            match opened.read(self.vault(), offset, size as usize, out) {
                // Of no file that is there: nobody is told which.
                Err(StoreError::Absent(absent)) if may_wait() => self
                    .vault()
                    .bring(ino, absent)
                    .map_err(|error| Errno(error.errno()))?,
                Err(StoreError::Absent(_)) => return Err(LATER),
                done => return done.map_err(|error| Errno(error.errno())),
            }
        }
    }

    /// Where a symlink's version points to.
    fn target(&self, ino: Ino) -> Result<Vec<u8>> {
        let Place::Version(whose, number) = self.place(ino)? else {
            return Err(Errno(libc::EINVAL));
        };
        let opened = self.vault().open_version(whose.into(), number);
        let opened = opened.map_err(|error| Errno(error.errno()))?;
        if opened.info.kind != Kind::Symlink {
            return Err(Errno(libc::EINVAL));
        }
        let mut target = Vec::new();
        let read = opened.read(self.vault(), 0, libc::PATH_MAX as usize, &mut target);
        read.map_err(|error| Errno(error.errno()))?;
        Ok(target)
    }

    fn seek_version(&self, handle: Handle, offset: u64, data: bool) -> Result<u64> {
        match self.handle(handle)?.info.size {
            size if offset >= size => Err(Errno(libc::ENXIO)),
            // Which parts are holes is not looked at: all of it is data, and ends with a hole.
            _ if data => Ok(offset),
            size => Ok(size),
        }
    }
}
