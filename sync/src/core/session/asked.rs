//! What a peer was asked for, how long it has had for it, and what it failed at.
//!
//! Guarantees: time runs against who was asked until a whole batch of that very chain has come, or the very chunk
//! that is due; pieces buy it some more, but only as much as a slow line needs. What is kept is bounded by what was
//! asked.

use coffer_store::ids::ChainId;

use super::{ChunkPart, Session};
use crate::core::limits::times;
use crate::core::{ChunkName, Millis};

/// A chain that is told here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedChain {
    /// Since when its time runs.
    pub(crate) since: Millis,
    /// When a whole batch came last, or it was asked for.
    pub(crate) good_at: Millis,
    /// Whether a part was named with the question.
    pub(crate) resumes: bool,
}

/// A chunk that was asked for here.
pub(crate) struct AskedChunk {
    pub(crate) is_urgent: bool,
    /// Peers answer in the order in which they were asked.
    pub(crate) order: u64,
    /// Whether the part was there when it was asked for.
    pub(crate) resumes: bool,
    /// Bytes that came of it.
    pub(crate) came: u64,
    pub(crate) part: Option<ChunkPart>,
}

/// Chunks of one urgency that a peer was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// Since when the first of them is due.
    pub(crate) since: Millis,
    /// Bytes that had come by then, of all that was asked for.
    pub(crate) from: u64,
}

fn bought(bytes: u64, pace: u64) -> u64 {
    bytes.saturating_mul(1_000) / pace.max(1)
}

impl Session {
    /// A chain is asked for here.
    pub(crate) fn ask_chain(&mut self, chain: ChainId, now: Millis) {
        let asked = AskedChain {
            since: now,
            good_at: now,
            resumes: false,
        };
        self.asked.insert(chain, asked);
        self.wants_due.insert(chain);
        self.stops_due.remove(&chain);
    }

    /// A whole batch of a chain has come.
    pub(crate) fn brought(&mut self, chain: &ChainId, bytes: u64, pace: u64, now: Millis) {
        if let Some(asked) = self.asked.get_mut(chain) {
            asked.good_at = now;
            asked.since = (asked.since + bought(bytes, pace).max(times::BATCH)).min(now);
        }
    }

    /// Whether this peer says that it has more of a chain than that, was asked, and does not bring it.
    pub(crate) fn is_wanting(&self, chain: &ChainId, held: u64, pace: u64, now: Millis) -> bool {
        let Some(asked) = self.asked.get(chain) else {
            return false;
        };
        let part = self.batch.as_ref().filter(|part| part.0.chain == *chain);
        let part = part.map_or(0, |part| bought(part.0.bytes.len() as u64, pace).min(times::PART));
        self.is_ahead(chain, held) && now.saturating_sub(asked.since) >= times::STALL + part
    }

    /// This peer did not bring what it said it has: until when others are asked in its place.
    pub(crate) fn failed_at(&mut self, chain: ChainId, now: Millis) {
        if let Some(asked) = self.asked.get_mut(&chain) {
            asked.since = now;
        }
        let (count, until) = self.failed.entry(chain).or_default();
        *until = now + (times::COOL << (*count).min(6));
        *count = count.saturating_add(1);
    }

    /// How often it did not, since it last did.
    pub(crate) fn failures(&self, chain: &ChainId) -> u32 {
        self.failed.get(chain).map_or(0, |(count, _)| *count)
    }

    /// Whether it has just failed.
    pub(crate) fn is_cool(&self, chain: &ChainId, now: Millis) -> bool {
        self.failed.get(chain).is_some_and(|(_, until)| *until > now)
    }

    /// A chunk is asked for here.
    pub(crate) fn ask_chunk(&mut self, id: ChunkName, is_urgent: bool, part: Option<ChunkPart>, now: Millis) {
        if self.first_due(is_urgent).is_none() {
            self.is_due(is_urgent, now);
        }
        self.order += 1;
        let asked = AskedChunk {
            is_urgent,
            order: self.order,
            resumes: part.is_some(),
            came: 0,
            part,
        };
        self.chunks.insert(id, asked);
    }

    /// How many it is asked for, of one urgency.
    pub(crate) fn asked_chunks(&self, is_urgent: bool) -> usize {
        let all = self.chunks.values();
        all.filter(|asked| asked.is_urgent == is_urgent).count()
    }

    /// A chunk is asked for here no more; if it was the first that was due, the next one is from now on.
    pub(crate) fn forget_chunk(&mut self, id: &ChunkName, now: Millis) -> Option<AskedChunk> {
        let asked = self.chunks.remove(id)?;
        for begun in self.begun.iter_mut().filter(|begun| **begun == Some(*id)) {
            *begun = None;
        }
        let is_first = |first: &AskedChunk| first.order > asked.order;
        if self.first_due(asked.is_urgent).is_none_or(is_first) {
            self.is_due(asked.is_urgent, now);
        }
        Some(asked)
    }

    /// Calls a chunk off that the peer was asked for.
    pub(crate) fn call_off(&mut self, id: &ChunkName, now: Millis) -> Option<AskedChunk> {
        let asked = self.forget_chunk(id, now)?;
        self.drops_due.insert(*id);
        self.excuse();
        Some(asked)
    }

    fn first_due(&self, is_urgent: bool) -> Option<&AskedChunk> {
        let of = self.chunks.values().filter(|asked| asked.is_urgent == is_urgent);
        of.min_by_key(|asked| asked.order)
    }

    fn is_due(&mut self, is_urgent: bool, now: Millis) {
        self.due[usize::from(!is_urgent)] = Due {
            since: now,
            from: self.useful,
        };
    }

    /// When the first chunk of this urgency is late; none if there is none. What nobody waits for may wait for all
    /// that goes before it.
    pub(crate) fn late_at(&self, is_urgent: bool, pace: u64) -> Option<Millis> {
        let first = self.first_due(is_urgent)?;
        let due = self.due[usize::from(!is_urgent)];
        let (time, bytes) = match is_urgent {
            true => (times::CHUNK_URGENT, first.came),
            false => (times::CHUNK_BULK, self.useful - due.from),
        };
        Some(due.since + time + bought(bytes, pace).min(times::PART))
    }

    /// Time begins to run anew for all that it was asked.
    pub(crate) fn time_begins(&mut self, now: Millis) {
        self.asked.values_mut().for_each(|asked| {
            asked.since = now;
            asked.good_at = now;
        });
        self.is_due(true, now);
        self.is_due(false, now);
    }

    /// Something was called off: what may be under way is not held against the peer.
    pub(crate) fn excuse(&mut self) {
        let under_way = self.granted.saturating_sub(self.received);
        self.unasked = self.unasked.saturating_sub(under_way);
    }

    /// Bytes that were read for it and called off, and are not forgiven yet.
    pub(crate) fn wasted(&mut self, now: Millis) -> u64 {
        let gone = now.saturating_sub(self.waste.1);
        let forgiven = crate::core::limits::FORGIVEN.saturating_mul(gone) / 1_000;
        if forgiven > 0 {
            self.waste = (self.waste.0.saturating_sub(forgiven), now);
        }
        self.waste.0
    }

    /// Whether it waits for that.
    pub(crate) fn is_wasteful(&self) -> bool {
        self.waste.0 > crate::core::limits::WASTE_MAX
    }

    /// Bytes were read in vain, since it called them off.
    pub(crate) fn waste(&mut self, bytes: usize, now: Millis) {
        self.waste = (self.wasted(now).saturating_add(bytes as u64), now);
    }
}
