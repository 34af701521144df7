//! A removed node's row: where it was and what it named, so that it can be brought back.

use super::VERSION;
use super::meta::{Kind, Time, get_time, put_time};
use super::node::{NAME_MAX, valid_name};
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EntityId, EventRef, NodeId};

/// Most versions that a file can show the merge of.
const SAW_MAX: u16 = 1024;

/// A node that is gone, that other devices knew of.
#[derive(Clone, PartialEq, Eq)]
pub struct GoneRecord {
    /// The folder's node that it lay in.
    pub parent: NodeId,
    /// What it was.
    pub kind: Kind,
    /// What it named; none: a folder.
    pub entity: Option<EntityId>,
    /// The entity's key, if this was its last name.
    pub key: Option<[u8; 32]>,
    /// The newest versions that whoever removed it saw: what it showed.
    pub saw: Vec<EventRef>,
    /// When, by the clock of the device on which that was.
    pub when: Time,
    /// When that came to be known here, by this device's clock, in seconds since 1970.
    pub came: i64,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub perm: u16,
    /// Its name.
    pub name: Vec<u8>,
}

impl Drop for GoneRecord {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

impl std::fmt::Debug for GoneRecord {
    /// Shows no key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GoneRecord")
            .field("kind", &self.kind)
            .field("entity", &self.entity)
            .field("when", &self.when)
            .finish_non_exhaustive()
    }
}

impl GoneRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).raw(&self.parent.0).u8(self.kind as u8);
        match &self.entity {
            Some(entity) => w.u8(1).raw(&entity.0),
            None => w.u8(0),
        };
        match &self.key {
            Some(key) => w.u8(1).raw(key),
            None => w.u8(0),
        };
        w.u16(self.saw.len() as u16);
        for at in &self.saw {
            w.raw(&at.chain.0).u64(at.seq);
        }
        put_time(&mut w, self.when);
        w.zigzag(self.came.wrapping_sub(self.when.sec));
        w.u64(self.size).u16(self.perm).bytes(&self.name);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a record of this version.
    pub fn decode(bytes: &[u8]) -> Result<GoneRecord, Malformed> {
        const CONTRADICTS: Malformed = Malformed("the record of a removal contradicts itself");
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("the record of a removal of an unknown version"));
        }
        let (parent, kind) = (NodeId(r.array()?), Kind::from_byte(r.u8()?)?);
        let entity = match r.u8()? {
            0 => None,
            1 => Some(EntityId(r.array()?)),
            _ => return Err(CONTRADICTS),
        };
        let key = match r.u8()? {
            0 => None,
            1 => Some(r.array()?),
            _ => return Err(CONTRADICTS),
        };
        let count = r.u16()?;
        if count > SAW_MAX {
            return Err(CONTRADICTS);
        }
        let saw = (0..count).map(|_| {
            Ok(EventRef {
                chain: ChainId(r.array()?),
                seq: r.u64()?,
            })
        });
        let saw = saw.collect::<Result<_, Malformed>>()?;
        let when = get_time(&mut r)?;
        let came = when.sec.wrapping_add(r.zigzag()?);
        let (size, perm) = (r.u64()?, r.u16()?);
        let name = r.bytes(NAME_MAX)?.to_vec();
        r.end()?;
        if !valid_name(&name) {
            return Err(Malformed("a name that no file can have"));
        }
        if entity.is_some() == (kind == Kind::Folder) || (key.is_some() && entity.is_none()) {
            return Err(CONTRADICTS);
        }
        Ok(GoneRecord {
            parent,
            kind,
            entity,
            key,
            saw,
            when,
            came,
            size,
            perm,
            name,
        })
    }
}
