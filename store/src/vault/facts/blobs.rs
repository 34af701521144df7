//! The chunks that files are made of.

use std::collections::{HashMap, HashSet};

use super::PAGE;
use crate::content::manifest;
use crate::content::pieces::LeafEntry;
use crate::core::StoreError;
use crate::db::Table;
use crate::keys::ChunkId;
use crate::record::{BodyRef, ChunkRow, Kept, ManifestRef, kind};
use crate::vault::Vault;

/// A chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// A name for it, which tells nothing to whoever lacks the vault's keys.
    pub name: [u8; 32],
    /// Its bytes.
    pub size: u64,
    /// What they take in packs; none: it is on other devices, and not here.
    pub stored: Option<u64>,
    /// In how many places of what files show, and of versions that are kept, it stands: what is the same in several counts once. None:
    /// it is of nothing any more, and goes with the next collection that finds enough of that.
    pub references: u64,
}

/// What is counted of a chunk.
#[derive(Clone, Copy, Default)]
struct Counted {
    references: u64,
    len: u32,
}

impl Vault {
    /// Calls `each` with all chunks that are here, durably, or that something names, until it returns false; in no order. Small
    /// files have none: they lie whole beside what is told of them. Reads all manifests, and remembers each chunk
    /// while it runs: some 60 bytes.
    ///
    /// # Errors
    /// As [`StoreError`] says. What is damaged is left out; `check` names it.
    pub fn blobs(&self, each: &mut dyn FnMut(Blob) -> bool) -> Result<(), StoreError> {
        let mut counted: HashMap<ChunkId, Counted> = HashMap::new();
        let mut seen: HashSet<ChunkId> = HashSet::new();
        self.each_entity(&mut |entity, versions| {
            let kept = versions.iter().filter_map(|version| match version.body {
                BodyRef::Manifest(root) if version.kept == Kept::All => Some(root),
                _ => None,
            });
            for root in entity.shows.into_iter().chain(kept) {
                if seen.insert(root.id) {
                    self.count_blobs(&root, &mut counted)?;
                }
            }
            Ok(true)
        })?;
        let mut after = Vec::new();
        loop {
            let page = self.rows_after(Table::Chunks, &after)?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            let is_last = page.len() < PAGE;
            for (key, row) in page {
                let (Ok(id), Ok(row)) = (<[u8; 32]>::try_from(key), ChunkRow::decode(&row)) else {
                    continue;
                };
                if row.kind != kind::CHUNK {
                    continue;
                }
                let id = ChunkId(id);
                let blob = Blob {
                    name: self.blob_name(&id),
                    size: row.len.into(),
                    stored: Some(row.place.len.into()),
                    references: counted.remove(&id).unwrap_or_default().references,
                };
                if !each(blob) {
                    return Ok(());
                }
            }
            if is_last {
                break;
            }
        }
        for (id, counted) in counted {
            // One that came since the rows were read, and is not durable yet, is here all the same.
            let stored = self.core.chunk_row(&id)?.map(|row| row.place.len.into());
            let blob = Blob {
                name: self.blob_name(&id),
                size: counted.len.into(),
                stored,
                references: counted.references,
            };
            if !each(blob) {
                break;
            }
        }
        Ok(())
    }

    fn count_blobs(
        &self,
        root: &ManifestRef,
        counted: &mut HashMap<ChunkId, Counted>,
    ) -> Result<(), StoreError> {
        let mut named: Vec<(ChunkId, u32)> = Vec::new();
        let walked = manifest::walk(&self.core, root, &mut |_| {}, &mut |entry| {
            if let LeafEntry::Chunk(chunk) = entry {
                named.push((chunk.id, chunk.len));
            }
        });
        match walked {
            // It may have gone since it was named, or be on its way.
            Err(error) if !error.is_damage() => return Err(error),
            _ => {}
        }
        for (id, len) in named {
            let known = counted.entry(id).or_default();
            (known.references, known.len) = (known.references + 1, len);
        }
        Ok(())
    }
}
