//! Who tells which chain. Each chain is asked of one peer, its source, which tells it from there on, also what is new
//! (as in Secure Scuttlebutt's EBT, or Plumtree's eager edges); all others only say how far they have it.
//!
//! Guarantees: nobody takes a good source's place by a claim. Who says that it has what the source has not told is
//! asked beside it, and becomes the source with the first whole batch. A source that says it has more and brings
//! none is exchanged for one that has not failed at this chain; if all have, they are asked beside it in turn, who has
//! failed least first. So who has it and sends it is asked after bounded time, however many lie.

use coffer_store::ids::ChainId;

use super::Node;
use crate::core::limits::{PACE, times};
use crate::core::session::{Chain, Session};
use crate::core::{Ended, SessionId};

impl Node {
    /// A session can be asked for things.
    pub(super) fn is_ready(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let own = session.own();
        let chains: Vec<ChainId> = session.known.keys().copied().chain(own).collect();
        for chain in chains {
            self.consider(chain);
        }
        // Its own chain is best told by itself.
        if let Some(own) = own.filter(|own| *own != self.ground.own)
            && let Some(chain) = self.ground.clock.get(&own).copied()
            && let Some(source) = chain.source.filter(|source| *source != id)
            && self
                .sessions
                .get(&source)
                .is_none_or(|s| !s.is_ahead(&own, chain.held))
            && self
                .sessions
                .get(&id)
                .is_some_and(|s| !s.stopped.contains(&own) && s.failures(&own) == 0)
        {
            self.ask_for(own, id);
        }
        self.chunks.somebody_came();
        self.assign();
    }

    /// Sees to it that this chain has a source, if anybody can tell it, and one that tells it.
    pub(super) fn consider(&mut self, id: ChainId) {
        // If others know more of its own chain, they are asked to prove it.
        if id == self.ground.own && self.is_beginning {
            return;
        }
        let owner = |s: &&Session| s.own() == Some(id) && s.is_ready() && !s.stopped.contains(&id);
        let owner = self.sessions.values().find(owner).map(|s| s.id);
        let chain = match self.ground.clock.get(&id) {
            Some(chain) => *chain,
            None if owner.is_some() => Chain::default(),
            None => return,
        };
        let is_behind = self.sessions.values().any(|s| s.is_ahead(&id, chain.held));
        match is_behind && !chain.is_parked {
            true => drop(self.behind.insert(id)),
            false => drop(self.behind.remove(&id)),
        }
        if chain.is_parked || self.ground.is_paused {
            return;
        }
        let source = chain.source.or(chain.beside);
        let Some(source) = source.filter(|source| self.sessions.contains_key(source)) else {
            let first = self.best(&id, &chain, owner, false).or(owner);
            if let Some(first) = first {
                self.ask_for(id, first);
            }
            return;
        };
        if chain.source.is_none() {
            return self.promote(id, source);
        }
        self.hold_to_it(id, &chain, source, owner);
    }

    /// A chain has a source, and perhaps somebody who is asked beside it: whether they bring what they say they have.
    fn hold_to_it(&mut self, id: ChainId, chain: &Chain, source: SessionId, owner: Option<SessionId>) {
        let now = self.ground.now;
        if let Some(beside) = chain.beside {
            let Some(session) = self.sessions.get(&beside) else {
                return;
            };
            let is_wanting = session.is_wanting(&id, chain.held, self.pace(), now);
            if session.is_ahead(&id, chain.held) && !is_wanting {
                return;
            }
            if is_wanting && !self.is_excused(&id, chain) {
                self.blame(id, beside);
            }
            self.release(id, beside);
        }
        let Some(session) = self.sessions.get(&source) else {
            return;
        };
        if !session.is_ahead(&id, chain.held) {
            return self.challenge(id, chain, owner);
        }
        let is_wanting = session.is_wanting(&id, chain.held, self.pace(), now);
        self.news(&id, None);
        if !is_wanting {
            return;
        }
        if self.is_excused(&id, chain) {
            if let Some(asked) = self.sessions.get_mut(&source).and_then(|s| s.asked.get_mut(&id)) {
                asked.since = now;
            }
            return;
        }
        let asked = self.sessions.get(&source).and_then(|s| s.asked.get(&id));
        let quiet = asked.map_or(0, |asked| now.saturating_sub(asked.good_at));
        if quiet < times::STALL {
            // It brings some, slowly: another one that has not just failed may be faster.
            if let Some(other) = self.best(&id, chain, owner, true) {
                self.ask_beside(id, other);
            }
            return;
        }
        self.blame(id, source);
        match self.best(&id, chain, owner, false) {
            Some(other) if self.failures(&id, other) == 0 => self.ask_for(id, other),
            Some(other) => self.ask_beside(id, other),
            None => {
                // Its own device may have more than it has said by now.
                let better = owner.filter(|owner| *owner != source && self.failures(&id, *owner) == 0);
                // Or it does not know that it is asked: once more, but not while what it sends is under way.
                if better.is_some() || quiet >= times::COOL {
                    self.ask_for(id, better.unwrap_or(source));
                }
            }
        }
    }

    /// The source has told all that it says it has: does anybody have more?
    fn challenge(&mut self, id: ChainId, chain: &Chain, owner: Option<SessionId>) {
        let now = self.ground.now;
        let Some(best) = self.best(&id, chain, owner, true) else {
            return self.news(&id, None);
        };
        match chain.news_at {
            None => self.news(&id, Some(now)),
            Some(at) if now.saturating_sub(at) >= times::PATIENCE => self.ask_beside(id, best),
            Some(_) => {}
        }
    }

    fn news(&mut self, id: &ChainId, at: Option<u64>) {
        if let Some(chain) = self.ground.clock.get_mut(id) {
            chain.news_at = at;
        }
    }

    /// Bytes in a second that are to be expected of who sends something large.
    pub(super) fn pace(&self) -> u64 {
        let share = |rate: u64| (rate / (8 * self.sessions.len().max(1) as u64)).max(1);
        self.ground
            .coming
            .rate()
            .map_or(PACE, |rate| PACE.min(share(rate)))
    }

    /// Whether it may be this device's own fault that nothing comes.
    fn is_excused(&self, id: &ChainId, chain: &Chain) -> bool {
        self.taking.is_stuck(self.ground.now) || (chain.held > chain.last && self.taking.has(id))
    }

    fn failures(&self, id: &ChainId, session: SessionId) -> u32 {
        self.sessions
            .get(&session)
            .map_or(0, |session| session.failures(id))
    }

    fn blame(&mut self, id: ChainId, session: SessionId) {
        let now = self.ground.now;
        if let Some(session) = self.sessions.get_mut(&session) {
            session.failed_at(id, now);
            self.trust.blame(session.peer, now);
        }
    }

    /// Who is best asked for more of a chain, beside those who are: who has failed least, who makes it, who has least
    /// to do. Perhaps not who has just failed.
    fn best(
        &self,
        id: &ChainId,
        chain: &Chain,
        owner: Option<SessionId>,
        none_cool: bool,
    ) -> Option<SessionId> {
        let now = self.ground.now;
        let able = self.sessions.values().filter(|s| {
            let is_asked = chain.source == Some(s.id) || chain.beside == Some(s.id);
            s.is_ahead(id, chain.held) && !is_asked && !(none_cool && s.is_cool(id, now))
        });
        let order = |s: &&Session| {
            let lately = self.trust.failures(&s.peer, now);
            (s.failures(id), Some(s.id) != owner, lately, s.asked.len(), s.id)
        };
        able.min_by_key(order).map(|session| session.id)
    }

    /// Asks this peer for a chain, and nobody else any more.
    pub(super) fn ask_for(&mut self, id: ChainId, to: SessionId) {
        let asked = self
            .ground
            .clock
            .get(&id)
            .map(|chain| [chain.source, chain.beside]);
        for other in asked.into_iter().flatten().flatten() {
            self.release(id, other);
        }
        let now = self.ground.now;
        let Some(session) = self.sessions.get_mut(&to) else {
            return;
        };
        session.ask_chain(id, now);
        let chain = self.ground.clock.entry(id).or_default();
        chain.source = Some(to);
        chain.news_at = None;
    }

    /// Asks this peer for a chain beside its source.
    fn ask_beside(&mut self, id: ChainId, to: SessionId) {
        let now = self.ground.now;
        if let Some(session) = self.sessions.get_mut(&to)
            && let Some(chain) = self.ground.clock.get_mut(&id)
        {
            session.ask_chain(id, now);
            chain.beside = Some(to);
            chain.news_at = None;
        }
    }

    /// Who was asked beside the source takes its place.
    fn promote(&mut self, id: ChainId, to: SessionId) {
        let source = self.ground.clock.get(&id).and_then(|chain| chain.source);
        if let Some(source) = source {
            self.release(id, source);
        }
        if let Some(chain) = self.ground.clock.get_mut(&id) {
            chain.source = Some(to);
            chain.beside = None;
        }
    }

    /// A whole batch of a chain has come: who brought it is, or becomes, the source, alone.
    pub(super) fn brought(&mut self, id: ChainId, from: SessionId, bytes: u64) {
        let (pace, now) = (self.pace(), self.ground.now);
        if let Some(session) = self.sessions.get_mut(&from) {
            session.brought(&id, bytes, pace, now);
        }
        match self.ground.clock.get(&id).and_then(|chain| chain.beside) {
            Some(beside) if beside == from => self.promote(id, from),
            Some(beside) => self.release(id, beside),
            None => {}
        }
    }

    /// Asks this peer for a chain no more; what it sent of a batch is kept.
    pub(super) fn release(&mut self, id: ChainId, from: SessionId) {
        if let Some(session) = self.sessions.get_mut(&from) {
            if session.asked.remove(&id).is_some() {
                session.stops_due.insert(id);
                session.excuse();
            }
            session.wants_due.remove(&id);
            if let Some(part) = session.batch.take_if(|part| part.0.chain == id) {
                self.ground.keep(part.0);
            }
        }
        if let Some(chain) = self.ground.clock.get_mut(&id) {
            chain.source = chain.source.filter(|source| *source != from);
            chain.beside = chain.beside.filter(|beside| *beside != from);
        }
    }

    /// Parts of several peers do not fit together, which is not the fault of who sent the last: it is asked once more,
    /// from the batch's beginning.
    pub(super) fn wants_again(&mut self, id: SessionId, chain: ChainId) -> Result<(), Ended> {
        self.ground.drop_partial(&chain);
        if let Some(of) = self.ground.clock.get_mut(&chain) {
            of.is_pure = true;
        }
        let now = self.ground.now;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.batch.take_if(|part| part.0.chain == chain);
            session.excuse();
            session.ask_chain(chain, now);
        }
        Ok(())
    }
}
