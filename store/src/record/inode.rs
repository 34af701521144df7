//! An inode's row: attributes, and what its content stands on.

use super::VERSION;
use super::chunk::{ManifestRef, get_manifest, put_manifest};
use super::meta::{Kind, Meta, get_time, get_xattrs, put_time, put_xattrs};
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EntityId, EventRef};

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
