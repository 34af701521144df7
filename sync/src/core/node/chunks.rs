//! Which chunks are wanted, and how they come: piece by piece into one part, then into the store, which sees whether
//! they are what their names say.
//!
//! Guarantees: what several peers sent together and is not right ends nobody's session; from then on it is asked of one
//! peer alone, whose fault it is then.

use super::Node;
use super::wants::{Stored, Want};
use crate::core::limits::WANTED_MAX;
use crate::core::session::ChunkPart;
use crate::core::{ChunkName, ChunkOutcome, Ended, Millis, Report, Request, SessionId, Urgency};

impl Node {
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
        // What the store was given of it is accounted for when it answers.
        if let Some(session) = want.asked.and_then(|asked| self.sessions.get_mut(&asked)) {
            session.call_off(&id, self.ground.now);
        }
        self.chunks.look_again();
        self.assign();
    }

    /// The store may want more chunks than it has named.
    pub fn wants_changed(&mut self, now: Millis) {
        self.at(now);
        self.chunks.dry = None;
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
                if chunks.queue.remove(&(old, order, id)) || chunks.parked.contains(&id) {
                    chunks.enqueue(id);
                }
                return;
            }
            Some(_) => return,
            None => chunks.order,
        };
        if chunks.active() >= 2 * WANTED_MAX {
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
            is_pure: false,
        };
        chunks.wants.insert(id, want);
        chunks.enqueue(id);
    }

    pub(super) fn wanted(&mut self, wanted: Vec<(ChunkName, Urgency, u32)>, beyond: u64) {
        let before = self.chunks.wants.len();
        let room = WANTED_MAX.saturating_sub(self.chunks.active());
        let new = wanted
            .into_iter()
            .filter(|(id, ..)| !self.chunks.wants.contains_key(id));
        for (id, urgency, len) in new.take(room).collect::<Vec<_>>() {
            self.add_want(id, urgency, len);
        }
        self.chunks.is_asking = false;
        let is_dry = self.chunks.wants.len() == before;
        self.chunks.dry = is_dry.then_some(self.ground.now);
        self.chunks.beyond = beyond;
        self.assign();
    }

    /// A piece of a chunk: total, offset, bytes.
    pub(super) fn chunk(
        &mut self,
        id: SessionId,
        chunk: ChunkName,
        piece: (u32, u32, &[u8]),
    ) -> Result<(), Ended> {
        let (total, offset, data) = piece;
        let now = self.ground.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let Some(asked) = session.chunks.get(&chunk) else {
            return self.unasked(id, data.len());
        };
        // One of each urgency comes at a time: else a peer could have all that it was asked for held in part.
        let begun = session.begun[usize::from(!asked.is_urgent)].replace(chunk);
        if let Some(other) = begun.filter(|other| *other != chunk)
            && let Some(asked) = session.call_off(&other, now)
        {
            self.take_back(other, asked.part, None);
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let peer = session.peer;
        let Some(asked) = session.chunks.get_mut(&chunk) else {
            return Ok(());
        };
        let mut in_vain = 0;
        let goes_on = asked
            .part
            .as_ref()
            .is_some_and(|part| part.goes_on(total, offset));
        if !goes_on && offset == 0 {
            let part = ChunkPart {
                by: peer,
                total,
                bytes: Vec::new(),
                is_mixed: false,
            };
            // What it had sent itself before, it sent in vain.
            let former = asked.part.replace(part).filter(|_| asked.came > 0);
            in_vain += former.map_or(0, |part| part.bytes.len());
        } else if !goes_on {
            // Of another length than what others sent: from its beginning, then, and of one peer alone.
            let resumes = asked.resumes;
            session.call_off(&chunk, now);
            if let Some(want) = self.chunks.wants.get_mut(&chunk) {
                want.is_pure = true;
            }
            self.chunks.take_back(chunk, None, None);
            return match resumes {
                true => Ok(()),
                false => self.unasked(id, data.len()),
            };
        }
        let Some(part) = asked.part.as_mut() else {
            return Ok(());
        };
        let again = part.add(peer, offset, data);
        let new = (data.len() - again) as u64;
        in_vain += again;
        asked.came += new;
        let is_whole = part.bytes.len() == total as usize;
        session.useful += new;
        session.unasked = session.unasked.saturating_sub(new);
        if in_vain > 0 {
            self.unasked(id, in_vain)?;
        }
        if is_whole {
            self.chunk_came(id, chunk);
        }
        Ok(())
    }

    /// All of a chunk has come: the store sees whether it is the one of its name.
    fn chunk_came(&mut self, id: SessionId, chunk: ChunkName) {
        let now = self.ground.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(part) = session.forget_chunk(&chunk, now).and_then(|asked| asked.part) else {
            return;
        };
        let bytes = part.bytes.len() as u64;
        session.pending += bytes;
        let stored = Stored {
            from: id,
            peer: session.peer,
            bytes,
            is_mixed: part.is_mixed,
        };
        self.chunks.stored.insert(chunk, stored);
        self.chunks.look_again();
        if let Some(want) = self.chunks.wants.get_mut(&chunk) {
            want.asked = None;
        }
        let bytes = part.bytes;
        self.ask(Request::TakeChunk { id: chunk, bytes });
    }

    pub(super) fn chunk_taken(&mut self, id: ChunkName, outcome: ChunkOutcome) {
        let now = self.ground.now;
        let stored = self.chunks.stored.remove(&id);
        if let Some(stored) = &stored
            && let Some(session) = self.sessions.get_mut(&stored.from)
        {
            session.pending = session.pending.saturating_sub(stored.bytes);
            if outcome == ChunkOutcome::Stored {
                session.chunks_failed = 0;
            }
        }
        match outcome {
            ChunkOutcome::Stored => {
                self.chunks.forget(&id);
                // It may name others.
                if self.chunks.queue.is_empty() {
                    self.chunks.dry = None;
                }
                self.chunks_here(&[id]);
            }
            ChunkOutcome::Damaged => {
                if let Some(want) = self.chunks.wants.get_mut(&id) {
                    want.is_pure = true;
                }
                self.chunks.take_back(id, None, None);
                if let Some(stored) = stored.filter(|stored| !stored.is_mixed) {
                    self.trust.blame(stored.peer, now);
                    let why = "a chunk's bytes are not those of its name";
                    self.end(stored.from, Ended::Forged(why.into()));
                }
            }
            ChunkOutcome::Failed(why) => {
                self.report(Report::StoreFailed(why));
                // With what nobody had, it is asked for again in a while.
                self.chunks.park(id, now);
            }
        }
        self.assign();
    }

    /// A peer does not have them.
    pub(super) fn not_there(&mut self, id: SessionId, chunks: &[ChunkName]) {
        let now = self.ground.now;
        for chunk in chunks {
            let session = self.sessions.get_mut(&id);
            let asked = session.and_then(|session| session.forget_chunk(chunk, now));
            if let Some(asked) = asked {
                self.take_back(*chunk, asked.part, Some((id, false)));
                self.chunks.look_again();
            }
        }
    }

    /// A peer has them now. Who did not send them in time is not asked sooner for that.
    pub(super) fn there(&mut self, id: SessionId, chunks: &[ChunkName]) {
        for chunk in chunks {
            if let Some(want) = self.chunks.wants.get_mut(chunk) {
                want.refused.retain(|refused| *refused != (id, false));
                if self.chunks.parked.contains(chunk) {
                    self.chunks.enqueue(*chunk);
                }
            }
        }
    }
}
