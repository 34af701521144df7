//! Where the events of each chain lie.
//!
//! Rows name the batch in which an event came, and where in it. Batches are joined since (`vault/join`): what is
//! joined keeps the number of its first batch, and begins with that one's very bytes, so what was named in that one is
//! still there; the numbers of the others are gone for good. Whoever finds no batch of a number asks here by the event.
//!
//! Guarantees: an event that is here is found, whatever is joined meanwhile; what is remembered is bounded, but for one
//! entry for each batch. It believes rows, which the set hash guards, and no bytes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Core, StoreError};
use crate::db::Table;
use crate::event::{BatchRow, Event, EventKind, Found, Walk};
use crate::ids::{ChainId, EventRef};

const WHAT: &str = "a batch of events";
/// Of so many events, in the batches that were asked for last, it is remembered where in them they lie: 40 bytes each.
const REMEMBERED: usize = 1 << 16;

/// A chain, as far as it is here.
#[derive(Default)]
pub(crate) struct Chain {
    /// Its last event; 0 if there is none.
    pub(crate) last: u64,
    /// The hash of that.
    pub(crate) head: [u8; 32],
    /// First event → batch.
    pub(crate) batches: BTreeMap<u64, u64>,
}

impl Chain {
    /// The batch that an event lies in, if it is here.
    pub(crate) fn batch_of(&self, seq: u64) -> Option<u64> {
        let (_, no) = self.batches.range(..=seq).next_back()?;
        (seq <= self.last).then_some(*no)
    }
}

/// All chains, of which batches below `next` have been looked at.
#[derive(Default)]
pub(crate) struct Chains {
    next: u64,
    pub(crate) chains: HashMap<ChainId, Chain>,
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

/// Of an event: where its sealed payload begins, in its batch as that was made; its Lamport time.
#[derive(Clone, Copy)]
struct Mark {
    offset: u32,
    lamport: u64,
    /// It is a version, and what it said was let go of.
    hole: bool,
    /// The entity that it may be a version of; zeros if it is of none.
    entity: [u8; 16],
}

/// Of a batch's events what is asked for often; none of one that is damaged.
struct Marks {
    no: u64,
    row: BatchRow,
    events: Vec<Option<Mark>>,
}

impl Marks {
    fn of(&self, at: EventRef) -> Option<Mark> {
        let place = usize::try_from(at.seq.checked_sub(self.row.first)?).ok()?;
        self.events.get(place).copied().flatten()
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Batches {
    chains: Mutex<Chains>,
    marks: Mutex<VecDeque<Arc<Marks>>>,
}

/// Where an event's payload lies: the batch's number and row, and the offset in it as it was made.
pub(crate) struct Lies {
    pub(crate) no: u64,
    pub(crate) row: BatchRow,
    pub(crate) offset: u32,
}

impl Core {
    /// Calls `with` with all chains, as they are by now.
    pub(crate) fn with_chains<T>(&self, with: impl FnOnce(&Chains) -> T) -> Result<T, StoreError> {
        let mut chains = self.batches.chains.lock();
        let from = chains.next.to_be_bytes();
        self.db.scan_from(Table::Batches, b"", &from, &mut |key, value| {
            let no = <[u8; 8]>::try_from(key).map(u64::from_be_bytes);
            if let (Ok(no), Ok(row)) = (no, BatchRow::decode(value)) {
                chains.learn(no, &row);
            }
            true
        })?;
        Ok(with(&chains))
    }

    /// Applies a transaction by which the batches of a chain that begin with these events become part of the one
    /// before them: nobody looks for an event in between.
    pub(crate) fn rejoin(
        &self,
        chain: ChainId,
        gone: &[u64],
        apply: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // All that is there is known, so that none that goes is learnt of later.
        self.with_chains(|_| ())?;
        let mut chains = self.batches.chains.lock();
        apply()?;
        if let Some(known) = chains.chains.get_mut(&chain) {
            gone.iter().for_each(|first| {
                known.batches.remove(first);
            });
        }
        Ok(())
    }

    /// The number of the batch in which an event lies, if it is here.
    pub(crate) fn batch_of(&self, at: EventRef) -> Result<Option<u64>, StoreError> {
        self.with_chains(|known| known.chains.get(&at.chain)?.batch_of(at.seq))
    }

    /// The row of a batch, if there is one of this number.
    pub(crate) fn batch_row(&self, no: u64) -> Result<Option<BatchRow>, StoreError> {
        let row = self.db.get(Table::Batches, &no.to_be_bytes())?;
        row.map(|row| BatchRow::decode(&row).map_err(StoreError::malformed(WHAT)))
            .transpose()
    }

    /// A batch as it is stored: by its number, or, if that is gone, the one that this event of it lies in. Its pack may be
    /// written anew meanwhile, or it may be joined: then as it is by then.
    pub(crate) fn stored_batch(&self, no: u64, at: EventRef) -> Result<(u64, BatchRow, Vec<u8>), StoreError> {
        let find = || self.batch_by(no, at)?.ok_or_else(missing);
        let (mut no, mut row) = find()?;
        loop {
            let mut bytes = vec![0; row.place.len as usize];
            let failed = match self.packs.read(row.place, 0, &mut bytes) {
                Ok(()) => return Ok((no, row, bytes)),
                Err(e) => e,
            };
            let now = find()?;
            if now.1.place == row.place {
                return Err(failed.into());
            }
            (no, row) = now;
        }
    }

    /// The number of the batch that an event lies in, which came in this one.
    pub(crate) fn batch_by_now(&self, no: u64, at: EventRef) -> u64 {
        let now = self.batch_by(no, at).ok().flatten();
        now.map_or(no, |(now, _)| now)
    }

    fn batch_by(&self, no: u64, at: EventRef) -> Result<Option<(u64, BatchRow)>, StoreError> {
        if let Some(row) = self.batch_row(no)? {
            return Ok(Some((no, row)));
        }
        let mut was = None;
        loop {
            let now = self.batch_of(at)?;
            let Some(now) = now else { return Ok(None) };
            if let Some(row) = self.batch_row(now)? {
                return Ok(Some((now, row)));
            }
            // It was joined in between to what is before it: that is known a moment later. One that stays so is not there.
            if was == Some(now) {
                return Ok(None);
            }
            was = Some(now);
        }
    }

    /// Where the payload of an event lies that came in this batch, at this offset in it. None if neither is here.
    pub(crate) fn lies(&self, (no, offset): (u64, u32), at: EventRef) -> Result<Option<Lies>, StoreError> {
        if let Some(row) = self.batch_row(no)? {
            return Ok(Some(Lies { no, row, offset }));
        }
        let Some((no, row)) = self.batch_by(no, at)? else {
            return Ok(None);
        };
        let marks = self.marks(no, &row, at)?;
        // It may have been joined once more in between: the offset is one in what the marks are of.
        Ok(marks.of(at).map(|mark| Lies {
            no: marks.no,
            row: marks.row.clone(),
            offset: mark.offset,
        }))
    }

    /// An event's Lamport time; none if it is not here, or cannot be read.
    pub(crate) fn lamport(&self, at: EventRef) -> Result<Option<u64>, StoreError> {
        Ok(self.mark(at)?.map(|mark| mark.lamport))
    }

    /// Whether an event is a version that is here, and of which what it said is not.
    pub(crate) fn is_hole(&self, at: EventRef) -> Result<bool, StoreError> {
        Ok(self.mark(at)?.is_some_and(|mark| mark.hole))
    }

    /// Whether an event that is here is a version of another entity than this one, or none at all.
    pub(crate) fn is_of_another(&self, at: EventRef, entity: &[u8; 16]) -> Result<bool, StoreError> {
        Ok(self.mark(at)?.is_some_and(|mark| mark.entity != *entity))
    }

    /// The events of the batch that this one lies in, with its number, as far as they are whole.
    pub(crate) fn events_beside(&self, at: EventRef) -> Result<Option<(u64, Vec<Event>)>, StoreError> {
        let no = self.batch_of(at)?;
        let Some(no) = no else { return Ok(None) };
        let (no, _, bytes) = self.stored_batch(no, at)?;
        let walk = Walk::new(&bytes).map_err(StoreError::malformed(WHAT))?;
        Ok(Some((no, walk.flatten().map(|found| found.event).collect())))
    }

    fn mark(&self, at: EventRef) -> Result<Option<Mark>, StoreError> {
        let no = self.batch_of(at)?;
        let Some(no) = no else { return Ok(None) };
        let marks = match self.batch_by(no, at)? {
            Some((no, row)) => self.marks(no, &row, at),
            None => return Ok(None),
        };
        match marks {
            Ok(marks) => Ok(marks.of(at)),
            Err(e) if e.is_damage() => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn marks(&self, no: u64, row: &BatchRow, at: EventRef) -> Result<Arc<Marks>, StoreError> {
        {
            let mut marks = self.batches.marks.lock();
            let is_it = |known: &Arc<Marks>| {
                (known.no, known.row.count, known.row.place) == (no, row.count, row.place)
            };
            if let Some(place) = marks.iter().position(is_it)
                && let Some(known) = marks.remove(place)
            {
                marks.push_back(known.clone());
                return Ok(known);
            }
        }
        let (no, row, bytes) = self.stored_batch(no, at)?;
        let walk = Walk::new(&bytes).map_err(StoreError::malformed(WHAT))?;
        let found = Arc::new(Marks {
            no,
            row,
            events: walk
                .map(|found| {
                    let Found { event, sealed_at, .. } = found.ok()?;
                    Some(Mark {
                        offset: sealed_at,
                        lamport: event.head.lamport,
                        hole: event.head.kind == EventKind::Version && event.sealed.is_none(),
                        entity: event.head.entity().unwrap_or_default(),
                    })
                })
                .collect(),
        });
        let mut marks = self.batches.marks.lock();
        marks.retain(|known| known.no != no);
        marks.push_back(found.clone());
        let mut events: usize = marks.iter().map(|known| known.events.len()).sum();
        while events > REMEMBERED && marks.len() > 1 {
            events -= marks.pop_front().map_or(0, |known| known.events.len());
        }
        Ok(found)
    }
}

fn missing() -> StoreError {
    StoreError::Missing { what: WHAT.into() }
}
