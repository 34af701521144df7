//! Guards batches of events with a bit that has rotted against what history does to them: letting go of
//! payloads must not make the rot a part of what was signed, and a purge ends all the same.

mod history_support;

use coffer_store::io::Disk;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::record::Time;
use coffer_store::vault::{CheckOptions, Subject, Vault};
use history_support::*;

/// Flips a bit of these bytes, wherever packs hold them.
fn flip(disk: &SimDisk, bytes: &[u8]) {
    let mut found = 0;
    for name in disk.list().unwrap().iter().filter(|name| name.contains("pack")) {
        let file = disk.open(name).unwrap();
        let mut all = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut all).unwrap();
        if let Some(at) = all.windows(bytes.len()).position(|window| window == bytes) {
            file.write_at(at as u64, &[bytes[0] ^ 1]).unwrap();
            found += 1;
        }
    }
    assert_eq!(found, 1, "what is to rot lies in one pack");
}

/// The sealed payload of a file's first version.
fn first_payload(disk: &SimDisk, vault: &Vault, of: Subject) -> Vec<u8> {
    let at = versions(vault, of).last().unwrap().events[0];
    let first = versions(vault, of).first().unwrap().events[0];
    let mut payloads = in_packs(disk).payloads;
    payloads
        .remove(&std::cmp::min_by_key(at, first, |at| at.seq))
        .unwrap()
}

/// How many batches of events are damaged, as `check` says.
fn damaged(vault: &Vault) -> usize {
    let report = vault.check(CheckOptions::default(), &mut |_| {}).unwrap();
    let is_batch = |what: &str| what.starts_with("batch");
    report
        .problems
        .iter()
        .filter(|problem| is_batch(&problem.what))
        .count()
}

/// A version whose payload has rotted is thinned, and its batch stays as it is: it is counted as damaged, and
/// when the bit is what it was, all of it can be verified.
#[test]
fn what_has_rotted_is_not_made_a_part_of_what_was_signed() {
    let (disk, mut rng) = (SimDisk::new(), SplitMix64(5));
    let vault = create(&disk);
    let ino = make(&vault, TOP, "file");
    for _ in 0..3 {
        save_version(&vault, ino, &rng.bytes(5000));
    }
    let payload = first_payload(&disk, &vault, Subject::File(ino));
    flip(&disk, &payload);
    let year = Time {
        sec: Time::now().sec + 400 * 86_400,
        nsec: 0,
    };
    assert_eq!(vault.thin(year).unwrap().versions, 2);
    vault.collect().unwrap();
    assert_eq!(damaged(&vault), 1);
    let mut rotten = payload.clone();
    rotten[0] ^= 1;
    flip(&disk, &rotten);
    check(&vault);
    // It can go now, as the note of it still says.
    vault.collect().unwrap();
    check(&vault);
}

/// A purged version goes without a trace, though another event of its batch has rotted; nothing else of that
/// batch goes.
#[test]
fn a_purge_ends_though_a_bit_has_rotted() {
    let (disk, mut rng) = (SimDisk::new(), SplitMix64(6));
    let vault = create(&disk);
    let (ino, other) = (make(&vault, TOP, "file"), make(&vault, TOP, "other"));
    save(&vault, other, &rng.bytes(5000));
    save_version(&vault, ino, &rng.bytes(5000));
    save_version(&vault, ino, &rng.bytes(5000));
    let of = Subject::File(ino);
    let purged = first_payload(&disk, &vault, of);
    let rots = first_payload(&disk, &vault, Subject::File(other));
    flip(&disk, &rots);
    vault.purge(of).unwrap();
    assert_eq!(vault.collect().unwrap().left, 0);
    assert!(!packs_hold(&disk, &purged));
    let mut rotten = rots.clone();
    rotten[0] ^= 1;
    assert!(packs_hold(&disk, &rotten), "nobody has let go of it");
    assert_eq!(damaged(&vault), 1);
}
