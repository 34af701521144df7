//! Answers about devices and syncing.

use crate::wire::WirePath;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A device of the vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Device {
    /// Its identity: its public key, in hex.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is this one.
    pub this: bool,
    /// “member”, “removed”, “undone” (who added it was removed), or “waiting” (there are too many).
    pub standing: String,
    /// Whether anything that it said is here: false of one that was added and never showed that it has its vault.
    #[serde(default)]
    pub heard: bool,
    /// Whether this device talks to it at present.
    pub connected: bool,
    /// When it was met last.
    pub seen: Option<Timestamp>,
    /// How it is, or was last, reached: “direct” or “relay”.
    pub reached: Option<String>,
    /// Its address then.
    pub address: Option<String>,
    /// Whether it keeps everything, as it said; absent while it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps_everything: Option<bool>,
    /// Events that are here and not there, if that is known.
    pub behind: Option<u64>,
    /// Events that are there and not here.
    pub ahead: Option<u64>,
    /// Bytes that came from it since it was met.
    pub came: u64,
    /// Bytes that went to it.
    pub went: u64,
    /// The last thing that went wrong with it.
    pub error: Option<String>,
}

/// An invitation. What is secret of it comes beside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invited {
    /// When it ends.
    pub expires: Timestamp,
    /// How many devices there were when it was made.
    pub devices: usize,
}

/// How syncing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sync {
    /// “off”, “alone” (there is no other device), “removed” (this one was), “paused” or “on”.
    pub state: String,
    /// Devices that removed this one, by name, if all of them are junior to it: removing one of them takes that back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_by: Vec<String>,
    /// That this device was removed for good, and by whom: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<String>,
    /// The other devices.
    pub devices: Vec<Device>,
    /// Events that others have and that are not here.
    pub events: u64,
    /// Chunks of files that are yet to come.
    pub chunks: u64,
    /// Bytes that are yet to come.
    pub bytes: u64,
    /// Bytes a second that go.
    pub rate_out: u64,
    /// Bytes a second that come.
    pub rate_in: u64,
    /// Seconds until all is here, if something comes.
    pub seconds: Option<u64>,
    /// Where this device listens.
    pub listening: Vec<String>,
    /// Relays at which it can be reached.
    pub relays: Vec<String>,
    /// Connections that were refused since it began, because they were not with a device of the vault.
    #[serde(default)]
    pub refused: u64,
    /// What of files is kept here.
    #[serde(default)]
    pub keeping: Keeping,
    /// Whether each byte costs: pieces of files go only where somebody waits for them.
    #[serde(default)]
    pub metered: bool,
    /// The last thing that went wrong.
    pub error: Option<String>,
    /// Folders through which it exchanges, or did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<Carrier>,
}

/// A folder through which devices exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Carrier {
    /// Where.
    pub dir: WirePath,
    /// Whether it is looked after as long as the vault is open.
    pub watched: bool,
    /// Whether it was there when it was looked for last.
    pub there: bool,
    /// The last exchange.
    pub last: Option<Timestamp>,
    /// Other devices for which files lie there.
    pub waiting: Vec<Waiting>,
    /// Bytes that this device lacks.
    pub lacking: u64,
    /// Bytes for which there was no room.
    pub left_out: u64,
    /// Nothing could be put there.
    pub read_only: bool,
    /// What went wrong last, if anything did.
    pub error: Option<String>,
}

/// A device for which files lie in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// Its identity, in hex.
    pub id: String,
    /// Its name.
    pub device: String,
    /// Whether it has ever been there.
    pub seen: bool,
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// Things that devices said of devices.
    pub statements: u64,
    /// Events.
    pub events: u64,
    /// Chunks of files.
    pub chunks: u64,
    /// Bytes of all.
    pub bytes: u64,
}

/// `sync --via`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exchanged {
    /// What was taken.
    pub took: Moved,
    /// What was put there.
    pub gave: Moved,
    /// How it is now.
    pub folder: Carrier,
    /// Chunks that this device lacks.
    pub lacks: u64,
    /// What was met on the way, for a person.
    pub notes: Vec<String>,
}

/// What of files is kept on this device. Sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keeping {
    /// “everything” or “texts”.
    pub policy: String,
    /// How much of other files is kept beside texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How much of files is here, of all versions; texts left out. Absent where nothing is elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<u64>,
    /// How much of files is not here.
    pub absent: u64,
    /// Files of which something is not here.
    pub absent_files: u64,
    /// Files that are pinned, or lie in a folder that is.
    pub pinned: u64,
    /// Files of which something could not be had lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<Unreached>,
}

/// A file of which something could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unreached {
    /// From the vault's root.
    pub path: crate::wire::WirePath,
    /// Why, as a sentence.
    pub why: String,
    /// When.
    pub when: Timestamp,
}

/// Something that is always to be here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// From the vault's root.
    pub path: crate::wire::WirePath,
    /// Whether it is a folder, with all that is and will be in it.
    pub folder: bool,
}

/// What came of pinning, or of taking pins away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinned {
    /// How many were not so before.
    pub changed: usize,
    /// All that is pinned now.
    pub pins: Vec<Pin>,
}
