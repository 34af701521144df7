//! What time brings: peers that are silent, sources that stall; and how far everything is.

use coffer_store::ids::ChainId;

use super::Node;
use crate::core::limits::times;
use crate::core::wire::Message;
use crate::core::{Ended, Millis, Progress, SessionId};

/// How often a limited flow goes on, in milliseconds.
const STEP: u64 = 50;

impl Node {
    /// Time has passed. To be called at [`Node::wake`], or at any other time.
    pub fn tick(&mut self, now: Millis) {
        self.at(now);
        for id in self.sessions.keys().copied().collect::<Vec<SessionId>>() {
            let alive = self.is_alive(id);
            self.or_end(id, alive);
        }
        if !self.ground.is_paused {
            for chain in self.behind.iter().copied().collect::<Vec<ChainId>>() {
                self.consider(chain);
            }
            if self
                .chunks
                .parked_until()
                .is_some_and(|until| until <= self.ground.now)
            {
                self.chunks.once_more();
            }
            self.hurry();
        }
        self.pump();
    }

    fn is_alive(&mut self, id: SessionId) -> Result<(), Ended> {
        let now = self.ground.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let silent = now.saturating_sub(session.heard_at);
        if session.hello.is_none() {
            return match now.saturating_sub(session.opened_at) >= times::HELLO {
                true => Err(Ended::NoHello),
                false => Ok(()),
            };
        }
        if silent >= times::DEAD {
            return Err(Ended::Silent);
        }
        if silent >= times::PING && !std::mem::replace(&mut session.is_pinged, true) {
            return session.say(&Message::Ping);
        }
        Ok(())
    }

    /// When [`Node::tick`] is to be called at the latest, if nothing happens before; none: never. Then
    /// [`Node::poll`], too.
    pub fn wake(&self) -> Option<Millis> {
        let now = self.ground.now;
        let session = self.sessions.values().map(|session| {
            let alive = match (session.hello, session.is_pinged) {
                (None, _) => session.opened_at + times::HELLO,
                (_, false) => session.heard_at + times::PING,
                (_, true) => session.heard_at + times::DEAD,
            };
            let chunks = (!session.chunks.is_empty()).then_some(session.chunk_at + times::CHUNK_URGENT);
            let chunks = chunks.map(|at| at.max(now + times::PATIENCE));
            let is_slow = (self.ground.coming.is_limited() && session.grantable() > 0)
                || (self.ground.going.is_limited() && session.owes());
            let slow = is_slow.then_some(now + STEP);
            let soonest = [Some(alive), chunks, slow, session.announce_at]
                .into_iter()
                .flatten()
                .min();
            soonest.unwrap_or(alive)
        });
        let behind = (!self.behind.is_empty()).then_some(now + times::PATIENCE);
        let others = [behind, self.chunks.parked_until(), self.taking.rests_until()];
        session
            .chain(others.into_iter().flatten())
            .min()
            .map(|at| at.max(now))
    }

    /// How far this device is.
    pub fn progress(&mut self, now: Millis) -> Progress {
        self.at(now);
        let ground = &mut self.ground;
        let most = |id: &ChainId| {
            self.sessions
                .values()
                .map(|session| session.has(id))
                .max()
                .unwrap_or(0)
        };
        let events = self
            .behind
            .iter()
            .map(|id| most(id).saturating_sub(ground.last(id)));
        let events = events.fold(0, u64::saturating_add);
        let (chunks, bytes) = self.chunks.to_go();
        let (count, length) = self.taking.taken;
        let long = length.checked_div(count).unwrap_or(0);
        let bytes = bytes.saturating_add(events.saturating_mul(long));
        let now = ground.now;
        let rate = (ground.came.per_second(now), ground.went.per_second(now));
        Progress {
            peers: self
                .sessions
                .values()
                .filter(|session| session.hello.is_some())
                .count(),
            events,
            chunks,
            bytes,
            rate,
            seconds: (rate.0 > 0).then(|| bytes / rate.0),
        }
    }
}
