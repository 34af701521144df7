//! Who is asked for which chunk: one peer at a time, those that keep everything first, who was not found wanting first,
//! who has least to do first.
//!
//! Guarantees: what nobody has, or only somebody who is busy, holds nothing else up. Who says that it has a chunk and
//! does not send it has it taken away in bounded time, whatever else it sends, and is asked last.

use std::collections::BTreeMap;

use super::Node;
use crate::core::limits::{ASKED_MAX, PARTIALS_MAX, SCAN_MAX, WANTED_MAX, times};
use crate::core::session::{ChunkPart, Session};
use crate::core::wire::Message;
use crate::core::{ChunkName, Policy, Report, Request, SessionId, Urgency};

/// How often some of the queue is looked at in one step.
const SCANS: usize = 4;

/// How many chunks of an urgency a peer is asked for: fewer if it was late, until it sends some.
fn most(session: &Session) -> usize {
    (ASKED_MAX >> session.chunks_failed.min(5)).max(1)
}

impl Node {
    /// Asks peers for what is wanted, as far as they may be asked.
    pub(super) fn assign(&mut self) {
        if self.ground.is_paused {
            return;
        }
        let is_anybody = self.sessions.values().any(Session::is_ready);
        let chunks = &mut self.chunks;
        if is_anybody && !chunks.is_asking && chunks.dry.is_none() && chunks.active() < WANTED_MAX / 2 {
            chunks.is_asking = true;
            // Those that are known are named again.
            let most = WANTED_MAX - chunks.active() + chunks.wants.len();
            self.ask(Request::Wanted { most });
        }
        let mut asked: BTreeMap<(SessionId, bool), Vec<(ChunkName, u32)>> = BTreeMap::new();
        // The rest of a long queue in a moment.
        for _ in 0..SCANS {
            if self.chunks.to_scan == 0 {
                break;
            }
            let ready = self.sessions.values().filter(|s| s.is_ready());
            let is_full = is_anybody && !ready.into_iter().any(|s| s.asked_chunks(false) < most(s));
            for place in self.chunks.scan(SCAN_MAX) {
                if is_full && place.0 != Urgency::Open {
                    // Until one of those that are asked for is over.
                    self.chunks.to_scan = 0;
                    break;
                }
                self.find(place, is_anybody, &mut asked);
            }
        }
        for ((id, urgent), chunks) in asked {
            let Some(session) = self.sessions.get_mut(&id) else {
                continue;
            };
            // What was called off is said first: some of it may be asked for again here.
            let drops: Vec<ChunkName> = std::mem::take(&mut session.drops_due).into_iter().collect();
            let mut messages: Vec<Message<'_>> = drops
                .chunks(crate::core::limits::IDS_MAX)
                .map(|some| Message::DropChunks(some.to_vec()))
                .collect();
            messages.push(Message::WantChunks { urgent, chunks });
            let said = messages.iter().try_for_each(|message| session.say(message));
            self.or_end(id, said);
        }
    }

    /// Finds somebody who is asked for what stands at this place of the queue.
    fn find(
        &mut self,
        place: (Urgency, u64, ChunkName),
        is_anybody: bool,
        asked: &mut BTreeMap<(SessionId, bool), Vec<(ChunkName, u32)>>,
    ) {
        let (urgency, _, id) = place;
        let (now, is_open) = (self.ground.now, urgency == Urgency::Open);
        let Some(want) = self.chunks.wants.get_mut(&id).filter(|want| want.asked.is_none()) else {
            self.chunks.queue.remove(&place);
            return;
        };
        let refused = |s: &Session| want.refused.iter().any(|(refused, _)| *refused == s.id);
        let sessions = self.sessions.values();
        let able: Vec<&Session> = sessions.filter(|s| s.is_ready() && !refused(s)).collect();
        if able.is_empty() {
            // Perhaps somebody is about to say what it has.
            let is_coming = self.sessions.values().any(|s| s.is_coming(now));
            if is_open && !is_coming {
                self.chunks.forget(&id);
                self.report(Report::Nowhere { id });
            } else if !is_open && is_anybody {
                self.chunks.park(id, now);
            }
            return;
        }
        let keeps = |s: &Session| s.hello.is_some_and(|hello| hello.policy == Policy::Everything);
        let is_kept = able.iter().any(|s| keeps(s));
        let load = |s: &Session| s.asked_chunks(is_open);
        let free = able
            .into_iter()
            .filter(|s| (keeps(s) || !is_kept) && load(s) < most(s));
        let order = |s: &&Session| {
            let failed = s.chunks_failed.saturating_add(self.trust.failures(&s.peer, now));
            (failed, load(s), s.id)
        };
        let Some(best) = free.min_by_key(order).map(|s| s.id) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&best) else {
            return;
        };
        let usable = |part: &ChunkPart| !want.is_pure || (!part.is_mixed && part.by == session.peer);
        let part = want.part.take().filter(usable);
        want.asked = Some(best);
        let offset = part.as_ref().map_or(0, |part| part.bytes.len() as u32);
        session.ask_chunk(id, is_open, part, now);
        self.chunks.queue.remove(&place);
        asked.entry((best, is_open)).or_default().push((id, offset));
    }

    /// A chunk is not asked of this peer any more.
    pub(super) fn take_back(
        &mut self,
        id: ChunkName,
        part: Option<ChunkPart>,
        refused: Option<(SessionId, bool)>,
    ) {
        let Some(new) = part else {
            return self.chunks.take_back(id, None, refused);
        };
        let coming = self.sessions.values().flat_map(|s| s.chunks.values());
        let coming: usize = coming.flat_map(|asked| &asked.part).map(ChunkPart::held).sum();
        let kept = || self.chunks.wants.values().flat_map(|want| &want.part);
        let all: usize = kept().map(ChunkPart::held).sum();
        // Nobody can take all the room.
        let same: usize = kept().filter(|part| part.by == new.by).map(ChunkPart::held).sum();
        let fits = coming + all + new.held() <= PARTIALS_MAX && same + new.held() <= PARTIALS_MAX / 4;
        self.chunks.take_back(id, fits.then_some(new), refused);
    }

    /// What was asked of a session that is no more.
    pub(super) fn lost(&mut self, session: &mut Session) {
        for (id, asked) in std::mem::take(&mut session.chunks) {
            self.take_back(id, asked.part, None);
        }
        for want in self.chunks.wants.values_mut() {
            want.refused.retain(|(refused, _)| *refused != session.id);
        }
    }

    /// Takes chunks away from peers that do not send what is due, if others can be asked.
    pub(super) fn hurry(&mut self) {
        let (now, pace) = (self.ground.now, self.pace());
        let ready = self.sessions.values().filter(|s| s.is_ready());
        let ready: Vec<SessionId> = ready.map(|s| s.id).collect();
        // Also of one that could be asked, and names new statements now that it does not give.
        let all: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in &all {
            for is_urgent in [true, false] {
                let Some(session) = self.sessions.get_mut(id) else {
                    continue;
                };
                let late = session.late_at(is_urgent, pace).filter(|at| *at <= now);
                let Some(late) = late else {
                    continue;
                };
                // After long, who did not have it may have it, or can read it now.
                let is_long = now.saturating_sub(late) >= times::NOWHERE;
                let wants = &self.chunks.wants;
                let others = |chunk: &ChunkName| {
                    let refused = wants.get(chunk).map(|want| &want.refused);
                    let refuses = |other: &SessionId| {
                        let refuses = |(by, failed): &(SessionId, bool)| by == other && (*failed || !is_long);
                        refused.is_none_or(|all| all.iter().any(refuses))
                    };
                    ready.iter().any(|other| other != id && !refuses(other))
                };
                let of = session.chunks.iter();
                let late = of.filter(|(chunk, asked)| asked.is_urgent == is_urgent && others(chunk));
                let late: Vec<ChunkName> = late.map(|(chunk, _)| *chunk).collect();
                if !late.is_empty() {
                    session.chunks_failed = session.chunks_failed.saturating_add(1);
                    self.trust.blame(session.peer, now);
                }
                for chunk in late {
                    let Some(session) = self.sessions.get_mut(id) else {
                        break;
                    };
                    let part = session.call_off(&chunk, now).and_then(|asked| asked.part);
                    if let Some(want) = self.chunks.wants.get_mut(&chunk).filter(|_| is_long) {
                        want.refused.retain(|(_, failed)| *failed);
                    }
                    self.take_back(chunk, part, Some((*id, true)));
                }
            }
        }
        self.assign();
    }
}
