//! The answers of the daemon and of `--json`: one shape for both, and stable names in it.

use crate::wire::WirePath;
use serde::{Deserialize, Serialize};

/// What `status` tells of an open vault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// This device's name.
    pub device: String,
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes that the files show.
    pub logical_bytes: u64,
    /// Bytes in pack files.
    pub stored_bytes: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes not stored again because they were there.
    pub saved_bytes: u64,
    /// Bytes written and not yet durable.
    pub pending_bytes: u64,
    /// Events not yet durable.
    pub pending_events: u64,
    /// Seconds since the oldest write that is not yet durable.
    pub unsynced_seconds: f64,
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
    /// What is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
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
    /// Chunks verified.
    pub chunks: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong; empty is good.
    pub problems: Vec<Problem>,
}

/// `check --salvage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Salvage {
    /// Files brought out whole.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// What could not be had.
    pub problems: Vec<Problem>,
}

/// `backup`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Backup {
    /// Bytes copied now.
    pub copied_bytes: u64,
    /// Bytes that were there from before.
    pub kept_bytes: u64,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}
