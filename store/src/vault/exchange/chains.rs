//! Where each chain's batches are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use crate::core::StoreError;
use crate::db::Table;
use crate::event::{BatchRow, Walk};
use crate::ids::ChainId;
use crate::vault::Vault;
use crate::vault::take_in::Carried;

/// A chain, as far as it is here.
#[derive(Default)]
struct Chain {
    last: u64,
    head: [u8; 32],
    /// First event → batch.
    batches: BTreeMap<u64, u64>,
}

/// All chains, of which batches below `next` have been looked at.
#[derive(Default)]
pub(in crate::vault) struct Chains {
    next: u64,
    chains: HashMap<ChainId, Chain>,
}

impl Chains {
    fn learn(&mut self, no: u64, row: &BatchRow) {
        let chain = self.chains.entry(row.chain).or_default();
        if row.first > chain.last {
            chain.last = (row.first - 1).saturating_add(u64::from(row.count));
            chain.head = row.head;
            chain.batches.insert(row.first, no);
        }
        self.next = self.next.max(no.saturating_add(1));
    }
}

impl Vault {
    /// Calls `with` with all chains, as they are by now.
    fn with_chains<T>(&self, with: impl FnOnce(&Chains) -> T) -> Result<T, StoreError> {
        let mut chains = self.chains.lock();
        let from = chains.next.to_be_bytes();
        self.core
            .db
            .scan_from(Table::Batches, b"", &from, &mut |key, value| {
                let no = <[u8; 8]>::try_from(key).map(u64::from_be_bytes);
                if let (Ok(no), Ok(row)) = (no, BatchRow::decode(value)) {
                    chains.learn(no, &row);
                }
                true
            })?;
        Ok(with(&chains))
    }

    /// How far each chain is here: its last event's number, and the hash of that.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn clock(&self) -> Result<HashMap<ChainId, (u64, [u8; 32])>, StoreError> {
        self.with_chains(|known| {
            let chains = known.chains.iter();
            chains
                .map(|(id, chain)| (*id, (chain.last, chain.head)))
                .collect()
        })
    }

    /// The number of the batch that begins with this event, if one does.
    pub(in crate::vault) fn batch_at(&self, chain: ChainId, first: u64) -> Result<Option<u64>, StoreError> {
        self.with_chains(|known| known.chains.get(&chain)?.batches.get(&first).copied())
    }

    /// The number of the batch in which this event lies.
    pub(in crate::vault) fn batch_of(&self, chain: &ChainId, seq: u64) -> Result<Option<u64>, StoreError> {
        self.with_chains(|known| {
            let chain = known.chains.get(chain).filter(|chain| seq <= chain.last)?;
            chain.batches.range(..=seq).next_back().map(|(_, no)| *no)
        })
    }

    /// Batches of these chains that begin after these numbers, by the Lamport time of their first events: so
    /// each comes after what it builds on. Together about `most` bytes; one at least, if there is any. Of a
    /// chain with a batch that cannot be read, nothing from that on.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn batches_after(&self, after: &[(ChainId, u64)], most: usize) -> Result<Vec<Carried>, StoreError> {
        let next = |chain: ChainId, seq: u64| {
            self.with_chains(|known| {
                let batches = &known.chains.get(&chain)?.batches;
                let from = seq.checked_add(1)?;
                batches.range(from..).next().map(|(first, no)| (*first, *no))
            })
        };
        let mut heads = BinaryHeap::new();
        let mut read: HashMap<ChainId, Carried> = HashMap::new();
        let ahead = |chain: ChainId, seq: u64, read: &mut HashMap<ChainId, Carried>| {
            let Some((_, no)) = next(chain, seq)? else {
                return Ok(None);
            };
            let carried = match self.stored_batch(no) {
                Ok(carried) => carried,
                Err(e) if e.is_damage() => return Ok(None),
                Err(e) => return Err(e),
            };
            let what = "a batch of events";
            let first = Walk::new(&carried.bytes)
                .map_err(StoreError::malformed(what))?
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

    /// A batch as it is stored. Its pack may be written anew meanwhile: then as it is by then.
    pub(in crate::vault) fn stored_batch(&self, no: u64) -> Result<Carried, StoreError> {
        let what = "a batch of events";
        let find = || -> Result<BatchRow, StoreError> {
            let row = self.core.db.get(Table::Batches, &no.to_be_bytes())?;
            let row = row.ok_or_else(|| StoreError::Missing { what: what.into() })?;
            BatchRow::decode(&row).map_err(StoreError::malformed(what))
        };
        let mut row = find()?;
        loop {
            let mut bytes = vec![0; row.place.len as usize];
            match self.core.packs.read(row.place, 0, &mut bytes) {
                Ok(()) => return Ok(Carried { row, bytes }),
                Err(e) => {
                    let now = find()?;
                    if now.place == row.place {
                        return Err(e.into());
                    }
                    row = now;
                }
            }
        }
    }
}
