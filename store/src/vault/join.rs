//! Joining: consecutive batches of a chain become one, with the last one's head and signature, so that a vault of many
//! small edits has few rows of batches, and says once what their events have in common.
//!
//! Guarantees: no event's hash changes, and each is found by whoever named it before (`core/batches`); after a crash
//! there are the batches or the one that they became. Each event is written anew only when what it lies in grows by
//! half, so as often as the logarithm of the number of edits. Batches of today are left alone: other devices are perhaps
//! about to take them.
//!
//! **Which follow each other in time is kept.** A device takes a batch when all that it builds on is there. If two chains
//! went on from each other in turn, and each were joined to one, neither could ever come first. So events that build on
//! another chain are joined to what is before them only where the batches that they build on were all told before
//! that began, by Lamport times, which every device checks when it takes something in. Then each batch builds on such
//! alone that begin earlier, whoever joined them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Vault;
use super::history::{Debts, UNKNOWN, note_pack, note_payload, payload_note};
use crate::chunk::pack::HEADER;
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{self, BatchRow, EventRef, Found, Unverified};
use crate::ids::ChainId;
use crate::record::kind;
use crate::vault::exchange::damaged;

/// Bytes of a joined batch at most, as it was made.
const BYTES_MAX: u64 = 1 << 20;
/// Events of one at most.
const EVENTS_MAX: u32 = 4096;
/// A batch that builds on more events of other chains than these is not joined to what is before it.
const NEEDS_MAX: usize = 64;
/// What is younger is left alone.
const AGE: Duration = Duration::from_secs(3600);
/// How often is looked.
const LOOK: Duration = Duration::from_secs(600);
/// How long after the vault was opened is looked first.
const FIRST: Duration = Duration::from_secs(60);
/// How long is joined at a time; then the rest, soon.
const SPELL: Duration = Duration::from_secs(2);

/// Which batches may be joined by now, and what is known of them.
pub(super) struct Joining {
    /// Batches below this number are old enough.
    old: u64,
    /// Those below this one will be, an hour after that.
    aging: (u64, Instant),
    look: Instant,
    times: HashMap<u64, Option<Times>>,
}

/// What decides whether a batch may be joined.
#[derive(Clone)]
struct Times {
    count: u32,
    /// Lamport times: the first event's, and the greatest.
    first: u64,
    greatest: u64,
    /// What it builds on in other chains.
    needs: Vec<EventRef>,
}

/// Batches that lie behind each other, and are to be one.
struct Group {
    numbers: Vec<u64>,
    bytes: u64,
    events: u32,
}

/// What was joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JoinedBatches {
    /// Batches that there were.
    pub batches: u64,
    /// What they became.
    pub into: u64,
}

impl Joining {
    /// What was told before the vault was opened is old.
    pub(super) fn before(next: u64) -> Joining {
        Joining {
            old: next,
            aging: (next, Instant::now()),
            look: Instant::now() + FIRST,
            times: HashMap::new(),
        }
    }

    fn age(&mut self, next: u64, now: Instant) {
        if now.duration_since(self.aging.1) >= AGE {
            self.old = self.aging.0;
            self.aging = (next, now);
        }
    }
}

/// How long a batch was when it was made.
fn made(row: &BatchRow) -> u64 {
    let gone: u64 = row.holes.iter().map(|hole| u64::from(hole.len)).sum();
    u64::from(row.place.len) + gone
}

impl Vault {
    /// Joins what is old enough, if that was not looked for just now: what the keeper calls when it is quiet.
    pub(super) fn join_when_due(&self) {
        let now = Instant::now();
        let Some(mut joining) = self.joining.try_lock() else {
            return;
        };
        if now < joining.look {
            return;
        }
        let next = self.committer.lock().counters.next_batch;
        joining.age(next, now);
        let old = joining.old;
        // What fails is tried again, and what is damaged is found by `check`.
        let done = self.join_below(&mut joining, old, Some(now + SPELL));
        let is_done = done.is_ok_and(|(_, is_done)| is_done);
        joining.look = now + if is_done { LOOK } else { SPELL * 10 };
    }

    /// Joins all batches that may be, however young they are.
    ///
    /// # Errors
    /// As [`StoreError`] says; what was joined before that is.
    pub fn join_batches(&self) -> Result<JoinedBatches, StoreError> {
        let Some(mut joining) = self.joining.try_lock() else {
            return Ok(JoinedBatches::default()); // they are being checked, or joined
        };
        Ok(self.join_below(&mut joining, u64::MAX, None)?.0)
    }

    /// Joins batches below this number; false: there is more, and no time for it.
    fn join_below(
        &self,
        joining: &mut Joining,
        old: u64,
        until: Option<Instant>,
    ) -> Result<(JoinedBatches, bool), StoreError> {
        let mut joined = JoinedBatches::default();
        if self.read_only.load(Ordering::Relaxed) || self.is_damaged() {
            return Ok((joined, true));
        }
        let chains: Vec<ChainId> = self
            .core
            .with_chains(|known| known.chains.keys().copied().collect())?;
        for chain in chains {
            for group in self.groups(joining, chain, old)? {
                if until.is_some_and(|until| Instant::now() >= until) || self.is_room_short() {
                    return Ok((joined, false));
                }
                if self.join_group(chain, &group)? {
                    group.numbers.iter().for_each(|no| {
                        joining.times.remove(no);
                    });
                    joined.batches += group.numbers.len() as u64;
                    joined.into += 1;
                }
            }
        }
        Ok((joined, true))
    }

    /// Which batches of a chain are to be one. Two that lie behind each other are, if the later one is at least half
    /// as large.
    fn groups(&self, joining: &mut Joining, chain: ChainId, old: u64) -> Result<Vec<Group>, StoreError> {
        let numbers: Vec<u64> = self.core.with_chains(|known| {
            let batches = known.chains.get(&chain).map(|known| &known.batches);
            batches.into_iter().flat_map(BTreeMap::values).copied().collect()
        })?;
        let mut groups: Vec<Group> = Vec::new();
        for no in numbers.into_iter().filter(|no| *no < old) {
            let Some(row) = self.core.batch_row(no)? else {
                continue;
            };
            groups.push(Group {
                numbers: vec![no],
                bytes: made(&row),
                events: row.count,
            });
            while let [.., before, last] = groups.as_slice() {
                let fits = before.bytes + last.bytes <= BYTES_MAX
                    && before.events.saturating_add(last.events) <= EVENTS_MAX;
                if !fits || last.bytes * 2 < before.bytes || !self.may_join(joining, before, last)? {
                    break;
                }
                let last = groups.pop();
                if let (Some(before), Some(last)) = (groups.last_mut(), last) {
                    before.numbers.extend(last.numbers);
                    before.bytes += last.bytes;
                    before.events += last.events;
                }
            }
        }
        groups.retain(|group| group.numbers.len() > 1);
        Ok(groups)
    }

    /// Whether all that the later ones build on in other chains was told before the earlier ones began.
    fn may_join(&self, joining: &mut Joining, before: &Group, last: &Group) -> Result<bool, StoreError> {
        let Some(began) = before.numbers.first().map(|no| self.times(joining, *no)) else {
            return Ok(false);
        };
        let Some(Times { first: began, .. }) = began? else {
            return Ok(false);
        };
        for no in &last.numbers {
            let Some(times) = self.times(joining, *no)? else {
                return Ok(false);
            };
            if times.needs.len() > NEEDS_MAX {
                return Ok(false);
            }
            for at in times.needs {
                let needed = self
                    .core
                    .with_chains(|known| known.chains.get(&at.chain)?.batch_of(at.seq))?;
                let Some(needed) = needed else { return Ok(false) };
                let needed = self.times(joining, needed)?;
                if needed.is_none_or(|needed| needed.greatest >= began) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// When the events of a batch were told; none of one that is damaged.
    fn times(&self, joining: &mut Joining, no: u64) -> Result<Option<Times>, StoreError> {
        let Some(row) = self.core.batch_row(no)? else {
            return Ok(None);
        };
        match joining.times.get(&no) {
            Some(Some(times)) if times.count == row.count => return Ok(Some(times.clone())),
            Some(None) => return Ok(None),
            _ => {}
        }
        let at = EventRef {
            chain: row.chain,
            seq: row.first,
        };
        let times = match self.core.stored_batch(no, at) {
            Ok((_, row, bytes)) => times_of(&row, &bytes),
            Err(e) if e.is_damage() => None,
            Err(e) => return Err(e),
        };
        joining.times.insert(no, times.clone());
        Ok(times)
    }

    /// Joins batches, in one transaction; false if they are not as they were, or one of them is damaged.
    fn join_group(&self, chain: ChainId, group: &Group) -> Result<bool, StoreError> {
        let _committer = self.committer.lock();
        let mut parts = Vec::with_capacity(group.numbers.len());
        for no in &group.numbers {
            let Some(row) = self.core.batch_row(*no)?.filter(|row| row.chain == chain) else {
                return Ok(false);
            };
            let mut bytes = vec![0; row.place.len as usize];
            match self.core.packs.read(row.place, 0, &mut bytes) {
                Ok(()) => parts.push((row, bytes)),
                Err(e) => {
                    let e = StoreError::from(e);
                    return if e.is_damage() { Ok(false) } else { Err(e) };
                }
            }
        }
        let Ok((row, bytes)) = event::join(&parts) else {
            return Ok(false);
        };
        let Some((no, others)) = group.numbers.split_first() else {
            return Ok(false);
        };
        let mut batch = Batch::new();
        self.move_debts(&mut batch, (*no, others), &parts, (&row, &bytes))?;
        let appended = self.core.packs.append(kind::BATCH, &row.head, &bytes);
        let row = BatchRow {
            place: appended?,
            ..row
        };
        batch.put(Table::Batches, no.to_be_bytes(), row.encode());
        for no in others {
            batch.delete(Table::Batches, no.to_be_bytes());
        }
        let gone: Vec<u64> = parts.iter().skip(1).map(|(row, _)| row.first).collect();
        let done = self.core.rejoin(chain, &gone, || self.apply_moved(batch, None));
        if let Err(e) = done {
            // What was appended for it is appended anew, another time.
            self.core.strewn.lock().extend(self.core.packs.current());
            return Err(e);
        }
        let dead = parts
            .iter()
            .map(|(row, _)| u64::from(row.place.len) + HEADER as u64);
        self.core.dropped.fetch_add(dead.sum(), Ordering::Relaxed);
        Ok(true)
    }

    /// What is noted of payloads in batches that are joined is noted of where they lie from now on; and that the packs
    /// hold what nothing names any more, so that a purge finds it.
    fn move_debts(
        &self,
        batch: &mut Batch,
        (no, others): (u64, &[u64]),
        parts: &[event::Batched],
        (row, bytes): (&BatchRow, &[u8]),
    ) -> Result<(), StoreError> {
        let mut debts: Debts = self.debts()?;
        for (no, (part, _)) in std::iter::once(&no).chain(others).zip(parts) {
            let known = debts.packs.get(&part.place.pack).copied();
            // What is to be destroyed goes from what it is joined to, too: its old place is left to nobody else.
            let mut owed = debts.payloads.get(no).into_iter().flat_map(BTreeMap::values);
            let surely = owed.any(|(_, surely)| *surely);
            if known.is_none_or(|known| surely && !known) {
                note_pack(batch, part.place.pack, surely);
                debts.packs.insert(part.place.pack, surely);
            }
        }
        if !others.iter().any(|no| debts.payloads.contains_key(no)) {
            return Ok(());
        }
        let found = |row: &BatchRow, bytes: &[u8]| -> Result<Vec<Found>, StoreError> {
            Unverified { row, bytes }.chained().map_err(damaged)
        };
        let now: BTreeMap<u64, u32> = found(row, bytes)?
            .into_iter()
            .map(|found| (found.event.head.at.seq, found.sealed_at))
            .collect();
        for (other, (row, bytes)) in others.iter().zip(parts.iter().skip(1)) {
            let Some(owed) = debts.payloads.get(other) else {
                continue;
            };
            for found in found(row, bytes)? {
                let moved = now.get(&found.event.head.at.seq).copied();
                if let (Some((what, surely)), Some(moved)) = (owed.get(&found.sealed_at), moved) {
                    note_payload(batch, (no, moved), *what, *surely);
                }
            }
            if let Some((what, surely)) = owed.get(&UNKNOWN) {
                note_payload(batch, (no, UNKNOWN), *what, *surely);
            }
            for offset in owed.keys() {
                batch.delete(Table::Pending, payload_note((*other, *offset)));
            }
        }
        Ok(())
    }
}

/// When the events of a batch were told, if it is whole.
fn times_of(row: &BatchRow, bytes: &[u8]) -> Option<Times> {
    let all = Unverified { row, bytes }.chained().ok()?;
    let lamports = all.iter().map(|found| found.event.head.lamport);
    let mut needs: Vec<EventRef> = all
        .iter()
        .flat_map(|found| &found.event.head.replaces)
        .filter(|at| at.chain != row.chain)
        .copied()
        .collect();
    needs.sort_unstable();
    needs.dedup();
    needs.truncate(NEEDS_MAX + 1);
    Some(Times {
        count: row.count,
        first: all.first()?.event.head.lamport,
        greatest: lamports.max()?,
        needs,
    })
}
