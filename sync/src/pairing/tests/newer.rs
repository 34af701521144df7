//! What a newer program may say, built by hand: this one goes on with it, or says in one sentence that it is newer.

use super::super::wire::{self, kind};
use super::*;

/// A first message as a program of this version may send it: more behind what this one knows.
fn longer(kind: u8, version: u8, seeds: &Seeds, len: usize) -> Vec<u8> {
    let mut body = vec![version];
    body.extend_from_slice(&seeds.nonce);
    body.extend_from_slice(&seeds.public());
    body.resize(len, 0xee);
    wire::frame(kind, &body)
}

/// Guards room in the first messages: of version 0 they may be longer, up to 4,096 bytes; all of it is in the transcript, and the device joins.
#[test]
fn longer_first_messages_of_this_version_are_taken() {
    for len in [66, 4_096] {
        // The joiner's: what it says of itself further on must be of the same transcript, so it is heard by an inviter that is asked by hand.
        let mut tickets = Tickets::new();
        tickets.open(NOW, &ticket()).unwrap();
        let mut inviting = invite_for(&founded(), public(&laptops_transport()));
        let call = longer(kind::CALL, 0, &seeds(0x60), len);
        inviting.receive(NOW, &call, &mut tickets).unwrap();
        let Some(InviterStep::Send(answer)) = inviting.poll() else {
            panic!("it answers")
        };
        let mut said =
            super::super::session::Transcript::new(&public(&transport()), &public(&laptops_transport()));
        said.add(&call);
        said.add(&answer);
        let agreed = seeds(0x60).agree(&wire::called(&answer[5..]).unwrap()).unwrap();
        let session = super::super::session::Session::new(&ticket().secret, &agreed, &said);
        let proof = session.proof(super::super::session::Side::Joiner, &said);
        let claim = wire::frame(kind::CLAIM, proof.as_bytes());
        inviting.receive(NOW, &claim, &mut tickets).unwrap();
        assert!(inviting.is_proved() && tickets.is_empty(), "{len}");
        // The inviter's: the joiner goes on, and claims.
        let mut joining = join_with(&ticket(), public(&transport()));
        let _call = joining.poll();
        joining
            .receive(NOW, &longer(kind::ANSWER, 0, &seeds(0x50), len))
            .unwrap();
        assert!(
            matches!(joining.poll(), Some(JoinerStep::Send(claim)) if claim[0] == kind::CLAIM),
            "{len}"
        );
    }
}

/// Guards a joiner of a later version, in whatever form its first message is: it hears this program's version and nothing else, a person here hears a
/// sentence, and the ticket is as good as before.
#[test]
fn a_newer_joiner_hears_which_version_this_is() {
    for (version, len) in [(1, 65), (1, 4_096), (7, 100), (255, 65)] {
        let mut tickets = Tickets::new();
        tickets.open(NOW, &ticket()).unwrap();
        let mut inviting = invite_for(&founded(), public(&laptops_transport()));
        let mut body = vec![0x33; len];
        body[0] = version;
        let heard = inviting.receive(NOW, &wire::frame(kind::CALL, &body), &mut tickets);
        assert_eq!(heard, Err(PairError::Newer));
        let mut said = Vec::new();
        while let Some(InviterStep::Send(bytes)) = inviting.poll() {
            said.push(bytes);
        }
        assert_eq!(said.len(), 1, "its version, and no “no”");
        assert_eq!((said[0][0], said[0][5]), (kind::ANSWER, 0));
        assert_eq!(tickets.len(), 1);
        let again = inviting.receive(NOW, &[0], &mut tickets);
        assert_eq!(again, Err(PairError::Ended));
        let mut pair = Pair::of(founded(), tickets, &ticket());
        pair.play(usize::MAX, &mut plain);
        assert!(pair.done && pair.confirmed.is_some(), "the ticket is used up");
    }
}

/// Guards a joiner here against an inviter of a later version: a sentence, and nothing of the ticket is said there.
#[test]
fn a_newer_inviter_is_said_to_be_newer() {
    for (version, len) in [(1, 65), (1, 4_096), (255, 80)] {
        let mut joining = join_with(&ticket(), public(&transport()));
        let _call = joining.poll();
        let mut body = vec![0x33; len];
        body[0] = version;
        let heard = joining.receive(NOW, &wire::frame(kind::ANSWER, &body));
        assert_eq!(heard, Err(PairError::Newer));
        assert!(joining.poll().is_none(), "it says nothing more");
    }
    let said = PairError::Newer.to_string();
    assert!(
        said.contains("newer version of coffer") && said.contains("update coffer on this device"),
        "{said}"
    );
}

/// What the inviter sends once the device is added, with these plain parts before its own.
fn given_with(parts: Vec<Vec<u8>>) -> Pair {
    let mut pair = Pair::new();
    let mut parts = Some(parts);
    loop {
        match pair.joiners() {
            Some(bytes) if bytes.is_empty() => {}
            Some(bytes) => pair.tell_inviter(&bytes),
            None => match pair.inviting.poll() {
                Some(InviterStep::Send(bytes)) => pair.tell_joiner(&bytes),
                Some(InviterStep::Admit(request)) => {
                    let durable = &mut pair.durable;
                    let said = durable.members.add(&desk(), *request, &durable.keyring).unwrap();
                    let added = said[0].id();
                    hear(&mut durable.members, said);
                    pair.inviting.say_first(parts.take().unwrap());
                    pair.inviting.admitted(&durable.members, added).unwrap();
                }
                Some(InviterStep::Confirmed(device)) => pair.confirmed = Some(device),
                None => return pair,
            },
        }
    }
}

/// Guards what a later version may give besides: a part of a kind that may be passed over is; one that may not, and a statement of a later version, are said to be a
/// newer program's.
#[test]
fn what_a_newer_vault_gives_is_passed_over_or_said() {
    let pair = given_with(vec![vec![3, 1, 2, 3], vec![0x7f], vec![0x40; 65_000]]);
    assert_eq!((pair.ends, pair.done), ([None; 2], true));
    let mut statement = founded().members.iter().next().unwrap().statement().encode();
    statement[0] = 1;
    statement.insert(0, 1);
    for part in [vec![0x80], vec![0xff, 1], statement] {
        let pair = given_with(vec![part]);
        assert_eq!(pair.ends[1], Some(PairError::NewerVault));
        assert!(pair.durable.joined.is_none());
    }
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A line of these bytes and their check, by hand.
fn line(bytes: &[u8]) -> String {
    let check = blake3::hash(bytes);
    let all = [bytes, &check.as_bytes()[..4]].concat();
    let bits: Vec<u8> = all
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |n| byte >> n & 1))
        .collect();
    let digits = bits.chunks(5).map(|five| {
        let digit = (0..5).fold(0, |sum, n| sum << 1 | five.get(n).copied().unwrap_or(0));
        char::from(ALPHABET[usize::from(digit)])
    });
    "coffer:".chars().chain(digits).collect()
}

/// Guards lines of later versions: whatever is in them, and however long they are, they are said to be newer, not mistyped; mistyped ones are mistyped.
#[test]
fn a_newer_ticket_line_is_said_to_be_newer() {
    let error = |text: &str| Ticket::parse(text).err();
    for len in [1, 17, 1_200, 4_092] {
        for version in [1, 255] {
            let mut bytes = vec![0x5a; len];
            bytes[0] = version;
            let line = line(&bytes);
            assert_eq!(error(&line), Some(TicketError::Version), "{len} bytes");
            assert_eq!(error(&line[..line.len() - 3]), Some(TicketError::Line));
        }
    }
    assert_eq!(error(&line(&[1; 4_093])), Some(TicketError::Line));
    // Of this version, more fields may follow.
    let mut bytes = vec![0];
    bytes.extend_from_slice(&ticket().secret.expose()[..16]);
    bytes.extend_from_slice(&ticket().expires().unwrap().to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    assert_eq!(line(&bytes), *ticket().line());
    for more in [1, 4_000] {
        let mut bytes = bytes.clone();
        bytes.resize(bytes.len() + more, 0xee);
        let read = Ticket::parse(&line(&bytes)).ok().unwrap();
        assert_eq!(read.secret.expose(), ticket().secret.expose());
        assert_eq!(read.expires(), ticket().expires());
    }
}
