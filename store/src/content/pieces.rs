//! A file's sealed part in order: chunks, holes, and chunks that are being sealed.
//!
//! A manifest is the same on disk: a tree of content-addressed nodes, each sealed like a
//! chunk. Leaves list pieces; the nodes above list nodes. The same pieces make the same
//! nodes, so a small change in a large file writes one path.

use std::sync::Arc;

use crate::chunk::MAX;
use crate::codec::{Malformed, Reader, Writer};
use crate::core::pool::Job;
use crate::keys::ChunkId;
use crate::record::ChunkRef;

/// Most entries of a manifest's node.
pub(crate) const FANOUT: usize = 512;
/// Most bytes of a node's plaintext: its header and FANOUT entries of 69 bytes.
pub(crate) const NODE_MAX: usize = 4 + FANOUT * 69;
/// Deepest manifest: 512^4 chunks of 256 KiB are more than a file can have bytes.
pub(crate) const DEPTH_MAX: u8 = 5;

/// What a piece is.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Hole,
    Chunk(ChunkRef),
    /// Handed to the sealing threads.
    Sealing(Arc<Job>),
}

impl Data {
    /// The chunk, if it is stored.
    pub(crate) fn stored(&self) -> Option<ChunkRef> {
        match self {
            Data::Hole => None,
            Data::Chunk(chunk) => Some(*chunk),
            Data::Sealing(job) => job.stored(),
        }
    }
}

/// One piece of a file. `len` may be less than the chunk's: cut by a truncation.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) data: Data,
}

impl Piece {
    pub(crate) fn end(&self) -> u64 {
        self.start + self.len
    }
    /// Whether the whole of its chunk shows.
    pub(crate) fn is_whole(&self) -> bool {
        match &self.data {
            Data::Hole => true,
            Data::Chunk(chunk) => u64::from(chunk.len) == self.len,
            Data::Sealing(job) => job.len() as u64 == self.len,
        }
    }
}

/// The index of the piece that holds `offset`.
pub(crate) fn find(pieces: &[Piece], offset: u64) -> usize {
    pieces.partition_point(|p| p.end() <= offset)
}

/// Encodes a leaf: version, level 0, count, then pieces.
pub(crate) fn encode_leaf(pieces: &[Piece]) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(0).u8(0).u16(pieces.len() as u16);
    for piece in pieces {
        match &piece.data {
            Data::Chunk(c) => w.u8(1).raw(&c.id.0).raw(&c.sealed).u32(c.len),
            Data::Hole => w.u8(0).u64(piece.len),
            // Written as a hole it would be silent zeros: who stores a manifest has waited for its chunks.
            Data::Sealing(_) => unreachable!("a manifest is stored when all its chunks are"),
        };
    }
    w.0
}

/// Encodes a node above leaves: version, level, count, then children.
pub(crate) fn encode_branch(level: u8, children: &[ChunkRef]) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(0).u8(level).u16(children.len() as u16);
    for c in children {
        w.raw(&c.id.0).raw(&c.sealed).u32(c.len);
    }
    w.0
}

/// A decoded node.
pub(crate) enum Node {
    Leaf(Vec<LeafEntry>),
    Branch(Vec<ChunkRef>),
}

/// A leaf's entry: a chunk, or a hole of so many bytes.
pub(crate) enum LeafEntry {
    Chunk(ChunkRef),
    Hole(u64),
}

fn get_ref(r: &mut Reader<'_>, most: usize) -> Result<ChunkRef, Malformed> {
    let chunk = ChunkRef {
        id: ChunkId(r.array()?),
        sealed: r.array()?,
        len: r.u32()?,
    };
    if chunk.len == 0 || chunk.len as usize > most {
        return Err(Malformed("a manifest names a chunk of an impossible length"));
    }
    Ok(chunk)
}

/// Decodes a node that must be of this level.
pub(crate) fn decode(bytes: &[u8], level: u8) -> Result<Node, Malformed> {
    let mut r = Reader::new(bytes);
    if r.u8()? != 0 || r.u8()? != level {
        return Err(Malformed("a manifest node of another version or level"));
    }
    let count = usize::from(r.u16()?);
    if count == 0 || count > FANOUT {
        return Err(Malformed("a manifest node has too many entries, or none"));
    }
    if level > 0 {
        let children = (0..count)
            .map(|_| get_ref(&mut r, NODE_MAX))
            .collect::<Result<_, _>>()?;
        r.end()?;
        return Ok(Node::Branch(children));
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(match r.u8()? {
            0 => match r.u64()? {
                len if len > 0 && len <= i64::MAX as u64 => LeafEntry::Hole(len),
                _ => return Err(Malformed("a manifest names a hole of an impossible length")),
            },
            1 => LeafEntry::Chunk(get_ref(&mut r, MAX)?),
            _ => return Err(Malformed("a manifest entry of an unknown kind")),
        });
    }
    r.end()?;
    Ok(Node::Leaf(entries))
}
