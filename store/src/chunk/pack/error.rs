//! What can go wrong with packs, each in a sentence for a person. Names no content.

use std::io;

use super::{MAX_PAYLOAD, pack_name};

/// A failed operation on packs.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The system refused an operation on one pack. No space left is among these.
    #[error("cannot {action} {}: {source}", pack_name(*.pack))]
    Io {
        /// The pack's number.
        pack: u32,
        /// What was tried, as a verb.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The system refused an operation on the directory of the packs.
    #[error("cannot {action} the vault's directory: {source}")]
    Folder {
        /// What was tried, as a verb.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A pack is missing, cannot be opened, or is shorter than what was committed to it.
    #[error("{}", damaged(*.pack, *.have, *.want))]
    Damaged {
        /// The pack's number.
        pack: u32,
        /// Its length in bytes, if it is there and can be opened.
        have: Option<u64>,
        /// The length that was committed, in bytes.
        want: u64,
    },
    /// Nothing by this number was ever listed or found.
    #[error("the database names {}, which is not part of this vault; run `coffer check`", pack_name(*.pack))]
    Unknown {
        /// The pack's number.
        pack: u32,
    },
    /// A place that is not inside its pack, or a part that is not inside its place.
    #[error(
        "the database names {len} bytes at {offset} in {}, which lie outside it; run `coffer check`",
        pack_name(*.pack)
    )]
    Outside {
        /// The pack's number.
        pack: u32,
        /// The first byte, in bytes from the pack's start.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
    /// There is no whole record header in front of a place.
    #[error("{} holds no record at {offset}; run `coffer check --salvage DIR`", pack_name(*.pack))]
    NotARecord {
        /// The pack's number.
        pack: u32,
        /// Where its payload should be, in bytes from the pack's start.
        offset: u64,
    },
    /// A record longer than the format allows.
    #[error("a record of {len} bytes is too large: at most {MAX_PAYLOAD} go into one")]
    TooLarge {
        /// The payload's length in bytes.
        len: usize,
    },
    /// An earlier attempt to make this pack durable failed, and what was appended to it
    /// since may be lost, whatever later attempts say.
    #[error(
        "the system failed to save {}, and its latest records may be lost; \
         free some space or check the disk, then mount the vault again",
        pack_name(*.pack)
    )]
    Doubtful {
        /// The pack's number.
        pack: u32,
    },
    /// All pack numbers are used up, or the database claims so.
    #[error("no pack number is left; run `coffer check`")]
    NoNumber,
}

impl PackError {
    /// What the system said, if it was the system.
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            PackError::Io { source, .. } | PackError::Folder { source, .. } => Some(source),
            _ => None,
        }
    }

    /// The errno that a program using the folder should see.
    pub fn errno(&self) -> i32 {
        self.io_error()
            .and_then(io::Error::raw_os_error)
            .unwrap_or(libc::EIO)
    }

    /// Whether the disk is full.
    pub fn is_no_space(&self) -> bool {
        self.io_error().is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        })
    }
}

fn damaged(pack: u32, have: Option<u64>, want: u64) -> String {
    let name = pack_name(pack);
    let what = match have {
        None => format!("{name} is missing or cannot be opened"),
        Some(have) => format!("{name} has only {have} of its {want} bytes"),
    };
    format!("{what}; put it back from a backup, or run `coffer check --salvage DIR`")
}
