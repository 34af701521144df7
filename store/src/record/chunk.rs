//! Chunks as records name them: a chunk's row, a manifest's root, places in packs.

use super::VERSION;
use crate::chunk::Place;
use crate::chunk::pack::MAX_PAYLOAD;
use crate::codec::{Malformed, Reader, Writer};
use crate::keys::ChunkId;

/// A stored chunk, as a manifest names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    pub(crate) id: ChunkId,
    /// BLAKE3 of the sealed bytes.
    pub(crate) sealed: [u8; 32],
    /// Plaintext length in bytes.
    pub(crate) len: u32,
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

pub(crate) fn put_place(w: &mut Writer, place: Place) {
    w.u32(place.pack).u64(place.offset).u32(place.len);
}

/// A place that a pack can have. Rows that name places lie unsealed, and readers make
/// room for `len` bytes.
pub(crate) fn get_place(r: &mut Reader<'_>) -> Result<Place, Malformed> {
    lawful_place(Place {
        pack: r.u32()?,
        offset: r.u64()?,
        len: r.u32()?,
    })
}

/// The place, if a pack can have it.
pub(crate) fn lawful_place(place: Place) -> Result<Place, Malformed> {
    if place.len as usize > MAX_PAYLOAD || place.offset.checked_add(u64::from(place.len)).is_none() {
        return Err(Malformed("a place that no pack has"));
    }
    Ok(place)
}
