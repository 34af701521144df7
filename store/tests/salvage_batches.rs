//! Guards what salvage makes of a batch of events that is damaged: the event that is costs nothing
//! but itself, wherever in the batch the damage is, and though each event's number, chain and hash
//! follow from what stands before it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::{Meta, Time};
use coffer_store::testing;
use coffer_store::tree::Kind;
use coffer_store::vault::{Vault, salvage};

fn password() -> Password {
    Password::new(b"correct horse battery staple".to_vec())
}

fn save(vault: &Vault, name: &str, text: &str) {
    let time = Time::now();
    let meta = Meta {
        kind: Kind::File,
        perm: 0o600,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        rdev: 0,
        nlink: 1,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
        xattrs: None,
    };
    let ino = match vault.lookup(ROOT, name.as_bytes()) {
        Ok(ino) => ino,
        Err(_) => vault.make(ROOT, name.as_bytes(), meta, b"").unwrap(),
    };
    vault.open(ino, true, true, false).unwrap();
    vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    vault.release(ino, true);
}

/// What a file holds after its n-th save.
fn body(name: &str, n: usize) -> String {
    format!("what {name} says, {n}\n")
}

const NAMES: [&str; 4] = ["one.md", "two.md", "three", "four"];

/// A vault in which three commits told each file's versions, without its database.
fn told(dir: &Path) {
    fs::create_dir(dir).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).unwrap());
    let (vault, _) = Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None).unwrap();
    // Nobody else commits.
    vault.stop_keeper();
    for n in 0..3 {
        NAMES.iter().for_each(|name| save(&vault, name, &body(name, n)));
        vault.commit().unwrap();
    }
    vault.close().unwrap();
    fs::write(dir.join("vault.redb"), b"nothing of it is left").unwrap();
}

/// The batches of a pack: where the bytes of each begin and end.
fn batches(pack: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut found) = (0, Vec::new());
    while at < pack.len() {
        let len = u32::from_le_bytes(pack[at + 5..at + 9].try_into().unwrap()) as usize;
        if pack[at + 4] == 14 {
            found.push((at + 45, at + 45 + len));
        }
        at += 45 + len;
    }
    found
}

/// What salvage brings of each file, and whether it says that something is damaged.
fn salvaged(dir: &Path, n: usize) -> (Vec<Option<String>>, bool) {
    let dest = dir.with_file_name(format!("out-{n}"));
    let report = salvage(dir, &password(), &dest, &mut |_| {}).unwrap();
    let read = |name: &&str| fs::read_to_string(dest.join(name)).ok();
    let says = report
        .problems
        .iter()
        .any(|problem| problem.what.contains("damaged"));
    (NAMES.iter().map(read).collect(), says)
}

/// Flips a bit in each field of the second batch in turn. Only the event that it is in may be missed,
/// and that is said.
#[test]
fn damage_costs_the_event_that_it_is_in() {
    let scene = tempfile::tempdir().unwrap();
    let dir = scene.path().join("vault");
    told(&dir);
    let path = dir.join("pack-00000001");
    let pack = fs::read(&path).unwrap();
    let newest: Vec<_> = NAMES.iter().map(|name| Some(body(name, 2))).collect();
    assert_eq!(salvaged(&dir, 0), (newest.clone(), false));
    let batches = batches(&pack);
    assert_eq!(batches.len(), 3);
    // The first batch has the keys, the last one nothing that comes after it.
    let (from, to) = batches[2];
    let (_, events) = testing::events(&pack[from..to]).unwrap();
    assert_eq!(events.len(), NAMES.len());
    let ends: Vec<usize> = events
        .iter()
        .map(|(event, at)| at.unwrap() + event.head.sealed.len as usize)
        .collect();
    let header = 1 + 16 + 16 + 1 + 32;
    let mut cases: Vec<(usize, Option<usize>)> = [0, 1, 17, 33, 34, header - 1].map(|at| (at, None)).into();
    let begins = [&[header][..], &ends].concat();
    for (n, (from, to)) in begins.iter().zip(&ends).enumerate() {
        // Kind, Lamport time, subject, generation, what it replaces; nonce, text and tag of what is sealed.
        let fields = [1, 2, 3, 19, 20, 21, 22, 23, 40, 50];
        cases.extend(fields.map(|field| (from + field + usize::from(to - from > 127 + 1), Some(n))));
        cases.push((to - 1, Some(n)));
    }
    // The file that each event is about: the one that it can cost.
    let mut costs = [None; NAMES.len()];
    for (n, (at, which)) in cases.into_iter().enumerate() {
        let mut copy = pack.clone();
        copy[from + at] ^= 0x40;
        fs::write(&path, &copy).unwrap();
        let (found, says) = salvaged(&dir, n + 1);
        assert!(says, "byte {at} is damaged, and nobody says so");
        for (i, (found, newest)) in found.iter().zip(&newest).enumerate() {
            if found != newest {
                let is_its = which.is_some_and(|which| *costs[which].get_or_insert(i) == i);
                assert!(
                    is_its,
                    "byte {at}, of event {which:?}, costs {}: {found:?}",
                    NAMES[i]
                );
            }
        }
    }
    assert!(
        costs.iter().all(Option::is_some),
        "an event can be lost: {costs:?}"
    );
}
