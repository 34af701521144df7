//! Operations on what was found: an open file, or what a path stands for.

use super::{Played, look};
use crate::op::{Flags, Op};
use crate::play::Outcome;
use coffer_fs::types::{Allocate, Kind, Seek, Time, XattrMode};
use rustix::fs::{self, AtFlags, FallocateFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, OwnedFd};

/// An operation on an open file.
pub(super) fn play_open(fd: &OwnedFd, flags: Flags, op: &Op) -> Played {
    match op {
        Op::Read { offset, len, .. } => return Ok(Outcome::Bytes(look::read(fd, *offset, *len)?)),
        Op::Write {
            offset, len, fill, ..
        } => {
            let data = fill.bytes(*len);
            // Once also when there is nothing to write: that may be an error too.
            let mut done = rustix::io::pwrite(fd, &data, *offset)?;
            while done < data.len() {
                done += rustix::io::pwrite(fd, &data[done..], offset + done as u64)?;
            }
            return Ok(Outcome::Count(*len));
        }
        Op::MapWrite {
            offset, len, fill, ..
        } => {
            let size = fs::fstat(fd)?.st_size as u64;
            if !flags.read || !flags.write || *offset >= size || *len == 0 {
                return Ok(Outcome::Skipped);
            }
            look::store_mapped(fd, *offset, &fill.bytes((*len).min(size - offset)))?;
        }
        Op::FTruncate { size, .. } => fs::ftruncate(fd, *size)?,
        Op::Allocate {
            offset, len, mode, ..
        } => {
            let how = match mode {
                Allocate::Reserve { keep_size: false } => FallocateFlags::empty(),
                Allocate::Reserve { keep_size: true } => FallocateFlags::KEEP_SIZE,
                Allocate::PunchHole => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
                Allocate::Zero { keep_size: false } => FallocateFlags::ZERO_RANGE,
                Allocate::Zero { keep_size: true } => FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
            };
            fs::fallocate(fd, how, *offset, *len)?;
        }
        Op::Seek { offset, seek, .. } => {
            let to = match seek {
                Seek::Data => fs::SeekFrom::Data(*offset),
                Seek::Hole => fs::SeekFrom::Hole(*offset),
            };
            return Ok(Outcome::Found(fs::seek(fd, to)?));
        }
        Op::Fsync { .. } => fs::fsync(fd)?,
        Op::FChmod { perm, .. } => fs::fchmod(fd, mode(*perm))?,
        _ => return Ok(Outcome::Broken(format!("{op:?} is not about an open file"))),
    }
    Ok(Outcome::Done)
}

/// An operation on what a path stands for.
pub(super) fn play_attr(fd: &OwnedFd, kind: Kind, op: &Op) -> Played {
    // A path descriptor takes few calls; its name under /proc takes all, and ends at it.
    let name = format!("/proc/self/fd/{}", fd.as_raw_fd());
    match op {
        Op::Truncate { size, .. } => match kind {
            Kind::File => {
                let file = fs::open(&name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
                fs::ftruncate(file, *size)?;
            }
            Kind::Folder => return Err(Errno::ISDIR),
            _ => return Ok(Outcome::Skipped),
        },
        Op::Chmod { .. } if kind == Kind::Symlink => return Ok(Outcome::Skipped),
        Op::Chmod { perm, .. } => fs::chmod(&name, mode(*perm))?,
        Op::Chown { uid, gid, .. } => {
            let (uid, gid) = (uid.map(fs::Uid::from_raw), gid.map(fs::Gid::from_raw));
            fs::chownat(fd, "", uid, gid, AtFlags::EMPTY_PATH)?;
        }
        Op::SetTimes { atime, mtime, .. } => {
            let spec = |time: &Option<Time>| match time {
                Some(time) => fs::Timespec {
                    tv_sec: time.sec,
                    tv_nsec: time.nsec.into(),
                },
                None => fs::Timespec {
                    tv_sec: 0,
                    tv_nsec: fs::UTIME_NOW,
                },
            };
            let times = fs::Timestamps {
                last_access: spec(atime),
                last_modification: spec(mtime),
            };
            fs::utimensat(fd, "", &times, AtFlags::EMPTY_PATH)?;
        }
        Op::SetXattr {
            name: attr,
            value,
            mode,
            ..
        } => {
            let flags = match mode {
                XattrMode::Set => fs::XattrFlags::empty(),
                XattrMode::Create => fs::XattrFlags::CREATE,
                XattrMode::Replace => fs::XattrFlags::REPLACE,
            };
            fs::setxattr(&name, &attr[..], value, flags)?;
        }
        Op::GetXattr { name: attr, .. } => {
            return Ok(Outcome::Bytes(look::getxattr(&name, attr)?));
        }
        Op::RemoveXattr { name: attr, .. } => fs::removexattr(&name, &attr[..])?,
        _ => return Ok(Outcome::Broken(format!("{op:?} is not about attributes"))),
    }
    Ok(Outcome::Done)
}

pub(super) fn mode(perm: u16) -> Mode {
    Mode::from_raw_mode(perm.into())
}

pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Folder => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::Fifo,
        Kind::Socket => FileType::Socket,
        Kind::CharDevice => FileType::CharacterDevice,
        Kind::BlockDevice => FileType::BlockDevice,
    }
}
