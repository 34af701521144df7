//! Events on their way into the store: one batch at a time, in the order in which they came; what came
//! too early waits within bounds, and is tried again when something was taken in.
//!
//! Guarantees: who sent the most of what waits gives way first, also if it has left since; a batch that the store
//! cannot take does not keep those of other chains out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use coffer_store::event::Hole;
use coffer_store::ids::ChainId;
use coffer_store::vault::Carried;

use super::Node;
use crate::core::limits::{ASIDE_MAX, times};
use crate::core::wire::Parcel;
use crate::core::{Ended, Millis, Outcome, PeerId, Report, Request, SessionId};

/// A batch that came.
struct Coming {
    batch: Arc<Carried>,
    from: SessionId,
    peer: PeerId,
    last: u64,
    /// What it counts for in its session's window; 0 once it was given back.
    cost: u64,
    /// It is the first of those of its chain that waited.
    is_again: bool,
}

impl Coming {
    fn chain(&self) -> ChainId {
        self.batch.row.chain
    }

    fn len(&self) -> usize {
        let holes = self.batch.row.holes.len() * size_of::<Hole>();
        self.batch.bytes.len() + holes + 256
    }
}

#[derive(Default)]
pub(super) struct Taking {
    ready: VecDeque<Coming>,
    busy: Option<Coming>,
    busy_since: Millis,
    aside: VecDeque<Coming>,
    /// Chains of which something was dropped for want of room.
    parked: BTreeSet<ChainId>,
    parked_at: Millis,
    /// The store could not, until then.
    resting: Option<Millis>,
    /// Events and bytes that were taken: how long one is, for people.
    pub(super) taken: (u64, u64),
}

impl Taking {
    pub(super) fn held_bytes(&self) -> usize {
        let all = self.ready.iter().chain(&self.busy).chain(&self.aside);
        all.map(Coming::len).sum()
    }

    pub(super) fn rests_until(&self) -> Option<Millis> {
        self.resting
    }

    /// When what was dropped for want of room is asked for again, whatever happens.
    pub(super) fn parked_until(&self) -> Option<Millis> {
        (!self.parked.is_empty()).then_some(self.parked_at + times::NOWHERE)
    }

    /// Whether the store cannot, or takes its time.
    pub(super) fn is_stuck(&self, now: Millis) -> bool {
        let is_slow = self.busy.is_some() && now.saturating_sub(self.busy_since) >= times::STORE / 2;
        is_slow || self.resting.is_some()
    }

    /// Whether a batch of this chain is with the store, or is to be.
    pub(super) fn has(&self, chain: &ChainId) -> bool {
        let mut all = self.ready.iter().chain(&self.busy);
        all.any(|coming| coming.chain() == *chain)
    }

    fn waits(&self, chain: ChainId) -> bool {
        self.aside.iter().any(|coming| coming.chain() == chain)
    }
}

impl Node {
    /// The next batch of its chain has come.
    pub(super) fn arrived(&mut self, from: SessionId, carried: Carried, cost: u64) {
        let Ok(last) = carried.row.last() else { return };
        let id = carried.row.chain;
        let Some(peer) = self.sessions.get(&from).map(|session| session.peer) else {
            return;
        };
        let chain = self.ground.clock.entry(id).or_default();
        chain.held = last;
        chain.news_at = None;
        self.brought(id, from, cost);
        self.taking.ready.push_back(Coming {
            batch: Arc::new(carried),
            from,
            peer,
            last,
            cost,
            is_again: false,
        });
        self.consider(id);
    }

    /// Gives the store the next batch, if it has none.
    pub(super) fn pump(&mut self) {
        if self.taking.resting.is_some_and(|until| until > self.ground.now) {
            return;
        }
        self.taking.resting = None;
        while self.taking.busy.is_none() {
            let Some(coming) = self.taking.ready.pop_front() else {
                return;
            };
            if coming.last <= self.ground.last(&coming.chain()) {
                // It came by another way meanwhile.
                self.repeated += 1;
                self.give_back(&coming);
                self.next_aside(coming.chain());
                continue;
            }
            if !coming.is_again && self.taking.waits(coming.chain()) {
                self.wait(coming);
                continue;
            }
            self.ask(Request::TakeIn(coming.batch.clone()));
            self.taking.busy = Some(coming);
            self.taking.busy_since = self.ground.now;
        }
    }

    pub(super) fn taken_in(&mut self, outcome: Outcome) {
        let Some(coming) = self.taking.busy.take() else {
            return;
        };
        let (chain, from, peer) = (coming.chain(), coming.from, coming.peer);
        match outcome {
            Outcome::Taken | Outcome::Known => {
                self.give_back(&coming);
                let (events, bytes) = &mut self.taking.taken;
                *events += u64::from(coming.batch.row.count);
                *bytes += coming.len() as u64;
                if let Some(session) = self.sessions.get_mut(&from) {
                    session.failed.remove(&chain);
                }
                self.is_here(Parcel::new(coming.batch), Some(from));
                self.try_aside();
            }
            Outcome::TooEarly => self.wait(coming),
            Outcome::Fork => self.refuse(&coming, Report::Forked { chain, peer }),
            Outcome::Refused(why) => self.refuse(&coming, Report::Refused { chain, peer, why }),
            Outcome::Own if chain == self.ground.own => {
                self.give_back(&coming);
                self.begin(peer);
                self.forget(chain);
            }
            Outcome::Own => self.refuse(&coming, Report::Behind { chain, peer }),
            Outcome::Forged(why) => {
                self.trust.blame(peer, self.ground.now);
                self.forget(chain);
                self.end(from, Ended::Forged(why));
                // Its session may have ended before.
                self.consider(chain);
            }
            Outcome::Failed(why) => {
                self.report(Report::StoreFailed(why));
                self.behind_others(coming);
                self.taking.resting = Some(self.ground.now + times::STORE);
            }
        }
        self.pump();
    }

    /// Batches of other chains come before those of this one, which may be one that the store never can take.
    fn behind_others(&mut self, coming: Coming) {
        let chain = coming.chain();
        let all = std::mem::take(&mut self.taking.ready).into_iter();
        let (same, mut others): (VecDeque<Coming>, VecDeque<Coming>) =
            all.partition(|other| other.chain() == chain);
        others.push_back(coming);
        others.extend(same);
        self.taking.ready = others;
    }

    fn refuse(&mut self, coming: &Coming, report: Report) {
        self.give_back(coming);
        self.forget(coming.chain());
        self.stop(coming.from, coming.chain(), report);
        self.consider(coming.chain());
    }

    /// Keeps a batch until what it builds on is here.
    fn wait(&mut self, mut coming: Coming) {
        self.give_back(&coming);
        coming.cost = 0;
        coming.is_again = false;
        let place = |coming: &Coming| (coming.chain(), coming.batch.row.first);
        if self
            .taking
            .aside
            .iter()
            .any(|other| place(other) == place(&coming))
        {
            return;
        }
        if !self.make_room(&coming) {
            let chain = coming.chain();
            return self.park(chain);
        }
        // In the order of its chain, in whatever order they were tried.
        let is_later = |other: &Coming| {
            other.chain() == coming.chain() && other.batch.row.first > coming.batch.row.first
        };
        let before = self.taking.aside.iter().position(is_later);
        let at = before.unwrap_or(self.taking.aside.len());
        self.taking.aside.insert(at, coming);
    }

    /// Of a chain that waits, the first batch was here already: the next one is tried.
    fn next_aside(&mut self, chain: ChainId) {
        let next = self
            .taking
            .aside
            .iter()
            .position(|coming| coming.chain() == chain);
        if let Some(coming) = next.and_then(|at| self.taking.aside.remove(at)) {
            let is_again = true;
            self.taking.ready.push_front(Coming { is_again, ..coming });
        }
    }

    /// Makes room for a batch: of who sent the most of what waits, a chain gives way. Whether there is room; there is
    /// none for who sent the most itself.
    fn make_room(&mut self, coming: &Coming) -> bool {
        let weight = |coming: &Coming| coming.len() + ASIDE_MAX.1 / ASIDE_MAX.0;
        loop {
            let aside = &self.taking.aside;
            let mut shares: BTreeMap<PeerId, usize> = BTreeMap::new();
            for one in aside.iter().chain([coming]) {
                *shares.entry(one.peer).or_default() += weight(one);
            }
            let bytes: usize = aside.iter().map(Coming::len).sum();
            if aside.is_empty()
                || (aside.len() < ASIDE_MAX.0 && bytes + coming.len() <= ASIDE_MAX.1.max(coming.len()))
            {
                return true;
            }
            let most = shares
                .iter()
                .max_by_key(|(_, share)| **share)
                .map(|(peer, _)| *peer);
            let gives_way = |one: &&Coming| Some(one.peer) == most && one.chain() != coming.chain();
            let Some(victim) = aside.iter().rev().find(gives_way).map(Coming::chain) else {
                return false;
            };
            if most == Some(coming.peer) {
                return false;
            }
            self.park(victim);
        }
    }

    /// Drops what came of a chain for want of room: it is asked for again when something was taken in.
    fn park(&mut self, id: ChainId) {
        self.forget(id);
        if self.taking.parked.is_empty() {
            self.taking.parked_at = self.ground.now;
        }
        self.taking.parked.insert(id);
        if let Some(chain) = self.ground.clock.get_mut(&id) {
            chain.is_parked = true;
        }
        self.consider(id);
    }

    /// Something is here that others may have waited for: the first of each chain that waits is tried.
    pub(super) fn try_aside(&mut self) {
        let mut seen = Vec::new();
        let aside = std::mem::take(&mut self.taking.aside);
        let mut ready = Vec::new();
        for coming in aside {
            match seen.contains(&coming.chain()) {
                true => self.taking.aside.push_back(coming),
                false => {
                    seen.push(coming.chain());
                    let is_again = true;
                    ready.push(Coming { is_again, ..coming });
                }
            }
        }
        for coming in ready.into_iter().rev() {
            self.taking.ready.push_front(coming);
        }
        let parked = std::mem::take(&mut self.taking.parked);
        for id in &parked {
            if let Some(chain) = self.ground.clock.get_mut(id) {
                chain.is_parked = false;
            }
        }
        for chain in parked {
            self.consider(chain);
        }
        self.pump();
    }

    /// Drops what came of a chain and was not taken: it is asked for again, from what is here.
    fn forget(&mut self, id: ChainId) {
        self.ground.drop_partial(&id);
        self.drop_waiting(id);
    }

    /// The same, but for parts of batches.
    pub(super) fn drop_waiting(&mut self, id: ChainId) {
        let (gone, left) = std::mem::take(&mut self.taking.ready)
            .into_iter()
            .partition(|coming| coming.chain() == id);
        self.taking.ready = left;
        let gone: VecDeque<Coming> = gone;
        for coming in &gone {
            self.give_back(coming);
        }
        self.taking.aside.retain(|coming| coming.chain() != id);
        let Some(chain) = self.ground.clock.get_mut(&id) else {
            return;
        };
        // What the store has been given is not asked for again.
        let busy = self.taking.busy.as_ref().filter(|coming| coming.chain() == id);
        chain.held = chain.last.max(busy.map_or(0, |coming| coming.last));
        for asked in [chain.source, chain.beside].into_iter().flatten() {
            self.release(id, asked);
        }
    }

    /// Its session may send as much again.
    fn give_back(&mut self, coming: &Coming) {
        if let Some(session) = self.sessions.get_mut(&coming.from) {
            session.pending = session.pending.saturating_sub(coming.cost);
        }
    }
}
