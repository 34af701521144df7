//! Hostile peers against the built program: a daemon with a mount, an honest second one, and a hand-written node that is a stranger,
//! a removed device, or a member gone bad whose keys the test holds. Guards that each is refused, that the daemon's memory stays
//! bounded (its peak, by VmHWM), that the mount is usable and a save crosses meanwhile, and that `coffer status` says what happened.
//! Skipped, with a word, where nothing can be mounted.

#[path = "../../cli/tests/common/mod.rs"]
mod common;
mod net_bed;

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coffer_store::ids::ROOT;
use coffer_store::keys::{KdfParams, Key, Password, SigningKey};
use coffer_store::members::DeviceName;
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::{Identity, Joined, Sealed, Vault};
use coffer_sync::core::wire::{Frames, Goodbye, Hello, Message, VERSION, Wanted, framed};
use coffer_sync::net::{Service, join};
use coffer_sync::pairing::Ticket;
use coffer_sync::vault::VaultReplica;
use common::{Stage, cannot_mount, until};
use futures::{AsyncReadExt, AsyncWriteExt};
use net_bed::flood::flood;
use net_bed::raw::{Raw, peer};
use net_bed::{Bed, TCP, quiet};
use serde_json::Value;

const SYNC: &str = "/coffer/sync/0";
const QUICK: [&str; 6] = ["--kdf-memory", "19MiB", "--kdf-passes", "2", "--kdf-lanes", "1"];
/// What an attack may add to the daemon's peak: the bounds of docs/protocol.md and docs/network.md for a few connections, and room for
/// what the allocator keeps. 10,000 connections or streams without bounds would take GiBs.
const MOST: u64 = 128 << 20;

/// Two honest devices, and the ways to the first one.
struct Town {
    desk: Stage,
    laptop: Stage,
    pid: u32,
    tcp: String,
    quic: String,
    saves: u32,
}

fn sync(stage: &Stage) -> Value {
    stage.run(&["--json", "sync"]).gives(0).json()
}

fn invite(by: &Stage) -> Ticket {
    let said = by.run(&["--json", "device", "invite"]).gives(0).json();
    Ticket::parse(said["ticket"].as_str().unwrap()).unwrap()
}

/// A member whose keys the test holds.
fn member(by: &Stage, name: &str) -> Arc<Bed> {
    let kept: std::cell::Cell<Option<Key>> = Default::default();
    let entered = join(
        &invite(by),
        DeviceName::new(name).unwrap(),
        &quiet(&[]),
        |keys| {
            kept.set(Some(keys.transport.seed()));
            Ok(())
        },
        |_| Ok(()),
    );
    let entered = entered.unwrap();
    Bed::joined(entered.device, kept.take().unwrap(), *entered.joined)
}

fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

impl Town {
    fn new() -> Option<Town> {
        if cannot_mount() {
            return None;
        }
        let settle = |stage: &Stage| {
            for (key, value) in [
                ("sync-listen", "/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1"),
                ("sync-mdns", "off"),
                ("sync-dht", "off"),
            ] {
                stage.run(&["settings", key, value]).gives(0);
            }
        };
        let desk = Stage::with_vault();
        settle(&desk);
        let pid = desk.mount();
        let line = desk.run(&["--json", "device", "invite"]).gives(0).json();
        let laptop = Stage::new();
        let mut args = vec![
            "device",
            "join",
            line["ticket"].as_str().unwrap(),
            "--name",
            "laptop",
        ];
        args.extend(QUICK);
        laptop.open(&args).gives(0);
        settle(&laptop);
        laptop.mount();
        let listening = sync(&desk)["listening"].clone();
        let at = |kind: &str| {
            let all = listening.as_array().unwrap().iter().filter_map(Value::as_str);
            all.into_iter().find(|at| at.contains(kind)).unwrap().to_owned()
        };
        let mut town = Town {
            pid,
            tcp: at("/tcp/"),
            quic: at("/quic-v1"),
            desk,
            laptop,
            saves: 0,
        };
        town.works();
        Some(town)
    }

    /// The mount answers, and a save crosses each way.
    fn works(&mut self) {
        for there in [false, true] {
            let (from, to) = match there {
                false => (&self.desk, &self.laptop),
                true => (&self.laptop, &self.desk),
            };
            self.saves += 1;
            let (name, text) = (
                format!("Notes/{}.md", self.saves),
                format!("save {}\n", self.saves),
            );
            let began = Instant::now();
            // The folder comes with the first events.
            until("it can be written", || {
                fs::write(from.mnt().join(&name), &text).is_ok()
            });
            assert_eq!(fs::read_to_string(from.mnt().join(&name)).unwrap(), text);
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "the mount hung for {:?}",
                began.elapsed()
            );
            until("the save crosses", || {
                fs::read_to_string(to.mnt().join(&name)).is_ok_and(|read| read == text)
            });
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "a save took {:?}",
                began.elapsed()
            );
        }
    }

    /// Does something to the desk, while saves cross; how much its peak has grown.
    fn under<T>(&mut self, what: &str, attack: impl FnOnce(&Town) -> T) -> T {
        fs::write(format!("/proc/{}/clear_refs", self.pid), "5").unwrap();
        let before = peak(self.pid);
        let out = attack(self);
        self.works();
        let grown = peak(self.pid).saturating_sub(before);
        println!(
            "{what}: the peak has grown by {} MiB from {}",
            grown >> 20,
            before >> 20
        );
        assert!(grown < MOST, "{what}: {grown} bytes");
        out
    }

    fn status(&self) -> String {
        self.desk.run(&["status"]).gives(0).out
    }

    /// Waits until the status says something.
    fn says(&self, what: &str) {
        let mut said = String::new();
        let begun = Instant::now();
        while !said.contains(what) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "it never says {what:?}: {said}"
            );
            said = self.status();
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn refused(&self) -> u64 {
        sync(&self.desk)["refused"].as_u64().unwrap()
    }
}

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

/// Opens the sync protocol's stream, says these bytes, and listens to the end.
fn say(at: &str, as_whom: &SigningKey, bytes: &[u8]) -> Vec<u8> {
    let mut raw = Raw::new(Some(as_whom));
    raw.connect(at);
    let Ok(mut stream) = raw.open(peer(at), SYNC) else {
        return Vec::new();
    };
    raw.runtime.block_on(async {
        let talk = async {
            let _ = stream.write_all(bytes).await;
            let _ = stream.flush().await;
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard).await;
            heard
        };
        let ended = tokio::time::timeout(Duration::from_secs(30), talk).await;
        ended.expect("its session is not ended")
    })
}

/// What a device of the tests says first.
fn hello(bed: &Bed) -> Vec<u8> {
    let state = bed.state.lock().unwrap();
    let hello = Hello {
        versions: (VERSION, VERSION),
        space: state.members.space(),
        own: state.store.own,
        features: 0,
        policy: coffer_sync::core::Policy::Everything,
        credit: u64::MAX >> 8,
    };
    framed(&Message::Hello(hello).encode())
}

/// The kinds of the frames that came.
fn kinds(mut heard: &[u8]) -> Vec<u8> {
    let mut frames = Frames::default();
    let each = || frames.next(&mut heard).unwrap().map(|frame| frame[0]);
    std::iter::from_fn(each).collect()
}

/// Guards against a member gone bad: frames that are none, lengths that are not true, streams without end, events that are none, and
/// a history told twice. Its own session ends with a reason; nothing else does.
#[test]
fn a_member_gone_bad_harms_nobody() {
    let Some(mut town) = Town::new() else { return };
    let thief = member(&town.desk, "thief");
    let key = &thief.transport;
    town.under("garbage frames", |town| {
        say(&town.tcp, key, &[0xa5; 200_000]);
    });
    town.says("“thief”: ");
    let hello = hello(&thief);
    for (what, tail) in [
        // A statement of 4 GiB, as its first piece claims; a list that is not there.
        (
            "an inflated statement",
            vec![12, 0, 0x84, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1, 2, 3, 4, 5],
        ),
        ("an inflated clock", vec![5, 0, 0x85, 1, 9, 9, 9]),
        ("a hello said twice", hello.clone()),
    ] {
        let bytes = [hello.clone(), tail].concat();
        town.under(what, |town| {
            say(&town.tcp, key, &bytes);
        });
    }
    town.under("streams without end", |town| {
        let mut raws: Vec<Raw> = (0..4).map(|_| Raw::new(Some(key))).collect();
        let mut streams = Vec::new();
        for raw in &mut raws {
            raw.dial(&town.tcp);
            for n in 0..200 {
                let control = raw.control.clone();
                let to = peer(&town.tcp);
                let name = [
                    "/coffer/sync/0",
                    "/coffer/pair/0",
                    "/ipfs/id/1.0.0",
                    "/coffer/kad/1",
                ][n % 4];
                streams.push(raw.runtime.spawn(async move {
                    let mut control = control;
                    let open = control.open_stream(to, libp2p::StreamProtocol::new(name));
                    if let Ok(Ok(mut stream)) = tokio::time::timeout(Duration::from_secs(5), open).await {
                        let fill = async { while stream.write_all(&[0x33; 16 << 10]).await.is_ok() {} };
                        let _ = tokio::time::timeout(Duration::from_secs(2), fill).await;
                    }
                }));
            }
        }
        for (n, task) in streams.into_iter().enumerate() {
            let _ = raws[n / 200].runtime.block_on(task);
        }
    });
    // At 64 MiB a connection, and four connections, it would be 256 MiB.
    let sent = town.under("streams that are filled, and that nobody reads", |town| {
        flood(&town.tcp, key, 4)
    });
    assert!(sent > 64 << 20, "the flood is none: {sent} bytes");
    // Batches with good signatures over events that are none: they were made by a model of the store.
    town.under("events that are none", |town| {
        let mut settings = quiet(&[TCP]);
        settings.peers.push(town.tcp.clone());
        thief.tell_with(100, &[50_000; 8]);
        (0..20).for_each(|n| thief.tell(200 + n));
        let service = thief.start(&settings);
        town.says("“thief”: the other device sent what was altered after it was signed");
        service.stop();
    });
    town.works();
    town.desk.run(&["lock"]).gives(0);
    town.laptop.run(&["lock"]).gives(0);
    for stage in [&town.desk, &town.laptop] {
        stage.open(&["check", "--read-data"]).gives(0);
    }
}

/// One history told twice, as by a vault that was copied file by file: what came first stays, of the other nothing is taken in, and
/// the status says why. Nobody was told before.
#[test]
fn a_copied_vault_that_both_use_is_said_and_spoils_nothing() {
    let Some(mut town) = Town::new() else { return };
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let entered = join(
        &invite(&town.desk),
        DeviceName::new("copied").unwrap(),
        &quiet(&[]),
        |_| Ok(()),
        |_| Ok(()),
    );
    let entered = entered.unwrap();
    let joined = Joined {
        members: entered.joined.members,
        device: entered.device,
        transport: SigningKey::from_seed(entered.transport),
        keys: entered.joined.keyring,
    };
    let password = Password::new(b"correct horse battery staple".to_vec());
    let vault = Vault::join(&dirs[0].path().join("vault"), &password, KdfParams::FLOOR, joined).unwrap();
    vault.close().unwrap();
    drop(vault);
    let mut copy = std::process::Command::new("cp");
    copy.arg("-a")
        .arg(dirs[0].path().join("vault"))
        .arg(dirs[1].path());
    assert!(copy.status().unwrap().success());
    let mut settings = quiet(&[TCP]);
    settings.peers.push(town.tcp.clone());
    for (dir, name) in dirs.iter().zip(["first.md", "second.md"]) {
        let sealed = Sealed::open(&dir.path().join("vault")).unwrap();
        // As if nobody had copied it.
        let vault = sealed.unlock(&password, Identity::Same).unwrap();
        let now = Time::now();
        let meta = Meta {
            kind: Kind::File,
            perm: 0o644,
            uid: 0,
            gid: 0,
            rdev: 0,
            nlink: 1,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: None,
        };
        let ino = vault.make(ROOT, name.as_bytes(), meta, b"").unwrap();
        vault.open(ino, true, false, false).unwrap();
        vault.write(ino, Some(0), name.as_bytes(), false).unwrap();
        vault.release(ino, true);
        vault.commit().unwrap();
        let service = Service::start(VaultReplica::new(vault.clone()).unwrap(), &settings).unwrap();
        let there = town.desk.mnt().join(name);
        match name {
            "first.md" => until("the first history", || there.exists()),
            _ => town.says("that device's vault was copied"),
        }
        town.works();
        service.stop();
        vault.close().unwrap();
    }
    let first = fs::read(town.desk.mnt().join("first.md")).unwrap();
    assert_eq!(first, b"first.md");
    town.desk.run(&["lock"]).gives(0);
    town.desk.open(&["check", "--read-data"]).gives(0);
}
