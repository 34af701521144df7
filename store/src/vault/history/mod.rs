//! History: the versions of files, what was removed, and bringing either back.
//!
//! It owns the rows of the tables of versions and of removed nodes. Guarantees: a version that is
//! listed as held can be read, byte for byte as it was; what is restored is a version more, and
//! nothing of what was there before is lost; what is purged cannot be read by anybody who has only
//! what is stored from then on. It decides nothing about how versions come to be.

use super::{At, OpError, Vault};
use crate::core::StoreError;
use crate::event::{EventRef, Form};
use crate::ids::{EntityId, Ino, NodeId};
use crate::record::{Kind, Time};

/// One version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Counted from 1 for each file, in the order in which this device learnt of them; never given
    /// anew, so that numbers have gaps once versions were thinned.
    pub number: u64,
    /// Its event.
    pub at: EventRef,
    /// The versions that it was made from; more than one: a merge.
    pub parents: Vec<EventRef>,
    /// When its device recorded it. Shown, and decides nothing.
    pub recorded: Time,
    /// The file's modification time.
    pub modified: Time,
    /// Bytes.
    pub size: u64,
    /// How it merges.
    pub form: Form,
    /// A regular file or a symlink.
    pub kind: Kind,
    /// Permission bits.
    pub perm: u16,
    /// The name of the device that made it; its chain in hex where no name is known.
    pub device: String,
    /// The program that wrote it, where that was seen.
    pub program: Option<String>,
    /// Whether its bytes are kept: false once it was thinned out.
    pub held: bool,
}

/// Whose history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A file that is there.
    File(Ino),
    /// A removed one, by the node that is gone.
    Removed(NodeId),
}

/// A file or folder that was removed and can be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The node that is gone.
    pub node: NodeId,
    /// What it named; none: a folder.
    pub entity: Option<EntityId>,
    /// Where it was, from the root, without a leading slash; folders above it may be gone too.
    pub path: Vec<u8>,
    /// What it was.
    pub kind: Kind,
    /// When.
    pub removed: Time,
    /// Bytes of its last version.
    pub size: u64,
    /// How many versions are held.
    pub versions: u64,
}

/// An old version, open for reading.
pub struct OldVersion {
    /// What is known of it.
    pub info: VersionInfo,
}

impl OldVersion {
    /// Appends up to `len` bytes from `offset` to `out`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn read(
        &self,
        _vault: &Vault,
        _offset: u64,
        _len: usize,
        _out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }
}

/// What a purge destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Files with all their versions.
    pub files: u64,
    /// Versions.
    pub versions: u64,
}

/// What thinning let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinned {
    /// Versions.
    pub versions: u64,
    /// Removed files and folders that cannot be brought back any more.
    pub removed: u64,
}

/// How long versions are kept. A setting of the vault, the same on all its devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Every version, for so many days.
    pub all_days: u32,
    /// Then one a day, for so many days more; one a month after.
    pub daily_days: u32,
    /// Removed files, for so many days.
    pub removed_days: u32,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            all_days: 30,
            daily_days: 90,
            removed_days: 90,
        }
    }
}

impl Vault {
    /// All versions of a file, the oldest first, those saved just now included.
    ///
    /// # Errors
    /// As [`OpError`] says; ENOENT if it is not known.
    pub fn versions(&self, _of: Subject) -> Result<Vec<VersionInfo>, OpError> {
        Err(OpError::Errno(libc::ENOSYS))
    }

    /// Opens one by its number.
    ///
    /// # Errors
    /// ENOENT if there is none of that number, ESTALE if its bytes are not kept any more.
    pub fn open_version(&self, _of: Subject, _number: u64) -> Result<OldVersion, OpError> {
        Err(OpError::Errno(libc::ENOSYS))
    }

    /// Lets a file have the bytes, permissions and xattrs of one of its versions, in one step, as a
    /// version more. Open handles see it as a write by somebody else.
    ///
    /// # Errors
    /// As [`Vault::open_version`], and as [`OpError`] says; then it is as it was.
    pub fn restore_version(&self, _ino: Ino, _number: u64) -> Result<(), OpError> {
        Err(OpError::Errno(libc::ENOSYS))
    }

    /// Everything that was removed and can be brought back, the latest first.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn removed(&self) -> Result<Vec<Removed>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Brings one removed file or empty folder back, at a place that is free, with its history, at
    /// one of its versions or the last.
    ///
    /// # Errors
    /// As [`OpError`] says: EEXIST if the name is taken.
    pub fn bring_back(&self, _node: NodeId, _number: Option<u64>, _at: At<'_>) -> Result<Ino, OpError> {
        Err(OpError::Errno(libc::ENOSYS))
    }

    /// Destroys the history and keys of a removed file; or all versions but the present one of a
    /// file that is there. Its room is given back by the next collections.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn purge(&self, _of: Subject) -> Result<Purged, OpError> {
        Err(OpError::Errno(libc::ENOSYS))
    }

    /// How long versions are kept.
    pub fn retention(&self) -> Retention {
        Retention::default()
    }

    /// Sets it, for all devices.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn set_retention(&self, _retention: Retention) -> Result<(), OpError> {
        Err(OpError::Errno(libc::ENOSYS))
    }

    /// Lets go of versions and removed files by the retention, as of a time.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn thin(&self, _now: Time) -> Result<Thinned, StoreError> {
        Err(StoreError::Closed)
    }
}
