//! How far each chain is here, and what of it comes after an event.
//!
//! Batches that were joined are given from the event on that is asked for: so whoever has the beginning of one is not
//! given it again, and two devices that joined otherwise give each other what both can take.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::core::StoreError;
use crate::event::{self, EventRef, VerifyError, Walk};
use crate::ids::ChainId;
use crate::vault::Vault;
use crate::vault::take_in::Carried;

const WHAT: &str = "a batch of events";

impl Vault {
    /// How far each chain is here: its last event's number, and the hash of that.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn clock(&self) -> Result<HashMap<ChainId, (u64, [u8; 32])>, StoreError> {
        self.core.with_chains(|known| {
            let chains = known.chains.iter();
            chains
                .map(|(id, chain)| (*id, (chain.last, chain.head)))
                .collect()
        })
    }

    /// The hash of an event's head; none if the event is not here.
    pub(in crate::vault) fn hash_of(&self, at: EventRef) -> Result<Option<[u8; 32]>, StoreError> {
        let no = self
            .core
            .with_chains(|known| known.chains.get(&at.chain)?.batch_of(at.seq))?;
        let Some(no) = no else { return Ok(None) };
        if let Some(row) = self.core.batch_row(no)?
            && row.last().is_ok_and(|last| last == at.seq)
        {
            return Ok(Some(row.head));
        }
        let (_, row, bytes) = self.core.stored_batch(no, at)?;
        let stored = event::Unverified {
            row: &row,
            bytes: &bytes,
        };
        let all = stored.chained().map_err(damaged)?;
        let found = all.iter().find(|found| found.event.head.at == at);
        Ok(found.map(|found| found.hash))
    }

    /// Batches of these chains that begin after these numbers, by the Lamport time of their first events: so
    /// each comes after what it builds on. Together about `most` bytes; one at least, if there is any. Of a
    /// chain with a batch that cannot be read, nothing from that on.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn batches_after(&self, after: &[(ChainId, u64)], most: usize) -> Result<Vec<Carried>, StoreError> {
        let mut heads = BinaryHeap::new();
        let mut read: HashMap<ChainId, Carried> = HashMap::new();
        let ahead = |chain: ChainId, seq: u64, read: &mut HashMap<ChainId, Carried>| {
            let carried = match self.next_batch(chain, seq) {
                Ok(Some(carried)) => carried,
                Ok(None) => return Ok(None),
                Err(e) if e.is_damage() => return Ok(None),
                Err(e) => return Err(e),
            };
            let first = Walk::new(&carried.bytes)
                .map_err(StoreError::malformed(WHAT))?
                .next();
            let Some(Ok(first)) = first else { return Ok(None) };
            let lamport = first.event.head.lamport;
            read.insert(chain, carried);
            Ok(Some(Reverse((lamport, chain))))
        };
        for (chain, seq) in after {
            heads.extend(ahead(*chain, *seq, &mut read)?);
        }
        let (mut given, mut bytes) = (Vec::new(), 0);
        while let Some(Reverse((_, chain))) = heads.pop() {
            let Some(carried) = read.remove(&chain) else {
                continue;
            };
            if bytes > 0 && bytes + carried.bytes.len() > most {
                break;
            }
            bytes += carried.bytes.len();
            let last = carried.row.last().unwrap_or(u64::MAX);
            given.push(carried);
            heads.extend(ahead(chain, last, &mut read)?);
        }
        Ok(given)
    }

    /// What of a chain comes after an event: the rest of the batch that it lies in, or the next one.
    fn next_batch(&self, chain: ChainId, seq: u64) -> Result<Option<Carried>, StoreError> {
        let Some(next) = seq.checked_add(1) else {
            return Ok(None);
        };
        let no = self.core.with_chains(|known| {
            let known = known.chains.get(&chain)?;
            let later = || known.batches.range(next..).next().map(|(_, no)| *no);
            known.batch_of(next).or_else(later)
        })?;
        let Some(no) = no else { return Ok(None) };
        let (_, row, bytes) = self.core.stored_batch(no, EventRef { chain, seq: next })?;
        if row.first >= next {
            return Ok(Some(Carried { row, bytes }));
        }
        if row.last().is_ok_and(|last| last < next) {
            return Ok(None);
        }
        let (row, bytes) = event::after(&row, &bytes, seq).map_err(damaged)?;
        Ok(Some(Carried { row, bytes }))
    }
}

/// What is stored is not what was told.
pub(in crate::vault) fn damaged(why: VerifyError) -> StoreError {
    match why {
        VerifyError::Malformed(why) => StoreError::malformed(WHAT)(why),
        _ => StoreError::Tampered { what: WHAT.into() },
    }
}
