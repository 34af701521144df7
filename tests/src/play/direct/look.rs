//! Looking at a file system without a kernel: the whole tree, contents, attributes. Along
//! the way it checks that different ways to ask give one answer.

use super::{Bench, Direct, Played};
use crate::op::{Path, SLOTS, Slot};
use crate::play::{Outcome, Place, Seen, View, Views};
use coffer_fs::types::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// How much is read at once, in bytes.
const PIECE: u64 = 1 << 20;

/// An entry as readdir gave it: cookie, inode, kind and name.
type Listed = (u64, Ino, Kind, Vec<u8>);

impl<B: Bench> Direct<B> {
    /// Reads a folder in pieces, going on by cookie; `.` and `..` first.
    fn list(&mut self, ino: Ino, batch: usize, plus: bool) -> Result<Vec<Listed>> {
        let fs = self.bench.fs();
        let (mut all, mut cookie) = (Vec::<Listed>::new(), 0);
        loop {
            let before = all.len();
            let mut take = |entry: DirEntry<'_>| {
                let room = all.len() - before < batch;
                if room {
                    all.push((entry.cookie, entry.ino, entry.kind, entry.name.to_vec()));
                }
                room
            };
            if plus {
                let mut attrs = Vec::new();
                fs.readdir_plus(ino, cookie, &mut |entry, attr| {
                    let took = take(entry);
                    if took && entry.cookie > 2 {
                        attrs.push(*attr);
                    }
                    took
                })?;
                for attr in attrs {
                    self.counted(attr);
                    // A file at rest may be stored anew in between, and take more room or less.
                    let now = fs.getattr(attr.ino)?;
                    let blocks = attr.blocks;
                    if (Attr { blocks, ..now }) != attr {
                        return Err(Errno(libc::EUCLEAN));
                    }
                }
            } else {
                fs.readdir(ino, cookie, &mut take)?;
            }
            match all.last() {
                Some(last) if all.len() > before => cookie = last.0,
                _ => return Ok(all),
            }
        }
    }

    pub(super) fn read_folder(&mut self, path: &Path, batch: usize) -> Played {
        let attr = self.find(path)?;
        if attr.kind != Kind::Folder {
            return Err(Errno(libc::ENOTDIR));
        }
        let listed = self.list(attr.ino, batch, batch.is_multiple_of(2))?;
        let dots: Vec<&[u8]> = listed.iter().take(2).map(|entry| &entry.3[..]).collect();
        if dots != [&b"."[..], &b".."[..]] || listed[0].1 != attr.ino {
            return Ok(Outcome::Broken("readdir does not begin with . and ..".into()));
        }
        let mut names = BTreeSet::new();
        for (_, ino, kind, name) in &listed[2..] {
            let found = self.lookup(attr.ino, name)?;
            if (found.ino, found.kind) != (*ino, *kind) {
                return Ok(Outcome::Broken("readdir and lookup disagree".into()));
            }
            if !names.insert((name.clone(), *kind as u8)) {
                return Ok(Outcome::Broken(format!(
                    "{} is listed twice",
                    name.escape_ascii()
                )));
            }
        }
        Ok(Outcome::Names(names))
    }

    pub(super) fn read_through(
        &mut self,
        ino: Ino,
        handle: Handle,
        offset: u64,
        len: u64,
    ) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        while (out.len() as u64) < len {
            let want = (len - out.len() as u64).min(PIECE);
            let before = out.len() as u64;
            self.bench
                .fs()
                .read(ino, handle, offset + before, want as u32, &mut out)?;
            if (out.len() as u64) < before + want {
                break;
            }
        }
        Ok(out)
    }

    /// Between two questions a file that is at rest may be stored anew, and what was data be a hole
    /// by then: then all is asked again. It must hold still before long.
    pub(super) fn extents(&mut self, ino: Ino, handle: Handle, size: u64) -> Result<Vec<Range<u64>>> {
        for _ in 0..8 {
            if let Some(all) = self.extents_once(ino, handle, size)? {
                return Ok(all);
            }
        }
        Err(Errno(libc::EUCLEAN))
    }

    fn extents_once(&self, ino: Ino, handle: Handle, size: u64) -> Result<Option<Vec<Range<u64>>>> {
        let fs = self.bench.fs();
        let (mut all, mut at) = (Vec::new(), 0);
        while at < size {
            let start = match fs.lseek(ino, handle, at, Seek::Data) {
                Err(Errno(libc::ENXIO)) => break,
                found => found?,
            };
            at = fs.lseek(ino, handle, start, Seek::Hole)?;
            if at <= start {
                return Ok(None);
            }
            all.push(start..at);
        }
        Ok(Some(all))
    }

    /// Does something with a file at a place: through the slot's handle if that may read,
    /// else through one opened for this.
    pub(super) fn with_open<T>(
        &mut self,
        place: &Place,
        work: impl FnOnce(&mut Self, Ino, Handle) -> Result<T>,
    ) -> Seen<T> {
        let fs = self.bench.fs();
        let run = || {
            let (ino, open) = match place {
                Place::Named(names) => (self.walk(names.iter().map(Vec::as_slice))?.ino, None),
                Place::Open(slot) => {
                    let (ino, handle, mode) = self.slot(*slot).ok_or(Errno(libc::EBADF))?;
                    (ino, Some(handle).filter(|_| mode.read))
                }
            };
            let handle = match open {
                Some(handle) => handle,
                None => fs.open(
                    self.who,
                    ino,
                    OpenMode {
                        read: true,
                        ..OpenMode::default()
                    },
                )?,
            };
            let result = work(self, ino, handle);
            if open.is_none() {
                fs.release(ino, handle);
            }
            result
        };
        run().map_err(|Errno(errno)| format!("{place:?} cannot be read: errno {errno}"))
    }

    pub(super) fn all_xattrs(&mut self, path: &[Vec<u8>]) -> Seen<BTreeMap<Vec<u8>, Vec<u8>>> {
        let fs = self.bench.fs();
        let mut run = || -> Result<BTreeMap<_, _>> {
            let ino = self.walk(path.iter().map(Vec::as_slice))?.ino;
            let names = fs.listxattr(ino)?;
            let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
            names
                .map(|name| Ok((name.to_vec(), fs.getxattr(ino, name)?)))
                .collect()
        };
        run().map_err(|Errno(errno)| format!("extended attributes of {path:?}: errno {errno}"))
    }

    pub(super) fn look_at_all(&mut self) -> Seen<Views> {
        let mut views = Views::new();
        let root = self
            .bench
            .fs()
            .getattr(ROOT)
            .map_err(|errno| format!("the root: {errno:?}"))?;
        self.look_into(Vec::new(), root, &mut views)?;
        for slot in 0..SLOTS as Slot {
            if let Some((ino, ..)) = self.slot(slot) {
                let attr = self
                    .bench
                    .fs()
                    .getattr(ino)
                    .map_err(|errno| format!("slot {slot}: {errno:?}"))?;
                views.insert(Place::Open(slot), self.view(&attr)?);
            }
        }
        Ok(views)
    }

    fn look_into(&mut self, path: Vec<Vec<u8>>, attr: Attr, views: &mut Views) -> Seen<()> {
        let place = Place::Named(path.clone());
        let error = |errno| format!("{place:?}: {errno:?}");
        // Before it is read, which moves its atime.
        let view = self.view(&attr)?;
        views.insert(place.clone(), view);
        if attr.kind == Kind::Folder {
            for (_, ino, _, name) in self.list(attr.ino, usize::MAX, true).map_err(error)? {
                if name == b"." || name == b".." {
                    continue;
                }
                let found = self.lookup(attr.ino, &name).map_err(error)?;
                if found.ino != ino {
                    return Err(format!("readdir and lookup disagree in {place:?}"));
                }
                let mut below = path.clone();
                below.push(name);
                self.look_into(below, found, views)?;
            }
        }
        Ok(())
    }

    fn view(&mut self, attr: &Attr) -> Seen<View> {
        let target = match attr.kind {
            Kind::Symlink => Some(
                self.bench
                    .fs()
                    .readlink(attr.ino)
                    .map_err(|errno| format!("a symlink: {errno:?}"))?,
            ),
            _ => None,
        };
        Ok(View {
            ino: attr.ino,
            kind: attr.kind,
            perm: attr.perm,
            uid: attr.uid,
            gid: attr.gid,
            nlink: attr.nlink,
            size: if attr.kind == Kind::Folder { 0 } else { attr.size },
            atime: attr.atime,
            mtime: attr.mtime,
            ctime: attr.ctime,
            target,
        })
    }
}
