//! Strangers, and a device that was removed, against the built program with a mount: each is refused, the daemon's memory stays
//! bounded, the mount is usable and a save crosses meanwhile, and `coffer status` says what happened. Skipped, with a word, where
//! nothing can be mounted.

mod program_bed;

use std::net::{TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coffer_store::members::DeviceName;
use coffer_sync::core::wire::{Goodbye, Message, Wanted, framed};
use coffer_sync::net::join;
use coffer_sync::pairing::Ticket;
use program_bed::common::until;
use program_bed::net_bed::quiet;
use program_bed::net_bed::raw::Raw;
use program_bed::{Town, hello, invite, kinds, member, say, sync};

/// Guards the door: somebody unknown and a ticket that was used get nowhere, by TCP and QUIC; a device that was removed is told so, and nothing else.
#[test]
fn who_is_none_of_the_vaults_devices_is_refused() {
    let Some(mut town) = Town::new() else { return };
    // Invitations end with the daemon: with one open, strangers may knock as guests.
    let thief = member(&town.desk, "thief");
    town.desk.run(&["device", "remove", "thief", "--yes"]).gives(0);
    let ticket = invite(&town.desk);
    let enter = |ticket: &Ticket| {
        join(
            ticket,
            DeviceName::new("second").unwrap(),
            &quiet(&[]),
            |_| Ok(()),
            |_| Ok(()),
        )
    };
    enter(&ticket).unwrap();
    town.under("a used ticket", |_| {
        assert!(enter(&ticket).is_err(), "a ticket works twice")
    });
    town.desk.run(&["device", "remove", "second", "--yes"]).gives(0);
    town.desk.run(&["lock"]).gives(0);
    town.pid = town.desk.mount();
    until("the desk listens", || {
        sync(&town.desk)["listening"]
            .as_array()
            .is_some_and(|all| all.len() > 1)
    });
    for at in sync(&town.desk)["listening"].as_array().unwrap() {
        let at = at.as_str().unwrap().to_owned();
        match at.contains("/tcp/") {
            true => town.tcp = at,
            false => town.quic = at,
        }
    }
    let before = town.refused();
    town.under("a stranger", |town| {
        for at in [&town.tcp, &town.quic] {
            let mut raw = Raw::new(None);
            raw.dial(at);
            raw.sent_away();
        }
    });
    until("it is counted", || town.refused() >= before + 2);
    let want = Message::WantStatements {
        want: vec![[1; 32]],
        have: vec![],
    };
    let events = Message::Want(vec![Wanted {
        chain: thief.state.lock().unwrap().store.own,
        after: 0,
        resume: None,
    }]);
    for (what, rest, ends) in [
        (
            "a removed device that asks",
            framed(&want.encode()),
            Goodbye::Removed,
        ),
        (
            "a removed device that wants events",
            framed(&events.encode()),
            Goodbye::Protocol,
        ),
        (
            "a removed device that sends garbage",
            vec![0xa5; 200_000],
            Goodbye::Protocol,
        ),
    ] {
        let bytes = [hello(&thief), rest].concat();
        town.under(what, |town| {
            for at in [&town.tcp, &town.quic] {
                let heard = say(at, &thief.transport, &bytes);
                let kinds = kinds(&heard);
                let may = [0x81, 0x82, 0x84, 0x89, 0x93];
                assert!(kinds.iter().all(|kind| may.contains(kind)), "{what}: {kinds:x?}");
                let last = framed(&Message::Goodbye(ends).encode());
                assert!(heard.ends_with(&last), "{what}: {kinds:x?}");
            }
        });
    }
    // Its ticket ended with the daemon that made it.
    town.under("a ticket of another day", |_| assert!(enter(&ticket).is_err()));
    town.says("connections refused since the network began");
}

/// Guards two devices that sync against somebody at another address who knocks 10,000 times and says nothing, sends datagrams that
/// begin as QUIC does, and has strangers call without end.
#[test]
fn ten_thousand_who_knock_hold_nobody_up() {
    let Some(mut town) = Town::new() else { return };
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let all = rustix::process::Rlimit {
        current: files,
        maximum: files,
    };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, all);
    let port = |at: &str| at.split('/').nth(4).unwrap().parse::<u16>().unwrap();
    let (tcp, udp) = (port(&town.tcp), port(&town.quic));
    let held = town.under("10,000 connections", |_| {
        let mut held = Vec::new();
        for n in 0..10_000 {
            let Ok(stream) = TcpStream::connect(("127.0.0.1", tcp)) else {
                continue;
            };
            // The first stay, the others come and go.
            if n < 5_000 {
                held.push(stream);
            }
        }
        held
    });
    assert!(held.len() > 4_000, "only {} connections were made", held.len());
    let over = AtomicBool::new(false);
    let stop = &over;
    let sent = std::thread::scope(|scope| {
        let flood = scope.spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let (mut sent, mut noise) = (0u64, 0x9e37_79b9_7f4a_7c15_u64);
            while !stop.load(Ordering::Relaxed) {
                let mut datagram = [0u8; 1_200];
                for byte in &mut datagram {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    *byte = (noise >> 56) as u8;
                }
                // The first packet of a QUIC connection, version 1, with ids of eight bytes.
                datagram[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
                datagram[14] = 8;
                sent += u64::from(socket.send_to(&datagram, ("127.0.0.1", udp)).is_ok());
                if sent % 64 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            sent
        });
        town.under("strangers who call without end", |town| {
            let raws: Vec<Raw> = (0..4).map(|_| Raw::new(None)).collect();
            for n in 0..400 {
                raws[n % 4].dial(if n % 2 == 0 { &town.tcp } else { &town.quic });
            }
            let begun = Instant::now();
            while town.refused() < 5_000 && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        over.store(true, Ordering::Relaxed);
        flood.join().unwrap()
    });
    assert!(sent > 1_000, "only {sent} datagrams");
    drop(held);
    assert!(town.refused() > 5_000, "only {} were refused", town.refused());
    town.works();
    town.says("connections refused since the network began");
}
