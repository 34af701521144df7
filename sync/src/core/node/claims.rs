//! Chains that peers name and of which nothing is here.
//!
//! Guarantees: those of which membership knows are followed, all; of others so many of each session, whatever other
//! sessions name. They are forgotten when nobody names them any more. Who names too many is not ended for it, and
//! nobody else notices.

use std::sync::Arc;

use coffer_store::ids::ChainId;

use super::Node;
use crate::core::SessionId;
use crate::core::limits::UNKNOWN_MAX;
use crate::core::session::{Ground, Session};

/// Sees to it that a chain is followed that a session has named, if there is room.
pub(super) fn follow(ground: &mut Ground, session: &mut Session, chain: ChainId) {
    if ground.clock.get(&chain).is_some_and(|chain| chain.last > 0) || session.unknown.contains(&chain) {
        return;
    }
    if !session.certified.all.contains(&chain) {
        if session.unknown.len() >= UNKNOWN_MAX {
            session.is_crowded = true;
            return;
        }
        session.unknown.insert(chain);
    }
    ground.clock.entry(chain).or_default();
}

impl Node {
    /// A session that named these is no more.
    pub(super) fn unclaimed(&mut self, session: &Session) {
        let named = session.known.keys().chain(session.asked.keys()).copied();
        for id in named.chain(session.own()).collect::<Vec<ChainId>>() {
            self.forget_claim(&id);
        }
    }

    /// Forgets a chain if nothing of it is here, and nobody names it.
    fn forget_claim(&mut self, id: &ChainId) {
        if self.ground.clock.get(id).is_none_or(|chain| chain.last > 0) {
            return;
        }
        let mut others = self.sessions.values();
        let follows = |s: &Session| {
            s.unknown.contains(id)
                || s.own() == Some(*id)
                || (s.known.contains_key(id) && s.certified.all.contains(id))
        };
        if others.any(follows) {
            return;
        }
        // What of it waits for something else goes with it.
        self.drop_waiting(*id);
        self.ground.clock.remove(id);
        self.behind.remove(id);
    }

    /// Membership knows others, or there is room: what was named is looked at once more.
    pub(super) fn follow_more(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let all = Arc::clone(&session.certified.all);
        session.unknown.retain(|chain| !all.contains(chain));
        session.is_crowded = false;
        let named: Vec<ChainId> = session.known.keys().copied().collect();
        for chain in &named {
            follow(&mut self.ground, session, *chain);
        }
        if session.is_ready() {
            for chain in named {
                self.consider(chain);
            }
        }
    }
}
