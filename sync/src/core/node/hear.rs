//! What a peer says.

use super::Node;
use super::claims::follow;
use crate::core::limits::{CHAINS_MAX, UNASKED_MAX};
use crate::core::session::{BatchPart, Of};
use crate::core::wire::{Heard, Hello, LIMITED, Message, Reach, VERSION, token_of, unpack};
use crate::core::{Access, Ended, Millis, Report, SessionId};
use coffer_store::ids::ChainId;

impl Node {
    /// Bytes have come; in any pieces, in their order.
    pub fn receive(&mut self, now: Millis, id: SessionId, mut bytes: &[u8]) {
        self.at(now);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.heard_at = self.ground.now;
        session.is_pinged = false;
        self.ground.came.add(self.ground.now, bytes.len() as u64);
        while let Some(session) = self.sessions.get_mut(&id) {
            match session.frames.next(&mut bytes) {
                Ok(Some(frame)) => {
                    let heard = self.hear(id, &frame);
                    self.or_end(id, heard);
                }
                Ok(None) => break,
                Err(e) => self.end(id, e.into()),
            }
        }
        self.pump();
        self.assign();
    }

    fn hear(&mut self, id: SessionId, frame: &[u8]) -> Result<(), Ended> {
        let now = self.ground.now;
        let heard = Message::decode(frame)?;
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let message = match heard {
            Heard::Message(message) => message,
            Heard::Unknown => return session.passed_over(frame.len(), now),
        };
        match (&message, session.hello.is_some()) {
            (Message::Hello(_) | Message::Goodbye(_), false) => {}
            (_, false) => return Err(Ended::Order("it did not say first who it is")),
            (Message::Hello(_), true) => return Err(Ended::Order("it said twice who it is")),
            _ => {}
        }
        if session.access == Access::Statements && !message.is_of_members() {
            return Err(Ended::Order(
                "it was removed by some devices, and may bring statements of membership alone",
            ));
        }
        if message.is_data() {
            session.received(frame.len())?;
        }
        match message {
            Message::Hello(hello) => self.hello(id, hello),
            Message::Heads(heads) => {
                self.peer_heads(id, heads);
                Ok(())
            }
            Message::WantStatements { want, have } => self.statements_wanted(id, want, have),
            Message::Statement { total, offset, data } => self.statement(id, total, offset, data),
            Message::Clock { whole, reach } => self.peer_clock(id, whole, reach),
            Message::Want(wanted) => self.chains_wanted(id, wanted),
            Message::Stop(chains) => {
                self.chains_stopped(id, &chains);
                Ok(())
            }
            Message::Batch { chain, first, parcel } => self.batch(id, chain, first, parcel),
            Message::BatchPiece {
                chain,
                first,
                token,
                total,
                offset,
                data,
            } => self.piece(id, (chain, first, token, total), offset, data),
            Message::Credit(total) => {
                // It only grows; a peer that takes it back slows itself.
                session.credit = session.credit.max(total);
                Ok(())
            }
            Message::WantChunks { urgent, chunks } => self.chunks_wanted(id, urgent, chunks),
            Message::DropChunks(chunks) => {
                let lanes = session.lanes.iter_mut();
                let wasted = lanes.map(|lane| chunks.iter().map(|id| lane.forget(id)).sum::<usize>());
                let wasted = wasted.sum();
                session.waste(wasted, self.ground.now);
                Ok(())
            }
            Message::Chunk {
                id: chunk,
                total,
                offset,
                data,
            } => self.chunk(id, chunk, (total, offset, data)),
            Message::NotHere(chunks) => {
                self.not_there(id, &chunks);
                Ok(())
            }
            Message::Here(chunks) => {
                self.there(id, &chunks);
                Ok(())
            }
            Message::Ask { serial, ids } => self.asked_held(id, serial, ids),
            Message::Held { serial, bits } => self.held_there(id, serial, &bits),
            Message::Ping => session.say(&Message::Pong),
            Message::Pong => Ok(()),
            Message::Goodbye(why) => Err(Ended::Left(why)),
        }
    }

    fn hello(&mut self, id: SessionId, hello: Hello) -> Result<(), Ended> {
        let (oldest, newest) = hello.versions;
        if !(oldest..=newest).contains(&VERSION) {
            return Err(Ended::Versions(oldest, newest));
        }
        if hello.space != self.ground.space {
            return Err(Ended::Space);
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        if session.certified.is_anothers(&hello.own) {
            return Err(Ended::Order("it says that it tells on another device's chain"));
        }
        session.hello = Some(hello);
        session.credit = hello.credit;
        session.is_limited_there = hello.features & LIMITED != 0;
        if session.is_limited_there && session.said_limited && session.access == Access::Full {
            // Both said so, and neither can say that it is over: a new session can.
            return Err(Ended::Asked);
        }
        let (peer, policy) = (session.peer, hello.policy);
        self.report(Report::Open {
            session: id,
            peer,
            policy,
        });
        Ok(())
    }

    fn peer_clock(&mut self, id: SessionId, whole: bool, reach: Vec<(ChainId, Reach)>) -> Result<(), Ended> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let mut moved: Vec<ChainId> = Vec::with_capacity(reach.len());
        // Who said that there are statements alone says so that there is everything.
        session.is_limited_there = false;
        for (chain, reach) in reach {
            let known = session.known.entry(chain).or_insert(reach);
            if reach.last >= known.last {
                *known = reach;
                moved.push(chain);
            }
            if session.known.len() > CHAINS_MAX {
                return Err(Ended::TooMany("it names more chains than a vault can have"));
            }
            follow(&mut self.ground, session, chain);
        }
        let was_ready = session.is_ready();
        session.known_whole |= whole;
        let is_ready = session.is_ready();
        for chain in moved {
            self.compare(id, chain);
        }
        if is_ready && !was_ready {
            self.is_ready(id);
        }
        Ok(())
    }

    fn batch(&mut self, id: SessionId, chain: ChainId, first: u64, parcel: &[u8]) -> Result<(), Ended> {
        if !self.expects(id, chain, first) {
            return self.unasked(id, parcel.len());
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.useful += parcel.len() as u64;
        }
        self.came(id, chain, first, parcel)
    }

    /// Whether this batch is the next one of a chain that was asked for here.
    fn expects(&mut self, id: SessionId, chain: ChainId, first: u64) -> bool {
        let is_asked = self
            .sessions
            .get(&id)
            .is_some_and(|session| session.asked.contains_key(&chain));
        let held = self.ground.clock.get(&chain).map(|chain| chain.held);
        is_asked && held.is_some_and(|held| first == held + 1)
    }

    fn piece(&mut self, id: SessionId, of: Of, offset: u32, data: &[u8]) -> Result<(), Ended> {
        let (chain, first, token, _) = of;
        if !self.expects(id, chain, first) {
            return self.unasked(id, data.len());
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let peer = session.peer;
        let mut in_vain = 0;
        if !session
            .batch
            .as_ref()
            .is_some_and(|part| part.0.goes_on(of, offset))
        {
            // Perhaps with what was kept, by itself or another; else from its beginning.
            let after = first.saturating_sub(1);
            let kept = self.ground.part_for(&chain, after, peer);
            let kept = kept.filter(|part| part.goes_on(of, offset)).cloned();
            let resumes = session.asked.get(&chain).is_some_and(|asked| asked.resumes);
            let begun = match kept {
                Some(part) => BatchPart(part),
                None if offset == 0 => BatchPart::new(peer, of),
                None if resumes => return self.wants_again(id, chain),
                None => return self.unasked(id, data.len()),
            };
            if let Some(other) = session.batch.replace(begun) {
                match other.0.chain == chain {
                    true => in_vain += other.0.bytes.len(),
                    false => self.ground.keep(other.0),
                }
            }
        }
        let Some(part) = session.batch.as_mut() else {
            return Ok(());
        };
        let again = part.add(peer, offset, data);
        in_vain += again;
        session.useful += (data.len() - again) as u64;
        let whole = part.is_whole().then(|| session.batch.take()).flatten();
        if in_vain > 0 {
            self.unasked(id, in_vain)?;
        }
        let Some(BatchPart(part)) = whole else {
            return Ok(());
        };
        match (token_of(&part.bytes) == token, part.is_mixed) {
            (true, _) => self.came(id, chain, first, &part.bytes),
            (false, true) => self.wants_again(id, chain),
            (false, false) => Err(Ended::Forged("a batch's bytes are not those of its token".into())),
        }
    }

    /// A whole batch that was asked for.
    fn came(&mut self, id: SessionId, chain: ChainId, first: u64, parcel: &[u8]) -> Result<(), Ended> {
        let carried = unpack(chain, first, parcel)?;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.pending += parcel.len() as u64;
            session.unasked = session.unasked.saturating_sub(parcel.len() as u64);
        }
        self.arrived(id, carried, parcel.len() as u64);
        Ok(())
    }

    /// Objects came that were not asked for, or not any more.
    pub(super) fn unasked(&mut self, id: SessionId, bytes: usize) -> Result<(), Ended> {
        self.repeated += 1;
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        session.unasked += bytes as u64;
        match session.unasked > UNASKED_MAX {
            true => Err(Ended::Unasked),
            false => Ok(()),
        }
    }
}
