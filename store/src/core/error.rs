//! What can go wrong while the store does what it is asked, in words for a person.

use crate::chunk::PackError;
use crate::codec::Malformed;
use crate::db::DbError;
use crate::keys::{ChunkId, Tampered};
use crate::record::ChunkRef;

/// A piece of a file that other devices hold and this one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent(pub(crate) ChunkRef);

impl Absent {
    pub(crate) fn chunk(&self) -> ChunkRef {
        self.0
    }

    /// Its name.
    pub fn id(&self) -> ChunkId {
        self.0.id
    }
}

/// What can go wrong while the store does what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The packs.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Sealed bytes that do not open.
    #[error("{what} was altered or damaged")]
    Tampered {
        /// What it was meant to be.
        what: String,
    },
    /// Opened bytes that say nothing that we know.
    #[error("{what} cannot be read: {why}")]
    Malformed {
        /// What it was meant to be.
        what: String,
        /// What is wrong.
        why: Malformed,
    },
    /// Something that is named and is not there.
    #[error("{what} is missing from the vault")]
    Missing {
        /// What.
        what: String,
    },
    /// A piece of a file that other devices hold and this one does not: no damage.
    #[error("a part of this file is not on this device, and no device that has it is reached")]
    Absent(Absent),
    /// The disk has no room.
    #[error("there is no space left on the disk that holds the vault")]
    NoSpace,
    /// Somebody deleted or replaced what is open: nothing that is written will be found again.
    #[error(
        "{what} was deleted or replaced while the vault was open, and nothing can be saved in it any more; \
         copy what you need out of the mounted folder, end it with `coffer lock --force`, and restore a backup"
    )]
    Gone {
        /// What, with its article.
        what: String,
    },
    /// The file would be too large.
    #[error("no file can be that large")]
    TooBig,
    /// The vault is locked.
    #[error("the vault is locked")]
    Closed,
}

impl StoreError {
    /// The errno that a program using the folder should see.
    pub fn errno(&self) -> i32 {
        match self {
            StoreError::Db(e) => e.errno(),
            StoreError::Pack(e) => e.errno(),
            StoreError::NoSpace => libc::ENOSPC,
            StoreError::TooBig => libc::EFBIG,
            StoreError::Absent(_) => libc::EHOSTUNREACH,
            _ => libc::EIO,
        }
    }
    /// Whether this is what is stored, and not a disk that refuses: damage, or what is not on this device.
    pub fn is_damage(&self) -> bool {
        match self {
            StoreError::Tampered { .. } | StoreError::Malformed { .. } | StoreError::Missing { .. } => true,
            StoreError::Absent(_) => true,
            StoreError::Pack(e) => e.io_error().is_none() && !matches!(e, PackError::Doubtful { .. }),
            _ => false,
        }
    }
    /// What is lacking, if that is all.
    pub fn absent(&self) -> Option<Absent> {
        match self {
            StoreError::Absent(absent) => Some(*absent),
            _ => None,
        }
    }
    pub(crate) fn tampered(what: impl Into<String>) -> impl FnOnce(Tampered) -> StoreError {
        |_| StoreError::Tampered { what: what.into() }
    }
    pub(crate) fn malformed(what: impl Into<String>) -> impl FnOnce(Malformed) -> StoreError {
        |why| StoreError::Malformed {
            what: what.into(),
            why,
        }
    }
}
