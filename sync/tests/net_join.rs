//! A device joins over loopback, by a whole ticket; then it syncs as any other. Tickets work once.

mod net_bed;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use coffer_store::members::DeviceName;
use coffer_sync::net::{JoinError, join};
use coffer_sync::pairing::{PairError, Ticket};
use futures::{AsyncReadExt, AsyncWriteExt};
use net_bed::raw::{self, Raw};
use net_bed::{Bed, PATIENCE, QUIC, TCP, address, linked, quiet, until, wait};

const PAIR: &str = "/coffer/pair/1";

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

/// A link between a joiner and this port: what goes to the joiner goes at so many bytes a second, after so many that go at once.
fn slow_link(to: u16, at_once: usize, rate: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((joiner, _)) = listener.accept() {
            let inviter = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let (mut from, mut back) = (joiner.try_clone().unwrap(), inviter.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut back);
                let _ = back.shutdown(Shutdown::Write);
            });
            std::thread::spawn(move || {
                let (mut from, mut to, mut went) = (inviter, joiner, 0);
                let mut piece = [0; 256];
                while let Ok(n @ 1..) = from.read(&mut piece) {
                    if to.write_all(&piece[..n]).is_err() {
                        break;
                    }
                    went += n;
                    if went > at_once {
                        std::thread::sleep(Duration::from_micros((n * 1_000_000 / rate) as u64));
                    }
                }
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

/// The port in a TCP address.
fn port(address: &str) -> u16 {
    let mut parts = address.split('/');
    parts.by_ref().find(|part| *part == "tcp");
    parts.next().unwrap().parse().unwrap()
}

/// A vault with a past over a slow link, a kilobyte and a half a second: it takes longer than any pause may be, and the device joins, and is the only one that
/// was added.
#[test]
fn over_a_slow_link_a_device_joins() {
    let bed = Bed::founded("desk");
    for n in 0..300 {
        bed.rename(&format!("desk {n}"));
    }
    let service = bed.start(&quiet(&[TCP]));
    let at = address(&service);
    let slow = slow_link(port(&at), 4_000, 1_500);
    let ticket = carried(&service.invite().unwrap());
    let peer = ticket.peer().to_vec();
    let slowly = carried(&ticket)
        .hinting(peer, vec![format!("/ip4/127.0.0.1/tcp/{slow}")])
        .unwrap();
    let begun = Instant::now();
    let came = join(&slowly, name("laptop"), &quiet(&[]), |_| Ok(()), |_| Ok(()));
    let took = begun.elapsed();
    assert!(
        came.is_ok(),
        "{:?} after {took:?}; {:?}",
        came.err(),
        service.status().last_error
    );
    assert!(took > Duration::from_secs(40), "{took:?} is not slow");
    // Nor does the inviter think that anything went wrong: it has heard the last word.
    assert_eq!(service.status().last_error, None);
    assert_eq!(bed.state.lock().unwrap().members.state().members().count(), 2);
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

/// What was given and cannot be stored: the device was added by then. It says so, and is taken back at once, which is said on both sides.
#[test]
fn a_device_that_was_added_and_could_not_join_is_taken_back() {
    let bed = Bed::founded("desk");
    let service = bed.start(&quiet(&[TCP]));
    wait(&service, "an address", |status| !status.listening.is_empty());
    let ticket = carried(&service.invite().unwrap());
    let came = join(
        &ticket,
        name("laptop"),
        &quiet(&[]),
        |_| Ok(()),
        |_| Err("the disk is full".into()),
    );
    let why = came.err().unwrap().to_string();
    assert!(
        why.contains("the disk is full") && why.contains("one of which nothing was heard"),
        "{why}"
    );
    let status = wait(&service, "a sentence", |status| status.last_error.is_some());
    let said = status.last_error.unwrap();
    assert!(said.contains("“laptop” was added and could not keep"), "{said}");
    let state = bed.state.lock().unwrap();
    assert_eq!(state.members.state().members().count(), 1);
    drop(state);
    // Its machine joins by another ticket.
    let again = carried(&service.invite().unwrap());
    join(&again, name("laptop"), &quiet(&[]), |_| Ok(()), |_| Ok(())).unwrap();
    assert_eq!(bed.state.lock().unwrap().members.state().members().count(), 2);
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

/// A joiner of a later version, its first message built by hand: it hears this program's version, the person here hears a sentence, and the ticket is as
/// good as before.
#[test]
fn a_newer_joiner_hears_which_version_this_is() {
    let bed = Bed::founded("desk");
    let service = bed.start(&quiet(&[TCP]));
    let at = address(&service);
    let ticket = carried(&service.invite().unwrap());
    let mut guest = Raw::new(None);
    guest.connect(&at);
    let mut stream = guest.open(raw::peer(&at), PAIR).unwrap();
    let said = guest.runtime.block_on(async {
        let talk = async {
            let mut call = vec![1, 0, 0, 0, 0];
            call[1..].copy_from_slice(&3_000u32.to_le_bytes());
            call.push(1);
            call.resize(5 + 3_000, 0xee);
            stream.write_all(&call).await.unwrap();
            stream.flush().await.unwrap();
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
            all
        };
        tokio::time::timeout(PATIENCE, talk).await.expect("an end")
    });
    assert_eq!((said.len(), &said[..6]), (70, &[2, 65, 0, 0, 0, 0][..]));
    let status = wait(&service, "a sentence", |status| status.last_error.is_some());
    assert_eq!(status.last_error.unwrap(), PairError::Newer.to_string());
    guest.sent_away();
    let came = join(&ticket, name("laptop"), &quiet(&[]), |_| Ok(()), |_| Ok(()));
    assert!(came.is_ok(), "{:?}", came.err());
}

/// Whoever is at the ticket's address does not speak this protocol: that is said, and not that there is no invitation.
#[test]
fn who_pairs_in_another_way_is_said_to() {
    let other = net_bed::relay::Relay::start();
    let ticket = Ticket::new(1_900_000_000)
        .hinting(other.id.to_bytes(), vec![other.address.clone()])
        .unwrap();
    let came = join(&ticket, name("laptop"), &quiet(&[]), |_| Ok(()), |_| Ok(()));
    let why = came.err().unwrap().to_string();
    assert!(why.contains("update coffer on both devices"), "{why}");
}
