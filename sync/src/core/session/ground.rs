//! What all sessions of a node stand on: its clock, its limits, the time.

use std::collections::BTreeMap;

use coffer_store::ids::{ChainId, SpaceId};

use crate::core::limits::PARTIALS_MAX;
use crate::core::meter::{Bucket, Rate};
use crate::core::wire::Reach;
use crate::core::{Millis, PeerId, Policy, SessionId, StatementId};

/// A chain, as this device stands to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chain {
    /// The last event that is here, durably; 0 if there is none.
    pub(crate) last: u64,
    pub(crate) head: [u8; 32],
    /// The last event that has come, taken in or not.
    pub(crate) held: u64,
    /// Who was asked to tell it.
    pub(crate) source: Option<SessionId>,
    /// Who was asked for it beside the source, and becomes it with the first whole batch.
    pub(crate) beside: Option<SessionId>,
    /// Since when somebody else has what the source has not told.
    pub(crate) news_at: Option<Millis>,
    /// Parts of several peers did not fit together: until a batch is here, nobody goes on with what another one sent.
    pub(crate) is_pure: bool,
    /// There was no room for what came too early: it is asked for again when something was taken in.
    pub(crate) is_parked: bool,
}

/// A part of a batch that a peer had sent.
#[derive(Clone)]
pub(crate) struct PartialBatch {
    /// Who sent the end of it.
    pub(crate) by: PeerId,
    /// Whether others sent some of it.
    pub(crate) is_mixed: bool,
    pub(crate) chain: ChainId,
    pub(crate) first: u64,
    pub(crate) token: [u8; 16],
    pub(crate) total: u32,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct Ground {
    pub(crate) now: Millis,
    pub(crate) space: SpaceId,
    pub(crate) own: ChainId,
    pub(crate) policy: Policy,
    pub(crate) heads: Vec<StatementId>,
    pub(crate) clock: BTreeMap<ChainId, Chain>,
    pub(crate) partials: Vec<PartialBatch>,
    pub(crate) is_paused: bool,
    pub(crate) going: Bucket,
    pub(crate) coming: Bucket,
    pub(crate) went: Rate,
    pub(crate) came: Rate,
}

impl Ground {
    /// Chains of which something is here.
    pub(crate) fn told(&self) -> impl Iterator<Item = ChainId> {
        self.clock
            .iter()
            .filter(|(_, chain)| chain.last > 0)
            .map(|(id, _)| *id)
    }

    /// How far a chain is here.
    pub(crate) fn reach(&self, chain: &ChainId) -> Option<Reach> {
        let chain = self.clock.get(chain).filter(|chain| chain.last > 0)?;
        let mut head = [0; 8];
        head.copy_from_slice(&chain.head[..8]);
        let last = chain.last;
        Some(Reach { last, head })
    }

    pub(crate) fn last(&self, chain: &ChainId) -> u64 {
        self.clock.get(chain).map_or(0, |chain| chain.last)
    }

    /// Keeps a part of a batch that its sender may go on with, or another; of one sender one of each chain. Of who
    /// holds the most, the oldest gives way: so nobody can push out what others have sent.
    pub(crate) fn keep(&mut self, mut part: PartialBatch) {
        self.partials
            .retain(|other| (other.chain, other.by) != (part.chain, part.by));
        part.bytes.shrink_to_fit();
        self.partials.push(part);
        let weight = |part: &PartialBatch| part.bytes.len() + PARTIALS_MAX / 64;
        loop {
            let mut shares: BTreeMap<PeerId, usize> = BTreeMap::new();
            for part in &self.partials {
                *shares.entry(part.by).or_default() += weight(part);
            }
            if shares.values().sum::<usize>() <= PARTIALS_MAX {
                return;
            }
            let most = shares.into_iter().max_by_key(|(_, share)| *share);
            let oldest = self
                .partials
                .iter()
                .position(|part| Some(part.by) == most.map(|(by, _)| by));
            self.partials.remove(oldest.unwrap_or_default());
        }
    }

    /// The part of the batch after this event with which this peer is best asked to go on: its own; else the longest.
    pub(crate) fn part_for(&self, chain: &ChainId, after: u64, peer: PeerId) -> Option<&PartialBatch> {
        let is_pure = self.clock.get(chain).is_some_and(|chain| chain.is_pure);
        let usable = |part: &&PartialBatch| {
            let is_own = part.by == peer && !part.is_mixed;
            part.chain == *chain && Some(part.first) == after.checked_add(1) && (is_own || !is_pure)
        };
        let parts = self.partials.iter().filter(usable);
        parts.max_by_key(|part| (part.by == peer, part.bytes.len()))
    }

    pub(crate) fn drop_partial(&mut self, chain: &ChainId) {
        self.partials.retain(|part| part.chain != *chain);
    }
}
