//! A plain file's attributes, as the vault keeps them.
//!
//! Guarantees that a symlink is never followed, and that a file whose owner cannot be kept loses
//! its set-id bits, as with cp(1).

use coffer_fs::types::{Kind, Time};
use coffer_store::record::{Meta, Xattrs};
use coffer_store::vault::Stat;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, statx};
use rustix::io::Errno;
use std::ffi::CStr;

/// The longest list of xattr names, and the longest value, that Linux gives out, in bytes.
const XATTR_MAX: usize = 64 << 10;

/// What stat(2) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) kind: FileType,
    perm: u16,
    uid: u32,
    gid: u32,
    /// In bytes.
    pub(super) size: u64,
    /// Bytes that are no holes.
    allocated: u64,
    pub(super) device: (u32, u32),
    pub(super) ino: u64,
    /// How many names it has.
    pub(super) links: u32,
    atime: Time,
    pub(super) mtime: Time,
    ctime: Time,
    btime: Option<Time>,
}

fn time(time: StatxTimestamp) -> Time {
    Time {
        sec: time.tv_sec,
        nsec: time.tv_nsec,
    }
}

impl Look {
    /// At a name in a folder.
    pub(super) fn at(folder: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<Look> {
        Look::by(folder, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// At an open file.
    pub(super) fn of(file: impl AsFd) -> rustix::io::Result<Look> {
        Look::by(file.as_fd(), c"", AtFlags::EMPTY_PATH)
    }

    fn by(file: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> rustix::io::Result<Look> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let stat: Statx = statx(file, name, flags | AtFlags::NO_AUTOMOUNT, wanted)?;
        let has_btime = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
        Ok(Look {
            kind: FileType::from_raw_mode(stat.stx_mode.into()),
            perm: stat.stx_mode & 0o7777,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            allocated: stat.stx_blocks.saturating_mul(512),
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            ino: stat.stx_ino,
            links: stat.stx_nlink,
            atime: time(stat.stx_atime),
            mtime: time(stat.stx_mtime),
            ctime: time(stat.stx_ctime),
            btime: has_btime.then(|| time(stat.stx_btime)),
        })
    }

    /// Whether nothing was done to it between the two.
    pub(super) fn is_as(&self, before: &Look) -> bool {
        let state = |look: &Look| (look.device, look.ino, look.size, look.mtime, look.ctime);
        state(self) == state(before)
    }

    /// Whether it has holes that are worth keeping.
    pub(super) fn is_sparse(&self) -> bool {
        self.allocated + (64 << 10) <= self.size
    }

    /// Whether a file in the vault counts as the same: kind, size and time of change.
    pub(super) fn is_there(&self, there: &Stat) -> bool {
        let file = there.meta.kind == Kind::File && self.kind == FileType::RegularFile;
        file && there.size == self.size && there.meta.mtime == self.mtime
    }

    /// What the vault is to keep.
    pub(super) fn meta(&self, kind: Kind, xattrs: Option<Box<Xattrs>>, owners: &Owners) -> Meta {
        let (uid, gid, kept) = owners.keep(self.uid, self.gid);
        let perm = if kept { self.perm } else { self.perm & !0o6000 };
        Meta {
            kind,
            perm: if kind == Kind::Symlink { 0o777 } else { perm },
            uid,
            gid,
            rdev: 0,
            nlink: 1,
            atime: self.atime,
            mtime: self.mtime,
            ctime: Time::now(),
            btime: self.btime.unwrap_or(self.mtime),
            xattrs,
        }
    }
}

/// Whose files this process may make.
#[derive(Clone, Debug)]
pub(super) struct Owners {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl Owners {
    /// As the kernel lets this process.
    pub(super) fn here() -> Owners {
        let groups = rustix::process::getgroups().unwrap_or_default();
        Owners {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            groups: groups.iter().map(|group| group.as_raw()).collect(),
        }
    }

    /// The owner and group of what this process makes.
    pub(super) fn me(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// The owner and group that a file of this owner and group gets, and whether they are the same.
    pub(super) fn keep(&self, uid: u32, gid: u32) -> (u32, u32, bool) {
        if self.uid == 0 {
            return (uid, gid, true);
        }
        let ours = gid == self.gid || self.groups.contains(&gid);
        let gid_kept = if ours { gid } else { self.gid };
        (self.uid, gid_kept, ours && uid == self.uid)
    }
}

/// A file's user attributes.
///
/// # Errors
/// As the file system says; one without such attributes has none.
pub(super) fn xattrs(file: impl AsFd) -> rustix::io::Result<Option<Box<Xattrs>>> {
    let file = file.as_fd();
    let len = match rustix::fs::flistxattr_query(file) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(None),
        found => found?,
    };
    let mut names = vec![0; len.clamp(1024, XATTR_MAX)];
    let len = rustix::fs::flistxattr(file, &mut names[..])?;
    let mut xattrs = Xattrs::new();
    let mut value = Vec::new();
    let user = names[..len].split_inclusive(|byte| *byte == 0);
    for name in user.filter(|name| name.starts_with(b"user.")) {
        let Ok(called) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        value.resize(XATTR_MAX, 0);
        let len = match rustix::fs::fgetxattr(file, called, &mut value[..]) {
            Err(Errno::NODATA) => continue, // it went in between
            found => found?,
        };
        xattrs.insert(called.to_bytes().to_vec(), value[..len].to_vec());
    }
    Ok((!xattrs.is_empty()).then(|| Box::new(xattrs)))
}

#[cfg(test)]
mod tests {
    use super::Owners;

    /// Guards whose files an ordinary user makes: own ones, in groups of hers; and that nobody
    /// gets the set-id bits of another's file.
    #[test]
    fn owners_are_kept_where_permitted() {
        let user = Owners {
            uid: 7,
            gid: 8,
            groups: vec![9],
        };
        assert_eq!(user.keep(7, 8), (7, 8, true));
        assert_eq!(user.keep(7, 9), (7, 9, true));
        assert_eq!(user.keep(7, 1), (7, 8, false));
        assert_eq!(user.keep(0, 8), (7, 8, false));
        let root = Owners { uid: 0, ..user };
        assert_eq!(root.keep(3, 4), (3, 4, true));
    }
}
