//! What all sessions of a node stand on: its clock, its limits, the time.

use std::collections::BTreeMap;

use coffer_store::ids::{ChainId, SpaceId};

use crate::core::meter::{Bucket, Rate};
use crate::core::wire::Reach;
use crate::core::{Millis, Policy, SessionId, StatementId};

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
    /// When something of it came last, or it was asked for.
    pub(crate) moved_at: Millis,
    /// Since when somebody else has what the source has not told.
    pub(crate) news_at: Option<Millis>,
    /// There was no room for what came too early: it is asked for again when something was taken in.
    pub(crate) is_parked: bool,
}

/// A part of a batch that a lost peer had sent.
pub(crate) struct PartialBatch {
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

    /// Notes that a part of a batch was lost with its session; the oldest give way.
    pub(crate) fn keep(&mut self, part: PartialBatch) {
        self.drop_partial(&part.chain);
        self.partials.push(part);
        let held = |all: &[PartialBatch]| all.iter().map(|part| part.bytes.len()).sum::<usize>();
        while held(&self.partials) > crate::core::limits::PARTIALS_MAX {
            self.partials.remove(0);
        }
    }

    pub(crate) fn drop_partial(&mut self, chain: &ChainId) {
        self.partials.retain(|part| part.chain != *chain);
    }
}
