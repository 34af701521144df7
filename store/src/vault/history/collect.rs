//! History's part of giving room back: what it holds is alive, and what it has let go of is left
//! out of its batches.

use std::collections::HashSet;

use super::debts::{Debts, UNKNOWN, manifest_note, note_pack, payload_note};
use super::rows::{holds_chunks, open_row, split_key};
use super::stand::Stand;
use crate::content::manifest;
use crate::content::pieces::LeafEntry;
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{BatchRow, Body, Found, Left, Version, let_go};
use crate::ids::EntityId;
use crate::keys::ChunkId;
use crate::record::{BodyRef, Kept, ManifestRef, kind};
use crate::vault::Vault;
use crate::vault::gc::{Alive, MOVE};

impl Vault {
    /// Marks the chunks of all versions that are held. The committer is.
    pub(in crate::vault) fn mark_versions(
        &self,
        standing: &Stand,
        alive: &mut Alive,
    ) -> Result<(), StoreError> {
        let mut roots = Vec::new();
        let mut seen: HashSet<ChunkId> = HashSet::new();
        let mut plain = Vec::new();
        let mut bad = None;
        self.core.db.scan(Table::Versions, b"", &mut |name, row| {
            let Some((entity, number)) = split_key(name).filter(|_| holds_chunks(row)) else {
                return true;
            };
            // One whose key is lost can be read by nobody.
            let Some(key) = standing.keys.get(&entity) else {
                return true;
            };
            match open_row(key, &entity, number, row, &mut plain) {
                Ok(record) => {
                    if let (Kept::All, BodyRef::Manifest(root)) = (record.kept, record.body)
                        && seen.insert(root.id)
                    {
                        roots.push(root);
                    }
                }
                Err(e) => bad = Some(e),
            }
            bad.is_none()
        })?;
        zeroize::Zeroize::zeroize(&mut plain);
        if let Some(e) = bad {
            return Err(e);
        }
        let mut each = roots.iter();
        each.try_for_each(|root| self.mark_manifest_here(root, alive))
    }

    /// Marks the chunks of versions that came from other devices and wait. What one names that cannot be
    /// read here nobody knows. The committer is held.
    pub(in crate::vault) fn mark_waiting(
        &self,
        standing: &Stand,
        alive: &mut Alive,
    ) -> Result<(), StoreError> {
        let mut each = |entity: EntityId, found: &Found| {
            let Some(key) = standing.keys.get(&entity) else {
                return Ok(());
            };
            match self.opened(key, found) {
                Some(Version {
                    body: Body::Manifest(root),
                    ..
                }) => self.mark_manifest_here(&root, alive),
                _ => Ok(()),
            }
        };
        self.each_waiting(&mut each)
    }

    /// Leaves out of their batches all payloads that were let go of, but for those that a file's
    /// bytes stand on; returns what is still owed. A batch that is damaged stays as it is, for `check` to count
    /// and a backup to mend; only what is to be destroyed is left out of it. The committer is held.
    pub(in crate::vault) fn leave_out(&self, standing: &Stand) -> Result<Debts, StoreError> {
        let debts = self.debts()?;
        let (mut batch, mut moved) = (Batch::new(), 0u64);
        let bodies = match debts.payloads.is_empty() {
            true => HashSet::new(),
            false => self.bodies_by_now(standing)?,
        };
        for (no, payloads) in &debts.payloads {
            let mut lets = payloads.clone();
            lets.retain(|offset, _| !bodies.contains(&(*no, *offset)));
            // Where it lies nobody knows: what is to be destroyed is not said to be before its batch is gone.
            let is_there = || self.core.db.get(Table::Batches, &no.to_be_bytes());
            if lets.get(&UNKNOWN).is_some_and(|(_, surely)| *surely) && is_there()?.is_some() {
                lets.remove(&UNKNOWN);
            }
            if lets.is_empty() {
                continue;
            }
            let name = no.to_be_bytes();
            if let Some(row) = self.core.db.get(Table::Batches, &name)? {
                let what = || format!("batch {no} of events");
                let row = BatchRow::decode(&row).map_err(StoreError::malformed(what()))?;
                let mut bytes = vec![0; row.place.len as usize];
                let read = self.core.packs.read(row.place, 0, &mut bytes);
                let what_goes = |offset| lets.get(&offset).copied();
                let left = read
                    .ok()
                    .and_then(|()| let_go(&bytes, &row.head, &what_goes).ok());
                // What is damaged is found by `check`; it keeps nothing else from going.
                let Some(Left {
                    bytes: left,
                    holes,
                    is_whole,
                }) = left
                else {
                    continue;
                };
                lets.retain(|_, (_, surely)| is_whole || *surely);
                let surely = lets.values().any(|(_, surely)| *surely);
                let known = debts.packs.get(&row.place.pack).copied().unwrap_or(false);
                note_pack(&mut batch, row.place.pack, surely || known);
                if holes != row.holes {
                    let place = self.core.packs.append(kind::BATCH, &row.head, &left)?;
                    moved += u64::from(place.len);
                    let row = BatchRow { place, holes, ..row };
                    batch.put(Table::Batches, name, row.encode());
                }
            }
            for offset in lets.keys() {
                batch.delete(Table::Pending, payload_note((*no, *offset)));
            }
            if moved > MOVE {
                self.apply_moved(std::mem::take(&mut batch), None)?;
                moved = 0;
            }
        }
        self.apply_moved(batch, None)?;
        self.debts()
    }

    /// Where the payloads lie that files' bytes stand on: their batches may have been joined since.
    fn bodies_by_now(&self, standing: &Stand) -> Result<HashSet<(u64, u32)>, StoreError> {
        let mut bodies = HashSet::new();
        // Those that lie beside each other one after the other: so each batch is read once.
        let mut all: Vec<_> = standing.bodies.iter().collect();
        all.sort_unstable_by_key(|(_, at)| **at);
        for (known, at) in all {
            match self.core.lies(*known, *at) {
                Ok(lies) => bodies.extend(lies.map(|lies| (lies.no, lies.offset))),
                // Nothing is left out of a batch that cannot be read.
                Err(e) if e.is_damage() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(bodies)
    }

    /// The chunks of files that are to be destroyed; their notes go with `batch`, and those of
    /// packs that are not there any more.
    pub(in crate::vault) fn doomed(
        &self,
        debts: &Debts,
        standing: &Stand,
        batch: &mut Batch,
    ) -> HashSet<ChunkId> {
        let mut doomed = HashSet::new();
        let closed = |root: &&ManifestRef| !standing.open.contains(&root.id);
        for root in debts.manifests.iter().filter(closed) {
            let (mut chunks, mut nodes) = (Vec::new(), Vec::new());
            // As far as it goes: what is not there any more need not be found.
            let _ = manifest::walk(&self.core, root, &mut |node| nodes.push(node.id), &mut |entry| {
                if let LeafEntry::Chunk(chunk) = entry {
                    chunks.push(chunk.id);
                }
            });
            doomed.extend(nodes);
            doomed.extend(chunks);
            batch.delete(Table::Pending, manifest_note(&root.id));
        }
        let packs: HashSet<u32> = self.core.packs.list().iter().map(|info| info.pack).collect();
        for pack in debts.packs.keys().filter(|pack| !packs.contains(pack)) {
            batch.delete(Table::Pending, super::debts::pack_note(*pack));
        }
        doomed
    }
}
