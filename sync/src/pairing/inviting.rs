//! The inviter's end of a pairing.
//!
//! Guarantees: whoever has not proved an open ticket's secret is told a nonce, an ephemeral key, and “no”. The ticket is used up before
//! anything else is told; nothing that a member knows is told before the joiner's device has been added, which the caller makes durable.

use std::collections::VecDeque;

use coffer_store::codec::{Malformed, Reader, Writer};
use coffer_store::ids::SpaceId;
use coffer_store::keys::{SigningKey, labels};
use coffer_store::members::{DeviceId, JoinRequest, Members, NotVerified, SpaceSecrets, StatementId};
use zeroize::Zeroizing;

use super::book::{Tickets, Turn};
use super::error::PairError;
use super::session::{Seeds, Session, Side, Transcript};
use super::wire::{Frames, body, call, called, frame, kind, part, signed};
use super::{PAIRING_SECONDS, PROOF_SECONDS};

/// What the inviter's caller is to do.
pub enum InviterStep {
    /// Send these bytes.
    Send(Vec<u8>),
    /// The joiner has proved the ticket and itself: ask nobody any more, add it with all the keys that there are ([`Members::add`]), make
    /// that durable, and say [`Inviting::admitted`].
    Admit(Box<JoinRequest>),
    /// The device is a member, and has said that it has all that a member has.
    Confirmed(DeviceId),
}

enum State {
    /// The joiner's first message is due.
    Called,
    /// Its proof is due.
    Claimed(Seeds, [u8; 32]),
    /// Who it is, is due.
    Joining(Session),
    /// The caller is adding it.
    Admitting(Session, DeviceId),
    /// Statements are going out; that it has stored them is due.
    Giving(Session, DeviceId),
    Ended,
}

/// A conversation with a device that wants to join.
pub struct Inviting {
    device: SigningKey,
    space: SpaceId,
    theirs: [u8; 32],
    begun: u64,
    said: Transcript,
    frames: Frames,
    seeds: Option<Seeds>,
    state: State,
    steps: VecDeque<InviterStep>,
    /// What is to be sealed and sent when it is asked for.
    parts: VecDeque<Zeroizing<Vec<u8>>>,
    admitted: Option<DeviceId>,
    /// Given back when it ends.
    turn: Option<Turn>,
}

impl Inviting {
    /// Begins at a time (seconds since 1970), as this device, a member of this space. `ours` and `theirs` are the transport keys of the two ends of
    /// the stream, as the transport has verified them.
    pub fn begin(
        now: u64,
        turn: Turn,
        device: &SigningKey,
        space: SpaceId,
        ours: [u8; 32],
        theirs: [u8; 32],
        seeds: Seeds,
    ) -> Inviting {
        Inviting {
            device: SigningKey::from_seed(device.seed()),
            space,
            theirs,
            begun: now,
            said: Transcript::new(&ours, &theirs),
            frames: Frames::default(),
            seeds: Some(seeds),
            state: State::Called,
            steps: VecDeque::new(),
            parts: VecDeque::new(),
            admitted: None,
            turn: Some(turn),
        }
    }

    /// Takes bytes of the stream, in any pieces.
    ///
    /// # Errors
    /// [`PairError`] says why the conversation has ended; there may be a last message to send.
    pub fn receive(&mut self, now: u64, mut bytes: &[u8], tickets: &mut Tickets) -> Result<(), PairError> {
        self.tick(now)?;
        while let Some(frame) = self.next(&mut bytes).map_err(|why| self.end(why))? {
            self.take(now, &frame, tickets).map_err(|why| self.end(why))?;
        }
        Ok(())
    }

    /// Says what time it is: whoever is too slow is let go.
    ///
    /// # Errors
    /// As [`receive`](Inviting::receive).
    pub fn tick(&mut self, now: u64) -> Result<(), PairError> {
        let limit = match self.state {
            State::Ended => return Err(PairError::Ended),
            State::Called | State::Claimed(..) => PROOF_SECONDS,
            _ => PAIRING_SECONDS,
        };
        match now.saturating_sub(self.begun) > limit {
            true => Err(self.end(PairError::TooLate)),
            false => Ok(()),
        }
    }

    /// What is to be done next; none until more bytes come, or [`admitted`](Inviting::admitted) is said.
    pub fn poll(&mut self) -> Option<InviterStep> {
        if let Some(step) = self.steps.pop_front() {
            return Some(step);
        }
        let State::Giving(session, _) = &mut self.state else {
            return None;
        };
        let plain = self.parts.pop_front()?;
        let sealed = session.seal(Side::Inviter, &self.said, kind::PART, &plain);
        let bytes = frame(kind::PART, &sealed);
        self.said.add(&bytes);
        Some(InviterStep::Send(bytes))
    }

    /// Whether whoever it is has proved a ticket.
    pub fn is_proved(&self) -> bool {
        !matches!(self.state, State::Called | State::Claimed(..) | State::Ended)
    }

    /// The device that was added, also if it has not confirmed when the conversation ended: it may have nothing yet. It is a member, and gets the
    /// statements as any other, and with them its keys.
    pub fn admitted_device(&self) -> Option<DeviceId> {
        self.admitted
    }

    /// The device was added, durably: gives it all statements, and with them the keys that are sealed to it.
    ///
    /// # Errors
    /// [`PairError::NotReady`] if the device is no member by these statements, or was not given the present epoch; the
    /// conversation has ended then. [`PairError::Ended`] if nothing was to be admitted.
    pub fn admitted(&mut self, members: &Members, added: StatementId) -> Result<(), PairError> {
        let State::Admitting(_, device) = &self.state else {
            return Err(PairError::Ended);
        };
        let (device, state) = (*device, members.state());
        self.admitted = state.is_member(&device).then_some(device);
        let given = state.epoch().is_some_and(|epoch| state.holds(&device, epoch));
        if self.admitted.is_none() || members.get(&added).is_none() || !given {
            return Err(self.end(PairError::NotReady));
        }
        self.give(members, added);
        Ok(())
    }

    /// Gives these parts before all others, as a newer program may.
    #[cfg(test)]
    pub(super) fn say_first(&mut self, parts: Vec<Vec<u8>>) {
        self.parts.extend(parts.into_iter().map(Zeroizing::new));
    }

    pub(super) fn give(&mut self, members: &Members, added: StatementId) {
        let part = |kind: u8, body: &[u8]| Zeroizing::new([&[kind][..], body].concat());
        let statements = members
            .iter()
            .map(|said| part(part::STATEMENT, &said.statement().encode()));
        self.parts.extend(statements);
        let count = (members.len() as u32).to_le_bytes();
        self.parts
            .push_back(part(part::END, &[&count[..], &added.0].concat()));
        if let State::Admitting(session, device) = self.leave() {
            self.state = State::Giving(session, device);
        }
    }

    /// Whether this device can invite: it has the secrets of the present epoch. To be asked before a ticket is made. What it lacks of others, the joiner lacks
    /// for now, too ([`lacking`](coffer_store::members::State::lacking)).
    pub fn is_ready(members: &Members, keyring: &[(StatementId, SpaceSecrets)]) -> bool {
        members.state().epoch().is_some_and(|epoch| {
            let mut its = keyring.iter().filter(|(id, _)| *id == epoch.id);
            its.any(|(_, secrets)| secrets.commitment() == epoch.commitment)
        })
    }

    fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, PairError> {
        let due: &[u8] = match self.state {
            State::Called => &[kind::CALL],
            State::Claimed(..) => &[kind::CLAIM],
            State::Joining(_) => &[kind::JOIN],
            // All of it must have gone out.
            State::Giving(..) if self.parts.is_empty() => &[kind::STORED, kind::NO],
            State::Giving(..) => &[kind::NO],
            _ if input.is_empty() => return Ok(None),
            _ => return Err(Malformed("a message out of turn").into()),
        };
        self.frames.next(input, due)
    }

    /// A whole frame that is due.
    fn take(&mut self, now: u64, bytes: &[u8], tickets: &mut Tickets) -> Result<(), PairError> {
        let (kind, body) = body(bytes);
        if kind == kind::NO {
            return Err(PairError::GaveUp);
        }
        match self.leave() {
            State::Called => {
                let seeds = self.seeds.take().ok_or(PairError::Ended)?;
                let theirs = called(body);
                self.said.add(bytes);
                // Also to a newer program: it reads there which version this one speaks.
                if !matches!(theirs, Err(PairError::Malformed(_))) {
                    self.send(call(kind::ANSWER, &seeds.nonce, &seeds.public()));
                }
                let theirs = theirs?;
                self.state = State::Claimed(seeds, theirs);
            }
            State::Claimed(seeds, theirs) => {
                let session = self.claim(now, body, seeds, theirs, tickets)?;
                self.said.add(bytes);
                self.state = State::Joining(self.host(session));
            }
            State::Joining(mut session) => {
                let plain = session.open(Side::Joiner, &self.said, kind::JOIN, body)?;
                let request = self.request(&plain)?;
                self.said.add(bytes);
                self.state = State::Admitting(session, request.device);
                self.steps.push_back(InviterStep::Admit(Box::new(request)));
            }
            State::Giving(mut session, device) => {
                session.open(Side::Joiner, &self.said, kind::STORED, body)?;
                self.turn = None;
                self.steps.push_back(InviterStep::Confirmed(device));
            }
            State::Admitting(..) | State::Ended => return Err(PairError::Ended),
        }
        Ok(())
    }

    fn claim(
        &mut self,
        now: u64,
        body: &[u8],
        seeds: Seeds,
        theirs: [u8; 32],
        tickets: &mut Tickets,
    ) -> Result<Session, PairError> {
        let mut r = Reader::new(body);
        let proof = blake3::Hash::from_bytes(r.array()?);
        r.end()?;
        // A key of small order proves nothing: whoever sends one is as wrong as any other.
        let agreed = seeds.agree(&theirs);
        let usable = agreed.is_some();
        let agreed = agreed.unwrap_or_else(coffer_store::keys::Key::random);
        let check = |ticket: &coffer_store::keys::Key| {
            let session = Session::new(ticket, &agreed, &self.said);
            let right = session.proof(Side::Joiner, &self.said) == proof;
            (right & usable).then_some(session)
        };
        tickets.prove(now, check).ok_or(PairError::NoTicket)
    }

    /// Says who this is, to who has proved the ticket.
    fn host(&mut self, mut session: Session) -> Session {
        let proof = session.proof(Side::Inviter, &self.said);
        let mut w = Writer::new();
        w.raw(&self.space.0).raw(self.device.verifying().as_bytes());
        w.raw(
            &self
                .device
                .sign(labels::SIGN_PAIR, &signed(Side::Inviter, &self.said.0)),
        );
        let sealed = session.seal(Side::Inviter, &self.said, kind::HOST, &w.0);
        self.send(frame(kind::HOST, &[&proof.as_bytes()[..], &sealed].concat()));
        session
    }

    /// Who the joiner is: it has signed this conversation, and that this device may add it; and the stream's transport key speaks for it.
    fn request(&self, plain: &[u8]) -> Result<JoinRequest, PairError> {
        let (request, signature) = plain.split_last_chunk().ok_or(Malformed("it ends early"))?;
        let request = JoinRequest::decode(request)?;
        request.verify(self.space, DeviceId::of(&self.device))?;
        let said = signed(Side::Joiner, &self.said.0);
        let right = request
            .device
            .verifying()?
            .verify_strict(labels::SIGN_PAIR, &said, signature);
        right.map_err(|_| NotVerified::Signature)?;
        match request.card.transport.key == self.theirs {
            true => Ok(request),
            false => Err(NotVerified::Transport.into()),
        }
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.said.add(&bytes);
        self.steps.push_back(InviterStep::Send(bytes));
    }

    fn leave(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Ended)
    }

    /// Ends. Whoever it is hears the same, whatever is wrong; but a newer program, which has heard this one's version.
    fn end(&mut self, why: PairError) -> PairError {
        if why != PairError::Newer {
            self.steps.push_back(InviterStep::Send(frame(kind::NO, &[])));
        }
        self.parts.clear();
        self.turn = None;
        self.state = State::Ended;
        why
    }
}
