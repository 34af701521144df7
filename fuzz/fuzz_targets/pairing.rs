//! Any bytes as what the other side of a pairing says, to either end; and a pairing between two honest ends, of whose stream the bytes say what is
//! altered. Nobody panics, and nobody joins over an altered stream.
#![no_main]

use coffer_fuzz::fuzz_target;
use coffer_store::keys::{Key, SigningKey};
use coffer_store::members::{Card, DeviceName, Members, SpaceSecrets};
use coffer_sync::pairing::{InviterStep, Inviting, JoinerStep, Joining, Seeds, Ticket, Tickets};

const NOW: u64 = 1;

fn signing(n: u8) -> SigningKey {
    SigningKey::from_seed(Key::take(&mut [n; 32]))
}

fn seeds(n: u8) -> Seeds {
    Seeds {
        nonce: [n; 32],
        ephemeral: Key::take(&mut [n; 32]),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let name = || DeviceName::new("device").expect("it is one");
    let (desk, laptop) = (signing(1), signing(3));
    let (ours, theirs) = (signing(2), signing(4));
    let secrets = SpaceSecrets::take(&[0; 96]);
    let (mut members, founded) = Members::found(&desk, Card::make(&desk, &ours, name()), &secrets);
    let keyring = [(founded.id(), secrets)];
    let ticket = Ticket::parse(
        &"abandon "
            .repeat(11)
            .chars()
            .chain("about".chars())
            .collect::<String>(),
    );
    let Ok(ticket) = ticket.map(|ticket| ticket.ending(NOW + 60)) else {
        panic!("these are words");
    };
    let mut tickets = Tickets::new();
    tickets.open(NOW, &ticket).expect("there is room");
    let (here, there) = (*ours.verifying().as_bytes(), *theirs.verifying().as_bytes());
    let turn = tickets.turn(NOW).expect("it is the first");
    let mut inviting = Inviting::begin(NOW, turn, &desk, members.space(), here, there, seeds(5));
    let mut joining = Joining::begin(NOW, &ticket, &laptop, &theirs, name(), here, seeds(6));

    let Some((mode, rest)) = bytes.split_first() else {
        return;
    };
    match mode % 3 {
        0 => drop(inviting.receive(NOW, rest, &mut tickets)),
        1 => drop(joining.receive(NOW, rest)),
        _ => {
            let mut at = rest
                .chunks_exact(3)
                .map(|step| (usize::from(step[0]) << 8 | usize::from(step[1]), step[2]));
            let mut next = at.next();
            let mut went = 0;
            // Whether anything was altered that somebody has heard.
            let mut spoilt = false;
            let mut spoil = |bytes: &mut Vec<u8>| {
                let before = bytes.clone();
                while let Some((place, with)) = next.filter(|(place, _)| *place < went + bytes.len()) {
                    if place >= went {
                        bytes[place - went] ^= with;
                    }
                    next = at.next();
                }
                went += bytes.len();
                *bytes != before
            };
            loop {
                if let Some(step) = joining.poll() {
                    match step {
                        JoinerStep::Send(mut bytes) => {
                            spoilt |= spoil(&mut bytes);
                            let _heard = inviting.receive(NOW, &bytes, &mut tickets);
                        }
                        JoinerStep::Prepare { .. } => joining.prepared().expect("it was asked for"),
                        JoinerStep::Store(_) => {
                            assert!(!spoilt, "joined over an altered stream");
                            joining.stored().expect("it was asked for");
                        }
                        JoinerStep::Done => {}
                    }
                } else if let Some(step) = inviting.poll() {
                    match step {
                        InviterStep::Send(mut bytes) => {
                            spoilt |= spoil(&mut bytes);
                            let _heard = joining.receive(NOW, &bytes);
                        }
                        InviterStep::Admit(request) => {
                            let added = members.add(&desk, *request, &keyring).expect("it was verified");
                            let id = added[0].id();
                            for said in added {
                                members.insert(said).expect("it follows");
                            }
                            inviting.admitted(&members, id).expect("it is a member");
                        }
                        InviterStep::Confirmed(_) => {}
                    }
                } else {
                    break;
                }
            }
        }
    }
});
