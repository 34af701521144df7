//! The operations that a stream is made of, over a small space of names, slots and
//! offsets that is likely to collide.
//!
//! Guarantees that an operation says all of what it does: playing the same list twice
//! does the same twice. Paths and slots may stand for nothing; then the answer is an error.

use coffer_fs::types::{Allocate, Kind, RenameMode, Seek, Time, XattrMode};
use std::fmt;

/// The longest name there is: 255 bytes.
const LONGEST: [u8; 255] = [b'l'; 255];
/// One byte too long.
const TOO_LONG: [u8; 256] = [b'x'; 256];

/// The names. The first few are hot; the others differ only in case or in Unicode form,
/// are no text at all, are as long as can be or longer, or are those of editors' files.
pub const NAMES: [&[u8]; 16] = [
    b"a",
    b"b",
    b"c",
    b"d",
    b"A",
    "\u{e9}".as_bytes(),
    "e\u{301}".as_bytes(),
    b"\xff\xfe",
    b"note.md",
    b".note.md.swp",
    b"note.md~",
    b"4913",
    b"#note.md#",
    b" ",
    &LONGEST,
    &TOO_LONG,
];

/// How many open files a stream juggles.
pub const SLOTS: usize = 6;

/// A path from the root of the tree: indices into [`NAMES`]. Empty: the root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub Vec<u8>);

impl Path {
    /// The names along the path.
    pub fn names(&self) -> impl Iterator<Item = &'static [u8]> + '_ {
        self.0.iter().map(|index| NAMES[usize::from(*index)])
    }

    /// The path without its last name, and that name; none for the root.
    pub fn split(&self) -> Option<(Path, &'static [u8])> {
        let (last, above) = self.0.split_last()?;
        Some((Path(above.to_vec()), NAMES[usize::from(*last)]))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in self.names() {
            match name.len() {
                0..=20 => write!(out, "/{}", name.escape_ascii())?,
                len => write!(out, "/{}×{len}", name[0].escape_ascii())?,
            }
        }
        if self.0.is_empty() {
            out.write_str("/")
        } else {
            Ok(())
        }
    }
}

/// Bytes to write, told by a seed: the same seed, the same bytes. 0 means zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill(pub u32);

impl Fill {
    /// The first `len` bytes of it.
    pub fn bytes(self, len: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(len as usize + 8);
        let mut state = u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        while (out.len() as u64) < len {
            // xorshift64 (Marsaglia 2003): its fixed point 0 gives the zeros.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            out.extend_from_slice(&state.to_le_bytes());
        }
        out.truncate(len as usize);
        out
    }
}

/// open(2)'s flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Flags {
    pub read: bool,
    pub write: bool,
    pub append: bool,
    pub truncate: bool,
    pub create: bool,
    pub exclusive: bool,
}

/// A slot of an open file, below [`SLOTS`].
pub type Slot = u8;

/// One operation. Offsets and lengths are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Op {
    Mkdir {
        path: Path,
        perm: u16,
    },
    Mknod {
        path: Path,
        kind: Kind,
        perm: u16,
    },
    Symlink {
        path: Path,
        target: Vec<u8>,
    },
    Link {
        from: Path,
        to: Path,
    },
    Unlink {
        path: Path,
    },
    Rmdir {
        path: Path,
    },
    Rename {
        from: Path,
        to: Path,
        mode: RenameMode,
    },
    Readlink {
        path: Path,
    },
    /// Reads a folder in pieces of `batch` entries.
    ReadDir {
        path: Path,
        batch: usize,
    },
    /// Closes what is in the slot, then opens (regular files only). `blind`: without
    /// having looked, as a kernel does whose cache says that the name is free.
    Open {
        slot: Slot,
        path: Path,
        flags: Flags,
        perm: u16,
        blind: bool,
    },
    Close {
        slot: Slot,
    },
    Read {
        slot: Slot,
        offset: u64,
        len: u64,
    },
    /// `kill_suid`: as a write by somebody without CAP_FSETID.
    Write {
        slot: Slot,
        offset: u64,
        len: u64,
        fill: Fill,
        kill_suid: bool,
    },
    /// Stores into a shared mapping, within the file's size.
    MapWrite {
        slot: Slot,
        offset: u64,
        len: u64,
        fill: Fill,
    },
    Truncate {
        path: Path,
        size: u64,
    },
    FTruncate {
        slot: Slot,
        size: u64,
    },
    Allocate {
        slot: Slot,
        offset: u64,
        len: u64,
        mode: Allocate,
    },
    Copy {
        from: Slot,
        from_offset: u64,
        to: Slot,
        to_offset: u64,
        len: u64,
    },
    Seek {
        slot: Slot,
        offset: u64,
        seek: Seek,
    },
    Fsync {
        slot: Slot,
    },
    Chmod {
        path: Path,
        perm: u16,
    },
    FChmod {
        slot: Slot,
        perm: u16,
    },
    Chown {
        path: Path,
        uid: Option<u32>,
        gid: Option<u32>,
    },
    /// `None`: to the clock's.
    SetTimes {
        path: Path,
        atime: Option<Time>,
        mtime: Option<Time>,
    },
    SetXattr {
        path: Path,
        name: Vec<u8>,
        value: Vec<u8>,
        mode: XattrMode,
    },
    GetXattr {
        path: Path,
        name: Vec<u8>,
    },
    RemoveXattr {
        path: Path,
        name: Vec<u8>,
    },
    /// From here on the caller is this user.
    Become {
        uid: u32,
        gid: u32,
    },
    /// The kernel forgets all that it had looked up.
    Forget,
    /// All is made durable.
    Sync,
    /// All files are closed, the file system is unmounted and mounted again.
    Remount,
}

impl Op {
    /// Whether everything is to be compared after it, not only what it changed.
    pub fn is_checkpoint(&self) -> bool {
        matches!(self, Op::Sync | Op::Remount)
    }
}
