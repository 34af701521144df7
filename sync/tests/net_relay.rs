//! Devices that know a relay alone: they meet through it, find each other's addresses by its records, and a direct connection takes
//! the circuit's place.

mod net_bed;

use coffer_store::members::DeviceName;
use coffer_sync::net::{Settings, join};
use coffer_sync::pairing::Ticket;
use net_bed::relay::Relay;
use net_bed::{Bed, TCP, linked, quiet, until, wait};

fn by(relay: &Relay, listen: &[&str], dht: bool) -> Settings {
    Settings {
        relays: vec![relay.address.clone()],
        dht,
        ..quiet(listen)
    }
}

/// Devices that listen nowhere: a circuit is all that there is.
#[test]
fn two_devices_meet_through_a_relay() {
    let relay = Relay::start();
    let beds = Bed::several(&["desk", "laptop"]);
    let services: Vec<_> = beds
        .iter()
        .map(|bed| bed.start(&by(&relay, &[], false)))
        .collect();
    for service in &services {
        wait(service, "a place at the relay", |status| {
            status.relays == [relay.address.clone()]
        });
    }
    let status = wait(&services[0], "the laptop", |status| linked(status, &beds[1]));
    assert!(status.peers[0].link.as_ref().unwrap().relayed);
    beds[0].tell_with(100, &[200_000, 1_000]);
    beds[1].tell(100);
    until("one history", || {
        beds[0].clock() == beds[1].clock() && beds[0].clock().len() == 2 && beds[1].missing() == 0
    });
}

/// Devices that can be called directly, and do not know where: they meet by the relay, and end with a direct connection.
#[test]
fn a_direct_connection_takes_the_circuits_place() {
    let relay = Relay::start();
    let beds = Bed::several(&["desk", "laptop"]);
    let services: Vec<_> = beds
        .iter()
        .map(|bed| bed.start(&by(&relay, &[TCP], false)))
        .collect();
    for (service, other) in services.iter().zip([&beds[1], &beds[0]]) {
        wait(service, "a direct connection, alone", |status| {
            linked(status, other) && !status.peers[0].link.as_ref().unwrap().relayed
        });
    }
    beds[0].tell(100);
    until("one history", || {
        beds[0].clock() == beds[1].clock() && beds[0].clock().len() == 1
    });
}

/// Records alone, where the relay lets no circuit be: the addresses in them lead to a direct connection.
#[test]
fn devices_find_each_other_by_records() {
    let relay = Relay::with(0, &[]);
    let beds = Bed::several(&["desk", "laptop"]);
    let desk = beds[0].start(&by(&relay, &[TCP], true));
    wait(&desk, "a place at the relay", |status| !status.relays.is_empty());
    let laptop = beds[1].start(&by(&relay, &[], true));
    wait(&laptop, "the desk's address, and a direct connection", |status| {
        let mut peers = status.peers.iter();
        peers.any(|peer| !peer.addresses.is_empty() && peer.link.as_ref().is_some_and(|link| !link.relayed))
    });
    // Without them, nobody would have found it.
    let phone = beds[0].with("phone");
    beds[0].learn(&phone);
    let lone = phone.start(&by(&relay, &[], false));
    wait(&lone, "a place at the relay", |status| !status.relays.is_empty());
    wait(&lone, "to know that it reaches nobody", |status| {
        status.peers.iter().any(|peer| peer.last_error.is_some())
    });
    assert!(lone.status().peers.iter().all(|peer| peer.link.is_none()));
}

/// Words say no address: the inviter is found by its record at the relay.
#[test]
fn words_lead_to_the_inviter_by_the_relay() {
    let relay = Relay::start();
    let bed = Bed::founded("desk");
    let service = bed.start(&by(&relay, &[TCP], true));
    wait(&service, "a place at the relay", |status| {
        !status.relays.is_empty()
    });
    let ticket = service.invite().unwrap();
    let words = Ticket::parse(&ticket.words()).unwrap();
    assert!(words.addresses().is_empty());
    let name = DeviceName::new("laptop").unwrap();
    let entered = join(&words, name, &by(&relay, &[], true), |_| Ok(()), |_| Ok(())).unwrap();
    assert_eq!(entered.inviter, bed.id());
}

/// A relay that names strangers as those who might know: nobody calls them.
#[test]
fn a_relay_cannot_make_devices_call_strangers() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let port = stranger.local_addr().unwrap().port();
    let relay = Relay::with(0, &[format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()]);
    let beds = Bed::several(&["desk", "laptop"]);
    let desk = beds[0].start(&by(&relay, &[TCP], true));
    wait(&desk, "a place at the relay", |status| !status.relays.is_empty());
    let laptop = beds[1].start(&by(&relay, &[], true));
    // It has looked the desk up, and so it has been told of the stranger.
    wait(&laptop, "the desk", |status| linked(status, &beds[0]));
    let before = laptop.status().version;
    beds[0].tell(10);
    until("one history", || beds[0].clock() == beds[1].clock());
    assert!(laptop.status().version >= before);
    let called = stranger.accept();
    assert!(
        called.is_err_and(|why| why.kind() == std::io::ErrorKind::WouldBlock),
        "it was called"
    );
}

/// A relay that is not there is said, and everything else works.
#[test]
fn a_relay_that_is_gone_is_a_sentence() {
    let beds = Bed::several(&["desk", "laptop"]);
    let gone = format!("/ip4/127.0.0.1/tcp/9/p2p/{}", libp2p::PeerId::random());
    let mut settings = quiet(&[TCP]);
    settings.relays = vec![gone];
    let desk = beds[0].start(&settings);
    let status = wait(&desk, "a sentence", |status| status.last_error.is_some());
    assert!(status.last_error.unwrap().contains("relay"));
    settings.peers = status.listening.into_iter().take(1).collect();
    let laptop = beds[1].start(&settings);
    wait(&laptop, "the desk", |status| linked(status, &beds[0]));
}

/// A ticket that names a circuit is enough, for a joiner that knows no relay; and so is the address that it found, from then on.
#[test]
fn a_ticket_leads_through_the_inviters_relay() {
    let relay = Relay::start();
    let bed = Bed::founded("desk");
    let service = bed.start(&by(&relay, &[], false));
    wait(&service, "a place at the relay", |status| {
        !status.relays.is_empty() && !status.listening.is_empty()
    });
    let ticket = Ticket::parse(&service.invite().unwrap().line()).unwrap();
    let name = DeviceName::new("laptop").unwrap();
    let entered = join(&ticket, name, &quiet(&[]), |_| Ok(()), |_| Ok(())).unwrap();
    let laptop = Bed::joined(entered.device, entered.transport, *entered.joined);
    let mut settings = quiet(&[]);
    settings.peers = entered.addresses;
    let second = laptop.start(&settings);
    let status = wait(&second, "the desk", |status| linked(status, &bed));
    assert!(status.peers[0].link.as_ref().unwrap().relayed);
}

/// The same with the program itself, where it was built:
///
///     cargo build -p coffer-relay && cargo test -p coffer-sync --test net_relay -- --ignored
#[test]
#[ignore = "needs the program coffer-relay beside the tests"]
fn the_program_is_such_a_relay() {
    use std::io::{BufRead, BufReader};
    let program = std::env::current_exe().unwrap();
    let program = program.ancestors().nth(2).unwrap().join("coffer-relay");
    struct Ends(std::process::Child);
    impl Drop for Ends {
        fn drop(&mut self) {
            let _ = self.0.kill().and_then(|()| self.0.wait().map(drop));
        }
    }
    let child = std::process::Command::new(program)
        .args(["--listen", TCP, "--listen", net_bed::QUIC])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("cargo build -p coffer-relay makes it");
    let mut child = Ends(child);
    let lines = BufReader::new(child.0.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let addresses: Vec<String> = lines
        .filter_map(|line| line.strip_prefix("Listening on ").map(str::to_owned))
        .take(2)
        .collect();
    for address in &addresses {
        let settings = |listen: &[&str], dht| Settings {
            relays: vec![address.clone()],
            dht,
            ..quiet(listen)
        };
        // Circuits.
        let beds = Bed::several(&["desk", "laptop"]);
        let services: Vec<_> = beds.iter().map(|bed| bed.start(&settings(&[], false))).collect();
        wait(&services[0], "the laptop", |status| linked(status, &beds[1]));
        beds[0].tell_with(100, &[1_000_000; 20]);
        until("one history", || {
            beds[0].clock() == beds[1].clock() && beds[1].missing() == 0
        });
        drop(services);
        // Holes, and records.
        let services: Vec<_> = beds
            .iter()
            .map(|bed| bed.start(&settings(&[TCP], true)))
            .collect();
        wait(&services[0], "a direct connection", |status| {
            linked(status, &beds[1])
                && status
                    .peers
                    .iter()
                    .all(|peer| peer.link.as_ref().is_some_and(|link| !link.relayed))
        });
        let words = Ticket::parse(&services[0].invite().unwrap().words()).unwrap();
        let name = DeviceName::new("phone").unwrap();
        let entered = join(&words, name, &settings(&[], true), |_| Ok(()), |_| Ok(())).unwrap();
        assert_eq!(entered.inviter, beds[0].id());
    }
}
