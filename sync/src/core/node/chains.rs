//! Chains: how far they are here and there, which histories differ, and to whom goes what is new of them.

use coffer_store::ids::ChainId;

use super::Node;
use crate::core::limits::{READ_AHEAD, times};
use crate::core::session::Sub;
use crate::core::wire::{Parcel, Reach, Wanted};
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
        if chain == self.ground.own && self.is_beginning {
            // It could not: once more in a while. Nothing is told on this one meanwhile.
            self.begin_at = Some(self.ground.now + times::STORE);
            return;
        }
        let former = std::mem::replace(&mut self.ground.own, chain);
        self.is_beginning = false;
        self.consider(former);
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
        chain.is_pure = false;
        let head = row.head;
        self.ground
            .partials
            .retain(|part| part.chain != id || part.first > last);
        let mut forked = Vec::new();
        for session in self.sessions.values_mut() {
            let known = session.has(&id);
            session.unknown.remove(&id);
            let is_fork = |there: &Reach| there.last == last && there.head != head[..8];
            if session.known.get(&id).is_some_and(is_fork) {
                forked.push(session.id);
            }
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
        // Now that it is as far as they have said to be.
        for session in forked {
            self.compare(session, id);
        }
    }

    /// A peer wants chains to be told from here on.
    pub(super) fn chains_wanted(&mut self, id: SessionId, wanted: Vec<Wanted>) -> Result<(), Ended> {
        let now = self.ground.now;
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
            let wasted = session.feed.forget(&chain);
            session.waste(wasted, now);
            session.feed.subs.insert(chain, Sub { sent: after, resume });
            if last > after {
                session.feed.lag.insert(chain);
            }
        }
        Ok(())
    }

    /// A peer does not want them any more.
    pub(super) fn chains_stopped(&mut self, id: SessionId, chains: &[ChainId]) {
        let now = self.ground.now;
        if let Some(session) = self.sessions.get_mut(&id) {
            for chain in chains {
                let wasted = session.feed.forget(chain);
                session.waste(wasted, now);
            }
        }
    }
}
