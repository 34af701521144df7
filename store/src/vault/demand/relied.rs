//! What other devices gave up on this one's word.
//!
//! Guarantees: a piece is confirmed only while everything is kept and nothing here is damaged, if its bytes were read and are
//! what they are to be, and after it was noted, durably, that somebody relies on this device. From then on nothing is let go
//! of before its time for want of room; and what was let go of so before is confirmed no more.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::Keeping;
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::NodeId;
use crate::keys::ChunkId;
use crate::record::ChunkRef;
use crate::vault::history::Subject;
use crate::vault::{OpError, Vault};

/// The note that somebody relies on this device.
const RELIED: &str = "relied on";
/// The note that history was let go of before its time, and not all of its room given back yet.
const LET_GO: &str = "let go early";
/// Bytes that are read for one question, at most: what is asked beyond them is not confirmed this time.
const READ_MOST: u64 = 64 << 20;
/// Pieces that are waited for at a time.
const TOGETHER: usize = 64;

/// Pieces that were brought for what is about to name them: while it lives, they are not given up.
pub struct Gathered<'a>(&'a Vault, Vec<ChunkId>);

impl std::fmt::Debug for Gathered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gathered").field(&self.1.len()).finish()
    }
}

/// How many hold each.
pub(super) type Held = HashMap<ChunkId, usize>;

impl Drop for Gathered<'_> {
    fn drop(&mut self) {
        let mut held = self.0.demand.gathered.lock();
        for id in &self.1 {
            if let Some(count) = held.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    held.remove(id);
                }
            }
        }
    }
}

fn is_set(note: Result<Option<Vec<u8>>, StoreError>) -> bool {
    // One that cannot be read is believed: nothing is let go of on a doubt.
    !matches!(note, Ok(None)) && !matches!(note, Ok(Some(plain)) if plain == [0])
}

impl Vault {
    pub(super) fn load_relied(&self) {
        self.demand
            .relied
            .store(is_set(self.note(RELIED)), Ordering::Release);
        self.demand
            .let_go
            .store(is_set(self.note(LET_GO)), Ordering::Release);
    }

    /// Whether other devices may have given up bytes because this one confirmed that it holds them.
    pub fn is_relied_on(&self) -> bool {
        self.demand.relied.load(Ordering::Acquire)
    }

    /// Which of these are here for somebody who gives them up then: durably, and with their bytes read. Where it is many
    /// bytes, those that are named first.
    pub fn confirm(&self, ids: &[ChunkId]) -> Vec<bool> {
        // What a newer program told may need any of them, and nobody here sees to it that they stay.
        if !matches!(self.is_behind_others(), Ok(false)) {
            return vec![false; ids.len()];
        }
        let mut left = READ_MOST;
        ids.iter().map(|id| self.confirms(id, &mut left)).collect()
    }

    fn confirms(&self, id: &ChunkId, left: &mut u64) -> bool {
        // Asked for each: who stops keeping everything confirms nothing from that moment on.
        let may = || {
            let keeps = self.keeping() == Keeping::Everything && !self.is_damaged();
            keeps && !self.demand.let_go.load(Ordering::Acquire)
        };
        if !may() || !matches!(self.holds_chunk(id), Ok(true)) {
            return false;
        }
        let Ok(Some(row)) = self.core.chunk_row(id) else {
            return false;
        };
        let len = u64::from(row.place.len);
        if len > *left || self.rely().is_err() {
            return false;
        }
        *left -= len;
        let is_whole = matches!(self.sealed_chunk(id), Ok(Some(_)));
        is_whole && may()
    }

    /// Notes that somebody relies on this device, once.
    fn rely(&self) -> Result<(), StoreError> {
        if self.is_relied_on() {
            return Ok(());
        }
        // Nothing is being let go of, and from here on nothing is.
        let _alone = self.demand.sweeping.lock();
        self.set_note(RELIED, &[1])?;
        self.demand.relied.store(true, Ordering::Release);
        Ok(())
    }

    /// Has a batch note that history goes before its time; it is applied before anything goes.
    pub(in crate::vault) fn lets_go(&self) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let (row, sealed) = self.note_row(LET_GO, &[1]);
        batch.put(Table::Meta, row, sealed);
        self.core.db.apply(&batch)?;
        self.demand.let_go.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether history has gone before its time, and its bytes may still be here.
    pub(in crate::vault) fn has_let_go(&self) -> bool {
        self.demand.let_go.load(Ordering::Acquire)
    }

    /// A collection has gone through that began after that: what is here now is named.
    pub(in crate::vault) fn gave_back(&self) -> Result<(), StoreError> {
        self.set_note(LET_GO, &[0])?;
        self.demand.let_go.store(false, Ordering::Release);
        Ok(())
    }

    /// Waits for all bytes of a version that are not here, before it becomes a version again: nothing is told whose bytes
    /// nobody may have. They stay while what is returned lives.
    ///
    /// # Errors
    /// EHOSTUNREACH if they cannot be had now; as [`Vault::open_version`].
    pub fn gather_version(&self, of: Subject, number: u64) -> Result<Gathered<'_>, OpError> {
        self.hold_all(if self.is_partial() {
            self.open_version(of, number)?.chunks()
        } else {
            Vec::new()
        })
    }

    /// The same of something that was removed, before it is brought back.
    ///
    /// # Errors
    /// EHOSTUNREACH if they cannot be had now; as [`Vault::bring_back`].
    pub fn gather_removed(&self, node: NodeId, number: Option<u64>) -> Result<Gathered<'_>, OpError> {
        self.hold_all(if self.is_partial() {
            self.chunks_of_removed(node, number)?
        } else {
            Vec::new()
        })
    }

    fn hold_all(&self, chunks: Vec<ChunkRef>) -> Result<Gathered<'_>, OpError> {
        let ids: Vec<ChunkId> = chunks.iter().map(|chunk| chunk.id).collect();
        {
            let mut held = self.demand.gathered.lock();
            for id in &ids {
                *held.entry(*id).or_default() += 1;
            }
        }
        let gathered = Gathered(self, ids);
        for some in chunks.chunks(TOGETHER) {
            self.wait_for_all(some)?;
        }
        Ok(gathered)
    }
}
