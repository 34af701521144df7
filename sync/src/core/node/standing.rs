//! What membership says of who is connected: whose chains are whose, and who is let in how far.

use coffer_store::ids::ChainId;

use super::Node;
use crate::core::{Access, Ended, SessionId, Standing};

impl Node {
    /// Of a device that is connected, membership says something else than before.
    pub(super) fn stands(&mut self, standing: &Standing) {
        let same = self
            .sessions
            .values()
            .filter(|session| session.peer == standing.peer);
        for id in same.map(|session| session.id).collect::<Vec<SessionId>>() {
            let stands = self.stands_in(id, standing);
            self.or_end(id, stands);
        }
    }

    /// Sends a device away that came to be told of its removal, if that is done.
    pub(super) fn dismiss(&mut self, id: SessionId) {
        let now = self.ground.now;
        if self
            .sessions
            .get(&id)
            .is_some_and(|session| session.is_dismissed(now))
        {
            self.end(id, Ended::Removed);
        }
    }

    fn stands_in(&mut self, id: SessionId, standing: &Standing) -> Result<(), Ended> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let former = std::mem::replace(&mut session.certified, standing.certified.clone());
        let access = std::mem::replace(&mut session.access, standing.access);
        let own: Option<ChainId> = session.hello.map(|hello| hello.own);
        if own.is_some_and(|own| standing.certified.is_anothers(&own)) {
            return Err(Ended::Order("it says that it tells on another device's chain"));
        }
        match (access, standing.access) {
            (Access::Full, Access::Statements | Access::Farewell(_))
            | (Access::Statements, Access::Farewell(_)) => return Err(Ended::Removed),
            // It was told of another removal, or of one that counts no more: that is for a new session.
            (Access::Farewell(before), now) if now != Access::Farewell(before) => return Err(Ended::Asked),
            // Both said that there are statements alone, and neither can say that it is over: a new session can.
            (Access::Statements, Access::Full) if session.is_limited_there => return Err(Ended::Asked),
            _ => {}
        }
        let is_proven = session.own() != own.filter(|own| former.owns(own));
        self.follow_more(id);
        if is_proven && self.sessions.get(&id).is_some_and(|s| s.is_ready()) {
            self.is_ready(id);
        }
        Ok(())
    }
}
