//! Which chunks are wanted, and who is asked for each: one peer at a time, those that keep everything first, who
//! has least to do first; what a peer does not have, or does not send, is asked of another.

use std::collections::BTreeMap;

use super::Node;
use super::wants::Want;
use crate::core::limits::{ASKED_MAX, PARTIALS_MAX, WANTED_MAX, times};
use crate::core::session::{ChunkPart, Session};
use crate::core::wire::Message;
use crate::core::{ChunkName, ChunkOutcome, Ended, Millis, Policy, Report, Request, SessionId, Urgency};

impl Node {
    /// What was asked of a session that is no more.
    pub(super) fn lost(&mut self, session: &mut Session) {
        for (id, (_, part)) in std::mem::take(&mut session.chunks) {
            self.take_back(id, part, None);
        }
    }

    fn take_back(&mut self, id: ChunkName, part: Option<ChunkPart>, refused: Option<SessionId>) {
        let coming = self.sessions.values().flat_map(|s| s.chunks.values());
        let coming: usize = coming.flat_map(|(_, part)| part).map(ChunkPart::held).sum();
        let kept: usize = self
            .chunks
            .wants
            .values()
            .flat_map(|want| &want.part)
            .map(ChunkPart::held)
            .sum();
        let fits = |part: &ChunkPart| coming + kept + part.held() <= PARTIALS_MAX;
        self.chunks.take_back(id, part.filter(fits), refused);
    }

    /// Somebody waits for this chunk. Where nobody that is connected has it, [`Report::Nowhere`] says so.
    pub fn want(&mut self, now: Millis, id: ChunkName, urgency: Urgency, len: u32) {
        self.at(now);
        self.add_want(id, urgency, len);
        self.assign();
    }

    /// Nobody waits for this chunk any more.
    pub fn unwant(&mut self, now: Millis, id: ChunkName) {
        self.at(now);
        let Some(want) = self.chunks.forget(&id) else {
            return;
        };
        if let Some((from, bytes, _)) = want.taking
            && let Some(session) = self.sessions.get_mut(&from)
        {
            session.pending = session.pending.saturating_sub(bytes);
        }
        if let Some(session) = want.asked.and_then(|asked| self.sessions.get_mut(&asked)) {
            session.chunks.remove(&id);
            session.drops_due.insert(id);
        }
        self.assign();
    }

    /// The store may want more chunks than it has named.
    pub fn wants_changed(&mut self, now: Millis) {
        self.at(now);
        self.chunks.is_dry = false;
        self.assign();
    }

    /// These chunks came into the store by another way than this protocol.
    pub fn here(&mut self, now: Millis, ids: &[ChunkName]) {
        for id in ids {
            self.unwant(now, *id);
        }
        self.chunks_here(ids);
    }

    fn add_want(&mut self, id: ChunkName, urgency: Urgency, len: u32) {
        let chunks = &mut self.chunks;
        let order = match chunks.wants.get_mut(&id) {
            // It is more urgent now; what was asked stays asked.
            Some(want) if urgency < want.urgency => {
                let (old, order) = (want.urgency, want.order);
                want.urgency = urgency;
                if chunks.queue.remove(&(old, order, id)) || chunks.parked.remove(&id) {
                    chunks.queue.insert((urgency, order, id));
                }
                return;
            }
            Some(_) => return,
            None => chunks.order,
        };
        if chunks.wants.len() >= 2 * WANTED_MAX {
            return;
        }
        chunks.order += 1;
        let want = Want {
            urgency,
            order,
            len,
            asked: None,
            refused: Vec::new(),
            part: None,
            taking: None,
        };
        chunks.wants.insert(id, want);
        chunks.queue.insert((urgency, order, id));
    }

    pub(super) fn wanted(&mut self, wanted: Vec<(ChunkName, Urgency, u32)>, beyond: u64) {
        let before = self.chunks.wants.len();
        for (id, urgency, len) in wanted.into_iter().take(WANTED_MAX) {
            self.add_want(id, urgency, len);
        }
        self.chunks.is_asking = false;
        self.chunks.is_dry = self.chunks.wants.len() == before;
        self.chunks.beyond = beyond;
        self.assign();
    }

    /// Asks peers for what is wanted, as far as they may be asked.
    pub(super) fn assign(&mut self) {
        if self.ground.is_paused {
            return;
        }
        let is_anybody = self.sessions.values().any(Session::is_ready);
        let chunks = &mut self.chunks;
        if is_anybody && !chunks.is_asking && !chunks.is_dry && chunks.wants.len() < WANTED_MAX / 2 {
            chunks.is_asking = true;
            let most = WANTED_MAX - chunks.wants.len();
            self.ask(Request::Wanted { most });
        }
        let mut asked: BTreeMap<(SessionId, bool), Vec<(ChunkName, u32)>> = BTreeMap::new();
        let queue: Vec<(Urgency, u64, ChunkName)> = self.chunks.queue.iter().take(256).copied().collect();
        for (urgency, order, id) in queue {
            let is_open = urgency == Urgency::Open;
            let Some(want) = self.chunks.wants.get_mut(&id) else {
                self.chunks.queue.remove(&(urgency, order, id));
                continue;
            };
            let sessions = self.sessions.values();
            let able: Vec<&Session> = sessions
                .filter(|s| s.is_ready() && !want.refused.contains(&s.id))
                .collect();
            if able.is_empty() {
                // Perhaps somebody is about to say what it has.
                let is_coming = self.sessions.values().any(|s| !s.is_ready());
                if is_open && !is_coming {
                    self.chunks.forget(&id);
                    self.report(Report::Nowhere { id });
                } else if !is_open && is_anybody {
                    self.chunks.queue.remove(&(urgency, order, id));
                    self.chunks.parked.insert(id);
                    self.chunks.parked_at = self.ground.now;
                }
                continue;
            }
            let keeps = |s: &Session| s.hello.is_some_and(|hello| hello.policy == Policy::Everything);
            let is_kept = able.iter().any(|s| keeps(s));
            let load = |s: &Session| s.chunks.values().filter(|(urgent, _)| *urgent == is_open).count();
            let free = able
                .into_iter()
                .filter(|s| (keeps(s) || !is_kept) && load(s) < ASKED_MAX);
            let Some(best) = free.min_by_key(|s| (load(s), s.id)).map(|s| s.id) else {
                match is_open {
                    true => continue,
                    false => break,
                }
            };
            let Some(session) = self.sessions.get_mut(&best) else {
                continue;
            };
            let part = want.part.take().map(|part| ChunkPart {
                is_mixed: true,
                ..part
            });
            want.asked = Some(best);
            if session.chunks.is_empty() {
                session.chunk_at = self.ground.now;
            }
            session.drops_due.remove(&id);
            let offset = part.as_ref().map_or(0, |part| part.bytes.len() as u32);
            session.chunks.insert(id, (is_open, part));
            self.chunks.queue.remove(&(urgency, order, id));
            asked.entry((best, is_open)).or_default().push((id, offset));
        }
        for ((id, urgent), chunks) in asked {
            if let Some(session) = self.sessions.get_mut(&id) {
                let said = session.say(&Message::WantChunks { urgent, chunks });
                self.or_end(id, said);
            }
        }
    }

    /// A piece of a chunk: total, offset, bytes.
    pub(super) fn chunk(
        &mut self,
        id: SessionId,
        chunk: ChunkName,
        piece: (u32, u32, &[u8]),
    ) -> Result<(), Ended> {
        let (total, offset, data) = piece;
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let Some((urgent, _)) = session.chunks.get(&chunk) else {
            return self.unasked(id, data.len());
        };
        // One of each urgency comes at a time: else a peer could have all that it was asked for held in part.
        let begun = session.begun[usize::from(!urgent)].replace(chunk);
        if let Some(other) = begun.filter(|other| *other != chunk)
            && let Some((_, part)) = session.chunks.remove(&other)
        {
            session.drops_due.insert(other);
            self.take_back(other, part, None);
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let Some((_, part)) = session.chunks.get_mut(&chunk) else {
            return Ok(());
        };
        let goes_on = part
            .as_ref()
            .is_some_and(|part| part.total == total && part.bytes.len() == offset as usize);
        if !goes_on && offset == 0 {
            *part = Some(ChunkPart {
                total,
                bytes: Vec::new(),
                is_mixed: false,
            });
        }
        let Some(part) = part.as_mut().filter(|_| goes_on || offset == 0) else {
            // Of another length than what others sent: from its beginning, then.
            session.chunks.remove(&chunk);
            session.drops_due.insert(chunk);
            self.take_back(chunk, None, None);
            return self.unasked(id, data.len());
        };
        part.bytes.extend_from_slice(data);
        session.data_at = self.ground.now;
        session.chunk_at = self.ground.now;
        session.unasked = session.unasked.saturating_sub(data.len() as u64);
        if part.bytes.len() < total as usize {
            return Ok(());
        }
        let Some((_, Some(part))) = session.chunks.remove(&chunk) else {
            return Ok(());
        };
        session
            .begun
            .iter_mut()
            .filter(|begun| **begun == Some(chunk))
            .for_each(|begun| *begun = None);
        session.pending += part.bytes.len() as u64;
        if let Some(want) = self.chunks.wants.get_mut(&chunk) {
            want.asked = None;
            want.taking = Some((id, part.bytes.len() as u64, part.is_mixed));
        }
        let bytes = part.bytes;
        self.ask(Request::TakeChunk { id: chunk, bytes });
        Ok(())
    }

    pub(super) fn chunk_taken(&mut self, id: ChunkName, outcome: ChunkOutcome) {
        let taking = self.chunks.wants.get_mut(&id).and_then(|want| want.taking.take());
        if let Some((from, bytes, _)) = taking
            && let Some(session) = self.sessions.get_mut(&from)
        {
            session.pending = session.pending.saturating_sub(bytes);
            session.data_at = self.ground.now;
        }
        match outcome {
            ChunkOutcome::Stored => {
                self.chunks.forget(&id);
                // It may name others.
                self.chunks.is_dry &= !self.chunks.queue.is_empty();
                self.chunks_here(&[id]);
            }
            ChunkOutcome::Damaged => {
                self.chunks.take_back(id, None, None);
                if let Some((from, _, false)) = taking {
                    self.end(
                        from,
                        Ended::Forged("a chunk's bytes are not those of its name".into()),
                    );
                }
            }
            ChunkOutcome::Failed(why) => {
                self.report(Report::StoreFailed(why));
                // With what nobody had, it is asked for again in a while.
                if self.chunks.wants.contains_key(&id) {
                    self.chunks.parked.insert(id);
                    self.chunks.parked_at = self.ground.now;
                }
            }
        }
        self.assign();
    }

    /// A peer does not have them.
    pub(super) fn not_there(&mut self, id: SessionId, chunks: &[ChunkName]) {
        for chunk in chunks {
            let asked = self
                .sessions
                .get_mut(&id)
                .and_then(|session| session.chunks.remove(chunk));
            if let Some((_, part)) = asked {
                self.take_back(*chunk, part, Some(id));
            }
        }
    }

    /// A peer has them now.
    pub(super) fn there(&mut self, id: SessionId, chunks: &[ChunkName]) {
        for chunk in chunks {
            if let Some(want) = self.chunks.wants.get_mut(chunk) {
                want.refused.retain(|refused| *refused != id);
                if self.chunks.parked.contains(chunk) {
                    self.chunks.enqueue(*chunk);
                }
            }
        }
    }

    /// Takes chunks away from peers that send none, if others can be asked.
    pub(super) fn hurry(&mut self) {
        let now = self.ground.now;
        let ready: Vec<SessionId> = self
            .sessions
            .values()
            .filter(|s| s.is_ready())
            .map(|s| s.id)
            .collect();
        for id in &ready {
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            let silent = now.saturating_sub(session.chunk_at);
            if silent < times::CHUNK_URGENT || session.chunks.is_empty() {
                continue;
            }
            let wants = &self.chunks.wants;
            let others = |chunk: &ChunkName| {
                let refused = wants.get(chunk).map(|want| &want.refused);
                ready
                    .iter()
                    .any(|other| other != id && refused.is_some_and(|all| !all.contains(other)))
            };
            let late: Vec<ChunkName> = session
                .chunks
                .iter()
                .filter(|(chunk, (urgent, _))| (*urgent || silent >= times::CHUNK_BULK) && others(chunk))
                .map(|(chunk, _)| *chunk)
                .collect();
            for chunk in late {
                let Some(session) = self.sessions.get_mut(id) else {
                    break;
                };
                let part = session.chunks.remove(&chunk).and_then(|(_, part)| part);
                session.drops_due.insert(chunk);
                self.take_back(chunk, part, Some(*id));
            }
        }
        self.assign();
    }
}
