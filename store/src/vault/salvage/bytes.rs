//! Versions' bytes, from the packs to the destination.
//!
//! Guarantees: what is written was opened by its seal, piece by piece, each from whichever copy of it is whole. No more than
//! a piece is in memory.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::out::{Attributes, BringError, Out};
use super::told::{Newest, Told, Unusable};
use crate::content::pieces::{DEPTH_MAX, LeafEntry, Node, decode};
use crate::event::{Body, Version, content_aad};
use crate::ids::EntityId;
use crate::keys::{ChunkId, Key};
use crate::record::{ManifestRef, kind};
use crate::tree::Kind;

impl Told {
    /// What a version's event says.
    pub(super) fn version(&self, key: &Key, entity: &EntityId, newest: &Newest) -> Result<Version, Unusable> {
        let mut sealed = vec![0; newest.len as usize];
        let read = self.packs.read(newest.batch, newest.from, &mut sealed);
        read.map_err(|_| Unusable::Damaged)?;
        let aad = content_aad(entity, newest.at, newest.generation);
        let plain = self.keyring.open_content(key, &aad, &sealed);
        let plain = zeroize::Zeroizing::new(plain.map_err(|_| Unusable::Damaged)?);
        Ok(Version::decode(&plain)?)
    }

    /// Writes a version that has its bytes to a file; its size and where it is.
    pub(super) fn write_version(
        &self,
        version: &Version,
        to: &Path,
        out: &mut Out<'_>,
    ) -> Result<(u64, PathBuf), BringError> {
        let attributes = Attributes::told(version.perm, Some(version.mtime), version.xattrs.clone());
        if version.kind == Kind::Symlink {
            let mut target = Vec::new();
            match &version.body {
                Body::Inline(bytes) => target.extend_from_slice(bytes),
                Body::Manifest(root) => self.each_piece(root, &mut |_, piece| {
                    target.extend_from_slice(piece);
                    Ok(())
                })?,
                // No link is a text.
                Body::Change { .. } | Body::Same | Body::Carried { .. } => {}
            }
            return Ok((version.size, out.symlink_later(target, to, attributes)));
        }
        let write = |file: &fs::File| match &version.body {
            Body::Inline(bytes) => file.write_all_at(bytes, 0).map_err(BringError::Dest),
            Body::Manifest(root) => self.each_piece(root, &mut |at, piece| file.write_all_at(piece, at)),
            // Made to bytes by whoever calls this.
            Body::Change { .. } | Body::Same | Body::Carried { .. } => {
                Err(BringError::Vault("its text is not there".into()))
            }
        };
        let at = out.fill(to, version.size, &attributes, write)?;
        Ok((version.size, at))
    }

    /// Calls `each` with every chunk's offset and bytes, in order; holes are passed over.
    pub(super) fn each_piece(
        &self,
        root: &ManifestRef,
        each: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<(), BringError> {
        let lost = || BringError::Vault("a chunk of it is missing or damaged".into());
        if root.depth > DEPTH_MAX {
            return Err(lost());
        }
        let mut at = 0u64;
        let mut stack = vec![(root.id, root.len, root.depth)];
        while let Some((id, len, level)) = stack.pop() {
            let bytes = self.chunk(&id, len, kind::MANIFEST).ok_or_else(lost)?;
            match decode(&bytes, level).map_err(|_| lost())? {
                Node::Branch(children) => {
                    stack.extend(children.iter().rev().map(|c| (c.id, c.len, level - 1)));
                }
                Node::Leaf(entries) => {
                    for entry in entries {
                        let len = match entry {
                            LeafEntry::Chunk(c) => {
                                let bytes = self.chunk(&c.id, c.len, kind::CHUNK).ok_or_else(lost)?;
                                each(at, &bytes).map_err(BringError::Dest)?;
                                u64::from(c.len)
                            }
                            LeafEntry::Hole(len) => len,
                        };
                        at = at.checked_add(len).ok_or_else(lost)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A chunk's bytes, from whichever copy is whole.
    fn chunk(&self, id: &ChunkId, len: u32, want: u8) -> Option<Vec<u8>> {
        let others = self.copies.get(id).into_iter().flatten();
        self.chunks
            .get(id)
            .into_iter()
            .chain(others)
            .find_map(|(kind, place)| {
                let mut sealed = vec![0; place.len as usize];
                self.packs.read(*place, 0, &mut sealed).ok()?;
                let opened = || self.keyring.chunks.open(want, id, len as usize, &sealed).ok();
                (*kind == want).then(opened)?
            })
    }
}
