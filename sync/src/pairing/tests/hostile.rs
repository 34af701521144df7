//! Pairings that somebody disturbs.

use super::super::wire::{self, kind};
use super::*;

fn lens() -> [usize; 2] {
    let mut lens = [0, 0];
    Pair::new().play(usize::MAX, &mut |joiner, before, bytes| {
        lens[usize::from(joiner)] = before + bytes.len();
    });
    lens
}

/// Guards every byte of both directions: with one bit flipped, whoever gets it ends, and nothing is joined, unless it was the last word; never a
/// panic, and what must hold holds.
#[test]
fn a_flipped_bit_ends_it() {
    for (way, len) in lens().into_iter().enumerate() {
        for at in 0..len {
            let mut pair = Pair::new();
            pair.play(usize::MAX, &mut |joiner, before, bytes| {
                if usize::from(joiner) == way && (before..before + bytes.len()).contains(&at) {
                    bytes[at - before] ^= 1 << (at % 8);
                }
            });
            // A length that was made longer, within its bound, waits.
            let late = NOW + PAIRING_SECONDS + 1;
            let heard = pair.ends[way].is_some()
                || pair.inviting.tick(late).is_err() && pair.joining.tick(late).is_err();
            assert!(heard, "byte {at} of way {way}");
            assert!(pair.confirmed.is_none(), "byte {at} of way {way}");
            if way == 1 {
                assert!(
                    pair.durable.joined.is_none(),
                    "byte {at} of what the joiner heard"
                );
            }
        }
    }
}

/// Guards cut streams: each side waits, is let go by time, and nobody has joined whom nobody added.
#[test]
fn a_cut_stream_leaves_nothing_wrong() {
    for (way, len) in lens().into_iter().enumerate() {
        for at in 0..len {
            let mut pair = Pair::new();
            pair.play(usize::MAX, &mut |joiner, before, bytes| {
                if usize::from(joiner) == way {
                    bytes.truncate(at.saturating_sub(before));
                }
            });
            assert_eq!(pair.ends, [None; 2], "byte {at} of way {way}");
            assert!(pair.confirmed.is_none());
        }
    }
}

/// Guards the binding to both ends of the stream: somebody who sits between, with transport keys of its own, and passes every byte on, is found
/// out by both.
#[test]
fn who_sits_between_is_found_out() {
    let between = public(&signing(0x99));
    let mut pair = Pair::new();
    pair.inviting = invite_for(&pair.durable, between);
    pair.joining = join_with(&ticket(), between);
    pair.play(usize::MAX, &mut plain);
    assert_eq!(pair.ends, [Some(PairError::NoTicket), Some(PairError::Refused)]);
    assert_eq!(pair.durable.prepared, None);
    // It has closed nothing, and learnt nothing that helps it with the next try.
    assert_eq!(pair.tickets.len(), 1);

    // With an own ephemeral key towards each: the same.
    let mut pair = Pair::new();
    pair.play(usize::MAX, &mut |_, before, bytes| {
        if before == 0 && matches!(bytes.first(), Some(&(kind::CALL | kind::ANSWER))) {
            *bytes = wire::call(bytes[0], &[1; 32], &seeds(0x77).public());
        }
    });
    assert_eq!(pair.ends, [Some(PairError::NoTicket), Some(PairError::Refused)]);
    // A key of small order towards both, so that all three would agree on the same: refused as any wrong proof is.
    let mut pair = Pair::new();
    pair.play(usize::MAX, &mut |joiner, before, bytes| {
        if before == 0 && !joiner && !bytes.is_empty() {
            *bytes = wire::call(kind::CALL, &[1; 32], &[0; 32]);
        }
    });
    assert_eq!(pair.ends, [Some(PairError::NoTicket), Some(PairError::Refused)]);
}

/// Guards against who answers a joiner without the ticket: it learns neither who she is, nor her name, nor gets a request.
#[test]
fn a_false_inviter_gets_nothing() {
    let mut pair = Pair::new();
    let mut others = Tickets::new();
    others.open(NOW, &Ticket::of(&[7; 16]).ending(NOW + 60)).unwrap();
    pair.tickets = others;
    pair.play(usize::MAX, &mut |joiner, _, bytes| {
        if joiner && bytes.first() == Some(&kind::NO) {
            *bytes = wire::frame(kind::HOST, &[0x55; 160]);
        }
    });
    assert_eq!(pair.ends[1], Some(PairError::NotTheInviter));
    assert_eq!(pair.durable.prepared, None);
}

/// Guards against echoes: one's own words, said back, are no answer.
#[test]
fn an_echo_is_no_answer() {
    let mut joining = join_with(&ticket(), public(&transport()));
    let Some(JoinerStep::Send(call)) = joining.poll() else {
        panic!("it calls")
    };
    assert!(joining.receive(NOW, &call).is_err());
    // Nor when they are dressed up as the answer: the proof of either side is under a key of its own.
    let mut joining = join_with(&ticket(), public(&transport()));
    let Some(JoinerStep::Send(mut said)) = joining.poll() else {
        panic!("it calls")
    };
    said[0] = kind::ANSWER;
    joining.receive(NOW, &said).unwrap();
    let Some(JoinerStep::Send(claim)) = joining.poll() else {
        panic!("it claims")
    };
    let mut host = claim[wire_header()..].to_vec();
    host.extend_from_slice(&[0; 128]);
    let echoed = joining.receive(NOW, &wire::frame(kind::HOST, &host));
    assert_eq!(echoed, Err(PairError::NotTheInviter));
}

fn wire_header() -> usize {
    wire::frame(0, &[]).len()
}

/// What the inviter answers to a joiner with this ticket, at this time, until it claims; and why it ended.
fn knock(tickets: &mut Tickets, now: u64, with: &Ticket) -> (Vec<Vec<u8>>, Option<PairError>) {
    let (space, theirs) = (founded().members.space(), public(&laptops_transport()));
    let mut inviting = Inviting::begin(
        now,
        turn(),
        &desk(),
        space,
        public(&transport()),
        theirs,
        seeds(0x50),
    );
    let mut joining = join_with(with, public(&transport()));
    let (mut answers, mut end) = (Vec::new(), None);
    while let Some(JoinerStep::Send(bytes)) = joining.poll() {
        end = end.or(inviting.receive(now, &bytes, tickets).err());
        while let Some(InviterStep::Send(bytes)) = inviting.poll() {
            let _heard = joining.receive(NOW, &bytes);
            answers.push(bytes);
        }
    }
    (answers, end)
}

/// Guards what a knock tells: a wrong, an expired, a used ticket and none at all get the same answer, byte for byte; and
/// wrong proofs close none, however many there are.
#[test]
fn a_bad_ticket_tells_nothing() {
    let good = ticket();
    let open = || {
        let mut tickets = Tickets::new();
        tickets.open(NOW, &ticket()).unwrap();
        tickets
    };
    let (no, why) = knock(&mut open(), NOW, &Ticket::of(&[7; 16]));
    assert_eq!(why, Some(PairError::NoTicket));
    assert_eq!(no.last().unwrap(), &wire::frame(kind::NO, &[]));
    assert_eq!(knock(&mut open(), NOW + TICKET_SECONDS, &good), (no.clone(), why));
    assert_eq!(knock(&mut Tickets::new(), NOW, &good), (no.clone(), why));
    let mut used = open();
    assert_eq!(knock(&mut used, NOW, &good).1, None);
    assert_eq!(knock(&mut used, NOW, &good), (no.clone(), why));

    let mut tickets = open();
    for _ in 0..50 {
        knock(&mut tickets, NOW, &Ticket::of(&[7; 16]));
    }
    assert_eq!(tickets.len(), 1);
    assert_eq!(knock(&mut tickets, NOW, &good).1, None);
}

/// Guards the ticket against who answers a joiner in the inviter's place: what it hears there, said to the inviter in whatever conversation, closes nothing, and
/// names no ticket.
#[test]
fn who_answers_a_joiner_cannot_close_its_ticket() {
    let mut pair = Pair::new();
    let claims: Vec<Vec<u8>> = (0..20u8)
        .map(|n| {
            let mut joining = join_with(&ticket(), public(&signing(0x99)));
            let _call = joining.poll();
            let answer = wire::call(kind::ANSWER, &[n; 32], &seeds(n).public());
            joining.receive(NOW, &answer).unwrap();
            let Some(JoinerStep::Send(claim)) = joining.poll() else {
                panic!("it claims")
            };
            claim
        })
        .collect();
    for (n, claim) in claims.iter().enumerate() {
        // No part of it is the same in two of them, but the header.
        let other = &claims[(n + 1) % claims.len()];
        assert_ne!(claim[wire_header()..][..16], other[wire_header()..][..16]);
        let mut inviting = invite_for(&pair.durable, public(&signing(0x99)));
        let call = wire::call(kind::CALL, &[7; 32], &seeds(n as u8).public());
        inviting.receive(NOW, &call, &mut pair.tickets).unwrap();
        let heard = inviting.receive(NOW, claim, &mut pair.tickets);
        assert_eq!(heard, Err(PairError::NoTicket));
    }
    assert_eq!(pair.tickets.len(), 1);
    pair.play(usize::MAX, &mut plain);
    assert!(pair.done && pair.confirmed.is_some());
}

/// Guards what an answer's time tells: a proof is tried with sixteen secrets, whether none, one or all of these are open tickets', and wherever the
/// right one is.
#[test]
fn a_proof_is_tried_as_often_in_any_case() {
    let nth = |n: u8| Ticket::of(&[n; 16]).ending(NOW + 60);
    for open in [0, 1, TICKETS_MAX as u8] {
        for right in [None].into_iter().chain((0..open).map(Some)) {
            let mut tickets = Tickets::new();
            for n in 0..open {
                tickets.open(NOW, &nth(n)).unwrap();
            }
            let mut tried = 0;
            let held = tickets.prove(NOW, |secret| {
                tried += 1;
                let right = right.map(|right| nth(right).secret);
                right.filter(|right| right.expose() == secret.expose())
            });
            assert_eq!((tried, held.is_some()), (TICKETS_MAX, right.is_some()));
            assert_eq!(tickets.len(), usize::from(open) - usize::from(right.is_some()));
        }
    }
}

/// Guards against a recorded pairing played back: to the same inviter with the ticket open again, and to another joiner.
#[test]
fn a_recording_is_worth_nothing() {
    let mut heard = [Vec::new(), Vec::new()];
    Pair::new().play(usize::MAX, &mut |joiner, _, bytes| {
        heard[usize::from(joiner)].extend_from_slice(bytes)
    });
    let mut tickets = Tickets::new();
    tickets.open(NOW, &ticket()).unwrap();
    let durable = founded();
    let theirs = public(&laptops_transport());
    let mut inviting = Inviting::begin(
        NOW,
        turn(),
        &desk(),
        durable.members.space(),
        public(&transport()),
        theirs,
        seeds(0x51),
    );
    assert_eq!(
        inviting.receive(NOW, &heard[0], &mut tickets),
        Err(PairError::NoTicket)
    );
    let mut joining = Joining::begin(
        NOW,
        &ticket(),
        &laptop(),
        &laptops_transport(),
        name("laptop"),
        public(&transport()),
        seeds(0x61),
    );
    assert!(joining.receive(NOW, &heard[1]).is_err());
    assert!(std::iter::from_fn(|| joining.poll()).all(|step| matches!(step, JoinerStep::Send(_))));
}

/// Guards memory: a length that its kind does not have in any version is refused by its first five bytes; what is not due, too.
#[test]
fn lengths_are_bounded_before_room_is_made() {
    for kind in 0..=255u8 {
        for len in [0, 1, 64, 65, 66, 1024, 4096, 4097, 1 << 20, u32::MAX] {
            let mut header = vec![kind];
            header.extend_from_slice(&len.to_le_bytes());
            let mut pair = Pair::new();
            let due = kind == kind::CALL && (65..=4096).contains(&len);
            let heard = pair.inviting.receive(NOW, &header, &mut pair.tickets);
            assert_eq!(heard.is_ok(), due, "kind {kind}, {len} bytes, to the inviter");
            let heard = pair.joining.receive(NOW, &header);
            assert_eq!(
                heard.is_ok(),
                kind == kind::ANSWER && (65..=4096).contains(&len),
                "kind {kind}, {len} bytes, to the joiner"
            );
        }
    }
}

/// Guards against a member that gives less than a member has: a joiner takes nothing that leaves out a statement, and with it a key.
#[test]
fn half_of_it_is_nothing() {
    for left_out in 0..3 {
        let mut pair = Pair::new();
        let mut parts = 0;
        pair.play(usize::MAX, &mut |joiner, _, bytes| {
            if joiner && bytes.first() == Some(&kind::PART) {
                if parts == left_out {
                    bytes.clear();
                }
                parts += 1;
            }
        });
        assert!(
            pair.durable.joined.is_none() && pair.ends[1].is_some(),
            "without part {left_out}"
        );
    }
}

/// Guards what makes a joiner complete: as a member without the present epoch's keys it is not, and the inviter says so itself.
#[test]
fn without_the_present_epoch_nobody_has_joined() {
    for keyless in [false, true] {
        let mut pair = Pair::new();
        while !pair.durable.members.state().is_member(&DeviceId::of(&laptop())) {
            let (joiner, bytes) = match pair.joiners() {
                Some(bytes) => (false, bytes),
                None => match pair.inviting.poll() {
                    Some(InviterStep::Send(bytes)) => (true, bytes),
                    Some(InviterStep::Admit(request)) => {
                        let durable = &mut pair.durable;
                        let keyring = if keyless { &[][..] } else { &durable.keyring };
                        let said = durable.members.add(&desk(), *request, keyring).unwrap();
                        let added = said[0].id();
                        hear(&mut durable.members, said);
                        let admitted = pair.inviting.admitted(&durable.members, added);
                        assert_eq!(admitted.is_err(), keyless);
                        assert_eq!(pair.inviting.admitted_device(), Some(DeviceId::of(&laptop())));
                        continue;
                    }
                    _ => panic!("it does not come to that"),
                },
            };
            match joiner {
                true => pair.tell_joiner(&bytes),
                false => pair.tell_inviter(&bytes),
            }
        }
        pair.play(usize::MAX, &mut plain);
        assert_eq!(pair.durable.joined.is_some(), !keyless);
        assert_eq!(pair.ends[1], keyless.then_some(PairError::Refused));
    }
}

/// Guards the joiner itself against the same: an inviter that says that this was all, and has sealed no key to it.
#[test]
fn a_joiner_without_keys_says_so() {
    let mut pair = Pair::new();
    let mut said = founded();
    let mut played = false;
    while !played {
        match pair.joiners() {
            Some(bytes) => pair.tell_inviter(&bytes),
            None => match pair.inviting.poll() {
                Some(InviterStep::Send(bytes)) => pair.tell_joiner(&bytes),
                Some(InviterStep::Admit(request)) => {
                    // It tells the state that would be right to its own end, and sends another.
                    let added = said.members.add(&desk(), *request, &[]).unwrap();
                    let id = added[0].id();
                    hear(&mut said.members, added);
                    pair.inviting.give(&said.members, id);
                    played = true;
                }
                _ => panic!("it does not come to that"),
            },
        }
    }
    while let Some(InviterStep::Send(bytes)) = pair.inviting.poll() {
        pair.tell_joiner(&bytes);
    }
    assert_eq!(pair.ends[1], Some(PairError::Incomplete));
    assert_eq!(pair.joiners(), Some(vec![0; 5]), "it says that it has nothing");
    assert!(pair.joiners().is_none() && pair.durable.joined.is_none());
}
