//! What time brings: peers that are silent, sources that stall; and how far everything is.

use coffer_store::ids::ChainId;

use super::Node;
use crate::core::limits::{CONSIDER_MAX, UNKNOWN_MAX, times};
use crate::core::wire::Message;
use crate::core::{Ended, Millis, Progress, Request, SessionId};

/// How often a limited flow goes on, in milliseconds.
const STEP: u64 = 50;

impl Node {
    /// Time has passed. To be called at [`Node::wake`], or at any other time.
    pub fn tick(&mut self, now: Millis) {
        self.at(now);
        self.ticked_at = self.ground.now;
        for id in self.sessions.keys().copied().collect::<Vec<SessionId>>() {
            let alive = self.is_alive(id);
            self.or_end(id, alive);
            self.look_again(id);
            if self
                .sessions
                .get(&id)
                .is_some_and(|s| s.is_crowded && s.unknown.len() < UNKNOWN_MAX / 2)
            {
                self.follow_more(id);
            }
        }
        if self.begin_at.take_if(|at| *at <= now).is_some() {
            self.ask(Request::BeginChain);
        }
        if !self.ground.is_paused {
            // In turns, if there are very many.
            let from = self.behind_from.unwrap_or(ChainId([0; 16]));
            let round: Vec<ChainId> = self.behind.range(from..).take(CONSIDER_MAX).copied().collect();
            self.behind_from = round.last().copied().filter(|_| round.len() == CONSIDER_MAX);
            for chain in round {
                self.consider(chain);
            }
            if self
                .taking
                .parked_until()
                .is_some_and(|until| until <= self.ground.now)
            {
                self.try_aside();
            }
            self.chunks.rest(self.ground.now);
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
        let pace = self.pace();
        // Counted from the last time: it must not move away while bytes keep coming.
        let (soon, step) = (self.ticked_at + times::PATIENCE, self.ticked_at + STEP);
        let session = self.sessions.values().map(|session| {
            let alive = match (session.hello, session.is_pinged) {
                (None, _) => session.opened_at + times::HELLO,
                (_, false) => session.heard_at + times::PING,
                (_, true) => session.heard_at + times::DEAD,
            };
            let late = [true, false].map(|is_urgent| session.late_at(is_urgent, pace));
            let chunks = late.into_iter().flatten().min();
            let chunks = chunks.map(|at| at.max(soon));
            let coming = session.is_coming(now).then_some(session.opened_at + times::HELLO);
            let crowded = session.is_crowded.then_some(self.ticked_at + times::PING);
            let announce = session.announce_at.filter(|_| !session.is_limited());
            let waste = session.is_wasteful().then_some(soon);
            let is_slow = (self.ground.coming.is_limited() && session.grantable() > 0)
                || (self.ground.going.is_limited() && session.owes());
            let slow = is_slow.then_some(step);
            let (look, rests) = (session.look_at, session.feed.rests_until);
            let look = look.map(|at| at.max(soon));
            // It may have to wait for other things, too.
            let rests = rests.map(|at| at.max(soon));
            let dismissed = session
                .removal()
                .map(|_| (session.opened_at + times::HELLO).max(soon));
            let some = [
                dismissed, chunks, coming, crowded, slow, announce, waste, look, rests,
            ];
            some.into_iter().flatten().min().map_or(alive, |at| at.min(alive))
        });
        let behind = (!self.behind.is_empty()).then_some(soon);
        let parked = self.taking.parked_until();
        let scans = (self.chunks.to_scan > 0 && !self.ground.is_paused).then_some(step);
        let others = [
            behind,
            parked,
            self.begin_at,
            self.chunks.wake(),
            scans,
            self.taking.rests_until(),
        ];
        // While paused they wait for more than time.
        let others = others.into_iter().flatten().map(|at| at.max(step));
        session.chain(others).min().map(|at| at.max(now))
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
