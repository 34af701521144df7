//! What a peer says.

use super::Node;
use crate::core::limits::{CHAINS_MAX, UNASKED_MAX};
use crate::core::session::BatchPart;
use crate::core::wire::{Heard, Hello, Message, Reach, VERSION, token_of, unpack};
use crate::core::{Ended, Millis, Report, SessionId};
use coffer_store::ids::ChainId;

/// A piece of a batch: chain, first event, token, total, offset, bytes.
type Piece<'a> = (ChainId, u64, [u8; 16], u32, u32, &'a [u8]);

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
        let message = match Message::decode(frame)? {
            Heard::Message(message) => message,
            Heard::Unknown => return Ok(()),
        };
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        match (&message, session.hello.is_some()) {
            (Message::Hello(_) | Message::Goodbye(_), false) => {}
            (_, false) => return Err(Ended::Order("it did not say first who it is")),
            (Message::Hello(_), true) => return Err(Ended::Order("it said twice who it is")),
            _ => {}
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
            } => self.piece(id, (chain, first, token, total, offset, data)),
            Message::Credit(total) => {
                // It only grows; a peer that takes it back slows itself.
                session.credit = session.credit.max(total);
                Ok(())
            }
            Message::WantChunks { urgent, chunks } => self.chunks_wanted(id, urgent, chunks),
            Message::DropChunks(chunks) => {
                for id in &chunks {
                    session.lanes.iter_mut().for_each(|lane| lane.forget(id));
                }
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
        session.hello = Some(hello);
        session.credit = hello.credit;
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
        for (chain, reach) in reach {
            let known = session.known.entry(chain).or_insert(reach);
            if reach.last >= known.last {
                *known = reach;
                moved.push(chain);
            }
            let is_new = !self.ground.clock.contains_key(&chain);
            if session.known.len() > CHAINS_MAX || (is_new && self.ground.clock.len() >= CHAINS_MAX) {
                return Err(Ended::TooMany("it names more chains than a vault can have"));
            }
            self.ground.clock.entry(chain).or_default();
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
        match self.expects(id, chain, first) {
            true => self.came(id, chain, first, parcel),
            false => self.unasked(id, parcel.len()),
        }
    }

    /// Whether this batch is the next one of a chain that was asked for here.
    fn expects(&mut self, id: SessionId, chain: ChainId, first: u64) -> bool {
        let is_asked = self
            .sessions
            .get(&id)
            .is_some_and(|session| session.asked.contains(&chain));
        let held = self.ground.clock.get(&chain).map(|chain| chain.held);
        is_asked && held.is_some_and(|held| first == held + 1)
    }

    fn piece(&mut self, id: SessionId, piece: Piece<'_>) -> Result<(), Ended> {
        let (chain, first, token, total, offset, data) = piece;
        if !self.expects(id, chain, first) {
            return self.unasked(id, data.len());
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let goes_on = |part: &BatchPart| part.goes_on(chain, token, total, offset);
        if !session.batch.as_ref().is_some_and(goes_on) {
            // Perhaps with what another session had of it; else from its beginning.
            let mut partials = self.ground.partials.iter();
            let kept = partials.position(|part| {
                (part.chain, part.first, part.token, part.total) == (chain, first, token, total)
                    && part.bytes.len() == offset as usize
            });
            let bytes = match kept {
                Some(at) => self.ground.partials.swap_remove(at).bytes,
                None if offset == 0 => Vec::new(),
                None => return self.unasked(id, data.len()),
            };
            self.ground.drop_partial(&chain);
            session.batch = Some(BatchPart::new(chain, first, token, total, bytes));
        }
        let Some(part) = session.batch.as_mut() else {
            return Ok(());
        };
        part.0.bytes.extend_from_slice(data);
        session.data_at = self.ground.now;
        if let Some(chain) = self.ground.clock.get_mut(&chain) {
            chain.moved_at = self.ground.now;
        }
        if !part.is_whole() {
            return Ok(());
        }
        let parcel = session.batch.take().map(|part| part.0.bytes).unwrap_or_default();
        // Parts of several peers that do not fit together are nobody's forgery.
        match token_of(&parcel) == token {
            true => self.came(id, chain, first, &parcel),
            false => self.wants_again(id, chain, parcel.len()),
        }
    }

    /// A whole batch that was asked for.
    fn came(&mut self, id: SessionId, chain: ChainId, first: u64, parcel: &[u8]) -> Result<(), Ended> {
        let carried = unpack(chain, first, parcel)?;
        let now: Millis = self.ground.now;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.data_at = now;
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
