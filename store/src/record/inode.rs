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
        /// The entity whose version it is, under whose key it is sealed: perhaps not the one that
        /// the file stands for by now.
        entity: EntityId,
    },
    /// Chunks.
    Manifest(ManifestRef),
}

impl BaseRef {
    /// The entity for which it is sealed, if it is sealed for one.
    pub fn sealed_for(&self) -> Option<EntityId> {
        match self {
            BaseRef::Body { entity, .. } => Some(*entity),
            BaseRef::Empty | BaseRef::Manifest(_) => None,
        }
    }
}

/// What a file's name says of it, when it got that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Marks {
    /// It is one of those that merge as text, if its bytes are text.
    pub text: bool,
    /// It is what an editor puts beside a file for a while: it stays on this device as long as
    /// that lasts.
    pub scratch: bool,
}

impl Marks {
    fn to_byte(self) -> u8 {
        u8::from(self.text) | u8::from(self.scratch) << 1
    }

    fn from_byte(byte: u8) -> Result<Marks, Malformed> {
        match byte {
            0..4 => Ok(Marks {
                text: byte & 1 != 0,
                scratch: byte & 2 != 0,
            }),
            _ => Err(Malformed("an inode record with unknown marks")),
        }
    }
}

/// An inode's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InodeRecord {
    /// The entity that it shows; for a folder its node.
    pub entity: EntityId,
    /// The entity's key, if that is not the inode's own: it was taken over from another.
    pub entity_key: Option<[u8; 32]>,
    /// The key of the base, if it is sealed for another entity.
    pub body_key: Option<[u8; 32]>,
    /// What its name says of it.
    pub marks: Marks,
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
    /// The others of a text's newest events, if what it shows is a merge of several.
    pub beside: Vec<EventRef>,
}

/// Most newest events that a file can show the merge of: as many as an event can replace, less the
/// one that is named by itself.
pub const BESIDE_MAX: usize = 1023;

impl InodeRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        let m = &self.meta;
        w.u8(VERSION).u8(m.kind as u8).raw(&self.entity.0);
        for key in [&self.entity_key, &self.body_key] {
            match key {
                Some(key) => w.u8(1).raw(key),
                None => w.u8(0),
            };
        }
        w.u8(self.marks.to_byte());
        w.u16(m.perm).u32(m.uid).u32(m.gid).u32(m.rdev).u32(m.nlink);
        for t in [m.atime, m.mtime, m.ctime, m.btime] {
            put_time(&mut w, t);
        }
        w.u64(self.size).u64(self.allocated);
        match &self.published {
            Some(at) => {
                let tag = if self.beside.is_empty() { 1 } else { 2 };
                w.u8(tag).raw(&at.chain.0).u64(at.seq)
            }
            None => w.u8(0),
        };
        if self.published.is_some() && !self.beside.is_empty() {
            w.u16(self.beside.len() as u16);
            for at in &self.beside {
                w.raw(&at.chain.0).u64(at.seq);
            }
        }
        match &self.base {
            BaseRef::Empty => w.u8(0),
            BaseRef::Body {
                batch,
                offset,
                len,
                at,
                generation,
                entity,
            } => {
                w.u8(1).u64(*batch).u32(*offset).u32(*len);
                w.raw(&at.chain.0).u64(at.seq).u32(*generation).raw(&entity.0)
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
        let [entity_key, body_key] = [get_key(&mut r)?, get_key(&mut r)?];
        let marks = Marks::from_byte(r.u8()?)?;
        let (perm, uid, gid, rdev, nlink) = (r.u16()?, r.u32()?, r.u32()?, r.u32()?, r.u32()?);
        let [atime, mtime, ctime, btime] = [
            get_time(&mut r)?,
            get_time(&mut r)?,
            get_time(&mut r)?,
            get_time(&mut r)?,
        ];
        let (size, allocated) = (r.u64()?, r.u64()?);
        let event = |r: &mut Reader<'_>| -> Result<EventRef, Malformed> {
            Ok(EventRef {
                chain: ChainId(r.array()?),
                seq: r.u64()?,
            })
        };
        let mut beside = Vec::new();
        let published = match r.u8()? {
            0 => None,
            1 => Some(event(&mut r)?),
            2 => {
                let published = event(&mut r)?;
                let count = usize::from(r.u16()?);
                if count == 0 || count > BESIDE_MAX {
                    return Err(Malformed("an inode record contradicts itself"));
                }
                for _ in 0..count {
                    beside.push(event(&mut r)?);
                }
                Some(published)
            }
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
                entity: EntityId(r.array()?),
            },
            2 => BaseRef::Manifest(get_manifest(&mut r)?),
            _ => return Err(Malformed("a content of an unknown kind")),
        };
        let (base_len, log_first, log_next) = (r.u64()?, r.u64()?, r.u64()?);
        let foreign = base.sealed_for().is_some_and(|sealed_for| sealed_for != entity);
        if log_first > log_next || size > i64::MAX as u64 || foreign != body_key.is_some() {
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
            entity_key,
            body_key,
            marks,
            meta,
            size,
            allocated,
            base,
            base_len,
            log_first,
            log_next,
            published,
            beside,
        })
    }
}

fn get_key(r: &mut Reader<'_>) -> Result<Option<[u8; 32]>, Malformed> {
    match r.u8()? {
        0 => Ok(None),
        1 => Ok(Some(r.array()?)),
        _ => Err(Malformed("an inode record contradicts itself")),
    }
}
