//! A town for suites of the built program: a daemon with a mount, an honest second one, and a member whose keys the test holds. What is
//! done to the first daemon is measured (its peak of memory, by VmHWM), while saves cross.
#![allow(dead_code, unreachable_pub, reason = "no suite uses all of it")]

#[path = "../../../cli/tests/common/mod.rs"]
pub(crate) mod common;
#[path = "../net_bed/mod.rs"]
pub mod net_bed;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_store::keys::{Key, SigningKey};
use coffer_store::members::DeviceName;
use coffer_sync::core::wire::{Frames, Hello, Message, VERSION, framed};
use coffer_sync::net::join;
use coffer_sync::pairing::Ticket;
use common::{Stage, cannot_mount, until};
use futures::{AsyncReadExt, AsyncWriteExt};
use net_bed::raw::{Raw, peer};
use net_bed::{Bed, quiet};
use serde_json::Value;

pub const SYNC: &str = "/coffer/sync/1";
pub const QUICK: [&str; 6] = ["--kdf-memory", "19MiB", "--kdf-passes", "2", "--kdf-lanes", "1"];
/// What an attack may add to the daemon's peak: the bounds of docs/protocol.md and docs/network.md for a few connections, and room for
/// what the allocator keeps. 10,000 connections or streams without bounds would take GiBs.
pub const MOST: u64 = 128 << 20;

/// Two honest devices, and the ways to the first one.
pub struct Town {
    pub desk: Stage,
    pub laptop: Stage,
    pub pid: u32,
    pub tcp: String,
    pub quic: String,
    saves: u32,
}

pub fn sync(stage: &Stage) -> Value {
    stage.run(&["--json", "sync"]).gives(0).json()
}

pub fn invite(by: &Stage) -> Ticket {
    let said = by.run(&["--json", "device", "invite"]).gives(0).json();
    Ticket::parse(said["ticket"].as_str().unwrap()).unwrap()
}

/// A member whose keys the test holds.
pub fn member(by: &Stage, name: &str) -> Arc<Bed> {
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

pub fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

impl Town {
    pub fn new() -> Option<Town> {
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
    pub fn works(&mut self) {
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
    pub fn under<T>(&mut self, what: &str, attack: impl FnOnce(&Town) -> T) -> T {
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

    pub fn status(&self) -> String {
        self.desk.run(&["status"]).gives(0).out
    }

    /// Waits until the status says something.
    pub fn says(&self, what: &str) {
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

    pub fn refused(&self) -> u64 {
        sync(&self.desk)["refused"].as_u64().unwrap()
    }
}

/// Opens the sync protocol's stream, says these bytes, and listens to the end.
pub fn say(at: &str, as_whom: &SigningKey, bytes: &[u8]) -> Vec<u8> {
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
pub fn hello(bed: &Bed) -> Vec<u8> {
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
pub fn kinds(mut heard: &[u8]) -> Vec<u8> {
    let mut frames = Frames::default();
    let each = || frames.next(&mut heard).unwrap().map(|frame| frame[0]);
    std::iter::from_fn(each).collect()
}
