//! The joiner's end of a pairing.
//!
//! Guarantees: whoever does not prove the ticket's secret learns a nonce, an ephemeral key and a proof, none of which tells anything; what
//! comes is handed out only when it is whole, verified, and makes this device a member that can open the present epoch.

use std::collections::VecDeque;

use coffer_store::codec::{Malformed, Reader};
use coffer_store::ids::SpaceId;
use coffer_store::keys::{Key, SigningKey, labels};
use coffer_store::members::{
    Card, DeviceId, DeviceName, Inserted, JoinRequest, Members, NotVerified, SpaceSecrets, StatementId,
    Verified,
};

use super::error::PairError;
use super::session::{Seeds, Session, Side, Transcript};
use super::ticket::Ticket;
use super::wire::{Frames, body, call, called, frame, kind, part, signed};
use super::{PAIRING_SECONDS, PROOF_SECONDS};

/// What a new member begins with.
pub struct Joined {
    /// All statements of the space; this device is a member by them.
    pub members: Members,
    /// The statement that adds this device.
    pub added: StatementId,
    /// The secrets of the present epoch and of all others that its inviter had, each with the statement that began it. What it lacks, some member will
    /// share.
    pub keyring: Vec<(StatementId, SpaceSecrets)>,
}

/// What the joiner's caller is to do.
pub enum JoinerStep {
    /// Send these bytes.
    Send(Vec<u8>),
    /// The inviter has proved itself. From the next message on this device may be a member: keep its keys durably, with this space and this
    /// inviter, and say [`Joining::prepared`]. If all breaks off after that, ordinary sync with the inviter gives the rest.
    Prepare {
        /// The space.
        space: SpaceId,
        /// Who adds this device.
        inviter: DeviceId,
    },
    /// Store this durably, and say [`Joining::stored`].
    Store(Box<Joined>),
    /// Done: the last message was handed out before.
    Done,
}

enum State {
    /// The inviter's first message is due.
    Calling(Seeds),
    /// Its proof is due.
    Claiming(Session),
    /// The caller is keeping the keys.
    Preparing(Session),
    /// What a member has is coming.
    Taking(Session),
    /// The caller is storing it.
    Storing(Session),
    Ended,
}

/// A conversation with a member that has made a ticket.
pub struct Joining {
    secret: Key,
    device: SigningKey,
    card: Card,
    begun: u64,
    said: Transcript,
    frames: Frames,
    state: State,
    steps: VecDeque<JoinerStep>,
    inviter: Option<DeviceId>,
    members: Option<Members>,
    /// It has asked to be added, and has not stored what it was given.
    asked: bool,
}

impl Joining {
    /// Begins at a time (seconds since 1970), with a ticket, as this device with this transport key, which `theirs` answers at the stream's other
    /// end as the transport has verified it.
    pub fn begin(
        now: u64,
        ticket: &Ticket,
        device: &SigningKey,
        transport: &SigningKey,
        name: DeviceName,
        theirs: [u8; 32],
        seeds: Seeds,
    ) -> Joining {
        let mut joining = Joining {
            secret: ticket.secret.duplicate(),
            card: Card::make(device, transport, name),
            device: SigningKey::from_seed(device.seed()),
            begun: now,
            said: Transcript::new(&theirs, transport.verifying().as_bytes()),
            frames: Frames::default(),
            state: State::Ended,
            steps: VecDeque::new(),
            inviter: None,
            members: None,
            asked: false,
        };
        joining.send(call(kind::CALL, &seeds.nonce, &seeds.public()));
        joining.state = State::Calling(seeds);
        joining
    }

    /// Takes bytes of the stream, in any pieces.
    ///
    /// # Errors
    /// [`PairError`] says why the conversation has ended.
    pub fn receive(&mut self, now: u64, mut bytes: &[u8]) -> Result<(), PairError> {
        self.tick(now)?;
        while let Some(frame) = self.next(&mut bytes).map_err(|why| self.end(why))? {
            self.take(&frame).map_err(|why| self.end(why))?;
        }
        Ok(())
    }

    /// Says what time it is: whoever is too slow is let go.
    ///
    /// # Errors
    /// As [`receive`](Joining::receive).
    pub fn tick(&mut self, now: u64) -> Result<(), PairError> {
        let limit = match self.state {
            State::Ended => return Err(PairError::Ended),
            State::Calling(_) | State::Claiming(_) => PROOF_SECONDS,
            _ => PAIRING_SECONDS,
        };
        match now.saturating_sub(self.begun) > limit {
            true => Err(self.end(PairError::TooLate)),
            false => Ok(()),
        }
    }

    /// What is to be done next; none until more bytes come, or what was asked for was done.
    pub fn poll(&mut self) -> Option<JoinerStep> {
        self.steps.pop_front()
    }

    /// The keys are kept: asks to be added.
    ///
    /// # Errors
    /// [`PairError::Ended`] if that was not asked for.
    pub fn prepared(&mut self) -> Result<(), PairError> {
        let (Some(inviter), Some(space)) = (self.inviter, self.members.as_ref().map(Members::space)) else {
            return Err(PairError::Ended);
        };
        let mut session = match self.leave() {
            State::Preparing(session) => session,
            other => {
                self.state = other;
                return Err(PairError::Ended);
            }
        };
        let request = JoinRequest::make(&self.device, self.card.clone(), space, inviter);
        let mut plain = request.encode();
        plain.extend_from_slice(
            &self
                .device
                .sign(labels::SIGN_PAIR, &signed(Side::Joiner, &self.said.0)),
        );
        let sealed = session.seal(Side::Joiner, &self.said, kind::JOIN, &plain);
        self.send(frame(kind::JOIN, &sealed));
        self.asked = true;
        self.state = State::Taking(session);
        Ok(())
    }

    /// What was given is stored: says so, and is done.
    ///
    /// # Errors
    /// [`PairError::Ended`] if that was not asked for.
    pub fn stored(&mut self) -> Result<(), PairError> {
        let mut session = match self.leave() {
            State::Storing(session) => session,
            other => {
                self.state = other;
                return Err(PairError::Ended);
            }
        };
        self.asked = false;
        let sealed = session.seal(Side::Joiner, &self.said, kind::STORED, &[]);
        self.send(frame(kind::STORED, &sealed));
        self.steps.push_back(JoinerStep::Done);
        Ok(())
    }

    /// What was given cannot be stored, or nothing comes any more: says so, that the other end may take this device back. Nothing, if it did
    /// not ask to be added, or has stored it.
    pub fn give_up(&mut self) {
        if std::mem::take(&mut self.asked) {
            self.send(frame(kind::NO, &[]));
        }
        self.state = State::Ended;
    }

    fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, PairError> {
        let due: &[u8] = match self.state {
            State::Calling(_) => &[kind::ANSWER, kind::NO],
            State::Claiming(_) => &[kind::HOST, kind::NO],
            State::Taking(_) => &[kind::PART, kind::NO],
            _ if input.is_empty() => return Ok(None),
            _ => return Err(Malformed("a message out of turn").into()),
        };
        self.frames.next(input, due)
    }

    /// A whole frame that is due.
    fn take(&mut self, bytes: &[u8]) -> Result<(), PairError> {
        let (kind, body) = body(bytes);
        if kind == kind::NO {
            return Err(PairError::Refused);
        }
        match self.leave() {
            State::Calling(seeds) => {
                let theirs = called(body)?;
                self.said.add(bytes);
                let agreed = seeds.agree(&theirs).ok_or(PairError::NotTheInviter)?;
                let session = Session::new(&self.secret, &agreed, &self.said);
                let proof = session.proof(Side::Joiner, &self.said);
                self.send(frame(kind::CLAIM, proof.as_bytes()));
                self.state = State::Claiming(session);
            }
            State::Claiming(mut session) => {
                let (space, inviter) = self.host(&mut session, body)?;
                self.said.add(bytes);
                (self.inviter, self.members) = (Some(inviter), Some(Members::of(space)));
                self.steps.push_back(JoinerStep::Prepare { space, inviter });
                self.state = State::Preparing(session);
            }
            State::Taking(mut session) => {
                let plain = session.open(Side::Inviter, &self.said, kind::PART, body)?;
                self.said.add(bytes);
                self.state = match self.part(&plain)? {
                    true => State::Storing(session),
                    false => State::Taking(session),
                };
            }
            State::Preparing(_) | State::Storing(_) | State::Ended => return Err(PairError::Ended),
        }
        Ok(())
    }

    /// Who the inviter is: it has the ticket, and its device has signed this conversation.
    fn host(&mut self, session: &mut Session, body: &[u8]) -> Result<(SpaceId, DeviceId), PairError> {
        let mut r = Reader::new(body);
        let proof = blake3::Hash::from_bytes(r.array()?);
        if session.proof(Side::Inviter, &self.said) != proof {
            return Err(PairError::NotTheInviter);
        }
        let plain = session.open(Side::Inviter, &self.said, kind::HOST, r.rest())?;
        let mut r = Reader::new(&plain);
        let (space, inviter, signature) = (SpaceId(r.array()?), DeviceId(r.array()?), r.array()?);
        r.end()?;
        let said = signed(Side::Inviter, &self.said.0);
        let right = inviter
            .verifying()?
            .verify_strict(labels::SIGN_PAIR, &said, &signature);
        right.map_err(|_| NotVerified::Signature)?;
        Ok((space, inviter))
    }

    /// A part of what a member has; whether it was the last.
    fn part(&mut self, plain: &[u8]) -> Result<bool, PairError> {
        let mut r = Reader::new(plain);
        let members = self.members.as_mut().ok_or(PairError::Ended)?;
        match r.u8()? {
            part::STATEMENT => {
                let bytes = r.rest();
                // Its first byte is its version: there is none before 0.
                if bytes.first().is_some_and(|version| *version != 0) {
                    return Err(PairError::NewerVault);
                }
                // They come in an order in which none has to wait.
                let statement = Verified::decode(bytes)?;
                match members.insert(statement) {
                    Ok(Inserted::Taken(_)) => Ok(false),
                    _ => Err(Malformed("statements out of order, or of another vault").into()),
                }
            }
            part::END => {
                let (count, added) = (r.u32()?, StatementId(r.array()?));
                r.end()?;
                let keyring = self.whole(count, added)?;
                let members = self.members.take().ok_or(PairError::Ended)?;
                let joined = Joined {
                    members,
                    added,
                    keyring,
                };
                self.steps.push_back(JoinerStep::Store(Box::new(joined)));
                Ok(true)
            }
            kind if kind & part::CRITICAL != 0 => Err(PairError::NewerVault),
            _ => Ok(false),
        }
    }

    /// The keys that this device was given, if what came makes it a member, by the inviter, with its own keys, and if the present epoch's are
    /// among them.
    fn whole(&self, count: u32, added: StatementId) -> Result<Vec<(StatementId, SpaceSecrets)>, PairError> {
        let (members, inviter) = (self.members.as_ref(), self.inviter);
        let (members, inviter) = members.zip(inviter).ok_or(PairError::Ended)?;
        let (state, id) = (members.state(), DeviceId::of(&self.device));
        let ours = state.device(&id).filter(|device| device.is_member());
        let right = ours.is_some_and(|device| {
            (device.joined, device.added_by, device.sealing) == (added, Some(inviter), self.card.sealing)
        });
        let reached = state.speaks_for(&self.card.transport.key) == Some(id) && state.is_member(&inviter);
        if !right || !reached || members.len() != count as usize {
            return Err(PairError::Incomplete);
        }
        let opened = members.open_shares(&self.device, &|_| false).into_iter();
        let keyring: Vec<_> = opened
            .filter_map(|(id, opened)| Some((id, opened.ok()?)))
            .collect();
        match state
            .epoch()
            .is_some_and(|epoch| keyring.iter().any(|(id, _)| *id == epoch.id))
        {
            true => Ok(keyring),
            false => Err(PairError::Incomplete),
        }
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.said.add(&bytes);
        self.steps.push_back(JoinerStep::Send(bytes));
    }

    fn leave(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Ended)
    }

    fn end(&mut self, why: PairError) -> PairError {
        self.give_up();
        why
    }
}
