//! Guards what salvage makes of a batch of events that is damaged: the event that is costs nothing
//! but itself, wherever in the batch the damage is, and though each event's number, chain and hash
//! follow from what stands before it. So it is in a vault that was moved, too, where which of two events
//! is newer is told by Lamport times alone.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use coffer_store::event::Event;
use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::{Meta, Time};
use coffer_store::testing;
use coffer_store::tree::Kind;
use coffer_store::vault::{Identity, Sealed, Vault, salvage};

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

/// What a file is called in the end, if the vault was moved.
fn moved_name(name: &str) -> String {
    format!("new {name}")
}

/// A vault in which three commits told each file's versions, without its database. If it was moved before
/// the last one, that began a new chain, and there each file got another name, too.
fn told(dir: &Path, is_moved: bool) {
    fs::create_dir(dir).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).unwrap());
    let (mut vault, _) = Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None).unwrap();
    // Nobody else commits.
    vault.stop_keeper();
    for n in 0..3 {
        let mut names = NAMES.map(String::from);
        if is_moved && n == 2 {
            vault.close().unwrap();
            drop(vault);
            let sealed = Sealed::open(dir).unwrap();
            vault = sealed.unlock(&password(), Identity::NewChain).unwrap();
            vault.stop_keeper();
            for name in &mut names {
                let to = moved_name(name);
                let (from, at) = ((ROOT, name.as_bytes()), (ROOT, to.as_bytes()));
                vault.rename(from, at, true).unwrap();
                *name = to;
            }
        }
        for (name, of) in names.iter().zip(NAMES) {
            save(&vault, name, &body(of, n));
        }
        vault.commit().unwrap();
    }
    vault.close().unwrap();
    drop(vault);
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
fn salvaged(dir: &Path, names: &[String], n: usize) -> (Vec<Option<String>>, bool) {
    let dest = dir.with_file_name(format!("out-{n}"));
    let report = salvage(dir, &password(), &dest, &mut |_| {}).unwrap();
    let read = |name: &String| fs::read_to_string(dest.join(name)).ok();
    let says = report
        .problems
        .iter()
        .any(|problem| problem.what.contains("damaged"));
    (names.iter().map(read).collect(), says)
}

/// Flips a bit in each field of the batches of the last commit in turn: `last` of them. Only the event that
/// it is in may be missed, and that is said.
fn damage_costs_its_event(is_moved: bool, last: usize) {
    let scene = tempfile::tempdir().unwrap();
    let dir = scene.path().join("vault");
    told(&dir, is_moved);
    let names = NAMES.map(|name| match is_moved {
        true => moved_name(name),
        false => name.into(),
    });
    let newest: Vec<_> = NAMES.iter().map(|name| Some(body(name, 2))).collect();
    assert_eq!(salvaged(&dir, &names, 0), (newest.clone(), false));
    // The first batch has the keys, those of the last commit nothing that comes after them.
    let path = dir.join("pack-00000001");
    let pack = fs::read(&path).unwrap();
    let batches = batches(&pack);
    assert_eq!(batches.len(), 2 + last);
    let mut runs = 0;
    for (from, to) in &batches[2..] {
        let (begins, events) = testing::events(&pack[*from..*to]).unwrap();
        assert_eq!(events.len(), NAMES.len());
        assert_eq!(begins.ahead > 0, is_moved, "a new chain begins behind its times");
        // The file that each event is about: the one that it can cost.
        let mut costs = [None; NAMES.len()];
        for (at, which) in cases(&events) {
            let mut copy = pack.clone();
            copy[from + at] ^= 0x40;
            fs::write(&path, &copy).unwrap();
            runs += 1;
            let (found, says) = salvaged(&dir, &names, runs);
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
}

/// Bytes of a batch of these events that are to be damaged, each with the event that it is in.
fn cases(events: &[(Event, Option<usize>)]) -> Vec<(usize, Option<usize>)> {
    let ends: Vec<usize> = events
        .iter()
        .map(|(event, at)| at.unwrap() + event.head.sealed.len as usize)
        .collect();
    let header = 1 + 16 + 16 + 1 + 32 + 1;
    let in_header = [0, 1, 17, 33, 34, header - 2, header - 1];
    let mut cases: Vec<(usize, Option<usize>)> = in_header.map(|at| (at, None)).into();
    let begins = [&[header][..], &ends].concat();
    for (n, (from, to)) in begins.iter().zip(&ends).enumerate() {
        // Kind, Lamport time, subject, generation, what it replaces; nonce, text and tag of what is sealed.
        let fields = [1, 2, 3, 19, 20, 21, 22, 23, 40, 50];
        cases.extend(fields.map(|field| (from + field + usize::from(to - from > 127 + 1), Some(n))));
        cases.push((to - 1, Some(n)));
    }
    cases
}

#[test]
fn damage_costs_the_event_that_it_is_in() {
    damage_costs_its_event(false, 1);
}

/// The same where the damaged batches, one of versions and one of names, are of another chain than those
/// before them: versions name what they replace by that other chain, and names are newer by their times alone.
#[test]
fn damage_after_a_move_costs_the_event_that_it_is_in() {
    damage_costs_its_event(true, 2);
}
