//! The local records: what a row of the inode, node and log tables says once opened.
//! The byte tables stand in `docs/format.md`.
//!
//! Guarantees: `decode(encode(x)) == x`; a decoder refuses unknown versions and tags,
//! bytes left over, and lengths beyond their kind. Nothing here touches a disk.

use std::collections::BTreeMap;

use crate::chunk::Place;
use crate::chunk::pack::MAX_PAYLOAD;
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EntityId, EventRef, Ino, NodeId};
use crate::keys::ChunkId;
use crate::tree::{Kind, Told};

/// The version of each record.
const VERSION: u8 = 0;
/// The longest name, in bytes.
pub const NAME_MAX: usize = 255;
/// The longest xattr value, in bytes (Linux's own limit).
pub const XATTR_VALUE_MAX: usize = 65536;
/// All xattrs of a file together, as [`xattrs_len`] counts, in bytes.
pub const XATTRS_MAX: usize = 1 << 20;
/// How many xattrs a file can have: their number is a `u16` in its records.
pub const XATTRS_COUNT_MAX: usize = u16::MAX as usize;

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
}

/// Seconds since 1970 (floor) and nanoseconds to add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds, floor: half a second before 1970 is -1.
    pub sec: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nsec: u32,
}

impl Time {
    /// The clock's time.
    pub fn now() -> Time {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Time {
            sec: t.tv_sec,
            nsec: t.tv_nsec as u32,
        }
    }
}

/// Extended attributes, by name.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// What stat(2) shows of a file, but its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Permission, set-id and sticky bits.
    pub perm: u16,
    /// Owner; local.
    pub uid: u32,
    /// Group; local.
    pub gid: u32,
    /// Device number; local.
    pub rdev: u32,
    /// Names (for a folder kept by the tree).
    pub nlink: u32,
    /// Access; local.
    pub atime: Time,
    /// Change of content.
    pub mtime: Time,
    /// Change of attributes; local.
    pub ctime: Time,
    /// Creation.
    pub btime: Time,
    /// User xattrs.
    pub xattrs: Option<Box<Xattrs>>,
}

/// The base under a file's changes: its content at the last time that it was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BaseRef {
    /// No bytes.
    #[default]
    Empty,
    /// A small body, a part of a batch of events.
    Body {
        /// Which batch.
        batch: u64,
        /// Where in it the sealed payload begins.
        offset: u32,
        /// The sealed payload's length.
        len: u32,
        /// Its event, and the event's key generation: its associated data names both.
        at: EventRef,
        /// See `at`.
        generation: u32,
    },
    /// Chunks.
    Manifest(ManifestRef),
}

/// The root of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestRef {
    /// The root node's id.
    pub id: ChunkId,
    /// Hash of the sealed root.
    pub sealed: [u8; 32],
    /// The root's plaintext length in bytes.
    pub len: u32,
    /// Levels above the leaves.
    pub depth: u8,
    /// How many leaf entries there are in all.
    pub entries: u64,
}

/// An inode's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InodeRecord {
    /// The entity that it shows; for a folder its node.
    pub entity: EntityId,
    /// Attributes.
    pub meta: Meta,
    /// Size in bytes.
    pub size: u64,
    /// Bytes that are not holes.
    pub allocated: u64,
    /// The base.
    pub base: BaseRef,
    /// How much of the base still counts.
    pub base_len: u64,
    /// First sequence number of the log over the base.
    pub log_first: u64,
    /// One past the last.
    pub log_next: u64,
    /// The event that last told the other devices of it.
    pub published: Option<EventRef>,
}

fn put_time(w: &mut Writer, t: Time) {
    w.i64(t.sec).u32(t.nsec);
}

fn get_time(r: &mut Reader<'_>) -> Result<Time, Malformed> {
    let t = Time {
        sec: r.i64()?,
        nsec: r.u32()?,
    };
    if t.nsec >= 1_000_000_000 {
        return Err(Malformed("a time has more than a second of nanoseconds"));
    }
    Ok(t)
}

/// The bytes that xattrs take in a record: a name, a value and their lengths each.
pub fn xattrs_len(xattrs: &Xattrs) -> usize {
    xattrs.iter().map(|(n, v)| n.len() + v.len() + 8).sum()
}

pub(crate) fn put_xattrs(w: &mut Writer, xattrs: Option<&Xattrs>) {
    let count = xattrs.map_or(0, |x| x.len());
    w.u16(u16::try_from(count).expect("whoever sets an xattr keeps to XATTRS_COUNT_MAX"));
    for (name, value) in xattrs.into_iter().flatten() {
        w.bytes(name).bytes(value);
    }
}

pub(crate) fn get_xattrs(r: &mut Reader<'_>) -> Result<Option<Box<Xattrs>>, Malformed> {
    let count = r.u16()?;
    let mut xattrs = Xattrs::new();
    for _ in 0..count {
        let name = r.bytes(NAME_MAX)?;
        let value = r.bytes(XATTR_VALUE_MAX)?;
        // One set has one encoding: names ascend, and none comes twice.
        let ascends = xattrs.last_key_value().is_none_or(|(last, _)| &last[..] < name);
        if name.is_empty() || !ascends {
            return Err(Malformed("xattrs without a name, twice or out of order"));
        }
        xattrs.insert(name.to_vec(), value.to_vec());
    }
    if xattrs_len(&xattrs) > XATTRS_MAX {
        return Err(Malformed("more xattrs than a file can have"));
    }
    Ok((!xattrs.is_empty()).then(|| Box::new(xattrs)))
}

pub(crate) fn put_manifest(w: &mut Writer, m: &ManifestRef) {
    w.raw(&m.id.0)
        .raw(&m.sealed)
        .u32(m.len)
        .u8(m.depth)
        .u64(m.entries);
}

pub(crate) fn get_manifest(r: &mut Reader<'_>) -> Result<ManifestRef, Malformed> {
    Ok(ManifestRef {
        id: ChunkId(r.array()?),
        sealed: r.array()?,
        len: r.u32()?,
        depth: r.u8()?,
        entries: r.u64()?,
    })
}

impl InodeRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        let m = &self.meta;
        w.u8(VERSION).u8(m.kind as u8).raw(&self.entity.0);
        w.u16(m.perm).u32(m.uid).u32(m.gid).u32(m.rdev).u32(m.nlink);
        for t in [m.atime, m.mtime, m.ctime, m.btime] {
            put_time(&mut w, t);
        }
        w.u64(self.size).u64(self.allocated);
        match &self.published {
            Some(at) => w.u8(1).raw(&at.chain.0).u64(at.seq),
            None => w.u8(0),
        };
        match &self.base {
            BaseRef::Empty => w.u8(0),
            BaseRef::Body {
                batch,
                offset,
                len,
                at,
                generation,
            } => {
                w.u8(1).u64(*batch).u32(*offset).u32(*len);
                w.raw(&at.chain.0).u64(at.seq).u32(*generation)
            }
            BaseRef::Manifest(root) => {
                w.u8(2);
                put_manifest(&mut w, root);
                &mut w
            }
        };
        w.u64(self.base_len).u64(self.log_first).u64(self.log_next);
        put_xattrs(&mut w, m.xattrs.as_deref());
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a record of this version.
    pub fn decode(bytes: &[u8]) -> Result<InodeRecord, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("an inode record of an unknown version"));
        }
        let kind = Kind::from_byte(r.u8()?)?;
        let entity = EntityId(r.array()?);
        let (perm, uid, gid, rdev, nlink) = (r.u16()?, r.u32()?, r.u32()?, r.u32()?, r.u32()?);
        let [atime, mtime, ctime, btime] = [
            get_time(&mut r)?,
            get_time(&mut r)?,
            get_time(&mut r)?,
            get_time(&mut r)?,
        ];
        let (size, allocated) = (r.u64()?, r.u64()?);
        let published = match r.u8()? {
            0 => None,
            1 => Some(EventRef {
                chain: ChainId(r.array()?),
                seq: r.u64()?,
            }),
            _ => return Err(Malformed("an inode record contradicts itself")),
        };
        let base = match r.u8()? {
            0 => BaseRef::Empty,
            1 => BaseRef::Body {
                batch: r.u64()?,
                offset: r.u32()?,
                len: r.u32()?,
                at: EventRef {
                    chain: ChainId(r.array()?),
                    seq: r.u64()?,
                },
                generation: r.u32()?,
            },
            2 => BaseRef::Manifest(get_manifest(&mut r)?),
            _ => return Err(Malformed("a content of an unknown kind")),
        };
        let (base_len, log_first, log_next) = (r.u64()?, r.u64()?, r.u64()?);
        if log_first > log_next || size > i64::MAX as u64 {
            return Err(Malformed("an inode record contradicts itself"));
        }
        let xattrs = get_xattrs(&mut r)?;
        r.end()?;
        let meta = Meta {
            kind,
            perm,
            uid,
            gid,
            rdev,
            nlink,
            atime,
            mtime,
            ctime,
            btime,
            xattrs,
        };
        Ok(InodeRecord {
            entity,
            meta,
            size,
            allocated,
            base,
            base_len,
            log_first,
            log_next,
            published,
        })
    }
}

/// A node's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// Folder that it lies in.
    pub parent: Ino,
    /// What it names.
    pub ino: Ino,
    /// What that is.
    pub kind: Kind,
    /// The node's name on every device.
    pub id: NodeId,
    /// Whether the other devices are told of it.
    pub told: Told,
    /// Its name.
    pub name: Vec<u8>,
}

impl NodeRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION)
            .u64(self.parent)
            .u64(self.ino)
            .u8(self.kind as u8)
            .raw(&self.id.0);
        w.u8(self.told as u8).raw(&self.name);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a record of this version.
    pub fn decode(bytes: &[u8]) -> Result<NodeRecord, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("a node record of an unknown version"));
        }
        let (parent, ino, kind, id) = (r.u64()?, r.u64()?, Kind::from_byte(r.u8()?)?, NodeId(r.array()?));
        let told = Told::from_byte(r.u8()?)?;
        let name = r.rest().to_vec();
        if !valid_name(&name) {
            return Err(Malformed("a name that no file can have"));
        }
        Ok(NodeRecord {
            parent,
            ino,
            kind,
            id,
            told,
            name,
        })
    }
}

/// Whether a file can have this name.
pub fn valid_name(name: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name != b"."
        && name != b".."
        && !name.iter().any(|b| *b == b'/' || *b == 0)
}

/// One change over a file's base, in a row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRecord {
    /// Bytes at an offset.
    Write(u64, Vec<u8>),
    /// Zeros (a hole): offset, length.
    Zero(u64, u64),
    /// The size was, for a moment, this.
    Truncate(u64),
    /// Bytes that lie sealed in a pack.
    Stored {
        /// Offset in the file.
        offset: u64,
        /// Where they lie.
        place: Place,
        /// The number in their associated data.
        serial: u64,
        /// How many of the opened bytes to skip.
        skip: u32,
        /// How many to take.
        take: u32,
    },
}

impl LogRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION);
        match self {
            LogRecord::Write(offset, data) => w.u8(1).u64(*offset).raw(data),
            LogRecord::Zero(offset, len) => w.u8(2).u64(*offset).u64(*len),
            LogRecord::Truncate(size) => w.u8(3).u64(*size),
            LogRecord::Stored {
                offset,
                place,
                serial,
                skip,
                take,
            } => {
                w.u8(4).u64(*offset).u64(*serial).u32(*skip).u32(*take);
                put_place(&mut w, *place);
                &mut w
            }
        };
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a record of this version.
    pub fn decode(bytes: &[u8]) -> Result<LogRecord, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("a log record of an unknown version"));
        }
        let record = match r.u8()? {
            1 => LogRecord::Write(r.u64()?, r.rest().to_vec()),
            2 => LogRecord::Zero(r.u64()?, r.u64()?),
            3 => LogRecord::Truncate(r.u64()?),
            4 => {
                let (offset, serial, skip, take) = (r.u64()?, r.u64()?, r.u32()?, r.u32()?);
                LogRecord::Stored {
                    offset,
                    place: get_place(&mut r)?,
                    serial,
                    skip,
                    take,
                }
            }
            _ => return Err(Malformed("a log record of an unknown kind")),
        };
        r.end()?;
        let end = match &record {
            LogRecord::Write(o, d) => o.checked_add(d.len() as u64),
            LogRecord::Zero(o, l) => o.checked_add(*l),
            LogRecord::Truncate(s) => Some(*s),
            LogRecord::Stored {
                offset,
                place,
                skip,
                take,
                ..
            } => {
                if u64::from(*skip) + u64::from(*take) > u64::from(place.len) {
                    return Err(Malformed("a log record takes more bytes than were stored"));
                }
                offset.checked_add(u64::from(*take))
            }
        };
        match end {
            Some(end) if end <= i64::MAX as u64 => Ok(record),
            _ => Err(Malformed("a log record beyond the end of any file")),
        }
    }
}

pub(crate) fn put_place(w: &mut Writer, place: Place) {
    w.u32(place.pack).u64(place.offset).u32(place.len);
}

/// A place that a pack can have. Rows that name places lie unsealed, and readers make
/// room for `len` bytes.
pub(crate) fn get_place(r: &mut Reader<'_>) -> Result<Place, Malformed> {
    let place = Place {
        pack: r.u32()?,
        offset: r.u64()?,
        len: r.u32()?,
    };
    if place.len as usize > MAX_PAYLOAD || place.offset.checked_add(u64::from(place.len)).is_none() {
        return Err(Malformed("a place that no pack has"));
    }
    Ok(place)
}

/// A chunk's row: where it lies, how long it is, what it seals to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRow {
    /// Its sealed bytes.
    pub place: Place,
    /// Its plaintext's length in bytes.
    pub len: u32,
    /// BLAKE3 of its sealed bytes.
    pub sealed: [u8; 32],
    /// Chunk or manifest node.
    pub kind: u8,
}

impl ChunkRow {
    /// The row's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).u8(self.kind).u32(self.len).raw(&self.sealed);
        put_place(&mut w, self.place);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a row of this version.
    pub fn decode(bytes: &[u8]) -> Result<ChunkRow, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("a chunk row of an unknown version"));
        }
        let row = ChunkRow {
            kind: r.u8()?,
            len: r.u32()?,
            sealed: r.array()?,
            place: get_place(&mut r)?,
        };
        r.end()?;
        Ok(row)
    }
}
