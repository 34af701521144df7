//! Looking at a directory through system calls.

use super::{Played, Site, Syscalls};
use crate::op::{Path, SLOTS, Slot};
use crate::play::{Outcome, Place, Seen, View, Views};
use coffer_fs::types::{Kind, Time};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;
use rustix::mm::{self, MapFlags, MsyncFlags, ProtFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

const PAGE: u64 = 4096;

/// An entry as getdents64(2) gives it: name, inode and kind.
type Listed = (Vec<u8>, u64, FileType);

impl<S: Site> Syscalls<S> {
    pub(super) fn read_folder(&mut self, path: &Path, batch: usize) -> Played {
        let folder = match self.parent(path)? {
            Some((above, name)) => open_folder(above, name)?,
            None => open_folder(self.root()?, OsStr::new("."))?,
        };
        // The smallest buffer that takes any name makes for many calls.
        let listed = list(&folder, 300 * batch)?;
        let mut names = BTreeSet::new();
        for (name, ino, file_type) in listed {
            if name == b"." || name == b".." {
                continue;
            }
            let stat = fs::statat(&folder, OsStr::from_bytes(&name), AtFlags::SYMLINK_NOFOLLOW)?;
            if (stat.st_ino, FileType::from_raw_mode(stat.st_mode)) != (ino, file_type) {
                return Ok(Outcome::Broken("readdir and stat disagree".into()));
            }
            if !names.insert((name.clone(), kind(&stat) as u8)) {
                return Ok(Outcome::Broken(format!(
                    "{} is listed twice",
                    name.escape_ascii()
                )));
            }
        }
        Ok(Outcome::Names(names))
    }

    /// Does something with a file at a place: through the slot if that may read, else
    /// through a descriptor opened for this.
    pub(super) fn with_open<T>(
        &self,
        place: &Place,
        work: impl FnOnce(&OwnedFd) -> Result<T, Errno>,
    ) -> Seen<T> {
        let run = || {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match place {
                Place::Open(slot) => {
                    let (fd, opened) = self.slot(*slot).ok_or(Errno::BADF)?;
                    if opened.read {
                        return work(fd);
                    }
                    let name = format!("/proc/self/fd/{}", fd.as_raw_fd());
                    work(&fs::open(
                        name,
                        flags.difference(OFlags::NOFOLLOW),
                        Mode::empty(),
                    )?)
                }
                Place::Named(names) => match names.split_last() {
                    Some((name, above)) => {
                        let above = self.folder(above.iter().map(Vec::as_slice))?;
                        work(&fs::openat(above, OsStr::from_bytes(name), flags, Mode::empty())?)
                    }
                    None => Err(Errno::ISDIR),
                },
            }
        };
        run().map_err(|errno| format!("{place:?} in {} cannot be read: {errno}", self.site.name()))
    }

    pub(super) fn all_xattrs(&self, path: &[Vec<u8>]) -> Seen<BTreeMap<Vec<u8>, Vec<u8>>> {
        let run = || -> Result<BTreeMap<_, _>, Errno> {
            let found = match path.split_last() {
                Some((name, above)) => {
                    let above = self.folder(above.iter().map(Vec::as_slice))?;
                    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    fs::openat(above, OsStr::from_bytes(name), flags, Mode::empty())?
                }
                None => self.root()?,
            };
            let place = format!("/proc/self/fd/{}", found.as_raw_fd());
            let mut names = vec![0; fs::listxattr_query(&place)?];
            if !names.is_empty() {
                let len = fs::listxattr(&place, &mut names[..])?;
                names.truncate(len);
            }
            let user = names
                .split(|byte| *byte == 0)
                .filter(|name| name.starts_with(b"user."));
            user.map(|name| Ok((name.to_vec(), getxattr(&place, name)?)))
                .collect()
        };
        run().map_err(|errno| format!("extended attributes in {}: {errno}", self.site.name()))
    }

    pub(super) fn look_at_all(&self) -> Seen<Views> {
        let mut views = Views::new();
        let run = |views: &mut Views| {
            look_into(
                &open_folder(self.root()?, OsStr::new("."))?,
                &mut Vec::new(),
                views,
            )?;
            for slot in 0..SLOTS as Slot {
                if let Some((fd, _)) = self.slot(slot) {
                    views.insert(Place::Open(slot), view(&fs::fstat(fd)?, None));
                }
            }
            Ok::<(), Errno>(())
        };
        run(&mut views).map_err(|errno| format!("looking at {}: {errno}", self.site.name()))?;
        Ok(views)
    }
}

fn look_into(folder: &OwnedFd, path: &mut Vec<Vec<u8>>, views: &mut Views) -> Result<(), Errno> {
    // Before it is read, which moves its atime.
    views.insert(Place::Named(path.clone()), view(&fs::fstat(folder)?, None));
    for (name, ..) in list(folder, 1 << 15)? {
        if name == b"." || name == b".." {
            continue;
        }
        let os_name = OsStr::from_bytes(&name);
        let stat = fs::statat(folder, os_name, AtFlags::SYMLINK_NOFOLLOW)?;
        path.push(name.clone());
        match kind(&stat) {
            Kind::Folder => look_into(&open_folder(folder, os_name)?, path, views)?,
            Kind::Symlink => {
                let target = fs::readlinkat(folder, os_name, [])?.into_bytes();
                views.insert(Place::Named(path.clone()), view(&stat, Some(target)));
            }
            _ => {
                views.insert(Place::Named(path.clone()), view(&stat, None));
            }
        }
        path.pop();
    }
    Ok(())
}

fn view(stat: &Stat, target: Option<Vec<u8>>) -> View {
    let time = |sec, nsec| Time {
        sec,
        nsec: nsec as u32,
    };
    View {
        ino: stat.st_ino,
        kind: kind(stat),
        perm: (stat.st_mode & 0o7777) as u16,
        uid: stat.st_uid,
        gid: stat.st_gid,
        nlink: stat.st_nlink as u32,
        size: if kind(stat) == Kind::Folder {
            0
        } else {
            stat.st_size as u64
        },
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        target,
    }
}

pub(super) fn kind(stat: &Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        _ => Kind::File,
    }
}

fn open_folder(above: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(above, name, flags, Mode::empty())
}

/// All entries, read with a buffer of so many bytes.
fn list(folder: &OwnedFd, buffer: usize) -> Result<Vec<Listed>, Errno> {
    let mut buffer = vec![MaybeUninit::uninit(); buffer];
    let mut entries = RawDir::new(folder, &mut buffer);
    let mut all = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        all.push((
            entry.file_name().to_bytes().to_vec(),
            entry.ino(),
            entry.file_type(),
        ));
    }
    Ok(all)
}

pub(super) fn read(fd: &OwnedFd, offset: u64, len: u64) -> Result<Vec<u8>, Errno> {
    let mut out = vec![0; len as usize];
    let mut done = 0;
    loop {
        let count = rustix::io::pread(fd, &mut out[done..], offset + done as u64)?;
        done += count;
        if count == 0 || done == out.len() {
            out.truncate(done);
            return Ok(out);
        }
    }
}

pub(super) fn extents(fd: &OwnedFd, size: u64) -> Result<Vec<Range<u64>>, Errno> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < size {
        let start = match fs::seek(fd, fs::SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            found => found?,
        };
        at = fs::seek(fd, fs::SeekFrom::Hole(start))?;
        if at <= start {
            return Err(Errno::UCLEAN);
        }
        all.push(start..at);
    }
    Ok(all)
}

pub(super) fn getxattr(place: &str, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; fs::getxattr_query(place, name)?];
    if !value.is_empty() {
        let len = fs::getxattr(place, name, &mut value[..])?;
        value.truncate(len);
    }
    Ok(value)
}

/// Stores into a shared mapping of the file, and syncs it.
pub(super) fn store_mapped(fd: &OwnedFd, offset: u64, data: &[u8]) -> Result<(), Errno> {
    let first = offset / PAGE * PAGE;
    let within = (offset - first) as usize;
    let len = within + data.len();
    // SAFETY: the mapping is new, is written only within its length and the file's size,
    // which nobody else changes, and is gone before this function is left.
    unsafe {
        let flags = ProtFlags::READ | ProtFlags::WRITE;
        let map = mm::mmap(std::ptr::null_mut(), len, flags, MapFlags::SHARED, fd, first)?;
        std::ptr::copy_nonoverlapping(data.as_ptr(), map.cast::<u8>().add(within), data.len());
        let synced = mm::msync(map, len, MsyncFlags::SYNC);
        mm::munmap(map, len)?;
        synced
    }
}
