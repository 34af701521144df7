//! Attributes of what is shown here, and its bytes.
//!
//! Guarantees: a file's size is that of the bytes that are read. A folder's time is another one whenever it may list something
//! else, so that the kernel takes no listing for current that is not. Only a table is made for its size ([`LATER`]).
//!
//! [`LATER`]: crate::patience::LATER

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use coffer_store::vault::OldVersion;

use super::Shelf;
use super::entries::pointed;
use super::finding::NONE;
use super::place::Place;
use super::source::Body;
use crate::types::{Attr, Errno, FileSystem, Handle, Ino, Kind, ROOT, Result, Time};

/// Permission bits of the folder itself, of those in it (where a change is refused as what it is), and of a file.
const CLOSED: u16 = 0o500;
const OWN: u16 = 0o700;
const FILE: u16 = 0o400;
/// Real folders of which it is remembered what they held.
const SEEN: usize = 1024;

/// Something of ours that is open.
#[derive(Clone)]
pub(super) enum Opened {
    Version(Arc<OldVersion>),
    Table(u64, Arc<dyn Body>),
    Text(Arc<str>),
}

impl Opened {
    fn size(&self) -> u64 {
        match self {
            Opened::Version(version) => version.info.size,
            Opened::Table(_, body) => body.size(),
            Opened::Text(text) => text.len() as u64,
        }
    }
}

impl Shelf {
    /// What a folder shows if nothing else is said.
    pub(super) fn folder_attr(&self, ino: Ino) -> Result<Attr> {
        let owner = self.inner.getattr(ROOT)?;
        let now = Time::now();
        Ok(Attr {
            ino,
            size: 0,
            blocks: 0,
            atime: now,
            mtime: now,
            ctime: now,
            btime: owner.btime,
            kind: Kind::Folder,
            perm: CLOSED,
            // How many folders are in it is not said.
            nlink: 1,
            uid: owner.uid,
            gid: owner.gid,
            rdev: 0,
        })
    }

    /// What stat(2) shows.
    pub(super) fn attr(&self, ino: Ino, place: &Place) -> Result<Attr> {
        match place {
            Place::Table(number) => {
                let (body, time) = self.tables.as_ref().ok_or(NONE)?.body(*number)?;
                self.file_attr(ino, body.size(), time)
            }
            _ => self.rights_of(ino, place),
        }
    }

    fn file_attr(&self, ino: Ino, size: u64, time: Time) -> Result<Attr> {
        Ok(Attr {
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
            kind: Kind::File,
            perm: FILE,
            ..self.folder_attr(ino)?
        })
    }

    /// The same without what would have to be worked out.
    pub(super) fn rights_of(&self, ino: Ino, place: &Place) -> Result<Attr> {
        let folder = self.folder_attr(ino)?;
        match place {
            Place::Top => match self.real.top() {
                // Others do not come in, whatever the real one says: here is the past, too.
                Some(real) => {
                    let attr = self.real_attr(ino, real)?;
                    Ok(Attr {
                        perm: attr.perm & OWN,
                        uid: folder.uid,
                        gid: folder.gid,
                        ..attr
                    })
                }
                None => Ok(folder),
            },
            Place::Tables | Place::Searches => Ok(Attr { perm: OWN, ..folder }),
            Place::Views => match self.real.views() {
                Some(real) => self.real_attr(ino, real),
                None => Ok(Attr { perm: OWN, ..folder }),
            },
            Place::Folder(real) => self.real_attr(ino, *real),
            Place::Smart(..) | Place::Words(_) => {
                let query = self.query(place)?;
                let answers = self.answers.as_ref().ok_or(NONE)?;
                let saved = || query.map_or(Time::default(), |query| query.saved());
                let since = answers.since(place).unwrap_or_else(saved);
                // What is not known to be current has a mark of its own, or the kernel would not ask; seconds
                // change with what is shown alone, which is what programs that copy look at.
                let unknown = Time {
                    sec: since.sec,
                    ..folder.mtime
                };
                let mtime = answers
                    .current(place, query)
                    .map_or(unknown, |answer| answer.mark);
                Ok(Attr {
                    mtime,
                    ctime: since,
                    perm: OWN,
                    ..folder
                })
            }
            Place::Link(_, _, link) => {
                let target = self.real.at(pointed(link));
                let target = target.and_then(|target| self.inner.getattr(target).ok());
                let time = target.map_or(folder.btime, |target| target.mtime);
                Ok(Attr {
                    perm: 0o777,
                    kind: Kind::Symlink,
                    ..self.file_attr(ino, link.len() as u64, time)?
                })
            }
            Place::Error(_, text) => self.file_attr(ino, text.len() as u64, folder.mtime),
            Place::Table(number) => {
                let tables = self.tables.as_ref().ok_or(NONE)?;
                let (size, time) = tables.known(*number).unwrap_or((0, folder.mtime));
                self.file_attr(ino, size, time)
            }
            Place::Past(past) => self.history.attr(past, folder),
        }
    }

    /// A real folder's attributes, with a number of ours; changed by another device it may have the old times.
    fn real_attr(&self, ino: Ino, real: Ino) -> Result<Attr> {
        let attr = self.inner.getattr(real)?;
        let mut hasher = DefaultHasher::new();
        self.each_real(real, &mut |ino, kind, name| {
            (ino, kind as u8, name).hash(&mut hasher);
        })?;
        let (held, mut seen) = (hasher.finish(), self.seen.lock());
        if seen.len() >= SEEN && !seen.contains_key(&real) {
            seen.clear();
        }
        let (before, since) = seen.entry(real).or_insert((held, Time::default()));
        if *before != held {
            (*before, *since) = (held, Time::now());
        }
        Ok(Attr {
            ino,
            mtime: attr.mtime.max(*since),
            ctime: attr.ctime.max(*since),
            // Folders that queries make are counted by nobody: how many there are is not said.
            nlink: attr.nlink.min(1),
            ..attr
        })
    }

    /// Opens something of ours to read.
    pub(super) fn open_ours(&self, ino: Ino) -> Result<Handle> {
        let opened = match self.place(ino)? {
            Place::Past(past) => Opened::Version(Arc::new(self.history.open(&past)?)),
            Place::Error(_, text) => Opened::Text(text),
            Place::Table(number) => {
                let tables = self.tables.as_ref().ok_or(NONE)?;
                Opened::Table(number, tables.open(number)?)
            }
            Place::Link(..) => return Err(Errno(libc::ELOOP)),
            _ => return Err(Errno(libc::EISDIR)),
        };
        let handle = self.handles.fetch_add(1, Ordering::Relaxed);
        self.opened.lock().insert(handle, opened);
        Ok(handle)
    }

    /// It is closed.
    pub(super) fn close_ours(&self, handle: Handle) {
        let closed = self.opened.lock().remove(&handle);
        if let (Some(Opened::Table(number, _)), Some(tables)) = (closed, &self.tables) {
            tables.close(number);
        }
    }

    fn handle(&self, handle: Handle) -> Result<Opened> {
        self.opened.lock().get(&handle).cloned().ok_or(Errno(libc::EBADF))
    }

    /// Reads of something of ours that is open.
    pub(super) fn read_ours(
        &self,
        ino: Ino,
        handle: Handle,
        (offset, size): (u64, u32),
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.inner.touch();
        match self.handle(handle)? {
            Opened::Version(version) => return self.history.read(&version, ino, (offset, size), out),
            Opened::Table(_, body) => body.read(offset, size as usize, out),
            Opened::Text(text) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
                let to = from.saturating_add(size as usize).min(text.len());
                out.extend_from_slice(&text.as_bytes()[from..to]);
            }
        }
        Ok(())
    }

    /// Where a symlink of ours points to.
    pub(super) fn target(&self, ino: Ino) -> Result<Vec<u8>> {
        match self.place(ino)? {
            Place::Link(_, _, link) => Ok(link),
            Place::Past(past) => self.history.target(&past),
            _ => Err(Errno(libc::EINVAL)),
        }
    }

    /// Which parts are holes is not looked at: all of it is data, and ends with a hole.
    pub(super) fn seek_ours(&self, handle: Handle, offset: u64, data: bool) -> Result<u64> {
        match self.handle(handle)?.size() {
            size if offset >= size => Err(Errno(libc::ENXIO)),
            _ if data => Ok(offset),
            size => Ok(size),
        }
    }
}
