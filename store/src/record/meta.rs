//! What a file is and what stat(2) shows of it: kind, times, xattrs, and their fields in
//! records.
//!
//! Guarantees: what is read has one encoding; a decoder refuses kinds, times and xattrs
//! that no file can have.

use std::collections::BTreeMap;

use crate::codec::{Malformed, Reader, Writer};

/// The longest xattr name, in bytes (Linux's own limit).
const XATTR_NAME_MAX: usize = 255;
/// The longest xattr value, in bytes (Linux's own limit).
pub const XATTR_VALUE_MAX: usize = 65536;
/// All xattrs of a file together, as [`xattrs_len`] counts, in bytes.
pub const XATTRS_MAX: usize = 1 << 20;
/// How many xattrs a file can have: their number is a `u16` in its records.
pub const XATTRS_COUNT_MAX: usize = u16::MAX as usize;

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A regular file.
    File = 1,
    /// A folder.
    Folder = 2,
    /// A symbolic link.
    Symlink = 3,
    /// A named pipe.
    Fifo = 4,
    /// A socket's name.
    Socket = 5,
    /// A character device.
    CharDevice = 6,
    /// A block device.
    BlockDevice = 7,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Result<Kind, Malformed> {
        Ok(match byte {
            1 => Kind::File,
            2 => Kind::Folder,
            3 => Kind::Symlink,
            4 => Kind::Fifo,
            5 => Kind::Socket,
            6 => Kind::CharDevice,
            7 => Kind::BlockDevice,
            _ => return Err(Malformed("a file of an unknown kind")),
        })
    }

    /// Whether it is of this machine only and never published.
    pub fn is_local(self) -> bool {
        matches!(
            self,
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice
        )
    }
}

/// Seconds since 1970 (floor) and nanoseconds to add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds, floor: half a second before 1970 is -1.
    pub sec: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nsec: u32,
}

impl Time {
    /// The beginning of a second since 1970.
    pub(crate) fn of(sec: i64) -> Time {
        Time { sec, nsec: 0 }
    }

    /// The clock's time.
    pub fn now() -> Time {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Time {
            sec: t.tv_sec,
            nsec: t.tv_nsec as u32,
        }
    }
}

/// Extended attributes, by name.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// What stat(2) shows of a file, but its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Permission, set-id and sticky bits.
    pub perm: u16,
    /// Owner; local.
    pub uid: u32,
    /// Group; local.
    pub gid: u32,
    /// Device number; local.
    pub rdev: u32,
    /// Names (for a folder kept by the tree).
    pub nlink: u32,
    /// Access; local.
    pub atime: Time,
    /// Change of content.
    pub mtime: Time,
    /// Change of attributes; local.
    pub ctime: Time,
    /// Creation.
    pub btime: Time,
    /// User xattrs.
    pub xattrs: Option<Box<Xattrs>>,
}

pub(crate) fn put_time(w: &mut Writer, t: Time) {
    w.i64(t.sec).u32(t.nsec);
}

pub(crate) fn get_time(r: &mut Reader<'_>) -> Result<Time, Malformed> {
    lawful(r.i64()?, r.u32()?)
}

fn lawful(sec: i64, nsec: u32) -> Result<Time, Malformed> {
    match nsec < 1_000_000_000 {
        true => Ok(Time { sec, nsec }),
        false => Err(Malformed("a time has more than a second of nanoseconds")),
    }
}

/// A time, its seconds as a zigzag. Nanoseconds are any: LEB128 would have more bytes for them.
pub(crate) fn put_short(w: &mut Writer, t: Time) {
    w.zigzag(t.sec).u32(t.nsec);
}

pub(crate) fn get_short(r: &mut Reader<'_>) -> Result<Time, Malformed> {
    lawful(r.zigzag()?, r.u32()?)
}

/// A time that is likely to be near another: the difference of their seconds, modulo 2⁶⁴, as a zigzag,
/// and its nanoseconds.
pub(crate) fn put_near(w: &mut Writer, t: Time, other: Time) {
    let sec = t.sec.wrapping_sub(other.sec);
    put_short(w, Time { sec, ..t });
}

pub(crate) fn get_near(r: &mut Reader<'_>, other: Time) -> Result<Time, Malformed> {
    let t = get_short(r)?;
    Ok(Time {
        sec: t.sec.wrapping_add(other.sec),
        ..t
    })
}

/// The bytes that xattrs take in a record: a name, a value and their lengths each.
pub fn xattrs_len(xattrs: &Xattrs) -> usize {
    xattrs.iter().map(|(n, v)| n.len() + v.len() + 8).sum()
}

pub(crate) fn put_xattrs(w: &mut Writer, xattrs: Option<&Xattrs>) {
    let count = xattrs.map_or(0, |x| x.len());
    w.u16(u16::try_from(count).expect("whoever sets an xattr keeps to XATTRS_COUNT_MAX"));
    for (name, value) in xattrs.into_iter().flatten() {
        w.bytes(name).bytes(value);
    }
}

pub(crate) fn get_xattrs(r: &mut Reader<'_>) -> Result<Option<Box<Xattrs>>, Malformed> {
    let count = r.u16()?;
    let mut xattrs = Xattrs::new();
    for _ in 0..count {
        let name = r.bytes(XATTR_NAME_MAX)?;
        let value = r.bytes(XATTR_VALUE_MAX)?;
        // One set has one encoding: names ascend, and none comes twice.
        let ascends = xattrs.last_key_value().is_none_or(|(last, _)| &last[..] < name);
        if name.is_empty() || !ascends {
            return Err(Malformed("xattrs without a name, twice or out of order"));
        }
        xattrs.insert(name.to_vec(), value.to_vec());
    }
    if xattrs_len(&xattrs) > XATTRS_MAX {
        return Err(Malformed("more xattrs than a file can have"));
    }
    Ok((!xattrs.is_empty()).then(|| Box::new(xattrs)))
}
