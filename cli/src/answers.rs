//! The answers of the daemon and of `--json`: one shape for both, and stable names in it.

pub(crate) mod devices;
pub(crate) mod history;

use crate::wire::WirePath;
use serde::{Deserialize, Serialize};

/// What `status` tells of an open vault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// This device's name.
    pub device: String,
    /// Names of files, links and special files.
    pub files: u64,
    /// Folders, the root left out.
    pub folders: u64,
    /// Entities: what names stand for.
    pub entities: u64,
    /// Chunks stored.
    pub chunks: u64,
    /// Bytes of content in them.
    pub chunk_bytes: u64,
    /// Bytes of the pack files.
    pub stored_bytes: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes written since it was opened that were there already, and not stored again.
    pub saved_bytes: u64,
    /// Bytes accepted and in memory only.
    pub pending_bytes: u64,
    /// Age of the oldest change that is not yet durable.
    pub pending_seconds: Option<f64>,
    /// Changes that are yet to become events.
    pub pending_events: u64,
    /// Events of this device.
    pub events: u64,
    /// Versions and removed files that were let go of before their time since it was opened, because
    /// the disk was full.
    pub let_go_early: u64,
    /// Other devices gave up bytes because this one has them: it lets go of nothing early, though its disk be full.
    #[serde(default)]
    pub relied_on: bool,
    /// What other devices say that this program cannot read yet, since a newer one said it: so many events wait.
    #[serde(default)]
    pub waits_for_update: u64,
    /// Events of other devices that say what cannot be, as far as this program knows.
    #[serde(default)]
    pub set_aside: u64,
    /// Files that no other device is told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local: Vec<Local>,
    /// Devices, by name, that use a newer Coffer and say what this one cannot read and should not go without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newer: Vec<String>,
    /// That this program is to be updated, if the vault says so; a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<String>,
    /// Damage that was met on opening.
    pub damage: Vec<String>,
    /// What of files is kept on this device.
    #[serde(default)]
    pub keeping: devices::Keeping,
    /// Files of a newer state, which are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asides: Vec<Aside>,
}

/// A file that no other device is told of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Local {
    /// From the vault's root.
    pub path: WirePath,
    /// “special”: a socket, a FIFO or a device; “editor”: what an editor keeps beside what it edits, for
    /// as long as it does.
    pub why: String,
}

/// A file of a newer state, set aside when an older one was put back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Aside {
    /// Its name in the vault's folder.
    pub name: String,
    /// How many bytes of it are not this state's.
    pub bytes: u64,
}

/// What the daemon adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mounted {
    /// Where.
    pub mountpoint: WirePath,
    /// The daemon.
    pub pid: u32,
    /// Seconds since it was mounted.
    pub mounted_seconds: u64,
    /// Seconds since anybody used it.
    pub idle_seconds: u64,
    /// Seconds of idleness after which it locks itself.
    pub locks_after_seconds: Option<u64>,
}

/// `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// The vault's folder.
    pub vault: WirePath,
    /// Its id, in hex.
    pub vault_id: String,
    /// "open" or "locked".
    pub state: String,
    /// Argon2id's memory in KiB; absent where the header was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kdf: Option<crate::wire::Kdf>,
    /// Whether a recovery phrase exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<bool>,
    /// The mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<Mounted>,
    /// Mounts that a killed daemon left, which answer nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_mounts: Vec<WirePath>,
    /// What is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
    /// What went wrong with other devices, and who was refused: sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<String>,
}

/// Something damaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The file, where it is known.
    pub path: Option<WirePath>,
    /// What is wrong.
    pub what: String,
}

/// `check`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// Records verified.
    pub records: u64,
    /// Files and folders.
    pub files: u64,
    /// Chunks verified.
    pub chunks: u64,
    /// Events verified.
    pub events: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes of files that other devices hold and this one does not; no damage.
    #[serde(default)]
    pub absent_bytes: u64,
    /// What is wrong; empty is good.
    pub problems: Vec<Problem>,
    /// What could not be looked at now, and why; it is no damage.
    #[serde(default)]
    pub skipped: Vec<String>,
    /// Files of a newer state, which are kept and were not looked into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asides: Vec<Aside>,
}

/// `check --salvage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Salvage {
    /// Files brought out whole.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// What could not be had, or not as it was last.
    pub problems: Vec<Problem>,
    /// What else is worth knowing; nothing of it is known to be a loss.
    #[serde(default)]
    pub notes: Vec<Problem>,
    /// What only a newer program can read, and was not brought out for that; it is not damaged.
    #[serde(default)]
    pub newer: Vec<Problem>,
}

/// Why something was left out of an import or export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// A socket or a device: nothing of it can be kept.
    Special,
    /// It is the vault itself, or its mount.
    Own,
    /// Something else lies there already.
    Differs,
    /// It changed whenever it was read.
    Changing,
    /// It cannot be read, or not be written.
    Failed,
}

impl Reason {
    /// Whether something is missing by it that could have been there.
    pub(crate) fn is_loss(self) -> bool {
        !matches!(self, Reason::Special | Reason::Own)
    }
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Skipped {
    /// Where it lies.
    pub path: WirePath,
    /// Which kind of reason.
    pub reason: Reason,
    /// The reason, for people.
    pub why: String,
}

/// `import` and `export`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Transfer {
    /// Files, symlinks and FIFOs that are new there.
    pub new_files: u64,
    /// Folders that are new.
    pub new_folders: u64,
    /// Further names of files that are there: hard links.
    pub new_links: u64,
    /// Files that took the place of others.
    pub replaced: u64,
    /// Files that were there already.
    pub there: u64,
    /// What was left out; the first hundred thousand.
    pub skipped: Vec<Skipped>,
    /// How many more were.
    pub more_skipped: u64,
    /// How many of all those are missing there, though they could be there.
    pub missing: u64,
    /// Bytes of content that were read.
    pub read_bytes: u64,
    /// Bytes of them that were stored already: about, where others write too.
    pub saved_bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// What became of one file of a watched folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// What it is called in the vault, below the folder that receives all.
    pub name: Option<WirePath>,
    /// Whether it was not there before.
    pub is_new: bool,
    /// Bytes in it.
    pub bytes: u64,
    /// The plain file's inode, as it was taken in.
    pub ino: u64,
    /// And when that was last changed: seconds and nanoseconds.
    pub changed: (i64, u32),
    /// Whether its bytes were compared with the vault's, which are durable, and are the same.
    pub same: bool,
    /// Why it was left out.
    pub left: Option<(Reason, String)>,
}

/// `import --watch`, each time: as many as could be tried, in the order of the question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intake {
    /// What became of each.
    pub items: Vec<Taken>,
}

/// `backup`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Backup {
    /// Bytes copied now.
    pub copied_bytes: u64,
    /// Bytes that were there from before.
    pub kept_bytes: u64,
    /// Records of the database, which is written anew each time.
    pub records: u64,
    /// Files of which something is not on this device, and so not in the backup.
    #[serde(default)]
    pub absent_files: u64,
    /// How many bytes of them.
    #[serde(default)]
    pub absent_bytes: u64,
    /// What the backup lacks: not saved, or damaged in the vault itself.
    #[serde(default)]
    pub problems: Vec<Problem>,
}
