//! Playing a stream to several file systems at once, and comparing what each shows.
//!
//! A [`Player`] does operations on one file system and lets it be looked at: the model or
//! the vault's file system called directly ([`direct`]), or any directory through system
//! calls ([`syscalls`]). [`lockstep`] compares them.

pub mod direct;
pub mod lockstep;
pub mod syscalls;

use crate::op::{Op, Path, Slot};
use coffer_fs::types::{Ino, Kind, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

/// What an operation answered.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It worked.
    Done,
    /// There was nothing to do it to, or it is not played to such a file.
    Skipped,
    /// It failed with this errno.
    Failed(i32),
    /// It did this many bytes.
    Count(u64),
    /// It read these.
    Bytes(Vec<u8>),
    /// It found data or a hole here. Where exactly is the file system's to choose.
    Found(u64),
    /// It listed these names.
    Names(BTreeSet<(Vec<u8>, KindTag)>),
    /// It answered what no file system may.
    Broken(String),
}

/// A kind that can be ordered.
pub type KindTag = u8;

impl fmt::Debug for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done => out.write_str("done"),
            Outcome::Skipped => out.write_str("skipped"),
            Outcome::Failed(errno) => {
                write!(
                    out,
                    "failed: {} ({errno})",
                    std::io::Error::from_raw_os_error(*errno)
                )
            }
            Outcome::Count(count) => write!(out, "{count} bytes done"),
            Outcome::Bytes(bytes) => write!(out, "{} bytes read", bytes.len()),
            Outcome::Found(at) => write!(out, "found at {at}"),
            Outcome::Names(names) => {
                let names: Vec<String> = names
                    .iter()
                    .map(|(name, _)| name.escape_ascii().to_string())
                    .collect();
                write!(out, "names: {}", names.join(" "))
            }
            Outcome::Broken(what) => write!(out, "broken: {what}"),
        }
    }
}

/// Where a file can be found: under a path of raw names, or in a slot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The names from the root on.
    Named(Vec<Vec<u8>>),
    /// An open file.
    Open(Slot),
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Named(names) if names.is_empty() => out.write_str("/"),
            Place::Named(names) => names
                .iter()
                .try_for_each(|name| write!(out, "/{:.40}", name.escape_ascii().to_string())),
            Place::Open(slot) => write!(out, "slot {slot}"),
        }
    }
}

/// What stat(2) and readlink(2) show of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct View {
    /// Only says which places are one file.
    pub ino: Ino,
    pub kind: Kind,
    pub perm: u16,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u32,
    /// 0 for folders: theirs means nothing.
    pub size: u64,
    pub atime: Time,
    pub mtime: Time,
    pub ctime: Time,
    /// A symlink's.
    pub target: Option<Vec<u8>>,
}

/// All that can be seen, by place.
pub type Views = BTreeMap<Place, View>;

/// Something that a player saw and that must never be, in words.
pub type Seen<T> = std::result::Result<T, String>;

/// One file system under test.
pub trait Player {
    /// What to call it in a report.
    fn name(&self) -> String;
    /// Does it.
    fn play(&mut self, op: &Op) -> Outcome;
    /// Everything that stat shows, root and slots included.
    fn views(&mut self) -> Seen<Views>;
    /// Bytes of a regular file; fewer only at its end.
    fn read(&mut self, place: &Place, offset: u64, len: u64) -> Seen<Vec<u8>>;
    /// Where it says that a regular file of this size holds data.
    fn data(&mut self, place: &Place, size: u64) -> Seen<Vec<Range<u64>>>;
    /// The extended attributes of a file or a folder that has a name.
    fn xattrs(&mut self, path: &[Vec<u8>]) -> Seen<BTreeMap<Vec<u8>, Vec<u8>>>;
}

/// A stream's path as raw names.
pub fn raw(path: &Path) -> Vec<Vec<u8>> {
    path.names().map(<[u8]>::to_vec).collect()
}
