//! Chunks that are wanted: those that are to be asked for, the most urgent first, and those that nobody has.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::limits::times;
use crate::core::session::ChunkPart;
use crate::core::{ChunkName, Millis, SessionId, Urgency};

/// A chunk that is wanted.
pub(super) struct Want {
    pub(super) urgency: Urgency,
    pub(super) order: u64,
    /// Its length in bytes, about.
    pub(super) len: u32,
    pub(super) asked: Option<SessionId>,
    /// Who does not have it, or did not send it.
    pub(super) refused: Vec<SessionId>,
    pub(super) part: Option<ChunkPart>,
    /// The store has it: from whom, the bytes, whether others sent some of it.
    pub(super) taking: Option<(SessionId, u64, bool)>,
}

#[derive(Default)]
pub(super) struct Chunks {
    pub(super) wants: BTreeMap<ChunkName, Want>,
    pub(super) queue: BTreeSet<(Urgency, u64, ChunkName)>,
    /// Nobody that is connected has them; since when.
    pub(super) parked: BTreeSet<ChunkName>,
    pub(super) parked_at: Millis,
    pub(super) order: u64,
    pub(super) is_asking: bool,
    /// The store knows of no others.
    pub(super) is_dry: bool,
    pub(super) beyond: u64,
}

impl Chunks {
    pub(super) fn held_bytes(&self) -> usize {
        let parts: usize = self
            .wants
            .values()
            .flat_map(|want| &want.part)
            .map(ChunkPart::held)
            .sum();
        let taking = self.wants.values().flat_map(|want| want.taking);
        parts + taking.map(|(_, bytes, _)| bytes as usize).sum::<usize>() + self.wants.len() * 256
    }

    pub(super) fn to_go(&self) -> (u64, u64) {
        let bytes = self.wants.values().map(|want| u64::from(want.len)).sum::<u64>();
        (self.wants.len() as u64, bytes + self.beyond)
    }

    pub(super) fn parked_until(&self) -> Option<Millis> {
        (!self.parked.is_empty()).then_some(self.parked_at + times::NOWHERE)
    }

    /// What nobody had may be there now.
    pub(super) fn somebody_came(&mut self) {
        for id in std::mem::take(&mut self.parked) {
            self.enqueue(id);
        }
    }

    /// What nobody had is asked of everybody once more.
    pub(super) fn once_more(&mut self) {
        for id in &self.parked {
            if let Some(want) = self.wants.get_mut(id) {
                want.refused.clear();
            }
        }
        self.somebody_came();
    }

    pub(super) fn enqueue(&mut self, id: ChunkName) {
        if let Some(want) = self.wants.get(&id) {
            self.parked.remove(&id);
            self.queue.insert((want.urgency, want.order, id));
        }
    }

    /// A chunk that was asked of somebody is to be asked of somebody else; what came of it is kept, if there is room.
    pub(super) fn take_back(&mut self, id: ChunkName, part: Option<ChunkPart>, refused: Option<SessionId>) {
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
