//! The local records: what a row of the inode, node, log and chunk tables says once opened,
//! and what it is made of. The byte tables stand in `docs/format.md`.
//!
//! Guarantees: `decode(encode(x)) == x`; a decoder refuses unknown versions and tags,
//! bytes left over, and lengths beyond their kind. Nothing here touches a disk.

mod chunk;
mod document;
mod gone;
mod inode;
mod log;
mod meta;
mod node;
mod refs;
mod version;

pub(crate) use chunk::{ChunkRef, get_manifest, lawful_place, put_manifest};
pub use chunk::{ChunkRow, ManifestRef};
pub use document::DocumentRecord;
pub use gone::GoneRecord;
pub use inode::{BESIDE_MAX, BaseRef, InodeRecord, Marks};
pub use log::LogRecord;
pub use meta::{Kind, Meta, Time, XATTR_VALUE_MAX, XATTRS_COUNT_MAX, XATTRS_MAX, Xattrs, xattrs_len};
pub(crate) use meta::{get_near, get_short, get_time, get_xattrs, put_near, put_short, put_time, put_xattrs};
pub use node::{NAME_MAX, NodeRecord, Told, valid_name};
pub(crate) use refs::{get_list, put_list};
pub(crate) use version::PARENTS_MAX;
pub use version::{BodyRef, Kept, PROGRAM_MAX, VersionRecord};

/// The version of each record.
const VERSION: u8 = 0;

/// Kinds of sealed things, bound into their associated data.
pub(crate) mod kind {
    pub(crate) const INODE: u8 = 1;
    pub(crate) const NODE: u8 = 2;
    pub(crate) const LOG: u8 = 3;
    pub(crate) const EXTENT: u8 = 4;
    pub(crate) const LOCAL: u8 = 5;
    pub(crate) const PENDING: u8 = 6;
    pub(crate) const CONTENT: u8 = 7;
    pub(crate) const TREE: u8 = 8;
    pub(crate) const WRAP_ENTITY: u8 = 9;
    pub(crate) const WRAP_LOCAL: u8 = 10;
    pub(crate) const WRAP_EPOCH: u8 = 11;
    pub(crate) const CHUNK: u8 = 12;
    pub(crate) const MANIFEST: u8 = 13;
    pub(crate) const BATCH: u8 = 14;
    pub(crate) const TREE_GONE: u8 = 15;
    pub(crate) const REMOVED: u8 = 16;
    pub(crate) const VERSION: u8 = 17;
    pub(crate) const SETTING: u8 = 18;
    pub(crate) const DOCUMENT: u8 = 19;
    pub(crate) const MOVE: u8 = 20;
    pub(crate) const AWAITED: u8 = 21;
    pub(crate) const MEMBERS: u8 = 22;
    pub(crate) const STATEMENT: u8 = 23;
    pub(crate) const ACKNOWLEDGE: u8 = 24;
    pub(crate) const LAPSE: u8 = 25;
    pub(crate) const ADMIT: u8 = 26;
    pub(crate) const SAID: u8 = 27;
    pub(crate) const GROUND: u8 = 28;
}
