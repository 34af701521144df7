//! A device joins over loopback, by a whole ticket; then it syncs as any other. Tickets work once.

mod net_bed;

use coffer_store::members::DeviceName;
use coffer_sync::net::{JoinError, join};
use coffer_sync::pairing::{PairError, Ticket};
use net_bed::{Bed, QUIC, TCP, linked, quiet, until, wait};

fn name(name: &str) -> DeviceName {
    DeviceName::new(name).unwrap()
}

/// As a person would carry it.
fn carried(ticket: &Ticket) -> Ticket {
    Ticket::parse(&ticket.line()).unwrap()
}

#[test]
fn a_device_joins_and_syncs() {
    for listen in [TCP, QUIC] {
        let bed = Bed::founded("desk");
        bed.tell_with(500, &[100_000]);
        let service = bed.start(&quiet(&[listen]));
        wait(&service, "an address", |status| !status.listening.is_empty());
        let ticket = carried(&service.invite().unwrap());
        let (mut kept, mut stored) = (None, false);
        let entered = join(
            &ticket,
            name("laptop"),
            &quiet(&[]),
            |prepared| {
                // Before this, nobody takes it for a member.
                assert_eq!(bed.state.lock().unwrap().members.len(), 2);
                assert_eq!(prepared.inviter, bed.id());
                kept = Some((prepared.device.seed(), prepared.transport.seed()));
                Ok(())
            },
            |joined| {
                stored = joined.keyring.len() == 1;
                Ok(())
            },
        )
        .unwrap();
        assert!(stored && entered.inviter == bed.id());
        let kept = kept.unwrap();
        assert_eq!(kept.0.expose(), entered.device.seed().expose());
        assert_eq!(kept.1.expose(), entered.transport.expose());
        let laptop = Bed::joined(entered.device, entered.transport, *entered.joined);
        let mut settings = quiet(&[]);
        settings.peers = entered.addresses;
        let second = laptop.start(&settings);
        wait(&second, "the desk", |status| linked(status, &bed));
        laptop.tell(100);
        until("one history", || {
            laptop.clock() == bed.clock() && laptop.clock().len() == 2 && laptop.missing() == 0
        });

        // The ticket is used up: whoever plays it again gets nowhere, and is told nothing.
        let again = join(
            &ticket,
            name("thief"),
            &quiet(&[]),
            |_| panic!("it was heard"),
            |_| panic!("it was given"),
        );
        assert!(
            matches!(
                again.err().unwrap(),
                JoinError::NotReached(_) | JoinError::NotFound | JoinError::Lost
            ),
            "the door is closed"
        );
        // While another is open, it hears “no”.
        let other = service.invite().unwrap();
        let again = join(
            &ticket,
            name("thief"),
            &quiet(&[]),
            |_| panic!("it was heard"),
            |_| panic!("it was given"),
        );
        let why = again.err().unwrap();
        assert!(matches!(why, JoinError::Pairing(PairError::Refused)), "{why:?}");
        assert_eq!(bed.state.lock().unwrap().members.state().members().count(), 2);
        // Which is good still.
        let third = join(
            &carried(&other),
            name("phone"),
            &quiet(&[]),
            |_| Ok(()),
            |_| Ok(()),
        );
        assert!(third.is_ok(), "{:?}", third.err());
        until("the laptop hears of the phone", || {
            laptop.state.lock().unwrap().members.state().members().count() == 3
        });
    }
}

/// A ticket with several addresses: they are called at once, and whichever is first does.
#[test]
fn several_addresses_are_called_at_once() {
    let bed = Bed::founded("desk");
    let all = [TCP, QUIC, "/ip4/127.0.0.2/tcp/0", "/ip4/127.0.0.2/udp/0/quic-v1"];
    let service = bed.start(&quiet(&all));
    wait(&service, "four addresses", |status| status.listening.len() == 4);
    for n in 0..10 {
        let ticket = carried(&service.invite().unwrap());
        assert_eq!(ticket.addresses().len(), 4);
        let entered = join(
            &ticket,
            name(&format!("laptop {n}")),
            &quiet(&[]),
            |_| Ok(()),
            |_| Ok(()),
        );
        let entered = entered.unwrap();
        let laptop = Bed::joined(entered.device, entered.transport, *entered.joined);
        let mut settings = quiet(&[]);
        settings.peers = entered.addresses;
        let second = laptop.start(&settings);
        wait(&second, "the desk", |status| linked(status, &bed));
        laptop.tell(100);
        until("its news", || {
            let own = laptop.state.lock().unwrap().store.own;
            bed.clock().contains_key(&own)
        });
        let link = second
            .status()
            .peers
            .into_iter()
            .find(|peer| peer.device == bed.id())
            .unwrap()
            .link;
        assert!(link.is_some(), "it stayed");
    }
}

/// What cannot be kept ends the joining, before anybody was added.
#[test]
fn keys_that_cannot_be_kept_make_no_member() {
    let bed = Bed::founded("desk");
    let service = bed.start(&quiet(&[TCP]));
    wait(&service, "an address", |status| !status.listening.is_empty());
    let ticket = carried(&service.invite().unwrap());
    let came = join(
        &ticket,
        name("laptop"),
        &quiet(&[]),
        |_| Err("the disk is full".into()),
        |_| Ok(()),
    );
    let why = came.err().unwrap();
    assert!(
        matches!(why, JoinError::Keep(_)) && why.to_string().contains("the disk is full"),
        "{why}"
    );
    assert_eq!(bed.state.lock().unwrap().members.len(), 2);
}

/// Nobody there: a sentence, soon.
#[test]
fn nobody_there_is_a_sentence() {
    let ticket = Ticket::new(1_900_000_000);
    let peer = libp2p::identity::Keypair::generate_ed25519()
        .public()
        .to_peer_id();
    let ticket = ticket
        .hinting(peer.to_bytes(), vec!["/ip4/127.0.0.1/tcp/9".into()])
        .unwrap();
    let came = join(&ticket, name("laptop"), &quiet(&[]), |_| Ok(()), |_| Ok(()));
    assert!(matches!(came.err().unwrap(), JoinError::NotReached(_)));
}
