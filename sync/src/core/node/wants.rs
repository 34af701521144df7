//! Chunks that are wanted: those that are to be asked for, the most urgent first, those that the store has, and those
//! that nobody has.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::limits::{PARKED_MAX, times};
use crate::core::session::ChunkPart;
use crate::core::{ChunkName, Millis, PeerId, SessionId, Urgency};

/// A chunk that is wanted.
pub(super) struct Want {
    pub(super) urgency: Urgency,
    pub(super) order: u64,
    /// Its length in bytes, about.
    pub(super) len: u32,
    pub(super) asked: Option<SessionId>,
    /// Who does not have it, or, if so, did not send it in time.
    pub(super) refused: Vec<(SessionId, bool)>,
    pub(super) part: Option<ChunkPart>,
    /// Parts of several peers did not fit together: nobody goes on with what another one sent.
    pub(super) is_pure: bool,
}

/// A chunk that the store has been given.
pub(super) struct Stored {
    pub(super) from: SessionId,
    pub(super) peer: PeerId,
    pub(super) bytes: u64,
    /// Whether several peers sent it.
    pub(super) is_mixed: bool,
}

/// A place in the queue.
pub(super) type Place = (Urgency, u64, ChunkName);

#[derive(Default)]
pub(super) struct Chunks {
    pub(super) wants: BTreeMap<ChunkName, Want>,
    pub(super) queue: BTreeSet<Place>,
    /// Where the round through the queue goes on, and how many are to be looked at.
    pub(super) scan_from: Option<Place>,
    pub(super) to_scan: usize,
    /// Those that the store has not answered for, wanted or not: none of them is asked of anybody.
    pub(super) stored: BTreeMap<ChunkName, Stored>,
    /// Nobody that is connected has them; since when the first of them.
    pub(super) parked: BTreeSet<ChunkName>,
    pub(super) parked_at: Millis,
    pub(super) order: u64,
    pub(super) is_asking: bool,
    /// The store knows of no others; since when.
    pub(super) dry: Option<Millis>,
    pub(super) beyond: u64,
}

impl Chunks {
    pub(super) fn held_bytes(&self) -> usize {
        let part = |want: &Want| want.part.as_ref().map_or(0, ChunkPart::held) + want.refused.capacity() * 16;
        let parts: usize = self.wants.values().map(part).sum();
        let stored: u64 = self.stored.values().map(|stored| stored.bytes + 128).sum();
        parts + stored as usize + self.wants.len() * 256
    }

    pub(super) fn to_go(&self) -> (u64, u64) {
        let bytes = self.wants.values().map(|want| u64::from(want.len)).sum::<u64>();
        (self.wants.len() as u64, bytes + self.beyond)
    }

    /// Those that are not parked: they may be asked for, or are.
    pub(super) fn active(&self) -> usize {
        self.wants.len() - self.parked.len()
    }

    pub(super) fn wake(&self) -> Option<Millis> {
        let parked = (!self.parked.is_empty()).then_some(self.parked_at + times::NOWHERE);
        let dry = self.dry.map(|since| since + times::NOWHERE);
        parked.into_iter().chain(dry).min()
    }

    /// Time has passed: what nobody had is asked of everybody once more, and the store whether there are others.
    pub(super) fn rest(&mut self, now: Millis) {
        if !self.parked.is_empty() && self.parked_at + times::NOWHERE <= now {
            for id in &self.parked {
                if let Some(want) = self.wants.get_mut(id) {
                    want.refused.clear();
                }
            }
            self.somebody_came();
        }
        self.dry.take_if(|since| *since + times::NOWHERE <= now);
    }

    /// What nobody had may be there now.
    pub(super) fn somebody_came(&mut self) {
        for id in std::mem::take(&mut self.parked) {
            self.enqueue(id);
        }
        self.look_again();
    }

    /// Something can be asked for that could not: the whole queue is to be looked at.
    pub(super) fn look_again(&mut self) {
        self.to_scan = self.queue.len();
    }

    /// The next places in the queue that are to be looked at: some of the first ones, then on from where it was.
    pub(super) fn scan(&mut self, most: usize) -> Vec<Place> {
        let first = self.queue.iter().take(most / 4).copied();
        let mut places: Vec<Place> = first.collect();
        let from = self.scan_from.max(places.last().copied());
        let rest = match from {
            Some(from) => self
                .queue
                .range((std::ops::Bound::Excluded(from), std::ops::Bound::Unbounded)),
            None => self.queue.range(..),
        };
        let rest: Vec<Place> = rest.take(most - most / 4).copied().collect();
        let is_end = rest.len() < most - most / 4;
        self.scan_from = rest.last().copied().filter(|_| !is_end);
        let seen = if rest.is_empty() { places.len() } else { rest.len() };
        self.to_scan = self.to_scan.saturating_sub(seen.max(1));
        places.extend(rest);
        places
    }

    pub(super) fn enqueue(&mut self, id: ChunkName) {
        if let Some(want) = self.wants.get(&id) {
            self.parked.remove(&id);
            if !self.stored.contains_key(&id) && want.asked.is_none() {
                self.queue.insert((want.urgency, want.order, id));
                self.look_again();
            }
        }
    }

    /// Nobody has it: in a while once more. Of very many, the least urgent are forgotten; the store names them again.
    pub(super) fn park(&mut self, id: ChunkName, now: Millis) {
        let Some(want) = self.wants.get(&id) else { return };
        self.queue.remove(&(want.urgency, want.order, id));
        if self.parked.len() >= PARKED_MAX {
            self.wants.remove(&id);
            return;
        }
        if self.parked.is_empty() {
            self.parked_at = now;
        }
        self.parked.insert(id);
    }

    /// A chunk that was asked of somebody is to be asked of somebody else; what came of it is kept, if there is room.
    pub(super) fn take_back(
        &mut self,
        id: ChunkName,
        part: Option<ChunkPart>,
        refused: Option<(SessionId, bool)>,
    ) {
        if let Some(want) = self.wants.get_mut(&id) {
            want.asked = None;
            want.refused.extend(refused);
            want.part = part;
            self.enqueue(id);
        }
    }

    pub(super) fn forget(&mut self, id: &ChunkName) -> Option<Want> {
        let want = self.wants.remove(id)?;
        self.queue.remove(&(want.urgency, want.order, *id));
        self.parked.remove(id);
        Some(want)
    }
}
