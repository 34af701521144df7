//! What an exchange is asked, and what it came to.

use std::collections::{BTreeMap, HashSet};

use coffer_store::members::DeviceId;

use super::index::Index;
use super::name::Name;

/// What a person may say of an exchange.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Most bytes that this device's files there may have together.
    pub limit: Option<u64>,
    /// The number of this device's index before, as far as is remembered: the next is higher.
    pub serial: u64,
}

/// What other members have said in a folder, as far as it was seen: whose index is missing or torn now (a cloud that has not brought it
/// yet) still has what it had. Without this it would be thought to have nothing, and all would be put there anew.
#[derive(Default)]
pub struct Seen {
    pub(super) devices: BTreeMap<DeviceId, Index>,
    /// Batches in others' bundles that were looked at for their version: the bundle, and where in it.
    pub(super) read: HashSet<(Name, u64)>,
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Statements of membership.
    pub statements: u64,
    /// Batches of events.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Chunks.
    pub chunks: u64,
    /// Bytes of all of these.
    pub bytes: u64,
}

/// A member for whom something lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Whether it was ever here.
    pub seen: bool,
    /// Files that it has not said it needs nothing of.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that it says it lacks, wherever they are.
    pub lacks: u64,
}

/// What an exchange came to.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// What was taken.
    pub took: Tally,
    /// What was put there.
    pub gave: Tally,
    /// The other members.
    pub devices: Vec<Waiting>,
    /// Chunks that are lacking here, as far as they are known by name.
    pub lacks: u64,
    /// Bytes that are lacking here.
    pub lacking: u64,
    /// Bytes for which there was no room.
    pub left_out: u64,
    /// There was no room for all.
    pub full: bool,
    /// Why this device could not take what lies there, if it could not: its own disk may be full.
    pub untaken: Option<String>,
    /// Nothing could be put there: it can only be read.
    pub read_only: bool,
    /// The number of the index that stands there now.
    pub serial: u64,
    /// Bytes of this device's files there.
    pub own_bytes: u64,
    /// Files there that no present member names.
    pub strangers: u64,
    /// What was met, for a person: parts of sentences.
    pub notes: Vec<String>,
}
