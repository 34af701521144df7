//! Answers about the past.

mod packed;

use crate::wire::WirePath;
use crate::wire::history::Whose;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Counted from 1; thinned-out ones leave gaps.
    pub number: u64,
    /// When its device recorded it.
    pub recorded: Timestamp,
    /// The file's modification time.
    pub modified: Timestamp,
    /// Bytes.
    pub size: u64,
    /// “text” merges, “blob” does not.
    pub form: String,
    /// “file” or “symlink”.
    pub kind: String,
    /// The device that made it.
    pub device: String,
    /// The program that wrote it, where that was seen.
    pub program: Option<String>,
    /// Whether its bytes are kept.
    pub held: bool,
    /// The versions that it was made from; more than one: a merge.
    pub parents: Vec<u64>,
    /// How many events tell of it, as far as they are kept: one, and one for each time that only its
    /// attributes changed.
    pub events: u64,
}

/// A file's versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    /// Its path, from the vault's root.
    pub path: WirePath,
    /// How to ask for bytes.
    pub whose: Whose,
    /// When it was removed, if it was.
    pub removed: Option<Timestamp>,
    /// Whether the path named one version, which is the only one here.
    pub picked: bool,
    /// How many versions are known.
    pub total: u64,
    /// The newest first.
    #[serde(with = "packed")]
    pub versions: Vec<Version>,
    /// Bytes of the file now, or as it was removed.
    pub size: u64,
    /// Whether it has bytes now that are no version yet.
    pub unsaved: bool,
    /// The versions whose merge it shows now, which is no version by itself; none if it shows one.
    pub merged: Vec<u64>,
}

impl History {
    /// Whether what it is now is none of its versions.
    pub(crate) fn is_beyond(&self) -> bool {
        self.unsaved || !self.merged.is_empty()
    }
}

/// Merges of one file, or of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merges {
    /// How many there are.
    pub total: u64,
    /// Those that were asked for, the newest first.
    pub merges: Vec<Merge>,
}

/// Concurrent edits that were merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merge {
    /// The file's path, from the vault's root.
    pub path: WirePath,
    /// What it is called behind that: “@4+5”, by the versions that came together; none if one is not known any more.
    pub name: Option<String>,
    /// How to ask for more.
    pub whose: Whose,
    /// When the last of its sides was recorded, by the clock of its device.
    pub recorded: Option<Timestamp>,
    /// What was merged.
    pub sides: Vec<MergeSide>,
    /// Whether all that was merged is still kept.
    pub kept: bool,
    /// Whether two sides changed the same place, where it is kept.
    pub overlap: Option<bool>,
    /// The first version that was saved upon it; none: the file just shows it.
    pub saved_as: Option<u64>,
    /// The side whose edits alone the file has by now, by its place among them, where the others' were taken back.
    pub only: Option<usize>,
}

/// One side of a merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergeSide {
    /// Its newest event.
    pub id: String,
    /// Its newest version, if that is known.
    pub version: Option<u64>,
    /// How many versions it has for itself.
    pub versions: u64,
    /// The devices that made them.
    pub devices: Vec<String>,
    /// The programs that wrote them, where that was seen.
    pub programs: Vec<String>,
    /// Whether this device made them.
    pub own: bool,
    /// When its newest was recorded.
    pub recorded: Option<Timestamp>,
    /// Words that it added to what all began with, where that is kept.
    pub words_added: Option<u64>,
    /// Words that it removed.
    pub words_removed: Option<u64>,
}

/// A merge that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unmerged {
    /// The file's path, from the vault's root.
    pub path: WirePath,
    /// Whether it was so already, and nothing was done.
    pub unchanged: bool,
    /// The version that it is now.
    pub version: Option<u64>,
}

/// What was brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restored {
    /// Where it is now, from the vault's root.
    pub path: WirePath,
    /// The version that it is like, of a file.
    pub version: Option<u64>,
    /// When that was recorded.
    pub recorded: Option<Timestamp>,
    /// What it was until now: a version too.
    pub before: Option<u64>,
    /// Whether it was so already, and nothing was done.
    pub unchanged: bool,
    /// Whether something came to be where nothing was.
    pub made: bool,
    /// Files that were brought back.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// What could not be, and why.
    pub left: Vec<Left>,
    /// Things below it that were removed at another time, and stay removed.
    pub apart: u64,
}

/// Something that was not brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    /// Where it was, from the vault's root.
    pub path: WirePath,
    /// Why, for people.
    pub why: String,
}

/// Something that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gone {
    /// Where it was, from the vault's root.
    pub path: WirePath,
    /// “file”, “symlink” or “folder”.
    pub kind: String,
    /// When.
    pub removed: Timestamp,
    /// Bytes of its last version.
    pub size: u64,
    /// How many versions are kept.
    pub versions: u64,
    /// Its node, in hex: what it is asked for by.
    pub node: String,
}

/// What a purge would destroy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Weight {
    /// Files that are there and lose their earlier versions.
    pub files: u64,
    /// Removed files and folders that cannot be brought back after it.
    pub removed: u64,
    /// Versions in all.
    pub versions: u64,
    /// What to ask for.
    pub of: Vec<Whose>,
}

/// What was destroyed or let go of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Freed {
    /// Versions.
    pub versions: u64,
    /// Removed files and folders.
    pub removed: u64,
    /// Chunks that nothing names any more.
    pub chunks: u64,
    /// Packs that were removed or written anew.
    pub packs: u64,
    /// Bytes that this gave back.
    pub bytes: u64,
    /// Files that were to lose earlier versions and are not there any more: nothing of them was touched.
    pub missed: u64,
    /// What other devices told of these files and this program has not read: what that was made from may be gone.
    pub unread: u64,
    /// What was to be destroyed and lies sealed in packs still, because somebody has it open or a
    /// backup is being made: counted as packs and payloads.
    pub left: u64,
}
