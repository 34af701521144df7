//! History: the versions of files, what was removed, and bringing either back.
//!
//! It owns the rows of the tables of versions and of removed nodes. Guarantees: a version that is
//! listed as held can be read, byte for byte as it was; what is restored is a version more, and
//! nothing of what was there before is lost; what is purged cannot be read by anybody who has only
//! what is stored from then on. It decides nothing about how versions come to be.
//!
//! Parts, each importing only those above it: `age` (how old something counts as), `look` (when it was looked at last), `rows` (the table of versions), `settings`, `debts`
//! (what still lies in packs and is to go), `removed` (what was removed), `living` (what is there),
//! `list`, `read` (one version's bytes), `merges`, `restore`, `back` (what was removed, brought back), `stand` (what is needed), `purge`, `anew` (texts with a long past), `thin`, `collect` (its part of giving room back).

mod age;
mod anew;
mod back;
mod collect;
mod debts;
mod list;
mod living;
mod look;
mod merges;
mod purge;
mod read;
mod removed;
mod restore;
mod rows;
mod settings;
mod stand;
mod thin;

use crate::event::{EventRef, Form};
use crate::ids::{EntityId, Ino, NodeId};
use crate::record::{Kind, Time};
pub use back::BringingBack;
pub(super) use debts::{Debts, UNKNOWN, note_pack, note_payload, pack_note, payload_note};
pub use merges::{Keep, Merge, MergeSide, MergeTexts, UndoError, Undone};
pub use read::OldVersion;
pub(super) use read::Reading;
pub(in crate::vault) use removed::GoneRow;
pub(crate) use removed::removed_aad;
pub(super) use restore::Bytes;
pub(crate) use rows::version_aad;
pub(super) use rows::{
    NewVersions, ToldAt, change_name, change_of, holds_chunks, last_serial, open_row, split_key,
};
pub(super) use settings::{Setting, Settings};
pub(super) use stand::Stand;

/// One version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Counted from 1 for each file, in the order in which this device learnt of them; never given
    /// anew, so that numbers have gaps once versions were thinned.
    pub number: u64,
    /// Its events, as far as they are kept: the one that told it, and each that changed attributes alone after it.
    pub events: Vec<EventRef>,
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
    /// A file that is there, whatever it stands for by then.
    File(Ino),
    /// What a file that is there stands for. A save may put another file in its place: `seen` showed
    /// it last, and is looked at first.
    Entity {
        /// The entity.
        entity: EntityId,
        /// The file.
        seen: Ino,
    },
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
    /// How many versions are held, as far as they were counted.
    pub versions: u64,
}

/// What a purge destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Files with all their versions.
    pub files: u64,
    /// Versions.
    pub versions: u64,
    /// What other devices have told of these files and this program has not read: what that was made from may be gone.
    pub unread: u64,
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
