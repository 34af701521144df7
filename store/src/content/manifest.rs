//! Pieces to a stored manifest, and back.

use std::collections::HashSet;

use super::pieces::{DEPTH_MAX, Data, FANOUT, LeafEntry, Node, Piece, decode, encode_branch, encode_leaf};
use crate::core::{Core, StoreError};
use crate::keys::ChunkId;
use crate::record::{ChunkRef, ManifestRef, kind};

/// Stores the nodes over these pieces (all of them stored chunks or holes).
pub(crate) fn store(core: &Core, pieces: &[Piece]) -> Result<ManifestRef, StoreError> {
    let mut level = 0;
    let mut nodes = Vec::with_capacity(pieces.len().div_ceil(FANOUT));
    for leaf in pieces.chunks(FANOUT) {
        nodes.push(core.store_chunk(kind::MANIFEST, &encode_leaf(leaf))?);
    }
    while nodes.len() > 1 {
        level += 1;
        let mut above = Vec::with_capacity(nodes.len().div_ceil(FANOUT));
        for group in nodes.chunks(FANOUT) {
            above.push(core.store_chunk(kind::MANIFEST, &encode_branch(level, group))?);
        }
        nodes = above;
    }
    let root = nodes.pop().ok_or_else(|| StoreError::Missing {
        what: "a manifest's first piece".into(),
    })?;
    Ok(ManifestRef {
        id: root.id,
        sealed: root.sealed,
        len: root.len,
        depth: level,
        entries: pieces.len() as u64,
    })
}

/// Reads them.
pub(crate) fn load(core: &Core, root: &ManifestRef) -> Result<Vec<Piece>, StoreError> {
    let mut pieces = Vec::new();
    walk(core, root, &mut |_| {}, &mut |entry| {
        let start = pieces.last().map_or(0, Piece::end);
        let (len, data) = match entry {
            LeafEntry::Chunk(chunk) => (u64::from(chunk.len), Data::Chunk(chunk)),
            LeafEntry::Hole(len) => (len, Data::Hole),
        };
        pieces.push(Piece { start, len, data });
    })?;
    Ok(pieces)
}

/// Calls `each` with all chunks that a manifest names, its nodes and the bytes', as far as its nodes are
/// here. For one that may have come from anybody without its chunks: what it says that cannot be names
/// nothing, each node is looked at once, and what is not here is named and passed over.
///
/// # Errors
/// As [`StoreError`] says of nodes that are here and cannot be read.
pub(crate) fn names(
    core: &Core,
    root: &ManifestRef,
    each: &mut dyn FnMut(ChunkId),
) -> Result<(), StoreError> {
    let root_node = ChunkRef {
        id: root.id,
        sealed: root.sealed,
        len: root.len,
    };
    let mut seen: HashSet<(ChunkId, u8)> = HashSet::new();
    let mut stack = vec![(root_node, root.depth.min(DEPTH_MAX))];
    while let Some((chunk, level)) = stack.pop() {
        if !seen.insert((chunk.id, level)) {
            continue;
        }
        each(chunk.id);
        let row = core.chunk_row(&chunk.id)?;
        if row.is_none_or(|row| row.kind != kind::MANIFEST || row.len != chunk.len) {
            continue;
        }
        match decode(&core.whole_chunk(kind::MANIFEST, &chunk)?, level) {
            Ok(Node::Branch(children)) => stack.extend(children.into_iter().map(|child| (child, level - 1))),
            Ok(Node::Leaf(entries)) => {
                for entry in entries {
                    if let LeafEntry::Chunk(chunk) = entry {
                        each(chunk.id);
                    }
                }
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// Calls `each` with every chunk that a manifest names and that is not here, and its kind; as far as its nodes
/// are here. What it says that cannot be names nothing.
///
/// # Errors
/// As [`StoreError`] says of nodes that are here and cannot be read.
pub(crate) fn lacking(
    core: &Core,
    root: &ManifestRef,
    each: &mut dyn FnMut(&ChunkRef, u8),
) -> Result<(), StoreError> {
    let root_node = ChunkRef {
        id: root.id,
        sealed: root.sealed,
        len: root.len,
    };
    let mut seen: HashSet<(ChunkId, u8)> = HashSet::new();
    let mut stack = vec![(root_node, root.depth.min(DEPTH_MAX))];
    while let Some((chunk, level)) = stack.pop() {
        if !seen.insert((chunk.id, level)) {
            continue;
        }
        match core.chunk_row(&chunk.id)? {
            None => each(&chunk, kind::MANIFEST),
            Some(row) if row.kind != kind::MANIFEST || row.len != chunk.len => {}
            Some(_) => match decode(&core.whole_chunk(kind::MANIFEST, &chunk)?, level) {
                Ok(Node::Branch(children)) => {
                    stack.extend(children.into_iter().map(|child| (child, level - 1)));
                }
                Ok(Node::Leaf(entries)) => {
                    for entry in entries {
                        if let LeafEntry::Chunk(chunk) = entry
                            && core.chunk_row(&chunk.id)?.is_none()
                        {
                            each(&chunk, kind::CHUNK);
                        }
                    }
                }
                Err(_) => {}
            },
        }
    }
    Ok(())
}

/// Walks a manifest: `node` is called for each of its nodes, `entry` for each piece.
pub(crate) fn walk(
    core: &Core,
    root: &ManifestRef,
    node: &mut dyn FnMut(&ChunkRef),
    entry: &mut dyn FnMut(LeafEntry),
) -> Result<(), StoreError> {
    if root.depth > DEPTH_MAX {
        return Err(StoreError::Tampered {
            what: "a manifest".into(),
        });
    }
    let mut left = root.entries;
    let mut end = 0u64;
    let mut stack = vec![(
        ChunkRef {
            id: root.id,
            sealed: root.sealed,
            len: root.len,
        },
        root.depth,
    )];
    while let Some((chunk, level)) = stack.pop() {
        node(&chunk);
        let bytes = core.whole_chunk(kind::MANIFEST, &chunk)?;
        match decode(&bytes, level).map_err(StoreError::malformed("a manifest"))? {
            Node::Branch(children) => {
                stack.extend(children.into_iter().rev().map(|child| (child, level - 1)));
            }
            Node::Leaf(entries) => {
                for e in entries {
                    let len = match &e {
                        LeafEntry::Chunk(c) => u64::from(c.len),
                        LeafEntry::Hole(len) => *len,
                    };
                    let next = end.checked_add(len).filter(|e| *e <= i64::MAX as u64);
                    match (left.checked_sub(1), next) {
                        (Some(l), Some(next)) => (left, end) = (l, next),
                        _ => {
                            return Err(StoreError::Tampered {
                                what: "a manifest".into(),
                            });
                        }
                    }
                    entry(e);
                }
            }
        }
    }
    if left != 0 {
        return Err(StoreError::Tampered {
            what: "a manifest".into(),
        });
    }
    Ok(())
}
