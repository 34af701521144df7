//! Pairing: the two ends against each other, by turns and bytes.

mod hostile;
mod life;
mod newer;
mod tickets;
mod vectors;

use coffer_store::keys::{Key, SigningKey};
use coffer_store::members::{Card, DeviceId, DeviceName, Members, SpaceSecrets, StatementId, Verified};

use super::*;

const NOW: u64 = 1_800_000_000;

fn key(n: u8) -> Key {
    Key::take(&mut std::array::from_fn(|i| n.wrapping_add(i as u8)))
}

fn signing(n: u8) -> SigningKey {
    SigningKey::from_seed(key(n))
}

fn public(of: &SigningKey) -> [u8; 32] {
    *of.verifying().as_bytes()
}

fn seeds(n: u8) -> Seeds {
    Seeds {
        nonce: [n; 32],
        ephemeral: key(n),
    }
}

fn ticket() -> Ticket {
    Ticket::of(&std::array::from_fn(|i| 0xa0 + i as u8)).ending(NOW + TICKET_SECONDS)
}

fn secrets() -> SpaceSecrets {
    SpaceSecrets::take(&std::array::from_fn(|i| i as u8))
}

/// What outlives a crash of either side.
struct Durable {
    /// The inviter's.
    members: Members,
    keyring: Vec<(StatementId, SpaceSecrets)>,
    /// What it says to add the joiner, where that was frozen: sealing draws from chance.
    frozen: Option<Vec<Verified>>,
    /// The joiner's.
    prepared: Option<DeviceId>,
    joined: Option<Box<Joined>>,
}

fn hear(members: &mut Members, said: Vec<Verified>) {
    said.into_iter()
        .for_each(|said| drop(members.insert(said).unwrap()));
}

/// Two ends, and what lies between them.
struct Pair {
    inviting: Inviting,
    joining: Joining,
    tickets: Tickets,
    durable: Durable,
    confirmed: Option<DeviceId>,
    done: bool,
    ends: [Option<PairError>; 2],
}

fn desk() -> SigningKey {
    signing(0x10)
}

fn transport() -> SigningKey {
    signing(0x20)
}

fn laptop() -> SigningKey {
    signing(0x30)
}

fn laptops_transport() -> SigningKey {
    signing(0x40)
}

fn name(name: &str) -> DeviceName {
    DeviceName::new(name).unwrap()
}

fn founded() -> Durable {
    let card = Card::make(&desk(), &transport(), name("desk"));
    let (members, founded) = Members::found(&desk(), card, &secrets());
    Durable {
        members,
        keyring: vec![(founded.id(), secrets())],
        frozen: None,
        prepared: None,
        joined: None,
    }
}

fn join_with(ticket: &Ticket, theirs: [u8; 32]) -> Joining {
    Joining::begin(
        NOW,
        ticket,
        &laptop(),
        &laptops_transport(),
        name("laptop"),
        theirs,
        seeds(0x60),
    )
}

fn invite_for(durable: &Durable, theirs: [u8; 32]) -> Inviting {
    Inviting::begin(
        NOW,
        turn(),
        &desk(),
        durable.members.space(),
        public(&transport()),
        theirs,
        seeds(0x50),
    )
}

/// A turn, where no other is asked for.
fn turn() -> Turn {
    Tickets::new().turn(NOW).unwrap()
}

impl Pair {
    fn new() -> Pair {
        let mut tickets = Tickets::new();
        tickets.open(NOW, &ticket()).unwrap();
        Pair::of(founded(), tickets, &ticket())
    }

    fn of(durable: Durable, tickets: Tickets, with: &Ticket) -> Pair {
        Pair {
            inviting: invite_for(&durable, public(&laptops_transport())),
            joining: join_with(with, public(&transport())),
            tickets,
            durable,
            confirmed: None,
            done: false,
            ends: [None; 2],
        }
    }

    /// One step of the inviter: what it sends, if that is it. None if it waits.
    fn inviters(&mut self) -> Option<Vec<u8>> {
        match self.inviting.poll()? {
            InviterStep::Send(bytes) => return Some(bytes),
            InviterStep::Admit(request) => {
                let durable = &mut self.durable;
                let said = match durable.frozen.take() {
                    Some(said) => said,
                    None => durable.members.add(&desk(), *request, &durable.keyring).unwrap(),
                };
                let added = said[0].id();
                hear(&mut durable.members, said);
                self.inviting.admitted(&durable.members, added).unwrap();
            }
            InviterStep::Confirmed(device) => self.confirmed = Some(device),
        }
        Some(Vec::new())
    }

    /// One step of the joiner.
    fn joiners(&mut self) -> Option<Vec<u8>> {
        match self.joining.poll()? {
            JoinerStep::Send(bytes) => return Some(bytes),
            JoinerStep::Prepare { inviter, .. } => {
                self.durable.prepared = Some(inviter);
                self.joining.prepared().unwrap();
            }
            JoinerStep::Store(joined) => {
                self.durable.joined = Some(joined);
                self.joining.stored().unwrap();
            }
            JoinerStep::Done => self.done = true,
        }
        Some(Vec::new())
    }

    fn tell_inviter(&mut self, bytes: &[u8]) {
        if self.ends[0].is_none() {
            self.ends[0] = self.inviting.receive(NOW, bytes, &mut self.tickets).err();
        }
    }

    fn tell_joiner(&mut self, bytes: &[u8]) {
        if self.ends[1].is_none() {
            self.ends[1] = self.joining.receive(NOW, bytes).err();
        }
    }

    /// Plays until both wait. What goes to the inviter and to the joiner passes through `between`, which is told whether it goes to the joiner, and
    /// how many bytes went that way before. At most so many steps. Returns how many there were.
    fn play(&mut self, most: usize, between: &mut dyn FnMut(bool, usize, &mut Vec<u8>)) -> usize {
        let mut went = [0, 0];
        let mut steps = 0;
        while steps < most {
            let (joiner, bytes) = match self.joiners() {
                Some(bytes) => (false, Some(bytes)),
                None => (true, self.inviters()),
            };
            let Some(mut bytes) = bytes else { break };
            steps += 1;
            let before = went[usize::from(joiner)];
            went[usize::from(joiner)] += bytes.len();
            between(joiner, before, &mut bytes);
            match joiner {
                _ if bytes.is_empty() => {}
                true => self.tell_joiner(&bytes),
                false => self.tell_inviter(&bytes),
            }
        }
        self.lawful();
        steps
    }

    /// What must hold at every moment, whatever happened.
    fn lawful(&self) {
        let laptop = DeviceId::of(&laptop());
        let added = self.durable.members.state().is_member(&laptop);
        assert!(
            !added || self.durable.prepared.is_some(),
            "added before it kept its keys"
        );
        assert!(self.durable.joined.is_none() || added, "joined, and nobody knows");
        assert!(
            self.confirmed.is_none() || self.durable.joined.is_some(),
            "confirmed, and not stored"
        );
        assert!(
            !added || self.tickets.is_empty(),
            "added, and the ticket is still open"
        );
        assert!(
            added || self.durable.members.len() == 1,
            "something else was said"
        );
    }
}

fn plain(_: bool, _: usize, _: &mut Vec<u8>) {}
