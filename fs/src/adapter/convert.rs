//! Between the library's types and ours: attributes, times, flags, names.
//!
//! Guarantees: a time survives the way in and out to the nanosecond, also before 1970
//! and after 2038; nothing here panics, whatever the numbers. Never decides anything.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, Request, TimeOrNow};

use crate::patience::LATER;
use crate::types::{
    Access, Allocate, Attr, Caller, Errno, Kind, OpenMode, RenameMode, Result, SetTime, Time, XattrMode,
};

/// The longest name, as in every file system that programs are used to.
pub(super) const NAME_MAX: usize = 255;
/// What stat(2) calls the preferred block size; cp and cat read in steps of it.
const BLOCK_SIZE: u32 = 4096;

/// Our errno as the library's.
pub(super) fn errno(errno: Errno) -> fuser::Errno {
    match errno {
        // Of a request that nobody does again: it cannot be done here.
        LATER => fuser::Errno::from_i32(libc::EHOSTUNREACH),
        Errno(code) => fuser::Errno::from_i32(code),
    }
}

/// Who sent the request.
pub(super) fn caller(request: &Request) -> Caller {
    Caller {
        uid: request.uid(),
        gid: request.gid(),
        pid: request.pid(),
    }
}

/// A name's bytes, or ENAMETOOLONG.
pub(super) fn name(name: &OsStr) -> Result<&[u8]> {
    let bytes = name.as_bytes();
    if bytes.len() > NAME_MAX {
        Err(Errno(libc::ENAMETOOLONG))
    } else {
        Ok(bytes)
    }
}

/// The time that the kernel sent.
///
/// The library (0.18.0) decodes (sec, nsec) with sec < 0 as the epoch *minus* -sec
/// seconds *minus* nsec; that is undone here by reading the distance back as it was put in.
fn time_from_kernel(time: SystemTime) -> Time {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Time {
            sec: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            nsec: after.subsec_nanos(),
        },
        Err(before) => {
            let distance = before.duration();
            // 2^63 seconds wrap to i64::MIN, which is the time that was sent.
            Time {
                sec: (distance.as_secs() as i64).wrapping_neg(),
                nsec: distance.subsec_nanos(),
            }
        }
    }
}

/// What setattr is to make of a time.
pub(super) fn set_time(time: Option<TimeOrNow>) -> Option<SetTime> {
    time.map(|time| match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(at) => SetTime::At(time_from_kernel(at)),
    })
}

/// A time for the kernel (this direction the library encodes rightly); what no
/// `SystemTime` can hold is shown as 1970.
fn time_to_kernel(time: Time) -> SystemTime {
    let seconds = Duration::from_secs(time.sec.unsigned_abs());
    let whole = if time.sec < 0 {
        UNIX_EPOCH.checked_sub(seconds)
    } else {
        UNIX_EPOCH.checked_add(seconds)
    };
    whole
        .and_then(|whole| whole.checked_add(Duration::from_nanos(time.nsec.into())))
        .unwrap_or(UNIX_EPOCH)
}

/// A kind for the kernel.
pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Folder => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::CharDevice => FileType::CharDevice,
        Kind::BlockDevice => FileType::BlockDevice,
    }
}

/// The kind that mknod's mode names; `None` for what mknod(2) cannot make.
pub(super) fn kind_from_mode(mode: u32) -> Option<Kind> {
    match mode & libc::S_IFMT {
        // mknod(2): zero means a regular file.
        0 | libc::S_IFREG => Some(Kind::File),
        libc::S_IFIFO => Some(Kind::Fifo),
        libc::S_IFSOCK => Some(Kind::Socket),
        libc::S_IFCHR => Some(Kind::CharDevice),
        libc::S_IFBLK => Some(Kind::BlockDevice),
        _ => None,
    }
}

/// Attributes for the kernel.
pub(super) fn attributes(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino),
        size: attr.size,
        blocks: attr.blocks,
        atime: time_to_kernel(attr.atime),
        mtime: time_to_kernel(attr.mtime),
        ctime: time_to_kernel(attr.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(attr.kind),
        perm: attr.perm,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: attr.rdev,
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

/// The answer "there is no such name", in the form that the kernel may remember: inode 0.
pub(super) fn nothing() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

/// What execve(2) adds when it opens a program (`__FMODE_EXEC` in the kernel).
const FMODE_EXEC: i32 = 0o40;

/// open(2)'s flags.
pub(super) fn open_mode(flags: i32) -> OpenMode {
    let access = flags & libc::O_ACCMODE;
    OpenMode {
        // Access mode 3 asks for read and write permission; so does what we make of it.
        read: access != libc::O_WRONLY,
        write: access != libc::O_RDONLY,
        append: flags & libc::O_APPEND != 0,
        truncate: flags & libc::O_TRUNC != 0,
        execute: flags & FMODE_EXEC != 0,
    }
}

/// renameat2(2)'s flags; others than these two answer EINVAL.
pub(super) fn rename_mode(flags: u32) -> Result<RenameMode> {
    match flags {
        0 => Ok(RenameMode::Replace),
        libc::RENAME_NOREPLACE => Ok(RenameMode::NoReplace),
        libc::RENAME_EXCHANGE => Ok(RenameMode::Exchange),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// setxattr(2)'s flags.
pub(super) fn xattr_mode(flags: i32) -> Result<XattrMode> {
    match flags {
        0 => Ok(XattrMode::Set),
        libc::XATTR_CREATE => Ok(XattrMode::Create),
        libc::XATTR_REPLACE => Ok(XattrMode::Replace),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// fallocate(2)'s modes; others answer EOPNOTSUPP, as file systems do.
pub(super) fn allocate(mode: i32) -> Result<Allocate> {
    const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    const ZERO_KEEP: i32 = libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE;
    match mode {
        0 => Ok(Allocate::Reserve { keep_size: false }),
        libc::FALLOC_FL_KEEP_SIZE => Ok(Allocate::Reserve { keep_size: true }),
        PUNCH => Ok(Allocate::PunchHole),
        libc::FALLOC_FL_ZERO_RANGE => Ok(Allocate::Zero { keep_size: false }),
        ZERO_KEEP => Ok(Allocate::Zero { keep_size: true }),
        _ => Err(Errno(libc::EOPNOTSUPP)),
    }
}

/// What access(2) asks for.
pub(super) fn access(mask: fuser::AccessFlags) -> Access {
    Access((mask.bits() & 0o7) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As fuser 0.18.0 decodes what the kernel sends (its `system_time_from_time`).
    fn as_the_library_decodes(sec: i64, nsec: u32) -> SystemTime {
        if sec >= 0 {
            UNIX_EPOCH + Duration::new(sec as u64, nsec)
        } else {
            UNIX_EPOCH - Duration::new(sec.unsigned_abs(), nsec)
        }
    }

    /// Guards every sign and edge of the times that setattr brings.
    #[test]
    fn times_from_the_kernel() {
        for (sec, nsec) in [
            (0, 0),
            (0, 1),
            (-1, 0),
            (-1, 1),
            (-1, 999_999_999),
            (-86_400, 500_000_000),
            (4_294_967_296, 7),
            (i64::MAX, 999_999_999),
            (i64::MIN, 0),
            (-i64::MAX, 999_999_999),
        ] {
            let back = time_from_kernel(as_the_library_decodes(sec, nsec));
            assert_eq!(back, Time { sec, nsec });
        }
    }

    /// Guards the way out: half a second before 1970 lies between -1 and 0.
    #[test]
    fn times_to_the_kernel() {
        let half = time_to_kernel(Time {
            sec: -1,
            nsec: 500_000_000,
        });
        assert_eq!(half, UNIX_EPOCH - Duration::from_millis(500));
        assert_eq!(
            time_to_kernel(Time {
                sec: i64::MIN,
                nsec: 0
            }),
            UNIX_EPOCH - Duration::from_secs(1 << 63)
        );
        // Beyond any clock: shown as 1970, not a panic.
        assert_eq!(
            time_to_kernel(Time {
                sec: i64::MAX,
                nsec: u32::MAX
            }),
            UNIX_EPOCH
        );
    }

    /// Guards against a mode that punches where it should reserve, or the reverse.
    #[test]
    fn fallocate_modes() {
        assert_eq!(allocate(0), Ok(Allocate::Reserve { keep_size: false }));
        assert_eq!(allocate(3), Ok(Allocate::PunchHole));
        assert_eq!(allocate(0x11), Ok(Allocate::Zero { keep_size: true }));
        // Punching without keeping the size is no mode; nor is collapsing a range.
        assert_eq!(allocate(2), Err(Errno(libc::EOPNOTSUPP)));
        assert_eq!(allocate(8), Err(Errno(libc::EOPNOTSUPP)));
    }
}
