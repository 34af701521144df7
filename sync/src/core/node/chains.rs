//! Who tells which chain. Each chain is asked of one peer, which tells it from there on, also what is new (as in
//! Secure Scuttlebutt's EBT, or Plumtree's eager edges); all others only say how far they have it. When one of
//! these has what the source has not told, it becomes the source.

use coffer_store::ids::ChainId;

use super::Node;
use crate::core::limits::{READ_AHEAD, times};
use crate::core::session::{Chain, Session, Sub};
use crate::core::wire::{Parcel, Wanted};
use crate::core::{Ended, PeerId, Report, Request, SessionId};

impl Node {
    /// A peer has named how far it has this chain.
    pub(super) fn compare(&mut self, id: SessionId, chain: ChainId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let (peer, known) = (session.peer, session.known.get(&chain).copied());
        let (here, known) = match (self.ground.reach(&chain), known) {
            (here, Some(known)) => (here, known),
            _ => return,
        };
        let is_fork = here.is_some_and(|here| here.last == known.last && here.head != known.head);
        if chain == self.ground.own && is_fork {
            // Nobody can prove that without telling all of it: so it is believed, but only once.
            if !std::mem::replace(&mut self.has_begun, true) {
                self.begin(peer);
            }
            return;
        }
        if is_fork {
            self.stop(id, chain, Report::Forked { chain, peer });
        }
        self.consider(chain);
    }

    /// Of this chain nothing more is taken from here.
    pub(super) fn stop(&mut self, id: SessionId, chain: ChainId, report: Report) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.stopped.insert(chain) {
            self.report(report);
        }
        self.release(chain, id);
    }

    /// This store is of another day than what others know of it: its chain is not to be told on.
    pub(super) fn begin(&mut self, peer: PeerId) {
        if !std::mem::replace(&mut self.is_beginning, true) {
            let chain = self.ground.own;
            self.report(Report::Behind { chain, peer });
            self.ask(Request::BeginChain);
        }
    }

    /// This device tells on another chain now; the former one is a chain like any other.
    pub(super) fn began(&mut self, chain: ChainId) {
        let former = std::mem::replace(&mut self.ground.own, chain);
        self.is_beginning = false;
        self.consider(former);
    }

    /// A session can be asked for things.
    pub(super) fn is_ready(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let own = session.hello.map(|hello| hello.own);
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
            && self.sessions.get(&id).is_some_and(|s| !s.stopped.contains(&own))
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
        let owner = |session: &Session| session.hello.is_some_and(|hello| hello.own == id);
        let mut owners = self.sessions.values().filter(|s| owner(s) && s.is_ready());
        let owner = owners.find(|s| !s.stopped.contains(&id)).map(|s| s.id);
        let chain = match self.ground.clock.get(&id) {
            Some(chain) => *chain,
            None if owner.is_some() => Chain::default(),
            None => return,
        };
        let now = self.ground.now;
        let best = self.best(&id, &chain, owner);
        let is_behind = best.is_some() && !chain.is_parked;
        match is_behind {
            true => drop(self.behind.insert(id)),
            false => drop(self.behind.remove(&id)),
        }
        if chain.is_parked || self.ground.is_paused {
            return;
        }
        let Some(source) = chain.source.and_then(|source| self.sessions.get_mut(&source)) else {
            if let Some(source) = best.or(owner) {
                self.ask_for(id, source);
            }
            return;
        };
        let Some(best) = best else {
            self.news(&id, None);
            return;
        };
        if source.is_ahead(&id, chain.held) {
            let moved = chain.moved_at.max(source.data_at);
            if now.saturating_sub(moved) >= times::STALL {
                source.cooled.insert(id, now + times::COOL);
                let other = self.best(&id, &chain, owner).unwrap_or(best);
                self.ask_for(id, other);
            }
            return;
        }
        match chain.news_at {
            None => self.news(&id, Some(now)),
            Some(at) if now.saturating_sub(at) >= times::PATIENCE => self.ask_for(id, best),
            Some(_) => {}
        }
    }

    fn news(&mut self, id: &ChainId, at: Option<u64>) {
        if let Some(chain) = self.ground.clock.get_mut(id) {
            chain.news_at = at;
        }
    }

    /// Who is best asked for more of a chain: who makes it, then who has least to do.
    fn best(&self, id: &ChainId, chain: &Chain, owner: Option<SessionId>) -> Option<SessionId> {
        let ahead = self.sessions.values().filter(|s| s.is_ahead(id, chain.held));
        let order = |s: &&Session| {
            let is_cool = s.cooled.get(id).is_some_and(|until| *until > self.ground.now);
            (is_cool, Some(s.id) != owner, s.asked.len(), s.id)
        };
        ahead.min_by_key(order).map(|session| session.id)
    }

    /// Asks this peer for a chain, and nobody else any more.
    pub(super) fn ask_for(&mut self, id: ChainId, to: SessionId) {
        let source = self.ground.clock.get(&id).and_then(|chain| chain.source);
        if let Some(source) = source {
            self.release(id, source);
        }
        let now = self.ground.now;
        let Some(session) = self.sessions.get_mut(&to) else {
            return;
        };
        session.asked.insert(id);
        session.wants_due.insert(id);
        session.stops_due.remove(&id);
        let chain = self.ground.clock.entry(id).or_default();
        chain.source = Some(to);
        chain.moved_at = now;
        chain.news_at = None;
    }

    /// Asks this peer for a chain no more; what it sent of a batch is kept.
    pub(super) fn release(&mut self, id: ChainId, from: SessionId) {
        if let Some(session) = self.sessions.get_mut(&from) {
            if session.asked.remove(&id) {
                session.stops_due.insert(id);
            }
            session.wants_due.remove(&id);
            if session.batch.as_ref().is_some_and(|part| part.0.chain == id)
                && let Some(part) = session.batch.take()
            {
                self.ground.keep(part.0);
            }
        }
        if let Some(chain) = self.ground.clock.get_mut(&id)
            && chain.source == Some(from)
        {
            chain.source = None;
        }
    }

    /// What came of this chain was not what was said: once more, from what is here.
    pub(super) fn wants_again(&mut self, id: SessionId, chain: ChainId, bytes: usize) -> Result<(), Ended> {
        self.ground.drop_partial(&chain);
        self.unasked(id, bytes)?;
        self.release(chain, id);
        self.consider(chain);
        Ok(())
    }

    /// A batch is in the store: it goes to all who lack it and asked for its chain, and the others are told.
    pub(super) fn is_here(&mut self, parcel: Parcel, from: Option<SessionId>) {
        let row = &parcel.carried.row;
        let (id, first) = (row.chain, row.first);
        let Ok(last) = row.last() else { return };
        let now = self.ground.now;
        let chain = self.ground.clock.entry(id).or_default();
        if last <= chain.last {
            return;
        }
        chain.last = last;
        chain.head = row.head;
        chain.held = chain.held.max(last);
        chain.moved_at = now;
        for session in self.sessions.values_mut() {
            let known = session.has(&id);
            let is_new = known < last && Some(session.id) != from;
            let feed = &mut session.feed;
            let is_fed = match feed.subs.get_mut(&id) {
                Some(sub) if sub.sent >= last => true,
                Some(sub) if known >= last => {
                    sub.sent = last;
                    true
                }
                Some(sub) => {
                    let is_read =
                        feed.lag.contains(&id) || feed.reading.as_ref().is_some_and(|all| all.contains(&id));
                    if first.checked_sub(1) == Some(sub.sent) && !is_read && feed.queued < READ_AHEAD {
                        sub.sent = last;
                        feed.queued += parcel.total();
                        feed.queue.push_back(parcel.clone());
                    } else {
                        feed.lag.insert(id);
                    }
                    true
                }
                None => false,
            };
            let is_urgent = is_new && !is_fed;
            session.announce(id, if is_urgent { now } else { now + times::LAZY });
        }
        self.consider(id);
    }

    /// A peer wants chains to be told from here on.
    pub(super) fn chains_wanted(&mut self, id: SessionId, wanted: Vec<Wanted>) -> Result<(), Ended> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        for Wanted { chain, after, resume } in wanted {
            let last = self.ground.last(&chain);
            // It can have learnt here only of what is here.
            if last == 0 && chain != self.ground.own {
                continue;
            }
            if session.has(&chain) > after {
                session.known.remove(&chain);
            }
            session.feed.forget(&chain);
            session.feed.subs.insert(chain, Sub { sent: after, resume });
            if last > after {
                session.feed.lag.insert(chain);
            }
        }
        Ok(())
    }

    /// A peer does not want them any more.
    pub(super) fn chains_stopped(&mut self, id: SessionId, chains: &[ChainId]) {
        if let Some(session) = self.sessions.get_mut(&id) {
            for chain in chains {
                session.feed.forget(chain);
            }
        }
    }
}
