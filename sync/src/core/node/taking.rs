//! Events on their way into the store: one batch at a time, in the order in which they came; what came
//! too early waits within bounds, and is tried again when something was taken in.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use coffer_store::ids::ChainId;
use coffer_store::vault::Carried;

use super::Node;
use crate::core::limits::{ASIDE_MAX, times};
use crate::core::wire::Parcel;
use crate::core::{Ended, Millis, Outcome, Report, Request, SessionId};

/// A batch that came.
struct Coming {
    batch: Arc<Carried>,
    from: SessionId,
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
        self.batch.bytes.len() + 256
    }
}

#[derive(Default)]
pub(super) struct Taking {
    ready: VecDeque<Coming>,
    busy: Option<Coming>,
    aside: VecDeque<Coming>,
    /// Chains of which something was dropped for want of room.
    parked: BTreeSet<ChainId>,
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

    fn waits(&self, chain: ChainId) -> bool {
        self.aside.iter().any(|coming| coming.chain() == chain)
    }
}

impl Node {
    /// The next batch of its chain has come.
    pub(super) fn arrived(&mut self, from: SessionId, carried: Carried, cost: u64) {
        let Ok(last) = carried.row.last() else { return };
        let now = self.ground.now;
        let id = carried.row.chain;
        let chain = self.ground.clock.entry(id).or_default();
        chain.held = last;
        chain.moved_at = now;
        chain.news_at = None;
        self.taking.ready.push_back(Coming {
            batch: Arc::new(carried),
            from,
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
                continue;
            }
            if !coming.is_again && self.taking.waits(coming.chain()) {
                self.wait(coming);
                continue;
            }
            self.ask(Request::TakeIn(coming.batch.clone()));
            self.taking.busy = Some(coming);
        }
    }

    pub(super) fn taken_in(&mut self, outcome: Outcome) {
        let Some(coming) = self.taking.busy.take() else {
            return;
        };
        let (chain, from) = (coming.chain(), coming.from);
        let peer = self
            .sessions
            .get(&from)
            .map(|session| session.peer)
            .unwrap_or_default();
        match outcome {
            Outcome::Taken | Outcome::Known => {
                self.give_back(&coming);
                let (events, bytes) = &mut self.taking.taken;
                *events += u64::from(coming.batch.row.count);
                *bytes += coming.len() as u64;
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
                self.forget(chain);
                self.end(from, Ended::Forged(why));
            }
            Outcome::Failed(why) => {
                self.report(Report::StoreFailed(why));
                self.taking.ready.push_front(coming);
                self.taking.resting = Some(self.ground.now + times::STORE);
            }
        }
        self.pump();
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
        let bytes: usize = self.taking.aside.iter().map(Coming::len).sum();
        if self.taking.aside.len() >= ASIDE_MAX.0 || bytes + coming.len() > ASIDE_MAX.1.max(coming.len()) {
            let chain = coming.chain();
            self.forget(chain);
            self.taking.parked.insert(chain);
            if let Some(chain) = self.ground.clock.get_mut(&chain) {
                chain.is_parked = true;
            }
            self.consider(chain);
            return;
        }
        // In the order of its chain, in whatever order they were tried.
        let is_later = |other: &Coming| {
            other.chain() == coming.chain() && other.batch.row.first > coming.batch.row.first
        };
        let before = self.taking.aside.iter().position(is_later);
        let at = before.unwrap_or(self.taking.aside.len());
        self.taking.aside.insert(at, coming);
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
        let (gone, left) = std::mem::take(&mut self.taking.ready)
            .into_iter()
            .partition(|coming| coming.chain() == id);
        self.taking.ready = left;
        let gone: VecDeque<Coming> = gone;
        for coming in &gone {
            self.give_back(coming);
        }
        self.taking.aside.retain(|coming| coming.chain() != id);
        self.ground.drop_partial(&id);
        let Some(chain) = self.ground.clock.get_mut(&id) else {
            return;
        };
        chain.held = chain.last;
        if let Some(source) = chain.source {
            self.release(id, source);
        }
    }

    /// Its session may send as much again.
    fn give_back(&mut self, coming: &Coming) {
        if let Some(session) = self.sessions.get_mut(&coming.from) {
            session.pending = session.pending.saturating_sub(coming.cost);
            session.data_at = self.ground.now;
        }
    }
}
