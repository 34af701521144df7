//! What is asked about the past: versions, what was removed, how long it is kept.

use super::WirePath;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most bytes of a version in one answer.
pub(crate) const MAX_BYTES: u32 = 4 << 20;

/// Which version, as a person says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Moment {
    /// By its number.
    Number(u64),
    /// The newest recorded at or before this.
    Time(Timestamp),
}

/// A file in the vault, by a path that may end with a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    /// All of it, from the vault's root: what is really called so wins.
    pub whole: WirePath,
    /// Without the version that it ends with, if it ends with one.
    pub split: Option<(WirePath, Moment)>,
    /// What was removed there, though something may be there again.
    pub removed: bool,
}

/// One history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whose {
    /// A file's that is there: a save may put another file in its place, and the history stays.
    File {
        /// What it stands for, in hex.
        entity: String,
        /// The inode that showed it last.
        seen: u64,
    },
    /// A removed one's, by its node's id in hex.
    Removed(String),
}

/// One of a merge's texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MergePart {
    /// What all sides were made from.
    Base,
    /// What this side had.
    Side(String),
    /// What they came to together.
    Merged,
}

/// What a merge is to come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kept {
    /// What this side alone had.
    Side(String),
    /// What all had, where it was taken back before.
    All,
}

/// How long versions are kept, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retention {
    /// Every version.
    pub all_days: u32,
    /// Then one a day, for so many more; then one a month.
    pub daily_days: u32,
    /// What was removed.
    pub removed_days: u32,
}

/// Which names are texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TextNames {
    /// Patterns, between spaces.
    pub list: String,
    /// Whether that is the program's own list, since nobody has set one.
    pub default: bool,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Past {
    /// Versions, the newest first: the one that was named, or so many.
    List {
        /// Whose.
        of: Named,
        /// How many; all if absent.
        newest: Option<u64>,
    },
    /// Bytes of a version; the answer's secret holds up to `len`, fewer at the end.
    Read {
        /// Whose.
        of: Whose,
        /// Which; the present bytes if absent, of a removed file its last.
        number: Option<u64>,
        /// From here on.
        offset: u64,
        /// How many, at most [`MAX_BYTES`].
        len: u32,
    },
    /// Bring a version, or something removed, back.
    Restore {
        /// What.
        of: Named,
        /// Under this path from the vault's root, instead of its own.
        to: Option<WirePath>,
    },
    /// Merges, the newest first.
    Merges {
        /// Of this file; of all if absent.
        of: Option<Named>,
        /// How many; all if absent.
        newest: Option<u64>,
        /// Only the one of these versions of the file.
        which: Option<Vec<u64>>,
    },
    /// A text of a merge; the answer's secret holds it.
    MergeText {
        /// Whose.
        of: Whose,
        /// The merge, by its sides.
        sides: Vec<String>,
        /// Which.
        part: MergePart,
    },
    /// Take a merge back.
    Unmerge {
        /// Whose.
        of: Whose,
        /// Its path from the vault's root, for what is said.
        path: WirePath,
        /// The merge, by its sides.
        sides: Vec<String>,
        /// What is to stay.
        keep: Kept,
    },
    /// What was removed: all, or what lay at or below a path.
    Trash {
        /// The path, from the vault's root.
        under: Option<WirePath>,
    },
    /// What a purge of a path would destroy.
    Weigh {
        /// The path, from the vault's root.
        path: WirePath,
    },
    /// Destroy these histories.
    Purge {
        /// Whose.
        of: Vec<Whose>,
    },
    /// Let go of what the retention no longer holds, and give room back.
    Gc,
    /// How long versions are kept; set anew if there is something to set.
    Retention {
        /// What to set it to.
        set: Option<Retention>,
    },
    /// What is always to be on this device; or has these put there, or taken off.
    Pins {
        /// Paths from the vault's root.
        paths: Vec<WirePath>,
        /// Whether they are to be.
        pin: bool,
    },
    /// Which names are texts; set anew if there is something to set.
    Texts {
        /// What to set it to.
        set: Option<TextNames>,
    },
}
