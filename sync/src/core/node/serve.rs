//! What peers asked for: read from the store as far as there is room to send it.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_store::ids::ChainId;
use coffer_store::vault::Carried;

use super::Node;
use crate::core::limits::{QUESTIONS_MAX, READ_AHEAD, SERVING_MAX, WASTE_MAX, times};
use crate::core::wire::{Message, Parcel};
use crate::core::{ChunkName, Ended, Policy, Request, SessionId};

/// Chains whose batches are read at a time.
const READ_CHAINS: usize = 1_024;

impl Node {
    /// Has the store read what this peer waits for, if there is nothing to send.
    pub(super) fn serve(&mut self, id: SessionId) {
        if self.ground.is_paused {
            return;
        }
        self.serve_statements(id);
        let now = self.ground.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        // Who has things read and calls them off waits: each read is paid for by sending, or by time.
        if session.wasted(now) > WASTE_MAX {
            return;
        }
        let mut requests = Vec::new();
        let feed = &mut session.feed;
        feed.rests_until.take_if(|at| *at <= now);
        if feed.rests_until.is_none()
            && feed.reading.is_none()
            && feed.queued < READ_AHEAD / 2
            && feed.big.is_none()
            && !feed.lag.is_empty()
        {
            let lag = feed.lag.iter().take(READ_CHAINS);
            let after = lag.filter_map(|chain| Some((*chain, feed.subs.get(chain)?.sent)));
            let after: Vec<(ChainId, u64)> = after.collect();
            feed.reading = Some(after.iter().map(|(chain, _)| *chain).collect());
            requests.push(Request::Batches {
                session: id,
                after,
                most: READ_AHEAD,
            });
        }
        for (lane, urgent) in session.lanes.iter_mut().zip([true, false]) {
            if lane.current.is_none()
                && lane.reading.is_none()
                && let Some((chunk, offset)) = lane.queue.pop_front()
            {
                lane.reading = Some((chunk, offset));
                requests.push(Request::Chunk {
                    session: id,
                    id: chunk,
                    urgent,
                });
            }
        }
        requests.into_iter().for_each(|request| self.ask(request));
    }

    pub(super) fn batches_read(&mut self, id: SessionId, batches: Vec<Arc<Carried>>) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let read = session.feed.reading.take().unwrap_or_default();
        let mut is_news = false;
        let (mut in_vain, mut apart) = (0, BTreeSet::new());
        for batch in batches {
            let row = &batch.row;
            let (chain, known) = (row.chain, session.has(&row.chain));
            let Ok(last) = row.last() else { continue };
            // What the store has and this does not know yet is told in a moment.
            if last > self.ground.last(&chain) {
                continue;
            }
            let feed = &mut session.feed;
            let sub = feed.subs.get_mut(&chain);
            let Some(sub) = sub.filter(|sub| row.first.checked_sub(1) == Some(sub.sent)) else {
                in_vain += batch.bytes.len();
                apart.insert(chain);
                continue;
            };
            sub.sent = last;
            is_news = true;
            if known < last {
                let parcel = Parcel::new(batch);
                feed.queued += parcel.total();
                feed.queue.push_back(parcel);
            }
        }
        let now = self.ground.now;
        session.waste(in_vain, now);
        for chain in read {
            let last = self.ground.last(&chain);
            let sent = session.feed.subs.get(&chain).map_or(last, |sub| sub.sent);
            // Nothing that goes on from there: it has another history of that chain, or is not believed.
            let is_apart = !is_news && apart.contains(&chain);
            if sent >= last || is_apart {
                session.feed.lag.remove(&chain);
            }
        }
        if !is_news && !session.feed.lag.is_empty() && apart.is_empty() {
            // The store could not: it may in a while.
            session.feed.rests_until = Some(now + times::STORE);
        }
    }

    /// A peer wants chunks.
    pub(super) fn chunks_wanted(
        &mut self,
        id: SessionId,
        urgent: bool,
        chunks: Vec<(ChunkName, u32)>,
    ) -> Result<(), Ended> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let lane = &mut session.lanes[usize::from(!urgent)];
        if lane.len() + chunks.len() > SERVING_MAX {
            return Err(Ended::TooMany("it wants more chunks at a time than anybody may"));
        }
        for (chunk, _) in &chunks {
            session.refused.remove(chunk);
        }
        lane.queue.extend(chunks);
        Ok(())
    }

    pub(super) fn chunk_read(&mut self, id: SessionId, chunk: ChunkName, bytes: Option<Arc<[u8]>>) {
        let now = self.ground.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let is_read = |reading: &Option<(ChunkName, u32)>| reading.is_some_and(|(id, _)| id == chunk);
        let Some(lane) = session.lanes.iter_mut().find(|lane| is_read(&lane.reading)) else {
            return;
        };
        let offset = lane.reading.take().map_or(0, |(_, offset)| offset as usize);
        if std::mem::take(&mut lane.is_dropped) {
            let wasted = bytes.map_or(0, |bytes| bytes.len());
            session.waste(wasted, now);
            return;
        }
        match bytes.filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => {
                // Who says that it has more than there is was told a false length by another.
                let offset = if offset < bytes.len() { offset } else { 0 };
                lane.current = Some((chunk, bytes, offset));
            }
            None => {
                if session.refused.len() >= 4 * SERVING_MAX {
                    session.refused.pop_first();
                }
                session.refused.insert(chunk);
                let said = session.say(&Message::NotHere(vec![chunk]));
                self.or_end(id, said);
            }
        }
    }

    /// Chunks are in the store, durably: peers that wanted them in vain are told.
    pub(super) fn chunks_here(&mut self, chunks: &[ChunkName]) {
        let mut ended = Vec::new();
        for session in self.sessions.values_mut() {
            let here: Vec<ChunkName> = chunks
                .iter()
                .filter(|id| session.refused.remove(*id))
                .copied()
                .collect();
            for some in here.chunks(crate::core::limits::IDS_MAX) {
                let said = session.say(&Message::Here(some.to_vec()));
                ended.extend(said.err().map(|why| (session.id, why)));
            }
        }
        for (id, why) in ended {
            self.end(id, why);
        }
    }

    /// A peer asks which chunks are held durably.
    pub(super) fn asked_held(
        &mut self,
        id: SessionId,
        serial: u32,
        ids: Vec<ChunkName>,
    ) -> Result<(), Ended> {
        let policy = self.ground.policy;
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        // Who may evict confirms nothing.
        if policy != Policy::Everything {
            let bits = vec![0; ids.len().div_ceil(8)];
            return session.say(&Message::Held { serial, bits });
        }
        session.questions += 1;
        if session.questions > QUESTIONS_MAX {
            return Err(Ended::TooMany("it asks what is here before it has its answers"));
        }
        self.ask(Request::Held {
            session: id,
            serial,
            ids,
        });
        Ok(())
    }

    pub(super) fn held_here(&mut self, id: SessionId, serial: u32, held: &[bool]) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.questions = session.questions.saturating_sub(1);
        let mut bits = vec![0u8; held.len().div_ceil(8)];
        for (n, _) in held.iter().enumerate().filter(|(_, held)| **held) {
            bits[n / 8] |= 1 << (n % 8);
        }
        let said = session.say(&Message::Held { serial, bits });
        self.or_end(id, said);
    }
}
